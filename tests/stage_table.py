"""The table of docs/stages.md: which forms each stage has."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/stages.md"


def table() -> dict[str, dict[str, bool]]:
    """Stage to form to whether it has it, in the page's order."""
    lines = [line for line in (PAGE).read_text().splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    forms = head[2:]
    return {row[0]: dict(zip(forms, (cell == "yes" for cell in row[2:]), strict=True)) for row in rows}


def having(form: str) -> set[str]:
    """The stages that have a form."""
    return {stage for stage, forms in table().items() if forms[form]}
