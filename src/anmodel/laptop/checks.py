"""Looks at the road as a user would, end to end: what came in, what is stored, what is forecast, what is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from anmodel.errors import TopicError
from anmodel.laptop.forecast import StepRun
from anmodel.settings import ConsumerSettings

_SECONDS = 30.0


@dataclass
class Road:
    """What was found; `faults` are the broken links."""

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    memory_mb: float = 0.0

    def summary(self, seconds: Mapping[str, float], steps: list[StepRun], home: Path) -> str:
        """A page of counts, times and memory."""
        lines = ["", "The road, end to end"]
        lines += [f"  {name:<28}{count:>12,}" for name, count in self.counts.items()]
        lines += [f"  {name:<28}{value!s:>12}" for name, value in self.shown.items()]
        lines += ["Times"] + [f"  {name:<28}{value:>10.1f} s" for name, value in seconds.items()]
        lines += [f"    {' '.join(s.words):<26}{s.seconds:>10.1f} s  {s.peak_mb:>6.0f} MB at most" for s in steps]
        lines += ["Memory", f"  {'all parts together (PSS)':<28}{self.memory_mb:>9.0f} MB"]
        lines += [f"  {'forecast, at most':<28}{max((s.peak_mb for s in steps), default=0):>9.0f} MB"]
        return "\n".join([*lines, f"Data and logs are in {home}"])


def counts() -> dict[str, int]:
    """Messages on the topic, rows in the table (each once), and dead letters."""
    from anmodel.warehouse import Warehouse

    settings = ConsumerSettings.load()
    warehouse = Warehouse.connect(settings)
    row = warehouse.query(f"SELECT count() AS rows, uniqExact(user_id) AS users FROM {warehouse.db}.events_raw FINAL")[
        0
    ]
    return {
        "messages on the topic": _messages(settings, settings.kafka_topic),
        "dead letters": _messages(settings, settings.kafka_dead_topic),
        "rows in ClickHouse": int(row["rows"]),
        "users seen": int(row["users"]),
    }


def consumer_lag() -> int:
    """Messages on the topic that the consumer has not committed."""
    settings = ConsumerSettings.load()
    return sum(high - committed for high, committed in _positions(settings, settings.kafka_topic))


def _messages(settings: ConsumerSettings, topic: str) -> int:
    return sum(high for high, _ in _positions(settings, topic))


def _positions(settings: ConsumerSettings, topic: str) -> list[tuple[int, int]]:
    """(end, committed) of every partition."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    from anmodel.brokers import client, client_options

    consumer = client(Consumer, {**client_options(settings), "group.id": settings.consumer_group})
    try:
        partitions = consumer.list_topics(topic, _SECONDS).topics[topic].partitions
        places = consumer.committed([TopicPartition(topic, number) for number in partitions], _SECONDS)
        return [(consumer.get_watermark_offsets(place, _SECONDS)[1], max(0, place.offset)) for place in places]
    except KafkaException as error:
        raise TopicError(f"Kafka at {settings.kafka_bootstrap} does not answer: {error}") from error
    finally:
        consumer.close()


def check_road(before: Mapping[str, int], variables: Mapping[str, str]) -> Road:
    """Check each link; nothing raises, what is broken is in `faults`."""
    road = Road(counts())
    road.counts["events sent now"] = road.counts["messages on the topic"] - before["messages on the topic"]
    if road.counts["dead letters"] > before["dead letters"]:
        road.faults.append("messages went to the dead letters; see the headers on raw-events-dead")
    if not road.counts["rows in ClickHouse"]:
        road.faults.append("no row in ClickHouse; see `anmodel logs consumer`")
    with httpx.Client(timeout=_SECONDS) as client:
        _check_lake(road, variables)
        _check_gateway(road, client, variables["VITE_API_BASE"])
        _check_console(road, client, f"http://127.0.0.1:{variables['MARKETAPP_PORT']}")
    road.memory_mb = _memory_mb(Path(variables["ANMODEL_HOME"]))
    return road


def _check_lake(road: Road, variables: Mapping[str, str]) -> None:
    from anmodel.lake import Lake

    days = Lake(variables["PARQUET_OUT"]).events_manifest().days
    road.counts["rows in the lake"] = sum(day.rows for day in days.values())
    road.counts["days in the lake"] = len(days)
    if not days:
        road.faults.append("the lake has no day of events")


def _check_gateway(road: Road, client: httpx.Client, base: str) -> None:
    """/users with forecasts, and /predict of its first user's own features through the predictor."""
    try:
        answer = client.get(f"{base}/users", params={"limit": 1}).raise_for_status().json()
        road.counts["users with a forecast"] = answer["total"] if answer["mode"] == "full" else 0
        if answer["mode"] != "full" or not answer["users"]:
            road.faults.append(f"/users shows no forecasts: {answer['reason']}")
            return
        first = answer["users"][0]
        road.shown |= {"model version": answer["model_version"], "likeliest buyer": first["user_id"][:8]}
        road.shown["  chance to buy"] = f"{first['features']['purchase_proba']:.1%}"
        _check_predict(road, client, base, first["features"])
    except (httpx.HTTPError, KeyError, ValueError) as error:
        road.faults.append(f"the gateway: {error}")


def _check_predict(road: Road, client: httpx.Client, base: str, features: Mapping[str, Any]) -> None:
    service = client.get(f"{base}/services").raise_for_status().json()["services"][0]
    info = client.get(f"{base}/model-info/{service}").raise_for_status().json()
    record = {name: features.get(name) for name in info["features"]}
    answer = client.post(f"{base}/predict/{service}", json={"records": [record]}).raise_for_status().json()
    served = answer["predictions"][0]["purchase_proba"]
    if abs(served - features["purchase_proba"]) > 1e-6:
        road.faults.append(f"/predict says {served} where score said {features['purchase_proba']}")


def _check_console(road: Road, client: httpx.Client, base: str) -> None:
    try:
        page = client.get(base).raise_for_status().text
        if "<script" not in page:
            road.faults.append("the console's page has no script")
    except httpx.HTTPError as error:
        road.faults.append(f"the console: {error}")


def _memory_mb(home: Path) -> float:
    import time

    from anmodel.laptop.status import platform_status

    return platform_status(home, [], time.time()).memory / 1e6
