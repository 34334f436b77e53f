"""One answer of the API made into rows: query, region, period and popularity."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from anmodel.errors import InputError
from anmodel.trends.periods import read_period

BELOW_ONE = 0.5
"""Popularity that stands for "<1"."""


@dataclass(frozen=True, slots=True)
class Point:
    """Popularity from 0 to 100, of the highest in the same query and region, over whole days start..end."""

    query: str
    region: str
    period_start: date
    period_end: date
    popularity: float

    @property
    def known_from(self) -> date:
        """The first day on which this could be known: the one after the period."""
        return self.period_end + timedelta(days=1)


def read_series(answer: Any, query: str, region: str) -> tuple[list[Point], list[str]]:
    """The answer's points and, in words, what in it could not be used.

    Periods not over yet and those without a value are left out: their value is still to come. No data at all gives no
    points.
    """
    timeline = answer.get("interest_over_time", {}).get("timeline_data", []) if isinstance(answer, dict) else []
    points, faults = [], []
    for entry in timeline:
        try:
            point = _point(entry, query, region)
        except InputError as error:
            faults.append(str(error))
            continue
        except (LookupError, TypeError, AttributeError) as error:
            faults.append(f"an entry of unknown form ({type(error).__name__}: {error})")
            continue
        if point is not None:
            points.append(point)
    return points, faults


def _point(entry: dict[str, Any], query: str, region: str) -> Point | None:
    if entry.get("partial_data"):
        return None
    value = next((item for item in entry["values"] if item.get("query", query) == query), None)
    if value is None or value.get("value") in (None, ""):
        return None
    start, end = read_period(entry["date"])
    return Point(query, region, start, end, _popularity(value["value"]))


def _popularity(value: Any) -> float:
    """A number, or a text such as "57" or "<1". (`extracted_value` calls "<1" 0, which it is not.)"""
    text = str(value).strip().replace("\u00a0", "")
    if text.startswith("<"):
        return BELOW_ONE
    try:
        number = float(text)
    except ValueError as error:
        raise InputError(f"popularity is {value!r}; allowed: a number from 0 to 100, or <1") from error
    if not 0 <= number <= 100:
        raise InputError(f"popularity is {value!r}; allowed: a number from 0 to 100, or <1")
    return number
