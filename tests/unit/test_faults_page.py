"""docs/faults.md lists every test of a fault, by the sentence that is its name."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_faults_lists_the_tests_that_there_are() -> None:
    page = (ROOT / "docs/faults.md").read_text()
    listed = re.findall(r"^\| .* \| ([a-z ]+) \|$", page, re.M)
    files = (ROOT / "tests/faults").rglob("test_*.py")
    names = [name for file in files for name in re.findall(r"^def test_(\w+)", file.read_text(), re.M)]
    assert sorted(listed) == sorted(name.replace("_", " ") for name in names)
