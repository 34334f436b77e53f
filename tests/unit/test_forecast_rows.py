"""Rows of the forecasts table, made of features and what the model says."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from anmodel.score.rows import feature_documents

INSTANT = datetime(2026, 5, 14, 23, 59, tzinfo=UTC)


def test_each_user_has_a_document_of_their_own_features_whatever_is_written_in_them() -> None:
    features = pd.DataFrame(
        {"total_events": [3.0, np.nan, 0.1], "last_item": ['сорочка "M"\n', None, "👕"]}, index=[7, 8, 9]
    )
    documents = feature_documents(features, INSTANT)
    documents.validate(full=True)
    assert [json.loads(text) for text in documents.to_pylist()] == [
        {"total_events": 3.0, "last_item": 'сорочка "M"\n', "snapshot_date": "2026-05-14"},
        {"total_events": None, "last_item": None, "snapshot_date": "2026-05-14"},
        {"total_events": 0.1, "last_item": "👕", "snapshot_date": "2026-05-14"},
    ]
    assert len(feature_documents(features.head(0), INSTANT)) == 0
