"""How much two distributions over the same bins differ."""

import numpy as np
import numpy.typing as npt


def stability_index(before: npt.ArrayLike, after: npt.ArrayLike) -> float:
    """Population stability index of two shares over the same bins: 0 is equal; empty bins count as one in ten thousand.

    Sum of (after - before) · ln(after / before).
    """
    old, new = (np.clip(np.asarray(shares, dtype=np.float64), 1e-4, None) for shares in (before, after))
    return float(((new - old) * np.log(new / old)).sum())
