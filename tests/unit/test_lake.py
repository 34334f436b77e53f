import io
import json
import os
import threading
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pyarrow as pa
import pytest

from anmodel.errors import LakeError, NotReadyError
from anmodel.lake import DayEntry, EventsManifest, Lake, OneFile, Written
from anmodel.lake.manifest import day_folder
from anmodel.lake.reading import copy_manifests, manifest_of
from anmodel.lake.sweeping import sweep, sweep_temporary

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(params=["folder", "bucket"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """A lake in a folder, and one in fsspec's memory, which like a bucket knows no renaming."""
    return Lake(str(tmp_path / "lake") if request.param == "folder" else f"memory://{uuid4().hex}")


def entry(fingerprint: str = "a", rows: int = 1, newest: datetime = NOON) -> DayEntry:
    files = OneFile(Written(bytes=10, sha256="0" * 64))
    exported_at = NOON + timedelta(hours=1)
    return DayEntry(rows=rows, files=files, fingerprint=fingerprint, newest=newest, exported_at=exported_at)


def put(lake: Lake, **days: DayEntry) -> EventsManifest:
    """Write days' manifests, named d2026_01_02, and return them."""
    named = {date.fromisoformat(name.removeprefix("d").replace("_", "-")): day for name, day in days.items()}
    for day, made in named.items():
        lake.write_json(manifest_of(day), msgspec.to_builtins(made))
    return EventsManifest.of(named)


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


def test_a_file_is_copied_in_under_a_name_of_its_content_with_its_size_and_checksum(lake: Lake) -> None:
    content = bytes(range(256)) * 10_000
    written = lake.add("x", "y", io.BytesIO(content))
    assert written.bytes == len(content)
    assert written.sha256 == "2350b445eb01b3dc3c68b3e42b5b5678349472e2cbf75539fd75172f931ad1ee"
    assert written.path("x", "y") == "x/y-2350b445eb01b3dc.parquet"
    with lake.open(written.path("x", "y")) as file:
        assert file.read() == content
    assert lake.sizes("x") == {"x/y-2350b445eb01b3dc.parquet": len(content)}


def test_other_content_never_takes_the_place_of_a_file_that_a_manifest_names(lake: Lake) -> None:
    first, second = (lake.add_table("x", "y", pa.table({"a": [number]})) for number in (1, 2))
    assert lake.add_table("x", "y", pa.table({"a": [1]})) == first
    assert len(lake.sizes("x")) == 2
    assert lake.read_table(first.path("x", "y"))["a"].to_pylist() == [1]
    assert lake.read_table(second.path("x", "y"))["a"].to_pylist() == [2]


class BreaksOff(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        block = super().read(3)
        if not block:
            raise ConnectionResetError("the other side went away")
        return block


def test_a_write_that_breaks_off_leaves_nothing(lake: Lake) -> None:
    lake.add("x", "y", io.BytesIO(b"old"))
    with pytest.raises(LakeError, match="went away"):
        lake.add("x", "y", BreaksOff(b"new and longer"))
    assert list(lake.sizes("x").values()) == [3]
    assert len(lake.sizes("")) == 1


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
    lake.write_json(manifest_of(date(2026, 1, 1)), {"rows": "many"})
    with pytest.raises(LakeError, match=r"date=2026-01-01/manifest\.json is damaged.*anmodel export --force"):
        lake.events_manifest()


def test_the_days_manifests_come_back_as_one_which_is_empty_before_the_first_export(lake: Lake) -> None:
    assert lake.events_manifest() == EventsManifest()
    assert lake.events_manifest().watermark is None
    made = put(lake, d2026_01_02=entry("b", 5), d2026_01_01=entry(newest=NOON - timedelta(days=1)))
    lake.write_json("events/manifest.json", {"days": {}})
    lake.write_json("events/date=today/manifest.json", {})
    assert lake.events_manifest() == made
    assert list(made.days) == [date(2026, 1, 1), date(2026, 1, 2)]
    assert made.rows == 6
    assert made.watermark == NOON + timedelta(milliseconds=1)


class Counting(Lake):
    """Notes which small files are read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.read: list[str] = []

    def read_many(self, relatives: Collection[str]) -> dict[str, bytes]:
        self.read += relatives
        return super().read_many(relatives)


def test_manifests_are_read_from_their_copies_until_they_change(tmp_path: Path) -> None:
    lake = Counting(str(tmp_path))
    put(lake, d2026_01_01=entry(), d2026_01_02=entry(), d2026_01_03=entry())
    copy_manifests(lake)
    changed = put(lake, d2026_01_02=entry("b", 5), d2026_01_04=entry())
    lake.delete(manifest_of(date(2026, 1, 3)))
    lake.read.clear()
    days = lake.events_manifest().days
    assert days == {date(2026, 1, 1): entry(), **changed.days}
    assert sorted(lake.read) == ["events/copies.json", *map(manifest_of, changed.days)]
    for damage in ("{", "[1]"):
        (tmp_path / "events/copies.json").write_text(damage)
        assert lake.events_manifest().days == days


def test_where_files_have_no_tags_every_manifest_is_read(lake: Lake) -> None:
    put(lake, d2026_01_01=entry())
    copy_manifests(lake)
    made = put(lake, d2026_01_01=entry("b"))
    assert lake.events_manifest() == made


def test_an_event_of_a_fast_clock_does_not_carry_the_watermark_past_the_export() -> None:
    days = {NOON.date(): entry(), date(2026, 1, 3): entry(newest=NOON + timedelta(hours=23))}
    assert EventsManifest.of(days).watermark == NOON + timedelta(hours=1)


def test_a_file_that_is_not_its_manifests_is_refused_with_the_command_that_writes_it(lake: Lake) -> None:
    lake.write_table("a.parquet", pa.table({"x": [1, 2]}))
    before = lake.written("a.parquet")
    lake.verify("a.parquet", before, "`anmodel snapshot daily`")
    lake.write_table("a.parquet", pa.table({"x": [1, 3]}))
    with pytest.raises(LakeError, match=r"a\.parquet is not the file.*Run `anmodel snapshot daily`"):
        lake.verify("a.parquet", before, "`anmodel snapshot daily`")


def test_a_damaged_parquet_file_is_named(lake: Lake) -> None:
    written = lake.add("users", "users", io.BytesIO(b"PAR1 and no more"))
    with pytest.raises(LakeError, match=r"users/users-.*\.parquet is damaged"):
        lake.read_table(written.path("users", "users"))


def test_event_files_are_those_of_the_days_an_interval_touches(lake: Lake) -> None:
    first, second, third = (f"{day_folder(date(2026, 1, day))}/part-{16 * '0'}.parquet" for day in (1, 2, 3))
    put(lake, d2026_01_03=entry(), d2026_01_01=entry(), d2026_01_02=entry())
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    assert lake.events_manifest().paths() == [first, second, third]
    assert lake.events_manifest().paths(until=midnight) == [first]
    assert lake.events_manifest().paths(until=midnight + timedelta(milliseconds=1)) == [first, second]
    assert lake.events_manifest().paths(since=midnight) == [second, third]


def test_the_fingerprint_changes_with_the_rows_and_with_nothing_else() -> None:
    first, second = date(2026, 1, 1), date(2026, 1, 2)
    elsewhere = OneFile(Written(bytes=99, sha256="1" * 64))
    later = NOON + timedelta(days=9)
    same = DayEntry(rows=1, files=elsewhere, fingerprint="a", newest=NOON, exported_at=later)
    fingerprints = [
        EventsManifest.of(days).fingerprint
        for days in (
            {first: entry("a")},
            {first: same},
            {first: entry("b")},
            {second: entry("a")},
            {first: entry("a"), second: entry("a")},
        )
    ]
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


def test_what_killed_writers_left_is_removed_once_it_is_a_day_old(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    sweep_temporary(lake)
    with lake.scratch() as running, lake.scratch() as killed:
        age(killed, hours=48)
        sweep_temporary(lake)
        assert running.exists()
        assert not killed.exists()


def age(path: str | Path, *, hours: float) -> None:
    then = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    os.utime(path, (then, then))


class Folder:
    """A lake's folder `f` whose files of the kind `part` are of given ages."""

    def __init__(self, root: Path) -> None:
        self.lake = Lake(str(root))
        self.count = 0

    def file(self, *, hours: float) -> Written:
        self.count += 1
        written = self.lake.add("f", "part", io.BytesIO(b"x" * self.count))
        age(self.lake.path(written.path("f", "part")), hours=hours)
        return written

    def name(self, written: Written, manifest: str = "f/manifest.json") -> None:
        self.lake.write_json(manifest, {"files": {"part": msgspec.to_builtins(written)}, "folder": "f"})

    def left(self, *pointers: str) -> list[int]:
        sweep(self.lake, self.lake.found("f"), pointers)
        return sorted(size for path, size in self.lake.sizes("f").items() if path.endswith(".parquet"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_replaced_file_stays_a_day_after_the_one_that_replaced_it_was_written(folder: Folder) -> None:
    folder.file(hours=900)
    folder.file(hours=25)
    folder.name(folder.file(hours=23))
    assert folder.left() == [2, 3]


def test_a_file_that_a_manifest_names_is_never_swept_however_old(folder: Folder) -> None:
    named = folder.file(hours=900)
    folder.name(named)
    assert folder.left() == [1]
    folder.file(hours=800)
    folder.file(hours=30)
    folder.file(hours=2)
    assert folder.left() == [1, 3, 4]


def test_a_file_whose_writer_was_killed_before_the_manifest_is_swept_after_a_day(folder: Folder) -> None:
    killed = folder.file(hours=23)
    assert folder.left() == [1]
    age(folder.lake.path(killed.path("f", "part")), hours=25)
    assert folder.left() == []


def test_a_file_that_a_pointer_names_is_kept(folder: Folder) -> None:
    pointed = folder.file(hours=900)
    folder.name(folder.file(hours=48))
    folder.name(pointed, "latest/x.json")
    assert folder.left("latest/x.json") == [1, 2]
    assert folder.left() == [2]


def test_a_file_that_is_written_anew_while_a_sweep_runs_stays(folder: Folder) -> None:
    again = folder.file(hours=900)
    folder.name(folder.file(hours=48))
    found = folder.lake.found("f")
    folder.lake.add("f", "part", io.BytesIO(b"x"))
    assert sweep(folder.lake, found) == []
    assert folder.lake.exists(again.path("f", "part"))


def test_files_of_a_former_layout_go_and_a_folder_whose_manifest_is_damaged_stays(folder: Folder) -> None:
    former = Path(folder.lake.path("f/part-0.parquet"))
    folder.name(folder.file(hours=48))
    former.write_bytes(b"former")
    age(former, hours=900)
    Path(folder.lake.path("f/manifest.json")).write_text("{")
    assert folder.left() == [1, 6]
    folder.name(folder.file(hours=48))
    assert folder.left() == [2]


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
