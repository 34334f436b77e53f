"""The body of a request, read no further and no longer than is allowed."""

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from anmodel.errors import RequestRefused

Receive = Any  # ASGI's; its own type costs an import of a whole framework's


class ClientGone(Exception):
    """The client left before its request was whole: nobody is there to be answered."""


class BodyReader:
    """Reads bodies of at most `most` bytes, each within `seconds`; all that are not whole yet hold at most `held`."""

    def __init__(self, most: int, seconds: float, held: int) -> None:
        self._most = most
        self._seconds = seconds
        self._room = held

    async def read(self, receive: Receive) -> bytes:
        """The whole body; raises `RequestRefused` or `ClientGone`.

        A small body is there with its request. Only who has to wait for more gets a timer: it costs as much as judging
        an event.
        """
        first = receive().__await__()
        try:
            waits_for = next(first)
        except StopIteration as there:
            message = there.value
            if message["type"] == "http.request" and not message.get("more_body"):
                return self._whole(message["body"])
        else:
            message = _Started(first, waits_for)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._rest(message, receive)
        except TimeoutError:
            reason = f"not whole after COLLECT_BODY_SECONDS, {self._seconds:g} s"
            raise RequestRefused(408, "body", reason) from None

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count a large body, as it is after inflating, until its answer is made; 503 when there is no room for it."""
        self._claim(size)
        try:
            yield
        finally:
            self._room += size

    def _claim(self, size: int) -> None:
        if size > self._room:
            raise RequestRefused(503, "body", "too many large requests at once. Try later.", retry_after=2)
        self._room -= size

    def _whole(self, body: bytes) -> bytes:
        if len(body) > self._most:
            raise RequestRefused(413, "body", f"larger than COLLECT_MAX_BYTES, {self._most} bytes")
        return body

    async def _rest(self, first: Any, receive: Receive) -> bytes:
        """The body whose first message is there, or has been asked for."""
        body = bytearray()
        message = await first if isinstance(first, _Started) else first
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGone
                self._take(body, message.get("body", b""))
                if not message.get("more_body"):
                    return bytes(body)
                message = await receive()
        finally:
            self._room += len(body)

    def _take(self, body: bytearray, more: bytes) -> None:
        if len(body) + len(more) > self._most:
            raise RequestRefused(413, "body", f"larger than COLLECT_MAX_BYTES, {self._most} bytes")
        self._claim(len(more))
        body += more


class _Started:
    """Awaits what has been started already and waits for a future."""

    def __init__(self, started: Generator[Any, Any, Any], waits_for: Any) -> None:
        self._started = started
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        yield self._waits_for
        return (yield from self._started)
