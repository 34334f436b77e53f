"""Airflow itself, with its database on SQLite in a folder of this test run."""

import os
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"
# what Airflow's own processes find by PYTHONPATH; and how the chart is rendered, from its tests
sys.path[:0] = [str(DAGS), str(ROOT / "tests/charts"), str(ROOT / "tests/dags")]

from rendered import NAMESPACE, missing, render  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Airflow reads its settings when it is imported, and the DAGs read theirs; so both are said before."""
    home = tempfile.TemporaryDirectory(prefix="anmodel-airflow-")
    config.add_cleanup(home.cleanup)
    os.environ |= {
        "AIRFLOW_HOME": home.name,
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.name}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "ANMODEL_STEPS": f"{home.name}/steps",
        "ANMODEL_NAMESPACE": NAMESPACE,
        "PYTHONPATH": str(DAGS),
    }


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's tables, and the DAGs in them."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    (bundle,) = manager.get_all_dag_bundles()
    bundle.initialize()
    sync_bag_to_db(
        BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name), bundle.name, None
    )


@pytest.fixture(scope="session")
def dags():
    """The DAGs by their names, as Airflow reads the folder."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture(scope="session")
def steps() -> Path:
    """The folder of the steps' pods, as the chart writes them for its documented defaults; skips without helm."""
    if reason := missing("helm"):
        pytest.skip(reason)
    folder = Path(os.environ["ANMODEL_STEPS"])
    folder.mkdir(exist_ok=True)
    for file, pod in render("defaults").one("ConfigMap", "anmodel-steps")["data"].items():
        assert yaml.safe_load(pod)["kind"] == "Pod"
        (folder / file).write_text(pod)
    return folder


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The folder of schemas that ANMODEL_SCHEMAS names; skips without it or kubeconform."""
    if reason := missing("kubeconform"):
        pytest.skip(reason)
    if not os.environ.get("ANMODEL_SCHEMAS"):
        pytest.skip("ANMODEL_SCHEMAS names no folder of schemas")
    return Path(os.environ["ANMODEL_SCHEMAS"])
