"""Records from outside as the frame that the model reads: nothing is guessed, nothing is filled in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd

from anmodel.errors import InputError

_NUMBERS = {float, int, NoneType}
_TEXTS = {str, NoneType}
_SHOWN = 5


class RecordsRefused(InputError):
    """Records do not fit the model; `unknown` and `missing` name features, if those are the fault."""

    def __init__(self, message: str, unknown: Sequence[str] = (), missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.unknown = list(unknown)
        self.missing = list(missing)


@dataclass(frozen=True)
class Columns:
    """The model's features: all names in its order, and which of them are numbers and categories."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, contract: Mapping[str, Any]) -> "Columns":
        """The columns that a snapshot's contract describes."""
        kinds = {feature["name"]: feature["kind"] for feature in contract["features"]}
        return cls(
            names=tuple(kinds),
            numbers=tuple(name for name, kind in kinds.items() if kind == "number"),
            categories=tuple(name for name, kind in kinds.items() if kind == "category"),
        )

    def check(self, given: Iterable[str]) -> None:
        """RecordsRefused unless exactly the model's features are given."""
        came = set(given)
        self.refuse(came - set(self.names), set(self.names) - came)

    def refuse(self, unknown: set[str], missing: set[str]) -> None:
        """RecordsRefused naming these features, unless there are none."""
        strange, lacking = sorted(unknown), [name for name in self.names if name in missing]
        faults = (("unknown features", strange), ("missing", lacking))
        told = "; ".join(f"{words}: {', '.join(names)}" for words, names in faults if names)
        if told:
            raise RecordsRefused(
                f"{told}. Give every feature of the model, null where it is not known", strange, lacking
            )


def frame_of_records(records: Sequence[Mapping[str, Any]], columns: Columns) -> pd.DataFrame:
    """One row a record. A value may be null, a feature may not be left out; RecordsRefused names what does not fit."""
    expected = set(columns.names)
    odd = [record.keys() for record in records if record.keys() != expected]
    columns.refuse(set().union(*(names - expected for names in odd)), set().union(*(expected - names for names in odd)))
    _check_values(records, columns)
    numbers = [[record[name] for name in columns.numbers] for record in records]
    texts = {name: [record[name] for record in records] for name in columns.categories}
    try:
        matrix = np.array(numbers, dtype=np.float64).reshape(len(records), len(columns.numbers))
    except OverflowError as error:
        raise RecordsRefused("a whole number is too large; numbers up to 1.8e308 are allowed") from error
    return frame_of_columns(matrix, texts, columns)


def frame_of_columns(matrix: Any, texts: Mapping[str, Sequence[str | None]], columns: Columns) -> pd.DataFrame:
    """`matrix` holds rows × `columns.numbers`, NaN where not known; an infinity is refused."""
    if np.isinf(matrix).any():
        name = columns.numbers[int(np.argwhere(np.isinf(matrix))[0][1])]
        raise RecordsRefused(f"{name}: got an infinite number; a finite one or null is needed")
    frame = pd.DataFrame(matrix, columns=list(columns.numbers))
    for name, values in texts.items():
        frame[name] = pd.Series(list(values), dtype=object)
    return frame


def _check_values(records: Sequence[Mapping[str, Any]], columns: Columns) -> None:
    faults: list[str] = []
    for names, allowed, words in ((columns.numbers, _NUMBERS, "a number"), (columns.categories, _TEXTS, "a text")):
        for place, record in enumerate(records):
            if {type(record[name]) for name in names} <= allowed:
                continue
            faults += [
                f"record {place}, {name}: got {_brief(record[name])}; {words} or null is needed"
                for name in names
                if type(record[name]) not in allowed
            ]
    if faults:
        rest = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise RecordsRefused("; ".join(faults[:_SHOWN]) + rest)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
