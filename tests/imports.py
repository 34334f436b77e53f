"""What a stage imports, at the start or later, found by reading its code: itself and every module of ours below it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
NOT_IN_IMAGES = "anmodel.laptop"
"""The laptop's platform, which commands of the laptop alone import."""


def outside_modules(stage: str) -> set[str]:
    """Top-level names of the modules, of nobody's standard library, that the stage's package may import."""
    found: set[str] = set()
    seen: set[Path] = set()
    waiting = [*(SOURCE / "anmodel" / stage).rglob("*.py"), SOURCE / "anmodel/__main__.py", SOURCE / "anmodel/cli.py"]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in _imports(file):
            if name.startswith(NOT_IN_IMAGES):
                continue
            if name.split(".")[0] == "anmodel":
                waiting.extend(_files(name))
            else:
                found.add(name.split(".")[0])
    return found - set(sys.stdlib_module_names)


def _imports(file: Path) -> Iterator[str]:
    """Dotted names that a file imports; for `from a import b` both a and a.b."""
    for node in _running(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs: not what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _running(child)


def _files(module: str) -> Iterator[Path]:
    """The file of a module of ours, and the packages it lies in; none for a name that is no module."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        path = SOURCE.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                yield file
