"""A collector without Kafka: judges events as the real one does and fails when told."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from anmodel.errors import EventRefused
from anmodel.events import decode_event
from scripted_server import Answer, Request, ScriptedServer


class FakeCollector(ScriptedServer):
    """`stored` counts how often each event (its bytes) was stored.

    `fail` may answer a request by its number instead; `loses` says which event ids are "unavailable" at a request.
    """

    def __init__(
        self,
        fail: Callable[[int], Answer | None] = lambda _: None,
        loses: Callable[[str, int], bool] = lambda _, __: False,
        most: int = 10_000,
    ) -> None:
        super().__init__(self._collect)
        self.stored: Counter[bytes] = Counter()
        self._fail, self._loses, self._most, self._storing = fail, loses, most, threading.Lock()

    @property
    def collect(self) -> str:
        """Where to post."""
        return f"{self.url}/collect"

    def _collect(self, request: Request, number: int) -> Answer:
        if (failure := self._fail(number)) is not None:
            return failure
        packed = request.headers.get("content-encoding") == "gzip"
        events = (gzip.decompress(request.body) if packed else request.body).split(b"\n")
        if len(events) > self._most:
            return Answer(413, json.dumps({"detail": [{"field": "body", "reason": "too many"}]}).encode())
        answers = [self._judge(raw, index, number) for index, raw in enumerate(events)]
        with self._storing:
            self.stored.update(
                raw for raw, answer in zip(events, answers, strict=True) if answer["status"] == "accepted"
            )
        if "ndjson" not in request.headers["content-type"]:
            return self._single(answers[0])
        counts = Counter(answer["status"] for answer in answers)
        status = 503 if counts["unavailable"] else 207 if counts["refused"] else 201
        body = {name: counts[name] for name in ("accepted", "refused", "unavailable")} | {"events": answers}
        return Answer(status, json.dumps(body).encode())

    def _judge(self, raw: bytes, index: int, number: int) -> dict[str, object]:
        try:
            event = decode_event(raw, now=datetime.now(UTC), max_age_days=1825)
        except EventRefused as refused:
            return {"index": index, "status": "refused", "field": refused.field, "reason": refused.reason}
        if self._loses(event.event_id, number):
            return {"index": index, "status": "unavailable", "field": "body", "reason": "not acknowledged"}
        return {"index": index, "status": "accepted", "event_id": event.event_id}

    def _single(self, answer: dict[str, object]) -> Answer:
        if answer["status"] == "accepted":
            return Answer(201)
        status = 422 if answer["status"] == "refused" else 503
        problem = {"field": answer["field"], "reason": answer["reason"]}
        return Answer(status, json.dumps({"detail": [problem]}).encode())
