"""What docs/kubernetes.md and docs/capacity.md tell people to type exists: targets, files, parts, values, alerts."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendered import CHART, missing
from shapes import faults_of_shape

from anmodel.settings import ConsumerSettings

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("kubernetes", "capacity")}
TEXT = "\n".join(PAGES.values())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parts() -> set[str]:
    return set(re.findall(r'^name = "(.+)"$', (ROOT / "k8s/platform.toml").read_text(), re.MULTILINE))


def test_every_make_target_exists() -> None:
    said = re.findall(r"(?:`|^ +)make ((?:[a-z-]+(?: |`|$))+)", TEXT, re.MULTILINE)
    named = {word.strip("`") for words in said for word in words.split()}
    assert {"cluster", "platform", "images", "preflight"} <= named
    assert named <= targets()


def test_every_file_exists() -> None:
    named = set(re.findall(r"\b(?:k8s|charts|docs|tests|src|images)/[\w./-]*\w", TEXT))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_part_that_is_applied_exists() -> None:
    applied = set(re.findall(r"(?:platform\.py |`)apply ([a-z0-9-]+)", TEXT))
    asked = {word for words in re.findall(r'WITH="([^"]+)"', TEXT) for word in words.split()}
    assert {"kafka", "clickhouse"} <= applied
    assert applied | asked <= parts()


def test_every_command_of_the_platform_is_one() -> None:
    verbs = set(re.findall(r"k8s/platform\.py ([a-z]+)", TEXT))
    assert {"apply", "down"} <= verbs
    for verb in verbs:
        asked = [sys.executable, "k8s/platform.py", verb, "--help"]
        assert subprocess.run(asked, cwd=ROOT, capture_output=True, check=False, timeout=30).returncode == 0, verb


@pytest.mark.parametrize("first", [key for key, value in VALUES.items() if isinstance(value, dict)])
def test_every_value_is_one_of_the_chart(first: str) -> None:
    for words in re.findall(rf"`{first}((?:\.\w+)+)", TEXT):
        at: Any = VALUES[first]
        for word in words.strip(".").split("."):
            assert word in at, f"{first}{words} is no value of the chart"
            at = at[word]


def test_the_profile_of_the_capacity_plan_is_one_that_the_chart_takes(tmp_path: Path) -> None:
    if reason := missing("helm"):
        pytest.skip(reason)
    (block,) = re.findall(r"```yaml\n(# a-billion.yaml\n.*?)```", PAGES["capacity"], re.DOTALL)
    (tmp_path / "a-billion.yaml").write_text(block)
    command = ["helm", "template", "anmodel", str(CHART), "--values", str(CHART / "profiles/production.yaml")]
    done = subprocess.run(
        [*command, "--values", str(tmp_path / "a-billion.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert {"BATCH_SIZE", "BATCH_TIMEOUT"} <= {name.upper() for name in ConsumerSettings.model_fields}


def test_the_plan_gives_no_more_consumers_than_the_topic_has_partitions() -> None:
    (block,) = re.findall(r"```yaml\n(# a-billion.yaml\n.*?)```", PAGES["capacity"], re.DOTALL)
    text = (ROOT / "k8s/overlays/production/kafka/kustomization.yaml").read_text()
    (partitions,) = re.findall(r"path: /spec/partitions, value: (\d+)", text)
    assert yaml.safe_load(block)["consumer"]["keda"]["max"] <= int(partitions)


def test_metrics_to_watch_are_those_of_the_alerts_and_dashboards() -> None:
    known = "\n".join(path.read_text() for path in (CHART / "files").rglob("*.yaml"))
    for metric in set(re.findall(r"`(anmodel_\w+)`", PAGES["kubernetes"])):
        assert metric in known, f"{metric} is in no alert and no dashboard"


def test_manifests_to_copy_have_the_shape_of_their_kind(schemas: Path) -> None:
    blocks = re.findall(r"```yaml\n(apiVersion.*?)```", TEXT, re.DOTALL)
    assert blocks
    desk = (ROOT / "docs/runbooks/kafka-desk.yaml").read_text()
    assert not faults_of_shape("---\n".join([*blocks, desk]), schemas)
