"""What register applies, held against the schemas of KServe and the Gateway API."""

import json
from pathlib import Path

import pytest
from shapes import faults_of_shape

from anmodel.register.objects import Canary, Files, http_route, inference_service
from anmodel.settings import RegisterSettings


@pytest.mark.parametrize("canary", [None, Canary(Files("2", "abc", "s3://models/2"), 10, 1)])
@pytest.mark.parametrize("most", [1, 4])
def test_what_register_applies_fits_the_schemas(canary: Canary | None, most: int, schemas: Path) -> None:
    settings = RegisterSettings.load(
        mlflow_tracking_uri="unused",
        parquet_out="unused",
        serving_account="anmodel-predictor",
        serving_gateway="edge/public",
        serving_host="models.test",
        serving_max_replicas=most,
    )
    stable = Files("1", "abc", "s3://models/1")
    items = [inference_service(settings, "shop", stable, canary), http_route(settings, "shop", canary)]
    assert not faults_of_shape(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), schemas)
