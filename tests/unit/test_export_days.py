from datetime import UTC, date, datetime, timedelta

import pytest

from anmodel.errors import InputError
from anmodel.export.command import days_asked
from anmodel.export.events import Plan, plan
from anmodel.export.table import TableDay
from anmodel.lake import DayEntry, OneFile, Written
from anmodel.lake.manifest import EVENTS_SCHEMA_VERSION
from anmodel.lake.reading import manifest_of

TODAY = date(2026, 3, 10)
DAY = date(2026, 3, 1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def asked(day: str | None = None, first: str | None = None, until: str | None = None) -> tuple[date, date | None]:
    return days_asked(day, first, until, today=TODAY, export_days=3)


def test_without_options_the_newest_days_are_exported_and_what_comes_after_today_too() -> None:
    assert asked() == (date(2026, 3, 8), None)


def test_options_name_a_day_or_a_range_that_ends_before_until() -> None:
    assert asked(day="2026-02-28") == (date(2026, 2, 28), date(2026, 3, 1))
    assert asked(first="2020-01-01") == (date(2020, 1, 1), None)
    assert asked(first="2020-01-01", until="2020-01-03") == (date(2020, 1, 1), date(2020, 1, 3))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"day": "2026-02-28", "first": "2026-01-01"}, "--day goes alone"),
        ({"day": "28.02.2026"}, r"--day '28\.02\.2026'"),
        ({"first": "2026-02-30"}, "--from '2026-02-30'"),
        ({"first": "2026-01-02", "until": "2026-01-02"}, "--until 2026-01-02 must be after"),
    ],
)
def test_options_that_make_no_range_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        asked(**options)


def held(fingerprint: str = "a", *, rows: int = 5, oldest: datetime = NOON) -> TableDay:
    return TableDay(rows=rows, fingerprint=fingerprint, oldest=oldest, newest=NOON)


def known(schema_version: int = EVENTS_SCHEMA_VERSION, oldest: datetime | None = NOON) -> dict[date, DayEntry]:
    files = OneFile(Written(bytes=100, sha256="0" * 64))
    return {
        DAY: DayEntry(
            rows=5,
            files=files,
            fingerprint="a",
            oldest=oldest,
            newest=NOON,
            exported_at=NOON,
            schema_version=schema_version,
        )
    }


MANIFEST = {manifest_of(DAY): 300}
THERE = {known()[DAY].path(DAY): 100, **MANIFEST}


def test_a_day_that_stands_is_left_alone_unless_forced() -> None:
    assert plan({DAY: held()}, known(), THERE) == Plan(write=[], remove=[], keep=[])
    assert plan({DAY: held()}, known(), THERE, force=True) == Plan(write=[DAY], remove=[], keep=[])


def test_a_day_is_written_when_new_changed_damaged_or_of_an_older_schema() -> None:
    anew = Plan(write=[DAY], remove=[], keep=[])
    assert plan({DAY: held()}, {}, {}) == anew
    assert plan({DAY: held()}, {}, THERE) == anew
    assert plan({DAY: held("b")}, known(), THERE) == anew
    assert plan({DAY: held()}, known(), dict.fromkeys(THERE, 99)) == anew
    assert plan({DAY: held()}, known(), MANIFEST) == anew
    assert plan({DAY: held()}, known(EVENTS_SCHEMA_VERSION - 1), THERE) == anew


@pytest.mark.parametrize("force", [False, True])
def test_a_day_the_table_no_longer_has_stays_unless_it_is_to_be_removed_also_when_its_manifest_is_damaged(
    force: bool,
) -> None:
    for entries in (known(), {}):
        assert plan({}, entries, THERE, force=force) == Plan(write=[], remove=[], keep=[DAY])
        assert plan({}, entries, THERE, force=force, remove=True) == Plan(write=[], remove=[DAY], keep=[])
    assert plan({}, {}, {known()[DAY].path(DAY): 100}, remove=True) == Plan(write=[], remove=[], keep=[])


LATER = NOON + timedelta(milliseconds=1)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "less",
    [held("b", rows=4), held("b", oldest=LATER), held("b", rows=9, oldest=LATER)],
    ids=["fewer", "later", "more, but the first are gone"],
)
def test_a_day_of_which_the_table_has_lost_events_stays_unless_they_are_to_be_removed(
    less: TableDay, force: bool
) -> None:
    assert plan({DAY: less}, known(), THERE, force=force) == Plan(write=[], remove=[], keep=[DAY])
    assert plan({DAY: less}, known(), THERE, force=force, remove=True) == Plan(write=[DAY], remove=[], keep=[])


def test_a_day_that_came_before_its_oldest_event_was_noted_is_known_by_its_rows() -> None:
    former = known(oldest=None)
    assert plan({DAY: held("b", rows=6)}, former, THERE).write == [DAY]
    assert plan({DAY: held("b", rows=4)}, former, THERE).keep == [DAY]


def test_what_is_left_of_a_day_is_better_than_a_file_that_is_lost_or_cut() -> None:
    for sizes in (MANIFEST, THERE | {known()[DAY].path(DAY): 99}):
        assert plan({DAY: held("b", rows=4)}, known(), sizes).write == [DAY]
