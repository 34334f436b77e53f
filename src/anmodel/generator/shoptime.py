"""Shop time: a clock that runs fast when shoppers are awake.

A week of shop time is a week, but evenings and weekends hold more of it than nights. Visits spread evenly over shop
time so come at plausible hours, in order, without a rule for each. Both times are milliseconds since the Unix epoch.
"""

from bisect import bisect_right
from itertools import accumulate

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
_MONDAY = 4 * DAY_MS  # 5 January 1970

_HOURS = (3, 2, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 12, 11, 11, 12, 13, 15, 18, 20, 20, 17, 12, 6)
_DAYS = (1.0, 0.95, 0.95, 1.0, 1.1, 1.3, 1.25)
"""Modest: weights of the hours (UTC) and of Monday to Sunday."""

_weights = [day * hour for day in _DAYS for hour in _HOURS]
_starts = [0.0, *accumulate(weight * WEEK_MS / sum(_weights) for weight in _weights)]


def to_shop(clock: float) -> float:
    """Shop time of a time on the clock."""
    week, rest = divmod(clock - _MONDAY, WEEK_MS)
    hour, part = divmod(rest, HOUR_MS)
    low, high = _starts[int(hour)], _starts[int(hour) + 1]
    return week * WEEK_MS + _MONDAY + low + (high - low) * part / HOUR_MS


def to_clock(shop: float) -> float:
    """The time on the clock of a shop time; undoes `to_shop`."""
    week, rest = divmod(shop - _MONDAY, WEEK_MS)
    hour = min(bisect_right(_starts, rest) - 1, len(_weights) - 1)
    low, high = _starts[hour], _starts[hour + 1]
    return week * WEEK_MS + _MONDAY + (hour + (rest - low) / (high - low)) * HOUR_MS
