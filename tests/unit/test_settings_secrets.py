"""Settings from files of secrets, and what is said of secrets and certificates that do not fit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from anmodel.brokers import client, client_options, consumer_options
from anmodel.errors import SettingError
from anmodel.settings import (
    ClickHouseSettings,
    ConsumerSettings,
    KafkaSettings,
    Settings,
    TrendsSettings,
    UsersSettings,
)
from anmodel.users import users_url
from certificates import Authority
from secret_volume import SecretVolume

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANMODEL_SECRETS", "CLICKHOUSE_PASSWORD", "KAFKA_PASSWORD", "SERPAPI_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_file_of_the_folder_gives_the_setting_without_its_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = SecretVolume(tmp_path / "secrets", {"clickhouse_password": f"{SECRET}\n", "serpapi_key": "k"})
    monkeypatch.setenv("ANMODEL_SECRETS", str(volume.folder))
    assert ClickHouseSettings.load().clickhouse_password.get_secret_value() == SECRET
    assert TrendsSettings.load(parquet_out="lake").serpapi_key.get_secret_value() == "k"


def test_the_environment_wins_over_a_file_unless_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = SecretVolume(tmp_path / "secrets", {"clickhouse_password": "of the file"})
    monkeypatch.setenv("ANMODEL_SECRETS", str(volume.folder))
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "of the environment")
    assert ClickHouseSettings.load().clickhouse_password.get_secret_value() == "of the environment"
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "")
    assert ClickHouseSettings.load().clickhouse_password.get_secret_value() == "of the file"


def test_a_missing_secret_says_where_it_may_be_put() -> None:
    with pytest.raises(SettingError, match=r"CLICKHOUSE_PASSWORD is not set.*ANMODEL_SECRETS"):
        ClickHouseSettings.load()


@pytest.mark.parametrize("there", [False, True], ids=["nothing", "a file"])
def test_a_folder_that_is_none_is_named(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "secrets"
    if there:
        path.write_text("x")
    with pytest.raises(SettingError, match=f"ANMODEL_SECRETS={path} cannot be read"):
        Settings.load(anmodel_secrets=str(path))


def test_a_secret_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "kafka_password").symlink_to(tmp_path / "gone")
    with pytest.raises(SettingError, match=r"kafka_password.*No such file"):
        KafkaSettings.load(anmodel_secrets=str(tmp_path))
    (tmp_path / "kafka_password").unlink()
    (tmp_path / "kafka_password").write_bytes(SECRET.encode() + b"\xff")
    with pytest.raises(SettingError, match=r"KAFKA_PASSWORD, is no text in UTF-8") as told:
        KafkaSettings.load(anmodel_secrets=str(tmp_path))
    assert SECRET not in str(told.value)


def test_a_secret_that_is_a_folder_or_leads_out_of_the_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    (folder / "kafka_password").mkdir(parents=True)
    with pytest.raises(SettingError, match=r"kafka_password.*Is a directory"):
        KafkaSettings.load(anmodel_secrets=str(folder))
    (folder / "kafka_password").rmdir()
    (tmp_path / "outside").write_text(SECRET)
    (folder / "kafka_password").symlink_to(tmp_path / "outside")
    with pytest.raises(SettingError, match=r"kafka_password.*leads out"):
        KafkaSettings.load(anmodel_secrets=str(folder))


def test_a_login_needs_a_name_and_a_password(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^KAFKA_USERNAME is not set; KAFKA_SECURITY_PROTOCOL=SASL_SSL"):
        KafkaSettings.load(kafka_security_protocol="SASL_SSL", kafka_password=SECRET)
    with pytest.raises(SettingError, match=r"^KAFKA_PASSWORD is not set"):
        KafkaSettings.load(kafka_security_protocol="SASL_PLAINTEXT", kafka_username="me")


def test_no_message_about_several_settings_shows_a_secret(tmp_path: Path) -> None:
    given = {"clickhouse_password": SECRET, "kafka_password": SECRET, "kafka_security_protocol": "SASL_SSL"}
    with pytest.raises(SettingError) as told:
        ConsumerSettings.load(**given)
    assert SECRET not in str(told.value)
    with pytest.raises(SettingError) as told:
        ConsumerSettings.load(**given, kafka_username="me", kafka_ca=str(tmp_path / "none.pem"))
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read: No such file"), ("no certificate", "holds no certificates")]
)
@pytest.mark.parametrize("name", ["kafka_ca", "clickhouse_ca", "pg_ca"])
def test_authorities_that_cannot_be_trusted_are_named(
    tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    kind = {"kafka_ca": KafkaSettings, "clickhouse_ca": ClickHouseSettings, "pg_ca": UsersSettings}[name]
    with pytest.raises(SettingError, match=rf"{name.upper()} is wrong: got '{path}'; the file {reason}"):
        kind.load(**{name: str(path)}, clickhouse_password="x")


def test_authorities_that_would_not_be_used_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(Authority().certificate)
    with pytest.raises(SettingError, match=r"KAFKA_CA is set, but KAFKA_SECURITY_PROTOCOL=PLAINTEXT has no TLS"):
        KafkaSettings.load(kafka_ca=str(path))
    with pytest.raises(SettingError, match=r"CLICKHOUSE_CA is set, but CLICKHOUSE_SECURE is not"):
        ClickHouseSettings.load(clickhouse_ca=str(path), clickhouse_password="x")
    with pytest.raises(SettingError, match=r"PG_CA is set, but PG_SSLMODE=prefer checks no certificate"):
        UsersSettings.load(pg_ca=str(path))
    with pytest.raises(SettingError, match=r"PG_CA is not set; PG_SSLMODE=verify-full needs it"):
        UsersSettings.load(pg_sslmode="verify-full")


def test_a_certificate_without_its_own_key_is_refused(tmp_path: Path) -> None:
    authority = Authority()
    volume = SecretVolume(tmp_path / "secrets", {"ca.pem": authority.certificate})
    for name in ("one", "two"):
        certificate, key = authority.issue(name)
        volume.write({f"{name}.pem": certificate, f"{name}_key.pem": key})
    secured = {"kafka_security_protocol": "SSL", "kafka_certificate": volume.path("one.pem")}
    assert KafkaSettings.load(**secured, kafka_key=volume.path("one_key.pem")).kafka_key
    for wrong in ("", "two_key.pem", "none.pem"):
        with pytest.raises(SettingError, match=r"KAFKA_CERTIFICATE=.* and KAFKA_KEY=.* do not fit"):
            KafkaSettings.load(**secured, kafka_key=volume.path(wrong) if wrong else None)


def test_an_encrypted_key_is_refused_without_a_question(tmp_path: Path) -> None:
    certificate, key = Authority().issue("one", password=b"secret")
    volume = SecretVolume(tmp_path / "secrets", {"one.pem": certificate, "one_key.pem": key})
    with pytest.raises(SettingError, match="unencrypted key"):
        KafkaSettings.load(
            kafka_security_protocol="SSL",
            kafka_certificate=volume.path("one.pem"),
            kafka_key=volume.path("one_key.pem"),
        )


def test_every_client_of_kafka_logs_in_and_trusts_as_set(tmp_path: Path) -> None:
    volume = SecretVolume(tmp_path / "secrets", {"ca.pem": Authority().certificate, "kafka_password": SECRET})
    options = client_options(
        KafkaSettings.load(
            anmodel_secrets=str(volume.folder),
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-256",
            kafka_username="me",
            kafka_ca=volume.path("ca.pem"),
        )
    )
    assert {name: value for name, value in options.items() if name.startswith(("s", "ssl"))} == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "me",
        "sasl.password": SECRET,
        "ssl.ca.location": volume.path("ca.pem"),
    }


def test_kafka_options_win_and_need_no_other_login() -> None:
    given = "sasl.username=other;sasl.password=of the options;security.protocol=SASL_PLAINTEXT"
    options = client_options(KafkaSettings.load(kafka_security_protocol="SASL_SSL", kafka_options=given))
    assert (options["sasl.username"], options["sasl.password"]) == ("other", "of the options")
    assert options["security.protocol"] == "SASL_PLAINTEXT"


@pytest.mark.parametrize("option", ["acks=1", "enable.idempotence=false", "enable.auto.commit=true", "group.id=other"])
def test_no_option_may_take_away_what_is_promised(option: str) -> None:
    with pytest.raises(SettingError, match=f"part 2 sets {option.partition('=')[0]}"):
        client_options(KafkaSettings.load(kafka_options=f"linger.ms=1;{option}"))


def test_a_malformed_option_is_told_by_its_place_since_it_may_be_a_password() -> None:
    with pytest.raises(SettingError, match="KAFKA_OPTIONS is wrong: part 2 has no =") as told:
        client_options(KafkaSettings.load(kafka_options=f"sasl.password=half;{SECRET}"))
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("option", ["session.timeout.ms=3000", "no.such.option=1", "linger.ms=long"])
def test_an_option_that_kafkas_client_refuses_is_a_wrong_setting(option: str) -> None:
    with pytest.raises(SettingError, match=r"Kafka's client refuses its options: .* They come from KAFKA_OPTIONS"):
        client(Consumer, consumer_options(KafkaSettings.load(kafka_options=option), "group"))


def test_a_stage_ends_with_the_words_of_kafkas_client() -> None:
    given = {**os.environ, "KAFKA_OPTIONS": "linger.ms=long"}
    command = [sys.executable, "-m", "anmodel", "collector"]
    ended = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == SettingError.exit_code
    assert "error: Kafka's client refuses its options" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_postgres_is_spoken_to_as_set(tmp_path: Path) -> None:
    assert "ssl" not in users_url(UsersSettings.load())
    path = tmp_path / "ca.pem"
    path.write_text(Authority().certificate)
    url = users_url(UsersSettings.load(pg_sslmode="verify-full", pg_ca=str(path)))
    assert "sslmode=verify-full" in url
    assert "sslrootcert=" in url
