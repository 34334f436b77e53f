"""The console's own checks, and that its types are of the gateway that is here."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from anmodel.gateway.app import openapi_document
from anmodel.laptop.node import node_program, npm_command
from ui.conftest import CACHE, MARKETAPP

LOCK = json.loads((MARKETAPP / "package-lock.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", ["lint", "typecheck", "test"])
def test_the_consoles_own_check_passes(dist: Path, script: str) -> None:
    path = f"{Path(node_program()).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [*npm_command(), "run", "--silent", script],
        cwd=MARKETAPP,
        env={"PATH": path, "HOME": str(CACHE), "npm_config_cache": str(CACHE / "npm"), "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_consoles_types_are_of_this_gateway() -> None:
    written = json.loads((MARKETAPP / "openapi.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(openapi_document())), "run `anmodel gateway --openapi` anew"


def test_every_package_is_pinned_and_the_lock_names_no_registry() -> None:
    package = json.loads((MARKETAPP / "package.json").read_text(encoding="utf-8"))
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    assert all("resolved" not in entry for entry in LOCK["packages"].values())


def test_the_page_starts_with_at_most_200_kb_of_script(dist: Path) -> None:
    import gzip

    page = (dist / "index.html").read_text(encoding="utf-8")
    first = re.findall(r'(?:src|modulepreload" crossorigin href)="/(assets/[^"]+\.js)"', page)
    assert len(first) > 1
    assert sum(len(gzip.compress((dist / name).read_bytes())) for name in first) <= 200_000


def test_the_page_asks_no_other_host_for_anything(dist: Path) -> None:
    loaded = re.compile(r"""(?:src|href)=["']?(https?:)?//|url\(["']?https?:|@import ["']https?:""")
    for file in [*dist.glob("*.html"), *dist.glob("assets/*.css")]:
        assert not loaded.search(file.read_text(encoding="utf-8")), file.name
