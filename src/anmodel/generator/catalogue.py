"""What the shop sells: items by popularity (Zipf), each with a price of its own."""

import math
from bisect import bisect
from itertools import accumulate
from random import Random

from anmodel.generator.chance import between, chance_of, normal

ITEMS = 200
ZIPF_EXPONENT = 1.5
MEDIAN_PRICE, PRICE_SPREAD, LEAST_PRICE = 250.0, 0.9, 10.0
PRICE_CHANGE = 0.2
"""A price moves by at most this share from one visit to the next."""

QUERIES = ("shoes", "blanket", "phone", "charger", "jacket", "backpack", "watch")


class Catalogue:
    """Items `item_1` (the most popular) to `item_200`. A price is drawn once per item and seed: popular is not dear."""

    def __init__(self, seed: int) -> None:
        weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, ITEMS + 1)]
        self._cumulative = list(accumulate(weights))
        self._prices = [_base_price(chance_of(seed, "price", rank)) for rank in range(1, ITEMS + 1)]

    def pick(self, chance: Random) -> tuple[str, float]:
        """An item and today's price."""
        rank = min(bisect(self._cumulative, chance.random() * self._cumulative[-1]), ITEMS - 1)
        price = self._prices[rank] * between(chance, 1 - PRICE_CHANGE, 1 + PRICE_CHANGE)
        return f"item_{rank + 1}", round(max(price, LEAST_PRICE), 2)


def _base_price(chance: Random) -> float:
    return max(MEDIAN_PRICE * math.exp(PRICE_SPREAD * normal(chance)), LEAST_PRICE)
