"""Writes the comments of charts/anmodel/values.yaml into docs/chart.md, as tables, and into values.schema.json,
as descriptions. `python docs/render_chart.py`; a test compares.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parent
CHART = DOCS.parent / "charts/anmodel"
PAGE = DOCS / "chart.md"
BEGIN, END = "<!-- values: begin, made by docs/render_chart.py -->", "<!-- values: end -->"
_WHOLE = {"resources", "strategy"}
"""Keys whose contents are a value of their own, not keys of the chart."""
SERVICES = ("collector", "consumer", "gateway", "marketapp", "migrate", "generator", "test")
STEPS = ("export", "trends", "snapshot", "train", "register", "score", "monitor")
WORKLOADS = (*SERVICES, *STEPS, "predictor")
"""Keys that may also have those of `pods`; the predictor only some."""


@dataclass(frozen=True)
class Value:
    """A key of values.yaml. `default` is None for one that only holds others."""

    path: tuple[str, ...]
    meaning: str
    default: Any = None
    leaf: bool = True


def values() -> list[Value]:
    """All keys in their order, with the comment beside or above each."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_below(root, (), text.splitlines()))


def _below(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        inner = isinstance(value, yaml.MappingNode) and not value.flow_style and key.value not in _WHOLE
        default = None if inner else _plain(value)
        yield Value(here, _comment(lines, key.start_mark.line), default, leaf=not inner)
        if inner:
            yield from _below(value, here, lines)


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _comment(lines: list[str], at: int) -> str:
    """The comment on the key's own line, else the lines of comment right above it."""
    beside = re.search(r"\s# (.*)$", lines[at])
    if beside:
        return beside[1].strip()
    above = at
    while above > 0 and lines[above - 1].strip().startswith("# "):
        above -= 1
    return " ".join(line.strip().removeprefix("# ") for line in lines[above:at])


def table() -> str:
    """The values as tables, one for each key at the top, and one for those without keys below them."""
    rows: dict[str, list[str]] = {}
    heads = {value.path[0]: value.meaning for value in values() if len(value.path) == 1 and not value.leaf}
    for value in values():
        if value.leaf:
            section = value.path[0] if value.path[0] in heads else ""
            rows.setdefault(section, []).append(
                f"| `{'.'.join(value.path)}` | {_shown(value.default)} | {value.meaning} |\n"
            )
    head = "| value | default | meaning |\n| --- | --- | --- |\n"
    parts = [f"### {name}\n\n{heads[name]}\n\n{head}{''.join(rows[name])}" for name in rows if name]
    return "\n".join([f"### Of the release\n\n{head}{''.join(rows.get('', []))}", *parts])


def _shown(default: Any) -> str:
    if default in ("", [], {}):
        return "empty"
    text = default if isinstance(default, str) else json.dumps(default)
    return f"`{text}`"


def page() -> str:
    """docs/chart.md with the table made anew."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}"


def schema() -> str:
    """values.schema.json with the descriptions made anew."""
    document = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    for value in values():
        described = document
        for key in value.path:
            described = described.get("properties", {}).get(key) or {}
        if described:
            described["description"] = value.meaning
    for workload in WORKLOADS:
        properties = document["properties"][workload]["properties"]
        for value in values():
            if value.path[0] == "pods" and len(value.path) == 2 and value.path[1] in properties:
                properties[value.path[1]]["description"] = f"{value.meaning} Replaces the value of `pods`."
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    (CHART / "values.schema.json").write_text(schema(), encoding="utf-8")
