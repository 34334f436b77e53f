"""Frames of features to the matrix the trees read: one path for training and for serving."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from anmodel.errors import InputError

Matrix = npt.NDArray[np.float64]
Kind = Literal["number", "category"]

_MANY = 512
"""Rows from which pandas' own look-up of texts is faster than Python's."""


class FrameEncoder:
    """Turns features into numbers without inventing any: what is missing stays NaN.

    Numbers pass as they are (an infinity counts as missing). A category becomes the position of its value among the
    frequent ones seen in training; a rare, new, empty or missing value becomes NaN, which the trees know how to treat.
    """

    def __init__(self, max_categories: int = 100, min_category_rows: int = 20) -> None:
        self.max_categories = max_categories
        self.min_category_rows = min_category_rows

    def fit(self, frame: pd.DataFrame, kinds: Mapping[str, Kind] | None = None) -> "FrameEncoder":
        """Learn the columns and their frequent categories. `kinds` says what a column is; without it its type does."""
        self.names: tuple[str, ...] = tuple(str(name) for name in frame.columns)
        self.kinds: dict[str, Kind] = {
            name: kinds[name] if kinds else _kind_of(frame[column])
            for name, column in zip(self.names, frame.columns, strict=True)
        }
        self.categories: dict[str, list[str]] = {
            name: self._frequent(frame[name]) for name in self.names if self.kinds[name] == "category"
        }
        return self

    @property
    def category_positions(self) -> list[int]:
        """Columns of the matrix that hold categories."""
        return [position for position, name in enumerate(self.names) if self.kinds[name] == "category"]

    def transform(self, frame: pd.DataFrame) -> Matrix:
        """Rows × features. `frame` has the columns of `fit` in any order; InputError names what is no number."""
        matrix = np.empty((len(frame), len(self.names)), dtype=np.float64)
        places = [place for place, name in enumerate(self.names) if name not in self.categories]
        matrix[:, places] = _numbers(frame[[self.names[place] for place in places]])
        for place in self.category_positions:
            name = self.names[place]
            matrix[:, place] = _positions(frame[name], self.categories[name])
        return matrix

    def _frequent(self, column: "pd.Series[Any]") -> list[str]:
        """The most frequent values first, equal ones by name; at least one value is kept however few the rows are."""
        counts = Counter(_texts(column))
        del counts[""]
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        least = min(self.min_category_rows, max(1, len(column) // 10))
        return [value for value, count in ordered[: self.max_categories] if count >= least]


def _kind_of(column: "pd.Series[Any]") -> Kind:
    return "number" if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column) else "category"


def _texts(column: "pd.Series[Any]") -> list[str]:
    """Values as text; missing ones as the empty text."""
    return ["" if value is None or value is pd.NA or value != value else str(value) for value in column.tolist()]


def _numbers(columns: pd.DataFrame) -> Matrix:
    """All at once: a column at a time costs a single record more than the trees do."""
    try:
        values = columns.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        named = ((name, value) for name in columns.columns for value in columns[name] if not _is_number(value))
        name, wrong = next(named, ("a number", None))
        raise InputError(f"{name}: got {wrong!r}; a number or null is needed.") from error
    return np.where(np.isfinite(values), values, np.nan)


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value is None or value is pd.NA
    return True


def _positions(column: "pd.Series[Any]", known: Sequence[str]) -> Matrix:
    if len(column) >= _MANY and pd.api.types.infer_dtype(column, skipna=True) == "string":
        found = pd.Index(list(known), dtype="object").get_indexer(pd.Index(column)).astype(np.float64)
        return np.where(found < 0, np.nan, found)
    places = {value: float(place) for place, value in enumerate(known)}
    return np.array([places.get(text, np.nan) for text in _texts(column)], dtype=np.float64)
