"""The features' SQL evaluated in this process, for users who are asked about now.

ClickHouse needs five times as long to understand the query than to fetch one user's events. So these are fetched, and
the same expressions (`history`, `features`) are evaluated over them: read once by sqlglot, as functions of numpy
arrays. It knows just what those expressions use; tests hold its rows against the engine's.

Numbers are doubles, null is NaN. Whole numbers up to 2^53 stay exact, and so do milliseconds and sums of prices.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import sqlglot
from sqlglot import exp

from anmodel.snapshots.features import OF_EVENTS, WINDOWS
from anmodel.snapshots.history import layers
from anmodel.snapshots.query import expand, windowed

MOST_EVENTS = 10_000
"""Of one user: these take 40 ms, and a few MB; of more the engine had better make the features."""

Row = dict[str, float | str | None]
Code = Callable[[Mapping[str, Any]], Any]
"""An expression: of columns by name (an array with a place an event, or one value) their value."""


class Event(NamedTuple):
    """What features are made of; `ts_ms` in milliseconds since 1970."""

    ts_ms: int
    event_id: str
    type: str
    session_id: str
    region: str
    item_id: str
    price: float | None


def evaluate(events: Sequence[Event], t_ms: int) -> Row:
    """Every feature of one user as of an instant, but those of trends, and `region`. `events` are those before it.

    There must be at least one; repeats must be gone. A number that has no value is None.
    """
    with np.errstate(all="ignore"):  # as in SQL, what has no value is told by its value
        return _evaluated(sorted(events), t_ms)


def _evaluated(events: Sequence[Event], t_ms: int) -> Row:
    columns = _columns(events)
    for layer in _layers():
        columns |= {name: code(columns) for name, code in layer.items()}
    ts_ms = columns["ts_ms"]
    running = {name.removeprefix("at_"): values for name, values in columns.items() if name.startswith("at_")}
    named = _Named({f"now_{name}": values[-1] for name, values in running.items()})
    named["t_ms"] = float(t_ms)
    for name, window in windowed():
        count = int(np.count_nonzero(ts_ms < t_ms - WINDOWS[window]))
        named[f"{name}_{window}_ago"] = running[name][count - 1] if count else 0.0
    said: Row = {feature.name: _plain(named[feature.name]) for feature in OF_EVENTS}
    return said | {"region": str(named["now_region"])}


def _columns(events: Sequence[Event]) -> dict[str, Any]:
    ts_ms, _, types, sessions, regions, items, prices = zip(*events, strict=True)
    cents = [np.nan if price is None else price * 10000 for price in prices]
    texts = {"type": types, "session_id": sessions, "region": regions, "item_id": items}
    return {
        "ts_ms": np.array(ts_ms, dtype=np.float64),
        "first_ms": float(ts_ms[0]),
        "price": np.round(np.array(cents, dtype=np.float64)),
        **{name: np.array(values, dtype=object) for name, values in texts.items()},
    }


def _plain(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value
    return float(value) if np.isfinite(value) else None


class _Named(dict[str, Any]):
    """Values by name; a feature is computed when it is asked for, as others may read it."""

    def __missing__(self, name: str) -> Any:
        value = self[name] = _features()[name](self)
        return value


@lru_cache
def _layers() -> list[dict[str, Code]]:
    return [{name: compiled(sql) for name, sql in layer.items()} for layer in layers()]


@lru_cache
def _features() -> dict[str, Code]:
    return {feature.name: compiled(expand(feature.sql)) for feature in OF_EVENTS}


def compiled(sql: str) -> Code:
    """An expression as a function; ValueError names what is not known here."""
    return _compiled(sqlglot.parse_one(sql, read="clickhouse"))


def _compiled(node: exp.Expr) -> Code:
    if isinstance(node, exp.Column | exp.Identifier):
        name = node.name
        return lambda columns: columns[name]
    if isinstance(node, exp.Literal):
        value = node.name if node.is_string else float(node.name)
        return lambda columns: value
    if isinstance(node, exp.Null):
        return lambda columns: np.nan
    if isinstance(node, exp.Paren):
        return _compiled(node.this)
    if isinstance(node, exp.Transform):  # arrayMap of one array
        return _mapped(node.expression, [node.this])
    if isinstance(node, exp.Anonymous) and isinstance(node.expressions[0], exp.Lambda):
        return _OF_LAMBDAS[node.name](node.expressions[0], node.expressions[1:])
    name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
    if name not in _FUNCTIONS:
        raise ValueError(
            f"{node.sql('clickhouse')}: {name} is not known to the evaluator; add it, or write it otherwise"
        )
    function, parts = _FUNCTIONS[name], [_compiled(part) for part in _parts(node)]
    return lambda columns: function(*(part(columns) for part in parts))


def _parts(node: exp.Expr) -> list[exp.Expr]:
    """The arguments, in the order in which they are written."""
    given = [node.args.get(key) for key in ("this", "expression", "true", "false", "expressions")]
    flat = [part for each in given for part in (each if isinstance(each, list) else [each])]
    return [part for part in flat if isinstance(part, exp.Expr)]


def _mapped(body: exp.Expr, arrays: Sequence[exp.Expr]) -> Code:
    inner, given = _bound(body, arrays)

    def run(columns: Mapping[str, Any]) -> Any:
        found, first = inner(columns), given[0](columns)
        return found if isinstance(found, np.ndarray) else np.full(len(first), found)

    return run


def _filled(body: exp.Expr, arrays: Sequence[exp.Expr]) -> Code:
    """arrayFill: where the condition does not hold, the value before; the first place stays."""
    inner, given = _bound(body, arrays)

    def run(columns: Mapping[str, Any]) -> Any:
        kept = np.where(_true(inner(columns)), np.arange(len(given[0](columns))), 0)
        return given[0](columns)[np.maximum.accumulate(kept)]

    return run


def _bound(body: exp.Expr, arrays: Sequence[exp.Expr]) -> tuple[Code, list[Code]]:
    """A lambda's body over whole arrays, place by place; and the arrays."""
    names, inner = [each.name for each in body.expressions], _compiled(body.this)
    given = [_compiled(array) for array in arrays]
    return lambda columns: inner({**columns, **{n: g(columns) for n, g in zip(names, given, strict=True)}}), given


def _true(value: Any) -> Any:
    """Null is not true."""
    return np.nan_to_num(np.asarray(value, dtype=np.float64)) != 0


def _chosen(condition: Any, yes: Any, no: Any) -> Any:
    found = np.where(_true(condition), yes, no)
    return found if found.ndim else found.item()


def _enumerate_uniq(*arrays: Any) -> Any:
    """At each place, the how-manieth time its values occur."""
    seen: dict[tuple[Any, ...], int] = {}
    found = np.empty(len(arrays[0]))
    for place, values in enumerate(zip(*arrays, strict=True)):
        found[place] = seen[values] = seen.get(values, 0) + 1
    return found


def _shifted(array: Any, places: float, default: Any) -> Any:
    count = min(int(places), len(array))
    return np.concatenate((np.full(count, default, dtype=array.dtype), array[: len(array) - count]))


def _index_of(array: Any, value: Any) -> int:
    found = np.flatnonzero(array == value)
    return int(found[0]) + 1 if len(found) else 0


_OF_LAMBDAS = {"arrayMap": _mapped, "arrayFill": _filled}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": np.divide,
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
    "And": lambda one, other: _true(one) & _true(other),
    "Or": lambda one, other: _true(one) | _true(other),
    "Not": lambda value: ~_true(value),
    "Is": lambda value, null: np.isnan(value),
    "If": _chosen,
    "Coalesce": lambda value, default: _chosen(np.isnan(value), default, value),
    "Nullif": lambda value, null: _chosen(value == null, np.nan, value),
    "Greatest": np.fmax,
    "Least": np.fmin,
    "Pow": np.power,
    "Sqrt": np.sqrt,
    "Length": len,
    "Bracket": lambda array, place: array[int(place) - 1] if place else 0.0,
    "exp2": np.exp2,
    "intDiv": lambda one, other: np.trunc(np.divide(one, other)),
    "toUInt8": lambda value: value * 1.0,
    "toInt64": lambda value: value,
    "toNullable": lambda value: value,
    "indexOf": _index_of,
    "arrayCumSum": lambda array: np.cumsum(array, dtype=np.float64),
    "arrayEnumerate": lambda array: np.arange(1.0, len(array) + 1),
    "arrayEnumerateUniq": _enumerate_uniq,
    "arrayShiftRight": _shifted,
    "arrayWithConstant": lambda count, value: np.full(int(count), value),
}
"""By sqlglot's name of the expression, or the function's own."""
