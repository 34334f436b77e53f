"""Asking a predictor over a network that breaks, through proxies that find nobody behind them."""

import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from anmodel.errors import UnavailableError
from anmodel.gateway.predictor_client import PredictorClient, PredictorFailed
from anmodel.laptop.kafka import free_port
from scripted_server import Answer, Request, ScriptedServer

RECORDS = [{"total_events": 3}]
GOOD = Answer(body=json.dumps({"predictions": [{"purchase_proba": 0.5}], "model_version": "3"}).encode())
PROXY = Answer(503, b"no healthy upstream", {"content-type": "text/plain"})
AWAY = "the predictor does not answer"


@asynccontextmanager
async def asking(url: str, seconds: float = 5.0, **options: Any) -> AsyncIterator[PredictorClient]:
    async with httpx.AsyncClient(timeout=httpx.Timeout(seconds, connect=1), trust_env=False) as http:
        yield PredictorClient(http, "context_aware", url=url, **options)


def answering(*answers: Answer) -> ScriptedServer:
    """A server that gives these answers one after the other, the last one for ever."""
    return ScriptedServer(lambda _, number: answers[min(number, len(answers) - 1)])


@pytest.mark.parametrize(
    "first", [Answer(drop=True), PROXY, Answer(502), Answer(504, b"<html>", {"content-type": "text/html"})]
)
async def test_what_is_over_in_a_moment_is_tried_once_more(first: Answer) -> None:
    with answering(first, GOOD).running() as server:
        async with asking(server.url) as predictor:
            assert (await predictor.predict(RECORDS))["model_version"] == "3"
        assert [json.loads(request.body) for request in server.requests] == [{"instances": RECORDS}] * 2


@pytest.mark.parametrize("first", [Answer(drop=True), PROXY])
async def test_what_lasts_is_told_after_the_second_try(first: Answer) -> None:
    with answering(first).running() as server:
        async with asking(server.url) as predictor:
            with pytest.raises(UnavailableError, match=AWAY):
                await predictor.predict(RECORDS)
        assert len(server.requests) == 2


async def test_the_predictors_own_503_keeps_its_words_and_is_not_tried_again() -> None:
    with answering(Answer(503, b'{"error": "columns differ: foo"}')).running() as server:
        async with asking(server.url) as predictor:
            with pytest.raises(UnavailableError, match="columns differ: foo"):
                await predictor.predict(RECORDS)
        assert len(server.requests) == 1


@pytest.mark.parametrize("before", [[], [PROXY]])
async def test_both_tries_together_take_no_longer_than_they_may(before: list[Answer]) -> None:
    over = threading.Event()

    def answer(_: Request, number: int) -> Answer:
        if number < len(before):
            over.wait(1)
            return before[number]
        over.wait(20)
        return GOOD

    with ScriptedServer(answer).running() as server:
        async with asking(server.url, seconds=2) as predictor:
            started = time.monotonic()
            with pytest.raises(UnavailableError, match="took too long"):
                await predictor.predict(RECORDS)
            assert 1.9 < time.monotonic() - started < 2.9  # a second try of its own 2 s would end after 3.1
        over.set()
        assert len(server.requests) == len(before) + 1


async def test_nobody_there_is_told() -> None:
    async with asking(f"http://127.0.0.1:{free_port()}") as predictor:
        with pytest.raises(UnavailableError, match=AWAY):
            await predictor.info()


async def test_a_gateway_without_a_route_is_nobody_there() -> None:
    with answering(Answer(404)).running() as server:
        async with asking(server.url) as predictor:
            with pytest.raises(UnavailableError, match=AWAY):
                await predictor.predict(RECORDS)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b'{"error": "internal error"}'),
        Answer(404, b'{"error": "no such model"}'),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer(200, b'{"predictions": [], "model_version": "3"}'),
    ],
)
async def test_an_answer_that_is_none_is_the_predictors_failure(answer: Answer) -> None:
    with answering(answer).running() as server:
        async with asking(server.url) as predictor:
            with pytest.raises(PredictorFailed):
                await predictor.predict(RECORDS)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, lambda url: url.removeprefix("http://")), ({"host": "serving.example"}, lambda _: "serving.example")],
)
async def test_a_gateway_is_told_the_host_that_it_routes_by(
    options: dict[str, str], expected: Callable[[str], str]
) -> None:
    with answering(GOOD).running() as server:
        async with asking(f"{server.url}/", **options) as predictor:
            await predictor.predict(RECORDS)
        (request,) = server.requests
    assert request.headers["host"] == expected(server.url)
    assert request.path == "/v1/models/context_aware:predict"
