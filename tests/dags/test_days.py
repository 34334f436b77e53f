"""Which days a run exports."""

from datetime import UTC, date, datetime

import pytest

from anmodel_dags.days import Days, as_of, days_asked, export_arguments, instant, newest, pieces

TODAY = date(2026, 11, 24)
YESTERDAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("first", "last", "late", "expected"),
    [
        (None, None, 2, Days(date(2026, 11, 21), YESTERDAY)),
        ("", "", 0, Days(YESTERDAY, YESTERDAY)),
        ("2026-11-01", "2026-11-07", 2, Days(date(2026, 11, 1), date(2026, 11, 7))),
        ("2026-11-01", None, 2, Days(date(2026, 11, 1), YESTERDAY)),
        (None, "2024-03-01", 2, Days(date(2024, 2, 28), date(2024, 3, 1))),
        (None, "2026-11-24", 0, Days(TODAY, TODAY)),
    ],
)
def test_a_day_left_empty_is_the_runs_own_and_late_days_before_it(
    first: str | None, last: str | None, late: int, expected: Days
) -> None:
    assert days_asked(first, last, late_days=late, last=YESTERDAY, today=TODAY) == expected


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-11-08", "2026-11-07", "is after last_day"),
        (None, "2026-11-25", "has not begun; allowed is 2026-11-24"),
        ("7.11.2026", None, "first_day '7.11.2026': allowed is a day as 2026-01-31"),
        (None, "soon", "last_day 'soon'"),
    ],
)
def test_days_that_cannot_be_are_refused_and_named(first: str | None, last: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        days_asked(first, last, late_days=2, last=YESTERDAY, today=TODAY)


@pytest.mark.parametrize("size", [1, 3, 7, 30, 366])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 30])
def test_pieces_cover_every_day_once_in_order(size: int, length: int) -> None:
    asked = Days(date(2026, 2, 20), date.fromordinal(date(2026, 2, 20).toordinal() + length - 1))
    covered = [day for made in pieces(asked, size) for day in range(made.first.toordinal(), made.last.toordinal() + 1)]
    assert covered == list(range(asked.first.toordinal(), asked.last.toordinal() + 1))
    assert all((made.last - made.first).days < size for made in pieces(asked, size))


def test_more_pieces_than_airflow_maps_to_are_refused() -> None:
    years = Days(date(2020, 1, 1), date(2025, 12, 31))
    with pytest.raises(ValueError, match="days_a_task 1 makes 2192 tasks; allowed are 1000"):
        pieces(years, 1)
    assert len(pieces(years, 7)) == 314


def test_an_export_stops_before_the_day_after_its_last_and_takes_no_users() -> None:
    assert export_arguments(Days(date(2026, 11, 21), YESTERDAY), 2, force=False, remove=False) == [
        ["export", "--from", "2026-11-21", "--until", "2026-11-23", "--no-users"],
        ["export", "--from", "2026-11-23", "--until", "2026-11-24", "--no-users"],
    ]
    (only,) = export_arguments(Days(YESTERDAY, YESTERDAY), 7, force=True, remove=True)
    assert only == ["export", "--from", "2026-11-23", "--until", "2026-11-24", "--no-users", "--force", "--remove"]


def test_a_forecast_may_be_of_the_midnight_after_the_last_day_unless_that_is_not_over() -> None:
    assert as_of(Days(YESTERDAY, YESTERDAY), TODAY) == "2026-11-24T00:00:00+00:00"
    assert as_of(Days(date(2025, 12, 1), date(2025, 12, 31)), TODAY) == "2026-01-01T00:00:00+00:00"
    assert as_of(Days(YESTERDAY, TODAY), TODAY) == ""


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], ""),
        (["2026-11-24T00:00:00+00:00"], "2026-11-24T00:00:00+00:00"),
        (["2026-11-24T00:00:00+00:00", "2026-11-02T00:00:00+00:00"], "2026-11-24T00:00:00+00:00"),
        (["2026-11-24T00:00:00+00:00", ""], ""),
    ],
)
def test_of_several_exports_the_newest_instant_counts_and_an_open_day_is_newer_than_any(
    told: list[str], expected: str
) -> None:
    assert newest(told) == expected


def test_an_instant_of_a_form_is_utc_unless_it_says_otherwise() -> None:
    assert instant("2026-11-24") == datetime(2026, 11, 24, tzinfo=UTC)
    assert instant("2026-11-24T02:30:00+02:00") == datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="allowed is ISO 8601"):
        instant("tomorrow")
