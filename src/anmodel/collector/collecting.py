"""`POST /collect`: from a request to its answer, which is given once the broker has the events."""

import asyncio
import time
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from anmodel.collector.access import Access
from anmodel.collector.answers import ACCEPTED, Answer, EventAnswer, to_batch, unavailable
from anmodel.collector.bodies import Body, event_id_of, split_body
from anmodel.collector.inflating import inflate
from anmodel.collector.metrics import CollectorMetrics
from anmodel.collector.reading import BodyReader, Receive
from anmodel.errors import EventRefused, RequestRefused, TopicError
from anmodel.event_topic import EventTopic
from anmodel.events import Event, Times, read_event
from anmodel.settings import CollectorSettings

AT_ONCE = 500
"""Events judged before other requests have their turn."""
_TIMES_SECONDS = 0.1
_SMALL = 64 << 10  # bytes of a body that is not counted: all of them together are as many as there are connections
_FIELDS = frozenset(Event.__struct_encode_fields__) | {"body", "properties.item_id", "properties.price"}

log = structlog.get_logger()


class Collect:
    """Takes requests apart, judges each event, sends the good ones and says what became of each."""

    def __init__(
        self, topic: EventTopic, settings: CollectorSettings, metrics: CollectorMetrics, access: Access
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._metrics = metrics
        self._access = access
        self._reader = BodyReader(
            settings.collect_max_bytes, settings.collect_body_seconds, held=settings.max_waiting_bytes
        )
        self._largest = settings.event_max_bytes
        self._times_made = float("-inf")
        self._times: Times

    async def answer(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive) -> Answer:
        """The answer to a request; raises `RequestRefused`, and `ClientGone` when nobody waits for one."""
        if self._access.restricted:
            await self._access.admit(scope, headers)
        if self._topic.waiting >= self._topic.max_waiting:  # said before the body is read: it would only cost
            raise RequestRefused(503, "body", f"{self._topic.waiting} events wait for Kafka already. Try later.", 2)
        raw = await self._reader.read(receive)
        if b"content-encoding" in headers:
            raw = inflate(raw, headers[b"content-encoding"].decode("latin-1"), self._settings.collect_max_bytes)
        if len(raw) <= _SMALL:
            return await self._take(raw, headers)
        with self._reader.held(len(raw)):
            return await self._take(raw, headers)

    async def _take(self, raw: bytes, headers: Mapping[bytes, bytes]) -> Answer:
        most = self._settings.collect_max_events
        try:
            body = split_body(raw, headers.get(b"content-type", b""), most)
        except EventRefused as refused:
            self._metrics.refuse(refused.field)
            raise RequestRefused(422, refused.field, refused.reason) from refused
        if body.single:
            return await self._take_one(body.events[0])
        if len(body.events) > most:
            reason = f"{len(body.events)} events; allowed: at most COLLECT_MAX_EVENTS, {most}"
            raise RequestRefused(413, "body", reason)
        return await self._take_batch(body)

    def _judge(self, raw: bytes) -> Event:
        if len(raw) > self._largest:
            raise EventRefused("body", f"{len(raw)} bytes; allowed: at most {self._largest} an event")
        return read_event(raw, self._times)

    def _renew_times(self) -> None:
        """Events are judged by the time of day, a tenth of a second old at most."""
        if (now := time.monotonic()) - self._times_made > _TIMES_SECONDS:
            self._times_made = now
            self._times = Times.around(datetime.now(UTC), self._settings.event_max_age_days)

    async def _take_one(self, raw: bytes) -> Answer:
        self._renew_times()
        try:
            event = self._judge(raw)
        except EventRefused as refused:
            self._count_refused(refused)
            status = 413 if len(raw) > self._largest else 422
            raise RequestRefused(status, refused.field, refused.reason) from refused
        failures = await self._deliver([(event.user_id, raw)])
        if failures:
            return unavailable(failures[raw])
        return ACCEPTED

    async def _take_batch(self, body: Body) -> Answer:
        answers: list[EventAnswer] = []
        sent: list[tuple[str, bytes]] = []
        accepted: list[tuple[EventAnswer, bytes]] = []
        for first in range(0, len(body.events), AT_ONCE):
            if first:
                await asyncio.sleep(0)
            self._renew_times()
            for index, raw in enumerate(body.events[first : first + AT_ONCE], first):
                try:
                    event = self._judge(raw)
                except EventRefused as refused:
                    self._count_refused(refused)
                    answers.append(EventAnswer(index, "refused", event_id_of(raw), refused.field, refused.reason))
                else:
                    answers.append(answer := EventAnswer(index, "accepted", event.event_id))
                    sent.append((event.user_id, raw))
                    accepted.append((answer, raw))
        failures = await self._deliver(sent) if sent else {}
        unconfirmed = _mark(accepted, failures) if failures else 0
        return to_batch(answers, len(answers) - len(sent), unconfirmed)

    async def _deliver(self, messages: list[tuple[str, bytes]]) -> dict[bytes, str]:
        """The values the broker has not confirmed, and why."""
        try:
            failures = await self._topic.send(messages)
        except TopicError as error:
            failures = {value: str(error) for _, value in messages}
        failed = 0
        if failures:
            failed = sum(value in failures for _, value in messages)
            log.warning("events not acknowledged by Kafka", events=failed, reason=next(iter(failures.values())))
        self._metrics.unavailable += failed
        self._metrics.accepted += len(messages) - failed
        return failures

    def _count_refused(self, refused: EventRefused) -> None:
        self._metrics.refuse(refused.field if refused.field in _FIELDS else "other")


def _mark(accepted: list[tuple[EventAnswer, bytes]], failures: dict[bytes, str]) -> int:
    """Answer for what the broker has not confirmed; how many there are."""
    unconfirmed = 0
    for answer, raw in accepted:
        if (reason := failures.get(raw)) is not None:
            answer.status, answer.field, answer.reason = "unavailable", "body", reason
            unconfirmed += 1
    return unconfirmed
