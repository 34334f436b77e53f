"""Tests of the chart need helm; those of shapes need kubeconform and schemas too. Without them they are skipped."""

import os
from pathlib import Path

import pytest
from rendered import COMBINATIONS, ROOT, Rendered, missing, render
from tilt_fakes import Tilt
from tilt_resources import Resource, resources


@pytest.fixture(scope="session")
def helm_there() -> None:
    """Skips without helm."""
    if reason := missing("helm"):
        pytest.skip(reason)


@pytest.fixture(scope="session", params=COMBINATIONS)
def rendered(request: pytest.FixtureRequest, helm_there: None) -> Rendered:
    """Every documented combination of values in turn."""
    return render(request.param)


@pytest.fixture(scope="session", params=[name for name in COMBINATIONS if name != "no KServe"])
def served(request: pytest.FixtureRequest, helm_there: None) -> Rendered:
    """Every combination with which KServe serves the model."""
    return render(request.param)


@pytest.fixture(scope="session")
def tilt(helm_there: None) -> Tilt:
    """The Tiltfile, executed."""
    return Tilt(ROOT).read()


@pytest.fixture(scope="session")
def found(tilt: Tilt) -> dict[str, Resource]:
    """What it makes of Tilt's resources, by name."""
    return resources(tilt)


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The folder of schemas that ANMODEL_SCHEMAS names; skips without it or kubeconform."""
    if reason := missing("kubeconform"):
        pytest.skip(reason)
    folder = os.environ.get("ANMODEL_SCHEMAS", "")
    if not folder:
        pytest.skip("ANMODEL_SCHEMAS names no folder of schemas")
    return Path(folder)
