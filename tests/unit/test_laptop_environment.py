"""The laptop's own environment: complete, secret, and second to what the user has set."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anmodel.errors import InputError, SettingError
from anmodel.laptop import environment
from anmodel.laptop.locks import FolderLock
from anmodel.laptop.node import sources_fingerprint
from anmodel.laptop.parts import laptop_parts
from anmodel.settings import CollectorSettings, ConsumerSettings, ExportSettings, GatewaySettings, LaptopSettings
from anmodel.topic import TOPICS


@pytest.fixture
def process_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def laptop(home: Path, **more: object) -> LaptopSettings:
    return LaptopSettings.load(anmodel_home=home, **more)


def test_every_stage_finds_its_settings_in_it(tmp_path: Path, process_environment: None) -> None:
    os.environ.clear()
    os.environ.update(environment.ensure(laptop(tmp_path / "a home"), {}))
    consumer = ConsumerSettings.load()
    assert len(consumer.clickhouse_password.get_secret_value()) > 20
    assert ExportSettings.load().parquet_out == str(tmp_path / "a home" / "lake")
    assert GatewaySettings.load().users_url == f"sqlite:///{tmp_path / 'a home' / 'users.db'}"
    assert CollectorSettings.load().collector_port == 8001
    # what /predict answers is logged and stored, as on a cluster
    assert GatewaySettings.load().predictions_topic == consumer.predictions_topic
    assert consumer.predictions_topic in TOPICS


def test_the_password_is_made_once_differs_between_homes_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    first = environment.ensure(laptop(tmp_path / "one"), {})
    assert environment.ensure(laptop(tmp_path / "one"), {}) == first
    assert environment.read(tmp_path / "one") == first
    other = environment.ensure(laptop(tmp_path / "two"), {})
    assert other["CLICKHOUSE_PASSWORD"] != first["CLICKHOUSE_PASSWORD"]
    assert (tmp_path / "one" / environment.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_variable_of_the_user_wins_and_is_what_other_commands_read(tmp_path: Path) -> None:
    in_effect = environment.ensure(laptop(tmp_path), {"USERS_URL": "postgresql://shop", "PARQUET_OUT": ""})
    assert in_effect["USERS_URL"] == "postgresql://shop"
    assert in_effect["PARQUET_OUT"] == str(tmp_path / "lake")
    assert environment.read(tmp_path)["USERS_URL"] == "postgresql://shop"


def test_a_second_start_on_a_folder_in_use_leaves_what_the_running_one_goes_by(tmp_path: Path) -> None:
    first = environment.ensure(laptop(tmp_path), {})
    lock = FolderLock(tmp_path / environment.LOCK_NAME)
    assert lock.take()
    try:
        with pytest.raises(SettingError, match=f"in use by a running `anmodel up` .process {os.getpid()}."):
            environment.ensure(laptop(tmp_path, gateway_port=18000), {})
    finally:
        lock.release()
    assert environment.read(tmp_path) == first


@pytest.mark.parametrize("content", [b'PORT="unclosed', b"\xff\xfe"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / environment.FILE_NAME).write_bytes(content)
    with pytest.raises(SettingError, match=r"laptop\.env is damaged .*Remove it"):
        environment.read(tmp_path)


def test_a_home_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"ANMODEL_HOME=.*file cannot be read"):
        environment.read(tmp_path / "file")
    with pytest.raises(SettingError, match=r"ANMODEL_HOME=.*file cannot be"):
        environment.ensure(laptop(tmp_path / "file"), {})


def test_addresses_follow_the_ports(tmp_path: Path) -> None:
    moved = environment.ensure(laptop(tmp_path, gateway_port=18000, marketapp_port=15173, collector_port=18001), {})
    assert moved["VITE_API_BASE"] == "http://127.0.0.1:18000"
    assert moved["COLLECTOR_URL"] == "http://127.0.0.1:18001/collect"
    assert moved["CORS_ORIGINS"] == "http://localhost:15173,http://127.0.0.1:15173"


def test_applying_sets_only_what_is_not_set_and_can_be_taken_back(tmp_path: Path, process_environment: None) -> None:
    environment.ensure(laptop(tmp_path, kafka_port=19092), {})
    os.environ.pop("KAFKA_PORT", None)
    os.environ["PARQUET_OUT"] = "s3://mine"
    environment.apply(tmp_path)
    assert os.environ["KAFKA_PORT"] == "19092"
    assert os.environ["PARQUET_OUT"] == "s3://mine"
    environment.withdraw()
    assert "KAFKA_PORT" not in os.environ
    assert os.environ["PARQUET_OUT"] == "s3://mine"


def test_without_the_file_nothing_is_applied_and_nothing_written(tmp_path: Path, process_environment: None) -> None:
    before = dict(os.environ)
    assert environment.apply(tmp_path) == {}
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"ANMODEL_HOME=.*cannot be written"):
        environment.ensure(laptop(tmp_path / "file" / "home"), {})


def test_parts_are_chosen_by_name_and_a_task_goes_with_its_part(tmp_path: Path) -> None:
    settings = laptop(tmp_path)
    variables = environment.ensure(settings, {})

    def names(**choice: object) -> list[str]:
        return [part.name for part in laptop_parts(settings, variables, **choice)]  # type: ignore[arg-type]

    assert names(only=["kafka", "clickhouse"]) == ["kafka", "clickhouse", "migrate"]
    assert "marketapp-build" not in names(without=["marketapp"])
    assert "mlflow" not in names()
    assert names(mlflow_ui=True)[-1] == "mlflow"
    with pytest.raises(InputError, match=r"no part 'zookeeper'; the parts are kafka, clickhouse"):
        names(only=["zookeeper"])


def test_every_port_has_the_variable_that_moves_it(tmp_path: Path) -> None:
    settings = laptop(tmp_path)
    for part in laptop_parts(settings, environment.ensure(settings, {}), mlflow_ui=True):
        if part.port is not None:
            assert getattr(settings, part.port_variable.lower()) == part.port


def test_the_console_is_built_anew_for_changed_sources_but_not_for_packages_or_builds(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.tsx").write_text("one")
    before = sources_fingerprint(tmp_path)
    for made in ("node_modules", "dist"):
        (tmp_path / made).mkdir()
        (tmp_path / made / "main.js").write_text("made")
    assert sources_fingerprint(tmp_path) == before
    (tmp_path / "src" / "main.tsx").write_text("two")
    assert sources_fingerprint(tmp_path) != before
