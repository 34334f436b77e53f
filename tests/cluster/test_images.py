"""The images as they are run: as a user without rights on a root that cannot be written to. Builds them first."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import testbed

ROOT = Path(__file__).parents[2]
CONFINED = ("--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108
NETLESS = ("--network", "none")
STAGES = (
    *("collector", "consumer", "migrate", "generator", "export", "trends", "snapshot"),
    *("train", "register", "score", "monitor", "predictor", "gateway", "marketapp"),
)
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module("anmodel." + name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0,
    reason="no docker engine answers",
)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Every image, under the version's tag."""
    subprocess.run(["make", "-C", str(ROOT), "images"], check=True, capture_output=True, timeout=1800)


def run(name: str, *command: str, entrypoint: str = "", user: str = "10001:10001") -> str:
    """What a command in a confined container of the image prints."""
    entry = ["--entrypoint", entrypoint] if entrypoint else []
    image = f"anmodel/{name}:{testbed.version()}"
    done = subprocess.run(
        ["docker", "run", *CONFINED, *NETLESS, "--user", user, *entry, image, *command],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_tells_its_help_and_all_that_it_imports_is_there(stage: str) -> None:
    assert f"anmodel {stage}" in run(stage, stage, "--help")
    packages = [stage, "replay"] if stage == "generator" else [stage]
    run(stage, "-c", IMPORT_ALL, *packages, entrypoint="python")


@pytest.mark.parametrize("name", [*STAGES, "mlflow", "airflow"])
def test_an_image_says_who_runs_and_what_it_is_and_installs_nothing(name: str) -> None:
    shown = subprocess.run(
        ["docker", "image", "inspect", f"anmodel/{name}:{testbed.version()}"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    config = json.loads(shown)[0]["Config"]
    user, _, group = config["User"].partition(":")
    assert int(user) > 0
    assert group.isdigit()
    assert config["Labels"]["org.opencontainers.image.version"] == testbed.version()
    tools = "import shutil, sys; sys.exit(any(map(shutil.which, ('pip', 'pip3', 'gcc', 'cc', 'make', 'npm', 'node'))))"
    run(name, "-c", tools, entrypoint="python", user=config["User"])


def test_the_model_is_fitted_without_the_systems_openmp() -> None:
    fit = "import anmodel.model.openmp as o; o.provide_openmp(); import lightgbm, numpy as n;"
    fit += "x = n.arange(200.).reshape(-1, 1); m = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(x, x[:, 0]);"
    fit += "print(round(float(m.predict(x)[-1])) > 100)"
    assert run("train", "-c", fit, entrypoint="python").strip() == "True"


def test_mlflow_and_airflow_start() -> None:
    assert "3.17" in run("mlflow", "--version", entrypoint="mlflow")
    assert "3.3.2" in run("airflow", "version", entrypoint="airflow", user="50000:0")


def test_the_consoles_image_holds_the_built_console() -> None:
    look = "import os, pathlib; print((pathlib.Path(os.environ['MARKETAPP_DIST']) / 'index.html').is_file())"
    assert run("marketapp", "-c", look, entrypoint="python").strip() == "True"
