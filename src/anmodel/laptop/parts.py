"""The laptop's parts: which there are, how each is started and when it is ready."""

import gc
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from anmodel.errors import InputError
from anmodel.laptop.kafka import KafkaNode
from anmodel.laptop.part import Part, answers_http
from anmodel.settings import LaptopSettings

OPTIONAL = ("mlflow",)
# Each stage is one process of a few threads; the C library's default of a memory arena for each would cost some 100 MB.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


def laptop_parts(
    settings: LaptopSettings,
    environment: Mapping[str, str],
    *,
    only: Iterable[str] = (),
    without: Iterable[str] = (),
    mlflow_ui: bool = False,
) -> list[Part]:
    """The parts to run, in the order of their start.

    `only` and `without` are names of parts; a task that prepares a part (tables, the console's build) goes with it.
    Raises `InputError` for a name that is no part's.
    """
    parts = _all_parts(settings, environment)
    known = [part.name for part in parts if not part.once]
    chosen, refused = set(only), set(without)
    for name in chosen | refused:
        if name not in known:
            raise InputError(f"there is no part {name!r}; the parts are {', '.join(known)}.")
    wanted = {name for name in known if name not in OPTIONAL or mlflow_ui}
    wanted = (chosen or wanted) - refused
    return [part for part in parts if part.name in wanted or TASKS.get(part.name) in wanted]


TASKS = {"migrate": "clickhouse", "marketapp-build": "marketapp"}
"""Task → the part it belongs to."""


def _all_parts(settings: LaptopSettings, environment: Mapping[str, str]) -> list[Part]:
    home = settings.anmodel_home.expanduser().absolute()
    cache = settings.anmodel_cache.expanduser().absolute()
    return [
        _kafka(KafkaNode(home / "kafka", cache, settings.kafka_port)),
        _clickhouse(home / "clickhouse", settings.clickhouse_port, environment["CLICKHOUSE_USER"]),
        _task("migrate", [*ANMODEL, "migrate"], needs=("clickhouse",)),
        _stage("collector", settings.collector_port, needs=("kafka",)),
        _stage("consumer", settings.consumer_port, needs=("kafka", "migrate")),
        _stage("predictor", settings.predictor_port),
        _stage("gateway", settings.gateway_port, needs=("migrate",)),
        _task("marketapp-build", [sys.executable, "-m", "anmodel.laptop.node", str(cache)]),
        _stage("marketapp", settings.marketapp_port, needs=("marketapp-build",)),
        _mlflow(settings.mlflow_port, environment),
    ]


ANMODEL = [sys.executable, "-m", "anmodel"]


def _kafka(node: KafkaNode) -> Part:
    return Part(
        "kafka",
        node.command,
        ready=node.ready,
        port=node.port,
        port_variable="KAFKA_PORT",
        url=node.bootstrap,
        prepare=node.prepare,
        after_ready=partial(_create_topics, node.bootstrap),
    )


def _create_topics(bootstrap: str) -> None:
    from anmodel.settings import KafkaSettings
    from anmodel.topic import create_topics

    create_topics(KafkaSettings.load(kafka_bootstrap=bootstrap))
    # its client is part of a reference cycle; left to itself it would complain of every later restart of Kafka
    gc.collect()


def _clickhouse(folder: Path, port: int, user: str) -> Part:
    options = ["--path", str(folder), "--port", str(port), "--user", user]
    return Part(
        "clickhouse",
        _fixed([sys.executable, "-m", "anmodel.laptop.clickhouse", *options]),
        ready=partial(answers_http, port, "/ping"),
        port=port,
        port_variable="CLICKHOUSE_PORT",
        url=f"http://127.0.0.1:{port}",
        environment=FRUGAL,
    )


def _stage(name: str, port: int, *, needs: tuple[str, ...] = ()) -> Part:
    """A stage that answers HTTP. Alive is enough: a predictor without a model yet is no fault of the platform."""
    return Part(
        name,
        _fixed([*ANMODEL, name]),
        ready=partial(answers_http, port, "/health"),
        needs=needs,
        port=port,
        port_variable=f"{name.upper()}_PORT",
        url=f"http://127.0.0.1:{port}",
        environment=FRUGAL,
    )


def _task(name: str, command: list[str], needs: tuple[str, ...] = ()) -> Part:
    return Part(name, _fixed(command), needs=needs, once=True, deadline=600, environment=FRUGAL)


def _mlflow(port: int, environment: Mapping[str, str]) -> Part:
    """MLflow's UI. After the predictor: both would make a missing database's tables at the same time."""
    where = ["--backend-store-uri", environment["MLFLOW_TRACKING_URI"]]
    where += ["--default-artifact-root", environment["MLFLOW_ARTIFACTS"]]
    listening = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return Part(
        "mlflow",
        _fixed([sys.executable, "-m", "mlflow", "server", *where, *listening]),
        ready=partial(answers_http, port, "/health"),
        needs=("predictor",),
        port=port,
        port_variable="MLFLOW_PORT",
        url=f"http://127.0.0.1:{port}",
        environment=FRUGAL,
    )


def _fixed(command: list[str]) -> Callable[[], list[str]]:
    return lambda: command
