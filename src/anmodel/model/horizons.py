"""Chances within other horizons than the model's own, from one to the next, so that they never fall with time.

Longer: P(within l) = P(within s) + (1 - P(within s)) · P(within l | not within s), and shorter:
P(within s) = P(within l) · P(within s | within l). Each condition has a small classifier, learnt from rows that were
watched for long enough: a discrete hazard, with censored rows left out of what they do not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from anmodel.model.boosting import Array, Recipe
from anmodel.model.calibration import Identity
from anmodel.model.classifier import Classifier, Labelled
from anmodel.model.encoding import Matrix

TREES = 60
LEAVES = 15
LEARNING_RATE = 0.1


@dataclass(frozen=True)
class Watched:
    """Rows, the days to the next purchase (NaN: none came), and for how many days each row was watched."""

    matrix: Matrix
    days: Array
    observed: Array

    def between(self, shorter: int, longer: int, *, up: bool) -> Labelled:
        """Those who did not buy within the shorter horizon, if `up`, and whether they did within the longer one; else
        those who bought within the longer one, and whether it was within the shorter one."""
        within_shorter, within_longer = self.days < shorter, self.days < longer
        known = (self.observed >= longer) & (~within_shorter if up else within_longer)
        label = within_longer if up else within_shorter
        return self.matrix[known], label[known].astype(np.float64)


class Horizons:
    """Chances within `horizons` (days), given the chance within `own`."""

    def __init__(self, own: int, horizons: Sequence[int]) -> None:
        self.own = own
        longer = [own, *sorted(days for days in horizons if days > own)]
        shorter = [own, *sorted((days for days in horizons if days < own), reverse=True)]
        self.path = [*pairwise(longer), *pairwise(shorter)]

    def fit(self, recipe: Recipe, rows: Watched, validation: Watched | None) -> "Horizons":
        """Learn a classifier a step, where rows are enough for one."""
        self.steps: dict[int, Classifier] = {}
        for start, goal in self.path:
            shorter, longer, up = min(start, goal), max(start, goal), goal > start
            later = validation.between(shorter, longer, up=up) if validation else None
            step = Classifier()
            step.fit(
                recipe,
                *rows.between(shorter, longer, up=up),
                later,
                trees=TREES,
                num_leaves=min(LEAVES, int(recipe.parameters(len(rows.days))["num_leaves"])),
                learning_rate=LEARNING_RATE,
            )
            if not step.constant:
                self.steps[goal] = step
        return self

    @property
    def steady(self) -> list[int]:
        """The horizons for which rows were too few: buyers come at a steady rate there."""
        return sorted(goal for _, goal in self.path if goal not in self.steps)

    @property
    def uncalibrated(self) -> list[int]:
        """The horizons for which validation rows were too few, though training rows were not."""
        return sorted(goal for goal, step in self.steps.items() if isinstance(step.calibrate, Identity))

    def chances(self, matrix: Matrix, own: Array, threads: int = 0) -> dict[int, Array]:
        """Of each row within each horizon; `own` are those within the model's own."""
        found = {self.own: own}
        for start, goal in self.path:
            known = found[start]
            if goal not in self.steps:
                found[goal] = 1 - (1 - known) ** (goal / start)
            else:
                share = self.steps[goal].chances(matrix, threads)
                found[goal] = known + (1 - known) * share if goal > start else known * share
        return found
