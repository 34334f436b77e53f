"""What the predictor says of its model, for the gateway and for people. It computes and talks to nothing."""

import math
from typing import Any

from anmodel.predictor.source import Served, Source

_TOP = 10


def describe(name: str, source: Source) -> dict[str, Any]:
    """The answer of /info: status and error always, the rest when a model is served."""
    served = source.served
    status = "loaded" if served else "error" if source.error else "pending"
    answer: dict[str, Any] = {
        "name": name,
        "status": status,
        "error": source.error,
        "version": None,
        "snapshot_version": None,
    }
    return answer if served is None else answer | _model(served)


def _model(served: Served) -> dict[str, Any]:
    model, contract, version = served.loaded.model, served.loaded.contract, served.loaded.version
    importance = model.feature_importance_.sort_values(ascending=False, kind="stable").head(_TOP)
    return {
        "version": version.version,
        "snapshot_version": contract["version"],
        "horizon_days": contract["horizon_days"],
        "created_at": version.created_at.isoformat(),
        "features": list(served.columns.names),
        "optimal_threshold": float(model.optimal_threshold_),
        "feature_importance_top10": [
            {"feature": str(feature), "importance": float(share)} for feature, share in importance.items()
        ],
        "feature_medians": {feature: _finite(model.feature_medians_.get(feature)) for feature in served.columns.names},
        "metrics": {metric: float(value) for metric, value in served.loaded.metrics.items() if math.isfinite(value)},
        "notes": list(getattr(model, "notes_", [])),
        "described": [
            {
                "name": feature["name"],
                "type": feature["kind"],
                "unit": feature["unit"],
                "meaning": feature["meaning"],
                "block": feature["block"],
                "categories": list(model.categories_.get(feature["name"], []))
                if feature["kind"] == "category"
                else None,
            }
            for feature in contract["features"]
        ],
    }


def _finite(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None
