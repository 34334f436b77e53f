"""How shoppers behave: the cohorts, the steps from one event to the next, and what moves a purchase."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from anmodel.events import EVENT_TYPES

PAGE_VIEW, PRODUCT_VIEW, ADD_TO_CART, PURCHASE, SEARCH, CLICK = range(6)
TYPES = EVENT_TYPES


@dataclass(frozen=True, slots=True)
class Cohort:
    """A kind of shopper.

    `share` is in sevenths of all shoppers; `volume` multiplies the events; `span_days` bounds the active time;
    `session_extra` is the mean of what a visit has beyond its first event; `purchase_boost` multiplies the weight of a
    purchase; `churned` is the share of those whose active time ended long ago.
    """

    name: str
    share: int
    volume: float
    span_days: tuple[int, int]
    session_extra: float
    purchase_boost: float
    churned: float


COHORTS = (
    Cohort("heavy", 1, 3.0, (180, 365), 5.0, 1.5, 0.10),
    Cohort("medium", 2, 1.0, (60, 180), 3.0, 1.0, 0.25),
    Cohort("light", 3, 0.4, (14, 60), 2.0, 0.7, 0.50),
    Cohort("one_time", 1, 0.15, (1, 7), 2.0, 0.5, 0.85),
)

SHARES = sum(cohort.share for cohort in COHORTS)

OPEN_CART_BOOST = 5.0
"""How much likelier a visit starts with a purchase when the last one left something in the cart."""

OPEN_CART_DAYS = 7
"""Days a cart is kept."""

PROMO_EVERY_DAYS = 60
"""Days from the end of one promo window to the end of the next; the newest ends at the snapshot date."""

# Weights in the order of TYPES. A purchase follows only a cart: its other entries count as 0.
_START = (0.15, 0.25, 0.20, 0.08, 0.12, 0.20)
_STEPS = (
    (0.15, 0.35, 0.10, 0.02, 0.18, 0.20),  # after page_view
    (0.08, 0.15, 0.35, 0.12, 0.10, 0.20),  # after product_view
    (0.05, 0.10, 0.15, 0.45, 0.05, 0.20),  # after add_to_cart
    (0.30, 0.25, 0.05, 0.02, 0.18, 0.20),  # after purchase
    (0.10, 0.45, 0.10, 0.02, 0.13, 0.20),  # after search
    (0.15, 0.35, 0.15, 0.05, 0.10, 0.20),  # after click
)


def cohort_of(chance: float) -> Cohort:
    """The cohort at a place from 0 to 1 among all shoppers."""
    place = chance * SHARES
    for cohort in COHORTS:
        place -= cohort.share
        if place < 0:
            return cohort
    return COHORTS[-1]


@lru_cache(maxsize=256)
def first_step(boost: float, cart_is_open: bool) -> tuple[float, ...]:
    """Cumulative chances of a visit's first event."""
    return _cumulative(_START, boost * OPEN_CART_BOOST if cart_is_open else 0.0)


@lru_cache(maxsize=256)
def next_step(previous: int, boost: float) -> tuple[float, ...]:
    """Cumulative chances of the event after one of type `previous`."""
    return _cumulative(_STEPS[previous], boost if previous == ADD_TO_CART else 0.0)


def _cumulative(weights: tuple[float, ...], boost: float) -> tuple[float, ...]:
    moved = [weight * boost if kind == PURCHASE else weight for kind, weight in enumerate(weights)]
    total = sum(moved)
    return tuple(accumulate(weight / total for weight in moved))
