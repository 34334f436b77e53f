"""The context-aware model: who buys, when, for how much and why.

`estimator` is what is fitted and served; beside it its parts (encoding, boosting, calibration, quantiles, reasons), and
`evaluation`, how forecasts are measured.
"""

from anmodel.model.estimator import ContextAwareModel

__all__ = ["ContextAwareModel"]
