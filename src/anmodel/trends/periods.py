"""The periods that the API names in words: "Nov 24 – 30, 2024", "Dec 29, 2024 – Jan 4, 2025", "Nov 24, 2024".

Or "Nov 2024". Between day, dash and day stand ordinary, thin or no-break spaces; the dash is any dash. The year, or the
month too, may be said only at the end.
"""

import calendar
import re
from datetime import date, datetime

from dateutil import parser

from anmodel.errors import InputError

_DASH = re.compile(r"\s*[-‐‑‒–—−]\s*")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_MONTH = re.compile(r"[A-Za-z]{3,}")
_DAY = re.compile(r"\b\d{1,2}\b")

# Two defaults that share nothing: what they agree on was in the text.
_FIRST, _SECOND = datetime(2000, 1, 1), datetime(2001, 2, 2)


def read_period(text: str) -> tuple[date, date]:
    """First and last day of a period, both included. Raises `InputError` when the text names none."""
    parts = [part for part in _DASH.split(" ".join(text.split())) if part]
    if not 1 <= len(parts) <= 2:
        raise _unreadable(text)
    end_text = parts[-1]
    if len(parts) == 2 and not _MONTH.search(end_text):
        end_text = f"{_found(_MONTH, parts[0], text)} {end_text}"
    end = _parse(end_text, text)
    if len(parts) == 1:
        return (end, end) if _DAY.search(_YEAR.sub("", end_text)) else (end.replace(day=1), _last_of_month(end))
    start_text = parts[0] if _YEAR.search(parts[0]) else f"{parts[0]}, {end.year}"
    start = _parse(start_text, text)
    if start > end and not _YEAR.search(parts[0]):
        start = _parse(f"{parts[0]}, {end.year - 1}", text)
    if start > end:
        raise _unreadable(text)
    return start, _last_of_month(end) if not _DAY.search(_YEAR.sub("", end_text)) else end


def _parse(part: str, whole: str) -> date:
    try:
        first, second = parser.parse(part, default=_FIRST), parser.parse(part, default=_SECOND)
    except (parser.ParserError, OverflowError) as error:
        raise _unreadable(whole) from error
    if (first.year, first.month) != (second.year, second.month):
        raise _unreadable(whole)
    return first.date()


def _found(pattern: re.Pattern[str], part: str, whole: str) -> str:
    found = pattern.search(part)
    if found is None:
        raise _unreadable(whole)
    return found[0]


def _last_of_month(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _unreadable(text: str) -> InputError:
    return InputError(f"{text!r} is no period; allowed: as in 'Dec 29, 2024 – Jan 4, 2025'")
