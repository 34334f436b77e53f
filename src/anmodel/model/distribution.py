"""What a feature looked like in training, small enough to travel with the model; the monitor compares with it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anmodel.model.encoding import FrameEncoder, Matrix

BINS = 10
Column = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FeatureDistribution:
    """Shares of the known values over bins, and the share of missing ones.

    A number has `edges` (inner ones, rising: bin i is (edges[i-1], edges[i]]); a category one bin a value of `values`.
    `shares` sum to 1 over known values; all 0 when there were none. `null_share` is of all rows; a category's new and
    rare values count as missing.
    """

    edges: list[float]
    values: list[str]
    shares: list[float]
    null_share: float
    typical: float | str | None

    def counts(self, column: Column) -> npt.NDArray[np.int64]:
        """How many known values of an encoded column (NaN is missing) fall into each bin."""
        known = column[~np.isnan(column)]
        bins = known.astype(np.int64) if self.values else np.searchsorted(np.asarray(self.edges), known, side="left")
        return np.bincount(bins, minlength=len(self.shares)).astype(np.int64)


def distributions(matrix: Matrix, encoder: FrameEncoder) -> dict[str, FeatureDistribution]:
    """One a feature, from the encoded training rows."""
    return {
        name: distribution(matrix[:, position], encoder.categories.get(name))
        for position, name in enumerate(encoder.names)
    }


def distribution(column: Column, categories: list[str] | None) -> FeatureDistribution:
    """Of one encoded column; `categories` are a category's values, None for numbers."""
    known = column[~np.isnan(column)]
    missing = 1 - len(known) / len(column) if len(column) else 0.0
    if categories is not None:
        shares = _shares(known.astype(np.int64), max(1, len(categories)))
        typical = categories[int(np.argmax(shares))] if len(known) else None
        return FeatureDistribution([], categories, shares, missing, typical)
    if not len(known):
        return FeatureDistribution([], [], [0.0], missing, None)
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, known, side="left").astype(np.int64)
    return FeatureDistribution(edges.tolist(), [], _shares(bins, len(edges) + 1), missing, float(np.median(known)))


def _shares(bins: npt.NDArray[np.int64], count: int) -> list[float]:
    if not len(bins):
        return [0.0] * count
    return [float(share) for share in np.bincount(bins, minlength=count)[:count] / len(bins)]
