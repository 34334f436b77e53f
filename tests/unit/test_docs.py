"""The docs say what the code does: generated pages are current, links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_settings_page_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs/render.py"))["settings_page"]()
    assert (ROOT / "docs/settings.md").read_text() == page, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_every_make_target_named_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        for named in re.findall(r"`make ([a-z-]+)", page.read_text()):
            assert named in targets, f"{page.name} names `make {named}`"


def test_every_command_named_in_the_docs_exists() -> None:
    from anmodel.cli import COMMANDS

    for page in PAGES:
        for named in re.findall(r"`anmodel ([a-z]+)", page.read_text()):
            assert named in COMMANDS, f"{page.name} names `anmodel {named}`"
