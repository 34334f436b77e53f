"""Rate limits: counted in the process, and by a real Valkey for several replicas."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from anmodel.collector.app import build_app
from anmodel.collector.keys import line_of
from anmodel.errors import SettingError
from anmodel.event_topic import EventTopic
from anmodel.gateway.app import create_app
from anmodel.gateway.parts import Parts
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.rate import Limiter, client_of
from anmodel.settings import CollectorSettings, RateSettings
from stages import Stage
from valkey_process import ValkeyProcess

ONE, TWO = "203.0.113.1", "203.0.113.2"
PATIENCE = 20.0
"""Seconds for Valkey where a busy machine must not look like a fault."""


class NoTopic:
    """Nothing is sent here: what is posted is no event."""

    waiting = 0
    max_waiting = 1


def no_parts() -> AbstractAsyncContextManager[Parts]:
    raise AssertionError("no answer here needs a part")


def collector(**settings: object) -> ASGIApp:
    return build_app(cast(EventTopic, NoTopic()), CollectorSettings.load(**settings))


def gateway(**settings: object) -> ASGIApp:
    patient = {"valkey_timeout": PATIENCE} | settings
    return create_app(no_parts, ["http://console"], RateSettings.load(**patient))


async def asked(app: ASGIApp, path: str = "/nothing", *, by: str = ONE, **more: Any) -> httpx.Response:
    """One GET, or with `method` another request, from the address `by`."""
    transport = httpx.ASGITransport(app, client=(by, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://stage") as client:
        return await client.request(**{"method": "GET", "url": path, **more})


async def statuses(app: ASGIApp, times: int, path: str = "/nothing", **more: Any) -> list[int]:
    return [(await asked(app, path, **more)).status_code for _ in range(times)]


@pytest.fixture
def valkey(tmp_path: Path, guardian: Guardian) -> Iterator[ValkeyProcess]:
    process = ValkeyProcess(tmp_path, guardian).start()
    yield process
    process.kill()


def counted(limiter_app: ASGIApp, outcome: str) -> float:
    """What the gateway's metrics say of an outcome."""
    registry: CollectorRegistry = cast(Any, limiter_app).state.metrics
    return registry.get_sample_value("anmodel_rate_limit_requests_total", {"outcome": outcome}) or 0


async def test_a_client_over_its_limit_is_refused_and_told_when_to_come_back_and_another_is_served() -> None:
    app = gateway(rate_limit="3/day")
    assert await statuses(app, 4) == [404, 404, 404, 429]
    refused = await asked(app)
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert refused.json()["detail"].startswith("too many requests: more than 3/day from one address; wait ")
    assert await statuses(app, 1, by=TWO) == [404]
    assert [counted(app, outcome) for outcome in ("allowed", "refused", "unchecked")] == [4, 2, 0]


async def test_a_browser_may_read_the_refusal() -> None:
    app = gateway(rate_limit="1/day")
    first, second = [await asked(app, headers={"Origin": "http://console"}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (404, 429)
    assert second.headers["Access-Control-Allow-Origin"] == "http://console"
    assert "Retry-After" in second.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("where", ["in the process", "in Valkey"])
async def test_after_the_told_wait_the_client_is_served_again_and_never_twice_the_rate_at_once(
    where: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue("valkey") if where == "in Valkey" else None
    more = {"valkey_url": found.url, "valkey_password": found.password} if found else {}
    limiter = Limiter(RateSettings.load(rate_limit="10/second", **more), CollectorRegistry())
    served: list[float] = []
    end = time.monotonic() + 3
    while time.monotonic() < end:
        seconds = await limiter.seconds_to_wait(ONE)
        assert seconds <= 2
        served += [] if seconds else [time.monotonic()]
        await asyncio.sleep(0.002)
    assert 25 <= len(served) <= 45
    at_once = [sum(start <= moment < start + 0.2 for moment in served) for start in served]
    assert max(at_once) <= 14  # windows that begin anew would let 20 pass


async def test_what_watches_a_stage_is_never_refused() -> None:
    app = gateway(rate_limit="1/day")
    assert await statuses(app, 3, "/health") == [200] * 3
    assert await statuses(app, 3, "/metrics") == [200] * 3
    app = collector(rate_limit="1/day")
    assert await statuses(app, 3, "/health") == [200] * 3


async def test_the_collector_limits_posted_events_alone_and_answers_in_its_own_form() -> None:
    app = collector(rate_limit="2/day")
    assert await statuses(app, 3, "/collect") == [405] * 3
    assert await statuses(app, 3, "/collect", method="POST", content=b"no event") == [422, 422, 429]
    refused = await asked(app, "/collect", method="POST")
    (problem,) = refused.json()["detail"]
    assert problem["field"] == "client"
    assert problem["reason"].startswith("too many requests: more than 2/day from one address; wait ")
    assert int(refused.headers["Retry-After"]) > 0
    assert 'anmodel_rate_limit_requests_total{outcome="refused"} 2.0' in (await asked(app, "/metrics")).text


async def test_replicas_count_together_in_valkey(valkey: ValkeyProcess) -> None:
    given = {"rate_limit": "5/day", "valkey_url": valkey.url, "valkey_password": valkey.password}
    replicas = [gateway(**given), gateway(**given)]
    found = [await statuses(replicas[number % 2], 1) for number in range(8)]
    assert found == [[404]] * 5 + [[429]] * 3
    assert await statuses(replicas[0], 1, by=TWO) == [404]


async def test_a_write_keys_rate_is_counted_for_all_replicas_together(valkey: ValkeyProcess, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\n".join([line_of("a", "key-a", rate="3/day"), line_of("b", "key-b", rate="3/day")]))
    given = {"valkey_url": valkey.url, "valkey_password": valkey.password, "valkey_timeout": PATIENCE}
    replicas = [collector(write_keys=str(keys), **given) for _ in range(2)]

    async def status(number: int, key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        answer = await asked(replicas[number % 2], "/collect", method="POST", content=b"no event", headers=headers)
        return answer.status_code

    assert [await status(number, "key-a") for number in range(5)] == [422] * 3 + [429] * 2
    assert await status(0, "key-b") == 422


async def test_many_requests_at_once_are_counted_exactly(valkey: ValkeyProcess) -> None:
    app = gateway(rate_limit="50/day", valkey_url=valkey.url, valkey_password=valkey.password)
    answers = await asyncio.gather(*(asked(app) for _ in range(200)))
    assert sorted(answer.status_code for answer in answers) == [404] * 50 + [429] * 150


async def test_a_valkey_that_is_gone_lets_everyone_through_and_says_so_once(valkey: ValkeyProcess) -> None:
    app = gateway(rate_limit="1/day", valkey_url=valkey.url, valkey_password=valkey.password)
    assert await statuses(app, 2) == [404, 429]
    valkey.kill()
    with capture_logs() as logs:
        assert await statuses(app, 20) == [404] * 20
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["rates not checked"]
    assert valkey.password not in str(logs)
    assert counted(app, "unchecked") == 20


async def test_a_valkey_that_is_back_counts_again(valkey: ValkeyProcess) -> None:
    settings = RateSettings.load(
        rate_limit="1/day", valkey_url=valkey.url, valkey_password=valkey.password, valkey_timeout=PATIENCE
    )
    limiter = Limiter(settings, CollectorRegistry(), rest=0.1)
    assert [bool(await limiter.seconds_to_wait(ONE)) for _ in range(2)] == [False, True]
    valkey.kill()
    assert not await limiter.seconds_to_wait(ONE)
    valkey.start()  # what was counted is gone with it
    deadline = time.monotonic() + 10
    while not await limiter.seconds_to_wait(ONE):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_valkey_that_hangs_costs_one_request_a_moment_and_the_others_nothing(valkey: ValkeyProcess) -> None:
    app = gateway(rate_limit="1/day", valkey_url=valkey.url, valkey_password=valkey.password, valkey_timeout=1)
    await statuses(app, 2)  # connected
    valkey.signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert await statuses(app, 20) == [404] * 20
        assert time.monotonic() - started < 6  # not 20 times a second
    finally:
        valkey.signal(signal.SIGCONT)


async def test_a_wrong_password_lets_everyone_through_and_is_logged(valkey: ValkeyProcess) -> None:
    app = gateway(rate_limit="1/day", valkey_url=valkey.url, valkey_password="wrong")
    with capture_logs() as logs:
        assert await statuses(app, 3) == [404] * 3
    (reason,) = (line["reason"] for line in logs if line["log_level"] == "warning")
    assert "password" in reason.lower()


@pytest.mark.parametrize(
    ("name", "method", "path", "passed"), [("gateway", "GET", "/services", 200), ("collector", "POST", "/collect", 422)]
)
@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.0/8"])
def test_a_client_is_whom_a_trusted_proxy_names_and_nobody_else(
    name: str, method: str, path: str, passed: int, trusted: str, tmp_path: Path, guardian: Guardian
) -> None:
    port = free_port()
    variables = {
        f"{name.upper()}_PORT": str(port),
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "CLICKHOUSE_PASSWORD": "none",
        "RATE_LIMIT": "1/day",
        "TRUSTED_PROXIES": trusted,
    }
    stage = Stage(name, variables, tmp_path, guardian, f"http://127.0.0.1:{port}").start()
    try:
        named = [{"X-Forwarded-For": address} for address in (ONE, TWO, ONE)]
        answers = [httpx.request(method, f"{stage.url}{path}", headers=headers) for headers in named]
    finally:
        stage.kill()
    second = passed if trusted == "127.0.0.1" else 429
    assert [answer.status_code for answer in answers] == [passed, second, 429]


def test_without_a_limit_nothing_is_loaded_for_it() -> None:
    lines = [
        "import sys",
        "from anmodel.gateway.app import create_app",
        "from anmodel.collector.app import build_app",
        "from anmodel.settings import CollectorSettings",
        "create_app(None)",
        "build_app(None, CollectorSettings.load())",
        "assert not {'limits', 'valkey'} & set(sys.modules)",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one_line(address: str, client: str) -> None:
    assert client_of({"type": "http", "client": (address, 1)}) == client
    assert client_of({"type": "http", "client": None}) == "unknown"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_limit", "many"),
        ("rate_limit", "0/minute"),
        ("rate_limit", "10/fortnight"),
        ("valkey_url", "http://cache"),
        ("trusted_proxies", "10.0.0.0/99"),
        ("trusted_proxies", "envoy"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name.upper()):
        RateSettings.load(**{name: value})


async def test_the_documented_limits_are_understood() -> None:
    for unit in ("second", "minute", "hour", "day"):
        limiter = Limiter(RateSettings.load(rate_limit=f"7/{unit}"), CollectorRegistry())
        assert limiter.rate == f"7/{unit}"
        assert await limiter.seconds_to_wait(ONE) == 0
