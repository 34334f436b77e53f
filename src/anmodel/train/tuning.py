"""Better parameters for the classifier's trees, sought on folds in the order of time.

Each fold fits on rows of earlier instants and is judged by log loss on the block of instants that follows, a horizon
later; test rows are never seen. The defaults are the first trial, and stay unless another one is better in every fold.
After each trial all trials are kept in the lake, so that a search that was cut short goes on where it was.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd
import structlog

from anmodel.errors import LakeError, NotReadyError
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.model.boosting import LEAST_BUYERS, Array, Recipe, grow
from anmodel.model.classifier import BINARY, TUNED, rarer
from anmodel.model.encoding import FrameEncoder, Matrix
from anmodel.model.evaluation import log_losses
from anmodel.snapshots.samples import Sample

log = structlog.get_logger()

FOLDS = 3
MOST_TRIALS = 60
_SHARE = 0.15
"""Of the instants, the newest, that each fold is judged on."""
_DROPPED_FROM = 1.02
"""A trial whose first fold is worse than the defaults' by this factor is not tried on the others."""

Rows = npt.NDArray[np.bool_]
Parameters = dict[str, int | float]


class Trial(msgspec.Struct, frozen=True):
    """Parameters and the log loss of each fold; fewer folds: it was dropped."""

    parameters: Parameters
    losses: list[float]


class Search(msgspec.Struct):
    """What was tried on one snapshot, in order; the first trial is of the defaults.

    `identity` is of all that its losses depend on: rows, seed and code. `before` are the parameters that an earlier
    search has chosen, on other rows; they are the second trial.
    """

    snapshot_version: str
    identity: str
    trials: list[Trial] = []
    before: Parameters = {}

    @property
    def chosen(self) -> Parameters:
        """Parameters of the best trial that beats the defaults in every fold; {} if none does.

        Until `before` is tried here, it counts.
        """
        if len(self.trials) < len(self.first):
            return self.before
        default, *others = self.trials
        better = [trial for trial in others if _beats(trial.losses, default.losses)]
        return min(better, key=lambda trial: sum(trial.losses)).parameters if better else {}

    @property
    def first(self) -> list[Parameters]:
        """What is tried before anything is sought."""
        return [{}, *([self.before] if self.before else [])]


def _beats(losses: list[float], others: list[float]) -> bool:
    return len(losses) == len(others) and all(mine < theirs for mine, theirs in zip(losses, others, strict=True))


@dataclass(frozen=True)
class Fold:
    """Rows to fit on and later ones to judge by."""

    fit: Rows
    judge: Rows


def folds(instants: npt.NDArray[np.datetime64], horizon_days: int) -> list[Fold]:
    """The newest instants, in `FOLDS` blocks to judge by; each fits on what is at least a horizon older."""
    times = np.unique(instants)
    block = max(1, int(len(times) * _SHARE))
    starts = [len(times) - block * number for number in range(FOLDS, 0, -1)]
    horizon = np.timedelta64(horizon_days, "D")
    return [
        Fold(instants + horizon <= times[start], (instants >= times[start]) & (instants <= times[start + block - 1]))
        for start in starts
        if start > 0
    ]


def kept_search(lake: Lake, name: str, version: str) -> Search | None:
    """The search kept for the snapshot's name, if it was of the same features and horizon."""
    try:
        found: Search = lake.read_json(_path(name), Search)
    except NotReadyError:
        return None
    except LakeError as error:
        log.warning("tuning begins anew", reason=str(error))
        return None
    return found if found.snapshot_version == version and set(found.chosen) <= set(TUNED) else None


def tune(
    lake: Lake,
    manifest: Mapping[str, Any],
    parts: Mapping[str, Sample],
    model: ContextAwareModel,
    *,
    identity: str,
    seconds: float,
    progress: Callable[[int, str], None],
) -> Search:
    """Search for so many seconds, the trial under way included, or until `MOST_TRIALS` are done; returns the search.

    `parts` are the snapshot's samples, of which train and val are used; `model`, not fitted, has the defaults. A
    snapshot split by users, or one whose folds have too few buyers or others, is not searched. Trials on other rows of
    the same name, or by other code or seed (another `identity`), are not taken over, but their best parameters are
    tried first.
    """
    search = Search(manifest["version"], identity)
    if kept := kept_search(lake, manifest["name"], manifest["version"]):
        search = kept if kept.identity == identity else Search(manifest["version"], identity, before=kept.chosen)
    judge = _judge(manifest, parts, model)
    if judge is None:
        return search
    study = _study(search, model.random_state)
    deadline, longest = time.monotonic() + seconds, 0.0
    while len(search.trials) < MOST_TRIALS and time.monotonic() + longest < deadline:
        began, done = time.monotonic(), len(search.trials)
        parameters = search.first[done] if done < len(search.first) else study.ask(_SPACE).params
        losses = judge(parameters, search.trials[0].losses if search.trials else [])
        search.trials.append(Trial(parameters, losses))
        study.add_trials(_told(search.trials[-1:]))
        lake.write_json(_path(manifest["name"]), msgspec.to_builtins(search))
        longest = max(longest, time.monotonic() - began)
        progress(len(search.trials), f"log loss {np.mean(losses):.4f}")
    return search


def _path(name: str) -> str:
    return f"snapshots/{name}/tuning.json"


def _judge(
    manifest: Mapping[str, Any], parts: Mapping[str, Sample], model: ContextAwareModel
) -> Callable[[Parameters, list[float]], list[float]] | None:
    """What gives the log losses of parameters, fold by fold; None where the rows are too few to tell."""
    if manifest["split"] != "time":
        log.warning("not tuned", reason="the history is too short to be split by time")
        return None
    used = [parts["train"], parts["val"]]
    instants, bought = (np.concatenate(values) for values in zip(*((p.instants, p.bought) for p in used), strict=True))
    cuts = folds(instants, int(manifest["horizon_days"]))
    if len(cuts) < FOLDS or min(rarer(bought[rows]) for fold in cuts for rows in (fold.fit, fold.judge)) < LEAST_BUYERS:
        log.warning("not tuned", reason=f"a fold has fewer than {LEAST_BUYERS} buyers or others")
        return None
    kinds = {feature["name"]: feature["kind"] for feature in manifest["contract"]["features"]}
    encoder = FrameEncoder(model.max_categories, model.min_category_rows).fit(parts["train"].features, kinds)
    matrix: Matrix = encoder.transform(pd.concat([part.features for part in used]))
    recipe = Recipe(model.random_state, model.n_jobs, model.max_trees, model.learning_rate, encoder.category_positions)

    def judge(parameters: Parameters, default: list[float]) -> list[float]:
        losses: list[float] = []
        for fold in cuts:
            later: tuple[Matrix, Array] = matrix[fold.judge], bought[fold.judge]
            booster = grow(recipe, BINARY, matrix[fold.fit], bought[fold.fit], validation=later, **parameters)
            losses.append(float(log_losses(later[1], booster.predict(later[0], model.n_jobs)).mean()))
            if default and losses[0] > default[0] * _DROPPED_FROM:
                break
        return losses

    return judge


def _study(search: Search, seed: int) -> optuna.Study:
    """A sampler that knows the trials that were done."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed + len(search.trials), n_startup_trials=8)
    study = optuna.create_study(sampler=sampler)
    study.add_trials(_told(search.trials))
    return study


def _told(trials: list[Trial]) -> list[optuna.trial.FrozenTrial]:
    """Trials as the sampler takes them; the defaults, which go by the rows, are not in its space."""
    return [_frozen(trial) for trial in trials if trial.parameters]


def _frozen(trial: Trial) -> optuna.trial.FrozenTrial:
    whole = len(trial.losses) == FOLDS
    return optuna.trial.create_trial(
        params=trial.parameters,
        distributions=_SPACE,
        state=optuna.trial.TrialState.COMPLETE if whole else optuna.trial.TrialState.PRUNED,
        value=float(np.mean(trial.losses)) if whole else None,
        intermediate_values=dict(enumerate(trial.losses)),
    )


_SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "learning_rate": optuna.distributions.FloatDistribution(0.02, 0.12, log=True),
    "num_leaves": optuna.distributions.IntDistribution(4, 64, log=True),
    "min_data_in_leaf": optuna.distributions.IntDistribution(10, 400, log=True),
    "feature_fraction": optuna.distributions.FloatDistribution(0.3, 1.0),
    "lambda_l2": optuna.distributions.FloatDistribution(0.1, 50.0, log=True),
}
