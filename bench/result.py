"""What a measurement tells: rows, and at its end one line of JSON."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is value to reference; `must` and `aim` are what the ratio (or, without a reference, the
    value) has to reach: from below when `lower` (a cost), else from above (a rate)."""

    bench: str
    value: float
    unit: str
    must: float
    aim: float
    reference: float | None = None
    lower: bool = False

    @property
    def ratio(self) -> float | None:
        """The value in units of the reference."""
        return None if self.reference is None else self.value / self.reference

    @property
    def ok(self) -> bool:
        """Whether it reaches what it must."""
        judged = self.value if self.ratio is None else self.ratio
        return judged <= self.must if self.lower else judged >= self.must

    def record(self) -> dict[str, Any]:
        """The row as JSON shows it."""
        record = asdict(self)
        sign = "<=" if record.pop("lower") else ">="
        shown = {name: _short(record[name]) for name in ("bench", "value", "unit", "reference")}
        return shown | {
            "ratio": _short(self.ratio),
            "must": f"{sign} {self.must:g}",
            "aim": f"{sign} {self.aim:g}",
            "ok": self.ok,
        }


def report(rows: Sequence[Row], **more: Any) -> bool:
    """Print the line: the first row, with the others under `rows`, the load of the machine, and `more`.

    Its `ok`, which is returned, is that of all rows.
    """
    first, *others = rows
    ok = all(row.ok for row in rows)
    line = first.record() | {"ok": ok, **({"rows": [row.record() for row in others]} if others else {})}
    print(json.dumps(line | {"load": round(os.getloadavg()[0], 1)} | more), flush=True)
    return ok


def _short(value: Any) -> Any:
    """Four digits that count: the others are noise."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
