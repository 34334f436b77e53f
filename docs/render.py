"""Writes the docs that come from the code: settings.md. `python docs/render.py` (or `make docs`); a test compares."""

import inspect
from pathlib import Path

from pydantic_core import PydanticUndefined

from anmodel import settings as module
from anmodel.settings import Settings

DOCS = Path(__file__).parent
_FILES = [f"anmodel.settings.{name}" for name in ("base", "systems", "stages")]
HEAD = """# Settings

Every setting is an environment variable, read once when a stage starts. A wrong or missing one stops the start and is
named. On a laptop `anmodel up` writes them to `.anmodel/laptop.env`, and every `anmodel` command reads that file; what
you set yourself wins. This page is made by `make docs`.

Passwords need not be in the environment: a file in the folder ANMODEL_SECRETS that is named like a setting in lower
case (`kafka_password`) gives its value, without the spaces and line ends around it. The environment wins over the file.
[Services that run on take up changed files by themselves](decisions/012-secrets-and-rotation.md).
"""


def settings_page() -> str:
    """The page of all settings, one table a class."""
    classes = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Settings)]
    classes.sort(key=lambda kind: (_FILES.index(kind.__module__), inspect.getsourcelines(kind)[1]))
    return HEAD + "".join(_section(kind) for kind in classes if _own_fields(kind))


def _own_fields(kind: type[Settings]) -> list[str]:
    return [name for name in kind.model_fields if name in kind.__dict__.get("__annotations__", {})]


def _section(kind: type[Settings]) -> str:
    users = [other.__name__.removesuffix("Settings").lower() for other in _descendants(kind)]
    used = f" Used by: {', '.join(sorted(users))}." if users else ""
    rows = "".join(_row(kind, name) for name in _own_fields(kind))
    title = kind.__name__.removesuffix("Settings") or "Every stage"
    return (
        f"\n## {title}\n\n{inspect.getdoc(kind)}{used}\n\n| variable | default | meaning |\n| --- | --- | --- |\n{rows}"
    )


def _descendants(kind: type[Settings]) -> list[type[Settings]]:
    if kind is Settings:
        return []
    below = [other for other in kind.__subclasses__()]
    return [leaf for other in below for leaf in (_descendants(other) or [other])]


def _row(kind: type[Settings], name: str) -> str:
    field = kind.model_fields[name]
    if field.default is PydanticUndefined:
        default = "required"
    else:
        shown = getattr(field.default, "get_secret_value", lambda: field.default)()
        default = f"`{shown}`" if str(shown) else "empty"
    return f"| `{name.upper()}` | {default} | {field.description} |\n"


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
