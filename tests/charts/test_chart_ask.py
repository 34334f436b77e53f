"""The script of `helm test`, against servers that answer as the stages do, and as they must not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from rendered import CHART

from scripted_server import Answer, Request, ScriptedServer

API = "http://api.test"


def whole(request: Request, number: int) -> Answer:
    """As collector, gateway and console answer."""
    if request.path == "/collect":
        return Answer(422)
    if request.path == "/config.json":
        return Answer(200, json.dumps({"apiBase": API}).encode())
    return Answer(200, b"{}")


Serve = Callable[[Callable[[Request, int], Answer]], ScriptedServer]


def run(url: str, seconds: float = 0.0) -> subprocess.CompletedProcess[str]:
    addresses = dict.fromkeys(("COLLECTOR", "GATEWAY", "MARKETAPP"), url)
    return subprocess.run(
        [sys.executable, str(CHART / "files/ask.py")],
        env={"PATH": os.environ["PATH"], "API": API, "SECONDS_EACH": str(seconds), **addresses},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(ScriptedServer(answer).running())


def test_it_passes_where_everything_answers_and_sends_no_event(serve: Serve) -> None:
    server = serve(whole)
    done = run(server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert {request.path for request in server.requests} >= {
        "/ready",
        "/collect",
        "/users?limit=1",
        "/config.json",
        "/",
    }


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        (
            "/ready",
            Answer(503, b"no broker"),
            "FAILED  collector can reach Kafka: answered 503 instead of 200: no broker",
        ),
        ("/collect", Answer(201), "FAILED  collector refuses what is no event: answered 201"),
        ("/users?limit=1", Answer(500), "FAILED  gateway lists users: answered 500"),
        (
            "/config.json",
            Answer(200, b'{"apiBase": "http://old.test"}'),
            "FAILED  console knows the API: answered 200, apiBase",
        ),
    ],
)
def test_it_fails_and_says_what_is_wrong(path: str, answer: Answer, said: str, serve: Serve) -> None:
    done = run(serve(lambda request, number: answer if request.path == path else whole(request, number)).url)
    assert done.returncode == 1
    assert said in done.stdout
    assert done.stdout.count("FAILED") == 1


def test_it_waits_for_what_is_not_there_yet(serve: Serve) -> None:
    done = run(serve(lambda request, number: Answer(503) if number == 0 else whole(request, number)).url, seconds=20)
    assert done.returncode == 0, done.stdout


def test_it_fails_where_nobody_answers() -> None:
    done = run("http://127.0.0.1:9")
    assert done.returncode == 1
    assert "FAILED  gateway lives" in done.stdout
