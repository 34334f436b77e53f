"""Whether a newly trained version may replace the one in use. Computes; talks to nobody."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anmodel.model import ContextAwareModel
from anmodel.model.evaluation import (
    Array,
    UserBootstrap,
    WeightedAuc,
    WeightedCalibrationError,
    log_losses,
    weighted_mean,
)
from anmodel.snapshots.samples import Sample

RESAMPLES = 200


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and why, in a sentence for the registry and the person who asks."""

    promote: bool
    reason: str


@dataclass(frozen=True)
class Gain:
    """How much better the challenger is: the mean, and 95 % bounds by users drawn anew. Above 0 is better."""

    mean: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Beyond chance."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Beyond chance."""
        return self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def compare(challenger: ContextAwareModel, champion: ContextAwareModel, test: Sample) -> Verdict:
    """Both on the same rows, later than any that the challenger learnt from.

    Promoted when log loss or ROC AUC is better beyond chance, the other is not worse beyond chance, and neither is the
    calibration. Rows of one kind of user only have no ROC AUC.
    """
    loss, auc, calibration = _gains(challenger, champion, test)
    measures = {"log loss": loss} | ({"ROC AUC": auc} if auc is not None else {})
    found = "; ".join(f"{name} {gain}" for name, gain in (measures | {"calibration error": calibration}).items())
    said = f"on the same {len(test.bought):,} test rows, gain against the champion: {found}"
    if any(gain.worse for gain in measures.values()):
        return Verdict(False, f"Not better: {said}.")
    if calibration.worse:
        return Verdict(False, f"Worse calibrated: {said}.")
    if any(gain.better for gain in measures.values()):
        return Verdict(True, f"Better: {said}.")
    return Verdict(False, f"No better than chance would make it: {said}.")


def _gains(challenger: ContextAwareModel, champion: ContextAwareModel, test: Sample) -> tuple[Gain, Gain | None, Gain]:
    """Of log loss, ROC AUC and calibration error."""
    bought = test.bought
    new, old = (made.chances(test.features) for made in (challenger, champion))
    draws = UserBootstrap(test.users, resamples=RESAMPLES)
    even = np.ones(len(bought))

    def gain(statistic: Callable[[Array], float]) -> Gain:
        return Gain(statistic(even), *draws.interval(statistic))

    loss = gain(weighted_mean(log_losses(bought, old) - log_losses(bought, new)))
    new_error, old_error = WeightedCalibrationError(bought, new), WeightedCalibrationError(bought, old)
    calibration = gain(lambda weights: old_error(weights) - new_error(weights))
    if not 0 < bought.sum() < len(bought):
        return loss, None, calibration
    new_auc, old_auc = WeightedAuc(bought, new), WeightedAuc(bought, old)
    return loss, gain(lambda weights: new_auc(weights) - old_auc(weights)), calibration


def compare_logged(challenger: dict[str, float], champion: dict[str, float]) -> str:
    """What the two versions' own metrics say, each on its own test rows; for models of different snapshots."""
    pairs = [
        f"{name} {champion[key]:.4f} → {challenger[key]:.4f}"
        for name, key in (("log loss", "test_log_loss"), ("ROC AUC", "test_roc_auc"))
        if key in challenger and key in champion
    ]
    return "; ".join(pairs) or "no metrics in common"
