"""BG/NBD, the classic model of who comes back (Fader, Hardie and Lee, 2005), as a baseline. Needs `anmodel[bgnbd]`."""

import importlib
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import structlog

from anmodel.model.evaluation import Array
from anmodel.snapshots.samples import Sample

log = structlog.get_logger()

NEEDED = ("total_orders", "days_between_orders", "days_since_last_purchase")
LEAST_USERS = 30
MOST_USERS = 5_000
"""Users it is fitted to, at most: four parameters need no more, and without a C compiler the time grows with them."""


def available() -> bool:
    """Whether pymc-marketing is installed."""
    return find_spec("pymc_marketing") is not None


def chances(train: Sample, test: Sample, horizon_days: int, seed: int = 42) -> Array | None:
    """The chance of an order within the horizon for each test row; None when it cannot be fitted.

    Fitted by maximum a posteriori to the users of the newest training instant who have ordered. It knows nothing of
    users without an order: these get the share of buyers among such rows of training.
    """
    if not available() or not set(NEEDED) <= set(train.features):
        return None
    newest = _histories(train)[(train.instants == train.instants.max()) & _ordered(train)]
    if len(newest) < LEAST_USERS:
        return None
    fitted = _fitted(newest.sample(min(len(newest), MOST_USERS), random_state=seed).reset_index(drop=True))
    if fitted is None:
        return None
    said = np.full(len(test.bought), _share_without_order(train))
    ordered = _ordered(test)
    said[ordered] = _within(fitted, _histories(test)[ordered].reset_index(drop=True), horizon_days)
    if not np.isfinite(said).all():
        log.warning("BG/NBD left out, its fit gives chances that are no numbers")
        return None
    return said


def _within(model: Any, histories: pd.DataFrame, days: int) -> Array:
    """P(alive) × the chance that a living one orders: their rate is Gamma(r + x, α + T) distributed.

    The library's own `expected_probability_no_purchase` lets users with one order have died, which BG/NBD excludes.
    """
    rate, scale = (float(model.fit_result[name].mean()) for name in ("r", "alpha"))
    data = histories.assign(customer_id=np.arange(len(histories)))
    alive = model.expected_probability_alive(data).to_numpy().reshape(-1)
    silent = ((scale + data["T"]) / (scale + data["T"] + days)) ** (rate + data["frequency"])
    return np.asarray(alive * (1 - silent), dtype=np.float64)


def _fitted(histories: pd.DataFrame) -> Any:
    """A fitted BetaGeoModel; None, and a line in the log, when the optimiser gives up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clv = importlib.import_module("pymc_marketing.clv")
            model = clv.BetaGeoModel(data=histories.assign(customer_id=np.arange(len(histories))))
            model.fit(method="map", progressbar=False)
        except (ArithmeticError, ImportError, RuntimeError, ValueError) as error:
            log.warning("BG/NBD left out, it could not be fitted", error=str(error).splitlines()[0])
            return None
    return model


def _ordered(sample: Sample) -> npt.NDArray[np.bool_]:
    return np.asarray(_column(sample, "total_orders") > 0)


def _share_without_order(train: Sample) -> float:
    bought = train.bought[~_ordered(train)]
    return float((bought.sum() + 1) / (len(bought) + 2))


def _histories(sample: Sample) -> pd.DataFrame:
    """`frequency`, orders after the first; `recency`, days from the first to the newest; `T`, days from it to now."""
    orders, between, since = (_column(sample, name) for name in NEEDED)
    frequency = np.maximum(orders - 1, 0)
    recency = np.where(frequency > 0, np.nan_to_num(between) * frequency, 0.0)
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": recency + np.nan_to_num(since)})


def _column(sample: Sample, name: str) -> Array:
    return sample.features[name].to_numpy(dtype=np.float64, na_value=np.nan)
