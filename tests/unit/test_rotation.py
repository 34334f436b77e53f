"""A service ends when its secrets have changed, and only then."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from anmodel.rotation import end_when_rotated
from anmodel.secret_files import fingerprint
from anmodel.settings import KafkaSettings
from certificates import Authority
from eventually import eventually
from secret_volume import SecretVolume

QUICK = {"secrets_poll_seconds": 0.01, "secrets_spread_seconds": 0.0}


@pytest.fixture
def volume(tmp_path: Path) -> SecretVolume:
    return SecretVolume(tmp_path / "secrets", {"kafka_password": "first", "kafka_ca.pem": Authority().certificate})


class Watched:
    """A service's settings under watch; counts how often it was told to end."""

    def __init__(self, volume: SecretVolume, **more: object) -> None:
        self.ends = 0
        self.over = False
        self.settings = KafkaSettings.load(anmodel_secrets=str(volume.folder), **(QUICK | more))

    def start(self) -> "Watched":
        end_when_rotated(self.settings, self._end)
        return self

    def _end(self) -> None:
        self.ends += 1
        if self.over:
            threading.Event().wait()  # a process would be gone by now


Watch = Callable[..., Watched]


@pytest.fixture
def watch(volume: SecretVolume) -> Iterator[Watch]:
    """Makes services on the volume, and ends them after the test."""
    made: list[Watched] = []

    def make(**more: object) -> Watched:
        made.append(Watched(volume, **more))
        return made[-1]

    yield make
    for each in made:
        each.over = True


def test_a_changed_secret_ends_the_service(watch: Watch, volume: SecretVolume) -> None:
    watched = watch().start()
    volume.write({"kafka_password": "second"})
    eventually(lambda: watched.ends)


@pytest.mark.parametrize("name", ["kafka_ca.pem", "deeper/new.pem"])
def test_a_changed_or_new_certificate_ends_the_service(watch: Watch, volume: SecretVolume, name: str) -> None:
    watched = watch().start()
    volume.write({name: Authority("second").certificate})
    eventually(lambda: watched.ends)


def test_a_change_between_reading_the_settings_and_watching_is_noticed(watch: Watch, volume: SecretVolume) -> None:
    watched = watch()
    volume.write({"kafka_password": "second"})
    watched.start()
    eventually(lambda: watched.ends)


def test_files_written_anew_with_the_same_contents_end_nothing(volume: SecretVolume) -> None:
    before = fingerprint(volume.folder)
    volume.write({"kafka_password": "first"})
    assert fingerprint(volume.folder) == before
    volume.write({"kafka_password": "second"})
    assert fingerprint(volume.folder) != before


def test_a_name_and_its_content_cannot_be_mistaken_for_others(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, files in ((one, {"a": "bc", "d": ""}), (two, {"a": "b", "cd": ""})):
        SecretVolume(folder, files)
    assert fingerprint(one) != fingerprint(two)


def test_while_files_are_missing_the_service_goes_on_and_ends_when_others_are_there(
    watch: Watch, volume: SecretVolume
) -> None:
    away = volume.folder.with_name("away")
    with capture_logs() as logs:
        watched = watch().start()
        volume.folder.rename(away)
        eventually(lambda: "secrets not readable" in told(logs))
        assert not watched.ends
        away.rename(volume.folder)
        volume.write({"kafka_password": "second"})
        eventually(lambda: watched.ends)


def test_secrets_that_no_service_could_start_with_are_not_taken_up(watch: Watch, volume: SecretVolume) -> None:
    with capture_logs() as logs:
        watched = watch().start()
        (volume.folder / "kafka_username").write_bytes(b"\xff")
        eventually(lambda: "changed secrets not taken up" in told(logs))
        assert not watched.ends
        (volume.folder / "kafka_username").write_text("me")
        eventually(lambda: watched.ends)


def test_replicas_do_not_end_at_once(watch: Watch, volume: SecretVolume) -> None:
    with capture_logs() as logs:
        watched = watch(secrets_spread_seconds=1e6).start()
        volume.write({"kafka_password": "second"})
        eventually(lambda: "secrets changed" in told(logs))
    (line,) = (line for line in logs if line["event"] == "secrets changed")
    assert 0 < line["ends_in_seconds"] <= 1e6
    assert not watched.ends


def test_the_service_is_told_again_until_it_has_ended(watch: Watch, volume: SecretVolume) -> None:
    watched = watch().start()
    volume.write({"kafka_password": "second"})
    eventually(lambda: watched.ends > 1)


def told(logs: Iterable[Mapping[str, object]]) -> set[object]:
    """The events that were logged."""
    return {line["event"] for line in list(logs)}


def test_without_a_folder_nothing_is_watched() -> None:
    before = threading.active_count()
    end_when_rotated(KafkaSettings.load(), lambda: None)
    assert threading.active_count() == before
