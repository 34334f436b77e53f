"""Randomness that depends on a seed and a name alone: not on the process, the machine or what else is generated.

Only `random()` and `getrandbits()` of the standard library's generator are used; their streams do not change between
Python versions.
"""

import math
from hashlib import blake2b
from random import Random
from statistics import NormalDist

_NORMAL = NormalDist()


def chance_of(seed: int, *names: object) -> Random:
    """A generator of its own for the named thing."""
    text = "\x1f".join((str(seed), *map(str, names)))
    return Random(int.from_bytes(blake2b(text.encode(), digest_size=8).digest()))


def between(chance: Random, low: float, high: float) -> float:
    """Uniform in [low, high)."""
    return low + (high - low) * chance.random()


def whole(chance: Random, low: int, high: int) -> int:
    """Uniform among low..high, both included."""
    return low + int(chance.random() * (high - low + 1))


def exponential(chance: Random, mean: float) -> float:
    """Exponential with the given mean."""
    return -mean * math.log(1.0 - chance.random())


def normal(chance: Random) -> float:
    """Standard normal."""
    return _NORMAL.inv_cdf(min(max(chance.random(), 1e-12), 1 - 1e-12))


def uuid_of(chance: Random) -> str:
    """A version 4 UUID."""
    bits = chance.getrandbits(128) & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
