"""Rows of the forecasts table from features and what the model says of them. Computes; talks to nobody."""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from anmodel.forecasts import FORECASTS_SCHEMA, segment
from anmodel.model.reasons import Reason

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def percentiles(proba: Array) -> Array:
    """For each user the share of all users, in %, whose chance is not higher; equal chances share the highest."""
    ordered = np.sort(proba)
    return np.asarray(100 * np.searchsorted(ordered, proba, side="right") / max(len(proba), 1), dtype=np.float64)


def forecast_table(
    meta: pd.DataFrame,
    features: pd.DataFrame,
    forecast: pd.DataFrame,
    percentile: Array,
    reasons: list[list[Reason]],
    explained: Flags,
    run: dict[str, Any],
) -> pa.Table:
    """One block of the table. `meta` has user_id and region, `run` the values that all rows share; `reasons` are those
    of the rows that are `explained`."""
    texts = np.full(len(meta), "[]", dtype=object)
    texts[explained] = [msgspec.json.encode(item).decode() for item in reasons]
    columns: dict[str, Any] = {
        **{
            name: pa.repeat(pa.scalar(value, FORECASTS_SCHEMA.field(name).type), len(meta))
            for name, value in run.items()
        },
        "user_id": meta["user_id"],
        "region": meta["region"].fillna(""),
        **{str(name): forecast[name].to_numpy() for name in forecast.columns},
        "percentile": percentile,
        "segment": segments(forecast["purchase_proba"], features),
        "reasons": texts,
        "features": feature_documents(features, run["snapshot_time"]),
    }
    return pa.Table.from_pydict(columns, schema=FORECASTS_SCHEMA)


def segments(proba: "pd.Series[float]", features: pd.DataFrame) -> list[str]:
    """The marketer's group of each user."""
    seen, events = (features[name].fillna(np.inf if name == "days_since_last" else 0) for name in _SEGMENT_BY)
    return [segment(*row) for row in zip(proba, seen, events, strict=True)]


_SEGMENT_BY = ("days_since_last", "events_last_7d")


def feature_documents(features: pd.DataFrame, instant: datetime) -> pa.StringArray:
    """Each user's features as a JSON object with the snapshot's date; what is not known is null.

    All are written one behind the other into the buffer that the array keeps: as objects of their own they took a
    quarter longer.
    """
    document = msgspec.defstruct("Features", [(str(name), object) for name in (*features.columns, "snapshot_date")])
    day = instant.date().isoformat()
    rows = zip(*(features[name].tolist() for name in features.columns), strict=True)
    texts, ends = bytearray(), [0]
    write = msgspec.json.Encoder().encode_into  # writes NaN as null
    for row in rows:
        write(document(*row, day), texts, -1)
        ends.append(len(texts))
    return pa.StringArray.from_buffers(len(features), pa.py_buffer(np.array(ends, np.int32)), pa.py_buffer(texts))
