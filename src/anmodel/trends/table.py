"""The lake's trends table.

- query, region: what was asked, and where (as the API names regions)
- period_start, period_end: first and last day, each as its first moment (UTC)
- known_from: the moment after the period; no row may be used for an instant before it
- popularity: 0 to 100, of the highest in the same query and region within what was fetched
- loaded_at: when this was fetched
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import pyarrow as pa

from anmodel.trends.series import Point

TRENDS_FILE = "trends/trends.parquet"

TRENDS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("query", "region")]
    + [(name, pa.timestamp("ms", "UTC")) for name in ("period_start", "period_end", "known_from")]
    + [("popularity", pa.float64()), ("loaded_at", pa.timestamp("ms", "UTC"))]
)


def trends_table(points: Sequence[Point], loaded_at: datetime) -> pa.Table:
    """The points by query, region and time."""
    ordered = sorted(points, key=lambda point: (point.query, point.region, point.period_start))
    columns = {name: [_cell(getattr(point, name)) for point in ordered] for name in TRENDS_SCHEMA.names[:-1]}
    loaded = loaded_at.replace(microsecond=loaded_at.microsecond // 1000 * 1000)
    columns["loaded_at"] = [loaded] * len(ordered)
    return pa.table(columns, schema=TRENDS_SCHEMA)


def _cell(value: object) -> object:
    """A day as its first moment, anything else as it is."""
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value
