"""Sending events while no broker is there: what is answered, and when. Real librdkafka, nobody at the other end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from confluent_kafka import KafkaError, KafkaException

from anmodel.errors import SettingError, TopicError
from anmodel.event_topic import EventTopic
from anmodel.settings import KafkaSettings

Lonely = Callable[..., AbstractAsyncContextManager[EventTopic]]


@pytest.fixture
def lonely() -> Lonely:
    """A topic whose broker is not there, ended without waiting for what it holds."""

    @asynccontextmanager
    async def made(options: str = "", *, seconds: float = 0.5, most: int = 100) -> AsyncIterator[EventTopic]:
        settings = KafkaSettings.load(kafka_bootstrap="127.0.0.1:1", kafka_options=f"log_level=0;{options}")
        topic = EventTopic(settings, "events", delivery_timeout=seconds, max_waiting=most, max_bytes=1_048_576)
        await topic.start()
        yield topic
        await topic.stop(0.1)

    return made


async def test_each_message_is_answered_once_its_time_is_over(lonely: Lonely) -> None:
    async with lonely() as topic:
        failures = await topic.send([("a", b"1"), ("b", b"2")])
        assert set(failures) == {b"1", b"2"}
        assert topic.waiting == 0


async def test_a_library_that_does_not_answer_in_time_is_not_waited_for(lonely: Lonely) -> None:
    async with lonely("delivery.timeout.ms=60000", seconds=0.1) as topic:
        started = time.monotonic()
        with pytest.raises(TopicError, match=r"not confirmed within DELIVERY_TIMEOUT, 0\.1 s"):
            await topic.send([("a", b"1")])
        assert time.monotonic() - started < 30
        assert topic.waiting == 1  # it may still arrive, and takes room until that is known


async def test_no_more_bytes_wait_than_may(lonely: Lonely) -> None:
    async with lonely() as topic:
        values = [bytes([number]) * 200_000 for number in range(10)]
        failures = await topic.send([("a", value) for value in values])
        assert set(failures) == set(values)
        full = [value for value in values if "Queue full" in failures[value]]
        assert 3 <= len(full) <= 7


async def test_no_more_messages_wait_than_may_and_none_of_the_call_is_sent(lonely: Lonely) -> None:
    async with lonely(most=3) as topic:
        with pytest.raises(TopicError, match="0 events wait for Kafka already; at most 3 may"):
            await topic.send([("a", bytes([number])) for number in range(4)])
        assert topic.waiting == 0


async def test_without_messages_nothing_is_waited_for(lonely: Lonely) -> None:
    async with lonely() as topic:
        assert await topic.send([]) == {}


async def test_a_producer_that_cannot_be_replaced_hangs_nobody_and_is_tried_again(
    lonely: Lonely, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def poll(self, seconds: float) -> int:
            raise KafkaException(KafkaError(KafkaError._FATAL))

        def produce(self, *arguments: object) -> None:
            """Taken, and never heard of again."""

    def refused(kind: object, options: object) -> None:
        raise SettingError("no such file")

    async with lonely(seconds=0.1) as topic:
        topic._producer = Broken()  # type: ignore[assignment]
        with monkeypatch.context() as patched:
            patched.setattr("anmodel.event_topic.client", refused)
            with pytest.raises(TopicError, match="not confirmed within DELIVERY_TIMEOUT"):
                await asyncio.wait_for(topic.send([("a", b"1")]), 30)
        assert isinstance(topic._producer, Broken)
