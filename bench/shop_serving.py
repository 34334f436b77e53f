"""A shop that is served: events in ClickHouse, a model of them, predictor and gateway as processes; and who asks them.

Nothing is pinned: everything shares the machine, the one who asks too. Kafka takes the log of predictions, as on a
laptop.
"""

import asyncio
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import aiohttp
import httpx
import pandas as pd
import pyarrow.parquet as pq

from anmodel.laptop.kafka import free_port
from anmodel.model import ContextAwareModel
from anmodel.settings import RegistrySettings
from anmodel.snapshots import FEATURE_NAMES, TARGETS, contract, milliseconds, training_sql
from anmodel.warehouse import Warehouse
from bench.filled import clickhouse
from bench.result import Row, report
from bench.running import kafka, process, topic, wait_until, workspace
from bench.shop_lake import events_sql

BOTH = "0,1"
DAYS = 90
HORIZON_DAYS = 7
WARM_SECONDS = 3.0


@dataclass(frozen=True)
class Serving:
    """A running gateway, and the events behind it."""

    url: str
    warehouse: Warehouse
    features: pd.DataFrame


@contextmanager
def served(*, events: int, users: int) -> Iterator[Serving]:
    """A shop of so many events of so many users over the last 90 days, served."""
    with ExitStack() as stack:
        folder = stack.enter_context(workspace())
        engine = stack.enter_context(clickhouse(folder, BOTH))
        bootstrap = stack.enter_context(kafka(folder, BOTH))
        _fill(engine.warehouse, events, users)
        features, models = _train(engine.warehouse, folder)
        ports = {"PREDICTOR_PORT": str(free_port()), "GATEWAY_PORT": str(free_port())}
        variables = {
            **engine.variables,
            **topic(bootstrap, "raw-events"),
            **models,
            **ports,
            "PREDICTOR_URL": f"http://127.0.0.1:{ports['PREDICTOR_PORT']}",
            "USERS_URL": f"sqlite:///{folder}/users.db",
            "PREDICTIONS_TOPIC": "predictions",
            "LOG_LEVEL": "WARNING",
        }
        topic(bootstrap, "predictions")
        _start(stack, folder, "predictor", f"{variables['PREDICTOR_URL']}/v2/health/ready", variables)
        url = f"http://127.0.0.1:{ports['GATEWAY_PORT']}"
        _start(stack, folder, "gateway", f"{url}/health", variables)
        yield Serving(url, engine.warehouse, features)


def _fill(warehouse: Warehouse, events: int, users: int) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(DAYS):
        of_day = events_sql(number, today - timedelta(days=DAYS - number), events // DAYS, users)
        warehouse.command(
            f"INSERT INTO {warehouse.db}.events_raw"
            f" SELECT *, now64(3, 'UTC'), 0, rowNumberInAllBlocks() FROM ({of_day})"
        )


def _train(warehouse: Warehouse, folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A champion made from the shop's own rows; the features it learnt from, and the variables of its registry."""
    from anmodel.registry import Registry

    now = datetime.now(UTC)
    older, newer = (_rows(warehouse, now - timedelta(days=days)) for days in (2 * HORIZON_DAYS, HORIZON_DAYS))
    model = ContextAwareModel(random_state=1).fit(*older, validation=newer, contract=contract(HORIZON_DAYS))
    place = {"mlflow_tracking_uri": f"sqlite:///{folder}/mlflow.db", "mlflow_artifacts": str(folder / "models")}
    registry = Registry(RegistrySettings.load(**place))
    (folder / "files").mkdir()
    registry.set_champion(
        registry.log(model, contract=model.contract_, metrics={}, params={}, files=folder / "files", inputs={})
    )
    return newer[0], {name.upper(): value for name, value in place.items()}


def _rows(warehouse: Warehouse, instant: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and targets of the shop's users as of an instant."""
    at, end = milliseconds(instant), milliseconds(instant + timedelta(days=HORIZON_DAYS))
    sql = training_sql(f"{warehouse.db}.events_raw FINAL", [at], [end], horizon_days=HORIZON_DAYS)
    with warehouse.stream(sql, format="Parquet") as source:
        frame = pq.read_table(io.BytesIO(source.read())).to_pandas()
    return frame[list(FEATURE_NAMES)], frame[list(TARGETS)]


def _start(stack: ExitStack, folder: Path, stage: str, probe: str, variables: dict[str, str]) -> None:
    log = folder / f"{stage}.log"
    stack.enter_context(process([sys.executable, "-m", "anmodel", stage], log, **variables))
    wait_until(lambda: _answers(probe), stage, log)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error


def measure(
    bench: str, url: str, body: Callable[[int], bytes], *, rate: float, seconds: float, must: float, aim: float
) -> bool:
    """Ask at a steady rate, whether or not the answers come, and report the 95th percentile in milliseconds."""
    asyncio.run(_ask(url, body, rate, WARM_SECONDS))
    waits = asyncio.run(_ask(url, body, rate, seconds))
    cuts = quantiles(waits, n=100)
    return report(
        [Row(bench, cuts[94], "ms p95", must, aim, lower=True)],
        p50=round(cuts[49], 1),
        p99=round(cuts[98], 1),
        requests=len(waits),
        rate=rate,
        cores=os.cpu_count(),
    )


async def _ask(url: str, body: Callable[[int], bytes], rate: float, seconds: float) -> Sequence[float]:
    """Milliseconds from when each request was due until its answer was read; any refusal ends the measurement."""
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as client:
        began = time.perf_counter()

        async def one(number: int) -> float:
            due = began + number / rate
            await asyncio.sleep(due - time.perf_counter())
            async with client.post("/predict", data=body(number)) as answer:
                text = await answer.text()
            if answer.status != httpx.codes.OK:
                raise SystemExit(f"the gateway answered {answer.status}: {text[:500]}")
            return (time.perf_counter() - due) * 1000

        return await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
