"""The snapshot contract: features and targets of a user as of an instant, from one definition.

`query` is the contract and the SQL, `features` the features as data, `history` what a user's events add up to;
`samples` and `daily` read snapshots back from the lake.
"""

from anmodel.snapshots.features import FEATURES, Feature
from anmodel.snapshots.query import (
    ACTIVE_DAYS,
    FEATURE_NAMES,
    META,
    TARGETS,
    check_features,
    contract,
    daily_sql,
    milliseconds,
    snapshot_version,
    training_sql,
    users_events_sql,
    users_parameters,
)

__all__ = [
    "ACTIVE_DAYS",
    "FEATURES",
    "FEATURE_NAMES",
    "META",
    "TARGETS",
    "Feature",
    "check_features",
    "contract",
    "daily_sql",
    "milliseconds",
    "snapshot_version",
    "training_sql",
    "users_events_sql",
    "users_parameters",
]
