"""Real rows, and whether a predictor answers them as the model itself does. Computes; who is asked is given."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
import numpy as np
import pandas as pd
import structlog

from anmodel.errors import ContractError, LakeError, NotReadyError
from anmodel.forecasts import OUTPUTS
from anmodel.lake import Lake
from anmodel.registry import ModelVersion, Registry
from anmodel.snapshots.samples import read_manifest, read_sample

ROWS, BATCH = 200, 20
TOLERANCE = 1e-6
"""Relative and absolute: the same model on another processor differs less."""
SLOWER, SLOW_SECONDS = 5.0, 0.5
"""A version may take this many times the champion's time for the same rows, or so many seconds, whichever is more."""

Ask = Callable[[dict[str, Any]], Any]
"""Sends a body of protocol v1, returns the answer's JSON."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Probe:
    """Records to ask, and what the version's own model says to them. No records: none suit it."""

    version: str
    records: list[dict[str, Any]]
    expected: pd.DataFrame

    def fault(self, ask: Ask, most: int = ROWS) -> str:
        """What is wrong with the answers to the first `most` records; empty when all are right."""
        for first, records in _batches(self.records[:most]):
            expected = self.expected.iloc[first : first + len(records)]
            try:
                answer = ask({"instances": records})
                fault = _difference(answer, expected, self.version)
            except httpx.HTTPError as error:
                fault = f"no answer: {_words(error)}"
            except (KeyError, TypeError, ValueError) as error:
                fault = f"an answer that cannot be read: {type(error).__name__}: {error}"
            if fault:
                return f"records {first} to {first + len(records) - 1} of the test rows: {fault}"
        return ""

    def seconds(self, ask: Ask) -> float | None:
        """The median time for a batch of the records; None when it cannot be had."""
        taken = []
        for _, records in _batches(self.records):
            started = time.perf_counter()
            try:
                ask({"instances": records})
            except (httpx.HTTPError, ValueError):
                return None
            taken.append(time.perf_counter() - started)
        return median(taken) if taken else None


def slow(version: float | None, champion: float | None) -> str:
    """Whether a version's median time is out of all proportion to the champion's on the same rows; empty if not."""
    if version is None or champion is None or version <= max(SLOWER * champion, SLOW_SECONDS):
        return ""
    return f"{version:.2f} s for {BATCH} rows, the champion {champion:.2f} s"


def probe_of(registry: Registry, lake: Lake, version: ModelVersion) -> Probe:
    """Rows of the test part that the version was judged on, spread over all of it.

    Without records when the lake has none that fit the version, which is logged.
    """
    loaded = registry.load(version)
    try:
        manifest = read_manifest(lake, version.tags.get("snapshot_name", "model1"))
        if manifest["version"] != version.snapshot_version:
            raise ContractError(f"the lake has rows of snapshot version {manifest['version']}")
        features = read_sample(lake, manifest, "test").features
    except (ContractError, NotReadyError, LakeError) as error:
        log.warning("no rows to try the version on", version=version.version, reason=str(error))
        return Probe(version.version, [], pd.DataFrame())
    rows = features.iloc[:: max(1, len(features) // ROWS)].head(ROWS)
    return Probe(version.version, _records(rows), loaded.model.forecast(rows)[list(OUTPUTS)])


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """As JSON has them: null where a value is not known."""
    known = rows.notna().to_numpy()
    return [
        {str(name): value if known[place][column] else None for column, (name, value) in enumerate(record.items())}
        for place, record in enumerate(rows.to_dict("records"))
    ]


def _batches(records: list[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    for first in range(0, len(records), BATCH):
        yield first, records[first : first + BATCH]


def _difference(answer: Any, expected: pd.DataFrame, version: str) -> str:
    if answer.get("model_version") != version:
        return f"version {answer.get('model_version')} answers, not {version}"
    came = pd.DataFrame(answer["predictions"], columns=list(OUTPUTS)).astype(float).to_numpy()
    due = expected.astype(float).to_numpy()
    if came.shape != due.shape:
        return f"{len(came)} forecasts came for {len(due)} records"
    wrong = ~np.isclose(came, due, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if not wrong.any():
        return ""
    row, column = np.argwhere(wrong)[0]
    return f"{OUTPUTS[column]} is {came[row, column]:.6g}, the model itself says {due[row, column]:.6g}"


def _words(error: httpx.HTTPError) -> str:
    """An error as a person reads it: the predictor's own words when it gave any, for httpx tells the status alone."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.text[:200].strip()}"
    return f"{type(error).__name__}: {error}"
