"""How well forecasts rank shoppers, against one feature, a simple regression and the generator on the same rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from anmodel.model.evaluation import Array, UserBootstrap, WeightedAuc
from anmodel.snapshots.samples import Sample
from anmodel.train.baselines import baseline_chances
from bench.result import Row

GAINED = "AUC gained, lower bound"


class Judged:
    """AUC of what was said of the same rows by us, by others, and by the generator."""

    def __init__(self, train: Sample, rows: pd.DataFrame) -> None:
        self.bought = rows["will_purchase"].to_numpy(dtype=np.float64)
        features, targets = rows[list(train.features.columns)], rows[["will_purchase"]]
        instants = rows["snapshot_time"].to_numpy("datetime64[ms]")
        test = Sample(features, targets, rows["user_id"].to_numpy(), instants, rows["region"].to_numpy())
        self.feature = best_feature(train, train)
        self.hindsight = best_feature(train, test)
        self.said = {
            **{name: rows[name].to_numpy(dtype=np.float64) for name in ("ours", "truth", "plan")},
            "feature": self.feature.scores(test.features),
            "hindsight": self.hindsight.scores(test.features),
            "rfm": baseline_chances(train, test, 7)["rfm"],
        }
        self._auc = {name: WeightedAuc(self.bought, said) for name, said in self.said.items()}
        self._draws = UserBootstrap(test.users)
        self._ones = np.ones(len(rows))

    def auc(self, name: str) -> float:
        """Of all rows."""
        return self._auc[name](self._ones)

    def gain(self, name: str) -> tuple[float, float]:
        """95 % interval of our AUC less the other's, by users drawn anew."""
        ours, other = self._auc["ours"], self._auc[name]
        return self._draws.interval(lambda weights: ours(weights) - other(weights))

    def share(self, name: str) -> float:
        """Of what the other's AUC is above 0.5, how much ours is."""
        return (self.auc("ours") - 0.5) / (self.auc(name) - 0.5)

    def rows(self, seed: int) -> list[Row]:
        """What it must reach, and how much of the truth it does."""
        gains = [
            Row(f"generator.seed{seed}.{name}", self.gain(name)[0], GAINED, must=0.0, aim=0.0)
            for name in ("feature", "hindsight", "rfm")
        ]
        return [*gains, Row(f"generator.seed{seed}.truth", self.share("truth"), "share", must=0.0, aim=0.95)]

    def told(self) -> dict[str, object]:
        """All that was found of a seed."""
        return {
            "rows": len(self.bought),
            "bought": round(float(self.bought.mean()), 4),
            "auc": {name: round(self.auc(name), 4) for name in self.said},
            "gains": {name: [round(end, 4) for end in self.gain(name)] for name in ("feature", "hindsight", "rfm")},
            "feature": self.feature.name,
            "hindsight": self.hindsight.name,
            "share_of_plan": round(self.share("plan"), 4),
            "truth_mean": round(float(self.said["truth"].mean()), 4),
            "plan_mean": round(float(self.said["plan"].mean()), 4),
        }


@dataclass(frozen=True)
class OneFeature:
    """A forecast by one number: more is likelier by `sign` 1, less by -1; who has none is at the end `unknown` says."""

    name: str
    sign: float
    unknown: float

    def scores(self, features: pd.DataFrame) -> Array:
        """Scores to rank rows by."""
        values = self.sign * features[self.name].to_numpy(dtype=np.float64, na_value=np.nan)
        return np.nan_to_num(values, nan=self.unknown * np.finfo(np.float64).max)


def best_feature(train: Sample, chosen_by: Sample) -> OneFeature:
    """Of the numeric features, signs and ends for who has none, the one of the highest AUC on the rows `chosen_by`."""
    names = train.features.select_dtypes("number").columns
    candidates = [OneFeature(str(name), sign, end) for name in names for sign in (1.0, -1.0) for end in (1.0, -1.0)]
    ones = np.ones(len(chosen_by.bought))

    def auc(candidate: OneFeature) -> float:
        return WeightedAuc(chosen_by.bought, candidate.scores(chosen_by.features))(ones)

    return max(candidates, key=auc)
