"""docs/stages.md says which forms each stage has; the tree must agree."""

import re
from pathlib import Path

from anmodel.cli import COMMANDS
from anmodel.laptop.forecast import NAMES
from anmodel.laptop.parts import laptop_parts
from anmodel.settings import LaptopSettings
from stage_table import having, table

ROOT = Path(__file__).parents[2]
LAPTOP_COMMANDS = {"up", "status", "logs", "doctor", "demo", "forecast", "users"}
LAPTOP_PARTS = {"kafka", "clickhouse", "mlflow", "marketapp-build"}
NO_STAGES = {"laptop"}


def test_every_package_is_a_stage_of_the_table() -> None:
    packages = {
        path.parent.name for path in (ROOT / "src/anmodel").glob("*/command.py") if path.parent.name not in NO_STAGES
    }
    assert packages == having("package")


def test_every_command_is_a_stage_of_the_table() -> None:
    assert set(COMMANDS) - LAPTOP_COMMANDS == having("command")


def test_every_part_of_the_laptop_is_a_stage_of_the_table() -> None:
    environment = {"CLICKHOUSE_USER": "", "MLFLOW_TRACKING_URI": "", "MLFLOW_ARTIFACTS": ""}
    parts = {part.name for part in laptop_parts(LaptopSettings.load(), environment, mlflow_ui=True)}
    assert parts - LAPTOP_PARTS == having("part of `anmodel up`")


def test_every_step_of_the_forecast_is_a_stage_of_the_table() -> None:
    assert set(NAMES) == having("step of `anmodel forecast`")


def test_every_stage_of_the_tiltfile_is_a_stage_of_the_table() -> None:
    """tests/charts executes the Tiltfile; here its calls are enough."""
    calls = re.findall(r"^stage\('(\w+)'", (ROOT / "Tiltfile").read_text(), re.MULTILINE)
    assert len(calls) == len(set(calls))
    assert set(calls) == having("Tilt resource")


def test_every_step_of_a_dag_is_a_stage_of_the_table() -> None:
    """tests/dags asks Airflow itself; here the calls are enough."""
    dags = "".join(path.read_text() for path in sorted((ROOT / "dags").glob("*.py")))
    assert set(re.findall(r'step\(\s*"(\w+)"', dags)) == having("step of a DAG")


def test_every_template_of_a_workload_is_a_stage_of_the_table() -> None:
    """Other templates are named by what they hold; tests/charts renders them all."""
    templates = {path.stem for path in (ROOT / "charts/anmodel/templates").glob("*.yaml")}
    assert templates & set(table()) == having("chart template")
    for stage in having("chart template"):
        text = (ROOT / f"charts/anmodel/templates/{stage}.yaml").read_text()
        assert f'"stage" "{stage}"' in text, f"{stage}.yaml is of another stage"


def test_readme_shows_the_same_stages() -> None:
    readme = (ROOT / "README.md").read_text()
    for stage in table():
        assert f"`{stage}`" in readme, f"README does not name {stage}"
