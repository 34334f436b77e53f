"""What differs from format to format."""

from typing import Final

# The engine streams a result as blocks, each of which is a file of its own. Only of these may the blocks be joined:
# they have neither head nor foot. Every other format is written whole by the engine, into the spool.
_STREAMED_NAMES: Final = """
    native rowbinary tabseparated tsv tabseparatedraw tsvraw raw csv jsoneachrow jsonlines ndjson jsonstringseachrow
    jsoncompacteachrow jsoncompactstringseachrow lineasstring rawblob null
"""
STREAMED: Final = frozenset(_STREAMED_NAMES.split())

_CONTENT_TYPES: Final = {
    "json": "application/json; charset=UTF-8",
    "ndjson": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "tsv": "text/tab-separated-values; charset=UTF-8",
    "text": "text/plain; charset=UTF-8",
    "binary": "application/octet-stream",
}


def content_type(name: str) -> str:
    """The Content-Type of a result in this format."""
    name = name.lower()
    if "eachrow" in name or name in ("jsonlines", "ndjson"):
        return _CONTENT_TYPES["ndjson"]
    if name.startswith("json"):
        return _CONTENT_TYPES["json"]
    if name.startswith("csv"):
        return _CONTENT_TYPES["csv"].replace("absent", "present" if "withnames" in name else "absent")
    if name.startswith(("tabseparated", "tsv")):
        return _CONTENT_TYPES["tsv"]
    if name.startswith(("pretty", "vertical", "values", "markdown", "sql", "xml", "null")):
        return _CONTENT_TYPES["text"]
    return _CONTENT_TYPES["binary"]
