"""Features that tell too much: no honest feature knows by itself who will buy, so one that does may know the future."""

import numpy as np
from sklearn.metrics import roc_auc_score

from anmodel.snapshots.samples import Sample

TOO_GOOD = 0.95
"""ROC AUC of one feature alone, from which it is a suspect. Recency and frequency reach 0.6 to 0.85 in real shops."""
_LEAST_BUYERS = 30


def suspects(test: Sample) -> dict[str, float]:
    """Numeric features whose values alone, or their being known at all, tell buyers from others: name to ROC AUC."""
    bought = test.bought
    if min(bought.sum(), len(bought) - bought.sum()) < _LEAST_BUYERS:
        return {}
    found = {}
    for name in test.features.select_dtypes("number"):
        values = test.features[name].to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(values)
        lowest = values[known].min(initial=0.0) - 1
        auc = roc_auc_score(bought, np.where(known, values, lowest))
        if (told := max(auc, 1 - auc)) >= TOO_GOOD:
            found[str(name)] = round(float(told), 4)
    return found
