import io
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest

from anmodel.errors import LakeError, NotReadyError
from anmodel.lake import Lake
from anmodel.lake.manifest import DayEntry, EventsManifest, events_path

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(params=["folder", "bucket"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """A lake in a folder, and one in fsspec's memory, which like a bucket knows no renaming."""
    return Lake(str(tmp_path / "lake") if request.param == "folder" else f"memory://{uuid4().hex}")


def entry(fingerprint: str = "a", rows: int = 1, newest: datetime = NOON) -> DayEntry:
    return DayEntry(rows=rows, bytes=10, sha256="0" * 64, fingerprint=fingerprint, newest=newest)


def manifest(**days: DayEntry) -> EventsManifest:
    named = {date.fromisoformat(name.removeprefix("d").replace("_", "-")): day for name, day in days.items()}
    return EventsManifest.of(named, exported_at=NOON + timedelta(hours=1), repeated_ids=3)


def test_a_table_comes_back_with_its_metadata(lake: Lake) -> None:
    table = pa.table({"user_uid": ["ü", "☂"], "id": [1, 2]})
    lake.write_table("users/users.parquet", table, {"made": "by test"})
    back = lake.read_table("users/users.parquet")
    assert back.equals(table)
    assert back.schema.metadata == {b"made": b"by test"}
    assert lake.read_table("users/users.parquet", ["id"]).column_names == ["id"]


def test_a_folder_named_key_value_adds_no_column(lake: Lake) -> None:
    lake.write_table("daily_features/snapshot_date=2026-01-01/part-0.parquet", pa.table({"a": [1]}))
    assert lake.read_table("daily_features/snapshot_date=2026-01-01/part-0.parquet").column_names == ["a"]


def test_a_file_is_copied_with_its_size_and_checksum(lake: Lake) -> None:
    content = bytes(range(256)) * 10_000
    written = lake.write_file("x/y", io.BytesIO(content))
    assert written.bytes == len(content)
    assert written.sha256 == "2350b445eb01b3dc3c68b3e42b5b5678349472e2cbf75539fd75172f931ad1ee"
    with lake.open("x/y") as file:
        assert file.read() == content
    assert lake.sizes("x") == {"x/y": len(content)}


class BreaksOff(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        block = super().read(3)
        if not block:
            raise ConnectionResetError("the other side went away")
        return block


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(lake: Lake) -> None:
    lake.write_file("x/y", io.BytesIO(b"old"))
    with pytest.raises(LakeError, match="went away"):
        lake.write_file("x/y", BreaksOff(b"new and longer"))
    with pytest.raises(LakeError):
        lake.write_file("x/never", BreaksOff(b"new"))
    with lake.open("x/y") as file:
        assert file.read() == b"old"
    assert list(lake.sizes("")) == ["x/y"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_json("value", [0] * 10_000)
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            seen.add(tuple(set(lake.read_json("value"))))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        lake.write_json("value", [number] * (10_000 if number % 2 else 10))
    stop.set()
    reader.join()
    assert seen
    assert all(len(values) == 1 for values in seen)


def test_what_is_not_there_is_named_and_says_so(lake: Lake) -> None:
    assert not lake.exists("users/users.parquet")
    assert lake.sizes("users") == {}
    with pytest.raises(NotReadyError, match=r"users/users\.parquet is not there yet"):
        lake.read_table("users/users.parquet")
    lake.delete("users")


def test_deleting_a_folder_takes_all_in_it_and_may_be_repeated(lake: Lake) -> None:
    lake.write_json("x/y/z", 1)
    lake.write_json("x2", 1)
    lake.delete("x")
    lake.delete("x")
    assert list(lake.sizes("")) == ["x2"]


def test_json_that_is_damaged_is_named(lake: Lake) -> None:
    lake.write_file("events/manifest.json", io.BytesIO(b'{"days": '))
    with pytest.raises(LakeError, match=r"events/manifest\.json is damaged"):
        lake.events_manifest()
    lake.write_json("events/manifest.json", {"days": {"today": {}}})
    with pytest.raises(LakeError, match="anmodel export --force"):
        lake.events_manifest()


def test_the_events_manifest_comes_back_and_is_empty_before_the_first_export(lake: Lake) -> None:
    assert lake.events_manifest() == EventsManifest()
    made = manifest(d2026_01_02=entry("b", 5), d2026_01_01=entry(newest=NOON - timedelta(days=1)))
    lake.write_events_manifest(made)
    assert lake.events_manifest() == made
    assert list(made.days) == [date(2026, 1, 1), date(2026, 1, 2)]
    assert made.rows == 6
    assert made.watermark == NOON + timedelta(milliseconds=1)


def test_an_event_of_a_fast_clock_does_not_carry_the_watermark_past_the_export() -> None:
    days = {NOON.date(): entry(), date(2026, 1, 3): entry(newest=NOON + timedelta(hours=23))}
    made = EventsManifest.of(days, exported_at=NOON + timedelta(minutes=5), repeated_ids=0)
    assert made.watermark == NOON + timedelta(minutes=5)


def test_a_file_that_is_not_its_manifests_is_refused_with_the_command_that_writes_it(lake: Lake) -> None:
    lake.write_table("a.parquet", pa.table({"x": [1, 2]}))
    before = lake.written("a.parquet")
    lake.verify("a.parquet", before, "`anmodel snapshot daily`")
    lake.write_table("a.parquet", pa.table({"x": [1, 3]}))
    with pytest.raises(LakeError, match=r"a\.parquet is not the file.*Run `anmodel snapshot daily`"):
        lake.verify("a.parquet", before, "`anmodel snapshot daily`")


def test_a_damaged_parquet_file_is_named(lake: Lake) -> None:
    lake.write_file("users/users.parquet", io.BytesIO(b"PAR1 and no more"))
    with pytest.raises(LakeError, match=r"users/users\.parquet is damaged"):
        lake.read_table("users/users.parquet")


def test_event_files_are_those_of_the_days_an_interval_touches(lake: Lake) -> None:
    first, second, third = (date(2026, 1, day) for day in (1, 2, 3))
    lake.write_events_manifest(manifest(d2026_01_03=entry(), d2026_01_01=entry(), d2026_01_02=entry()))
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    assert lake.event_files() == [events_path(day) for day in (first, second, third)]
    assert lake.event_files(until=midnight) == [events_path(first)]
    assert lake.event_files(until=midnight + timedelta(milliseconds=1)) == [events_path(day) for day in (first, second)]
    assert lake.event_files(since=midnight) == [events_path(day) for day in (second, third)]
    assert events_path(first) == "events/date=2026-01-01/part-0.parquet"


def test_the_fingerprint_changes_with_the_rows_and_with_nothing_else(lake: Lake) -> None:
    fingerprints = []
    for made in (
        manifest(d2026_01_01=entry("a")),
        manifest(d2026_01_01=DayEntry(rows=1, bytes=99, sha256="1" * 64, fingerprint="a", newest=NOON)),
        manifest(d2026_01_01=entry("b")),
        manifest(d2026_01_02=entry("a")),
        manifest(d2026_01_01=entry("a"), d2026_01_02=entry("a")),
    ):
        lake.write_events_manifest(made)
        fingerprints.append(lake.fingerprint())
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 4


def test_files_on_disk_are_the_lakes_own_or_copies_that_go_away(lake: Lake) -> None:
    lake.write_json("a", 1)
    lake.write_json("b", 2)
    with lake.on_disk(["a", "b"]) as paths:
        assert [json.loads(Path(path).read_text()) for path in paths] == [1, 2]
    assert all(Path(path).exists() == lake.local for path in paths)


def test_scratch_goes_away_also_after_an_error(lake: Lake) -> None:
    with lake.scratch() as folder:
        (folder / "half").write_text("…")
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), lake.scratch() as folder:
        1 / (folder / "half").write_text("")
    assert not folder.exists()


def test_sweep_removes_only_what_killed_writers_left_long_ago(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.sweep()
    with lake.scratch() as running, lake.scratch() as killed:
        long_ago = (datetime.now(UTC) - timedelta(days=2)).timestamp()
        os.utime(killed, (long_ago, long_ago))
        lake.sweep()
        assert running.exists()
        assert not killed.exists()


def test_a_lake_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match="PARQUET_OUT"):
        Lake(str(tmp_path / "lake")).write_json("x", 1)
    with pytest.raises(LakeError, match="PARQUET_OUT"):
        Lake("nonsense://lake").exists("x")


def test_a_home_or_file_url_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Lake("~/lake").path("x") == str(tmp_path / "lake" / "x")
    assert Lake(f"file://{tmp_path}").path("x") == str(tmp_path / "x")
