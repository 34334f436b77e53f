"""How today's users differ from those the model learnt from: feature by feature, and in the chances given."""

from dataclasses import replace

import numpy as np
import pandas as pd

from anmodel.findings import Finding, finding
from anmodel.model import ContextAwareModel
from anmodel.model.distribution import FeatureDistribution
from anmodel.monitor.stability import stability_index
from anmodel.snapshots import ACTIVE_DAYS
from anmodel.snapshots.daily import DailySnapshot

LEAST_ROWS = 200
"""Fewer users than this fill the bins by chance; nothing is said then."""

LEAST_IMPORTANCE = 0.01
"""Share of the model's gain from which a feature may raise an alarm."""


class _Tally:
    """Counts of one feature over blocks of rows."""

    def __init__(self, before: FeatureDistribution) -> None:
        self.before = before
        self.counts = np.zeros(len(before.shares), dtype=np.int64)
        self.rows = self.missing = self.new = 0

    def add(self, encoded: "np.typing.NDArray[np.float64]", raw: "pd.Series[str] | None") -> None:
        """`encoded` as the model sees it; `raw` texts of a category, to tell new values from missing ones."""
        self.counts += self.before.counts(encoded)
        unknown = np.isnan(encoded)
        self.rows += len(encoded)
        self.missing += int(unknown.sum())
        if raw is not None:
            self.new += int((unknown & (raw.fillna("") != "").to_numpy()).sum())

    def findings(self, name: str) -> list[Finding]:
        """PSI over known values, change of the share of missing ones, and for a category the share of new values."""
        found = [finding("null_share_change", abs(self.missing / self.rows - self.before.null_share), name)]
        if self.counts.sum() and sum(self.before.shares):
            found.append(finding("psi", stability_index(self.before.shares, self.counts / self.counts.sum()), name))
        if self.before.values:
            found.append(finding("new_category_share", self.new / self.rows, name))
        return found


def drift(model: ContextAwareModel, snapshot: DailySnapshot) -> list[Finding]:
    """Findings of every feature and of the chances, against the newest rows of training.

    Users silent for longer than ACTIVE_DAYS gave no training row, so they are left out here as well. [] with fewer than
    LEAST_ROWS others.
    """
    names = list(model.feature_names_in_)
    tallies = {name: _Tally(model.feature_distribution_[name]) for name in names}
    chances = _Tally(model.proba_distribution_)
    total = 0.0
    for block in snapshot.blocks(names):
        frame = block.to_pandas()
        frame = frame[~(frame["days_since_last"] > ACTIVE_DAYS)]
        encoded = model.encoder_.transform(frame)
        for place, name in enumerate(names):
            tallies[name].add(encoded[:, place], frame[name] if name in model.categories_ else None)
        proba = model.chances(frame)
        chances.add(proba, None)
        total += float(proba.sum())
    if chances.rows < LEAST_ROWS:
        return []
    found = [_weighed(item, model) for name in names for item in tallies[name].findings(name)]
    shares = chances.counts / chances.rows
    found.append(finding("chance_psi", stability_index(model.proba_distribution_.shares, shares)))
    found.append(finding("mean_chance", total / chances.rows))
    return found


def _weighed(item: Finding, model: ContextAwareModel) -> Finding:
    """A feature that hardly moves the chance warns at most: nobody need get up for it."""
    if item.level == "alarm" and model.feature_importance_[item.feature] < LEAST_IMPORTANCE:
        return replace(item, level="warn")
    return item
