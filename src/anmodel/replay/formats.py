"""The formats replay knows, and which one a file has."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from anmodel.errors import InputError
from anmodel.replay.completejourney import NAME, read_completejourney
from anmodel.replay.own import FIELDS, parquet_file, read_csv, read_ndjson, read_parquet
from anmodel.replay.public import REES46, RETAILROCKET, read_otto, read_rees46, read_retailrocket
from anmodel.replay.records import Records

READERS: dict[str, Callable[[Path], Records]] = {
    "ndjson": read_ndjson,
    "csv": read_csv,
    "parquet": read_parquet,
    "retailrocket": read_retailrocket,
    "rees46": read_rees46,
    "otto": read_otto,
    NAME: read_completejourney,
}

_BLOCK = 1 << 20


def detect_format(path: Path) -> str:
    """The format by the file's first bytes; raises `InputError` when it has none we know."""
    try:
        with path.open("rb") as file:
            start = file.read(65_536)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Give a file, or the name {NAME}") from error
    if start.startswith(b"PAR1"):
        return "parquet"
    first = start.lstrip(b"\xef\xbb\xbf \r\n").partition(b"\n")[0]
    if first.startswith(b"{"):
        return "otto" if _is_otto(first) else "ndjson"
    header = {name.strip().strip('"') for name in first.decode(errors="replace").split(",")}
    for name, columns in (("retailrocket", RETAILROCKET), ("rees46", REES46), ("csv", FIELDS[:-1])):
        if header >= set(columns):
            return name
    raise InputError(
        f"{path} has a format unknown here; its first line is {first[:200].decode(errors='replace')!r}. "
        f"Allowed: {', '.join(READERS)}, or say --format."
    )


def _is_otto(first: bytes) -> bool:
    try:
        found = msgspec.json.decode(first)
    except msgspec.MsgspecError:
        # an OTTO session may be longer than what was read
        return first.startswith((b'{"session"', b'{"events"')) and b'"event_id"' not in first
    return isinstance(found, dict) and "events" in found and "session" in found


def count_rows(path: Path, kind: str) -> int | None:
    """Events in the file for a progress line; None where lines and events differ."""
    if kind in ("parquet", NAME):
        with parquet_file(path) as file:
            return int(file.metadata.num_rows)
    if kind == "otto":
        return None
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    return lines - (0 if kind == "ndjson" else 1)
