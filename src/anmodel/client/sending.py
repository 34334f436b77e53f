"""Sends events to a collector: in batches, a few requests at once, repeating what was not confirmed.

An event is repeated with the same bytes, hence the same id and time, so it counts once however often it arrives.
"""

import asyncio
import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import httpx
import structlog

from anmodel.client.answers import LONGEST_WAIT, Answered, name_of, problem_of, read_answer, retry_after
from anmodel.client.report import SendReport
from anmodel.errors import InputError, UnavailableError

log = structlog.get_logger()

_TRY_AGAIN = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How to send. `timeout` is seconds a request may take; `retry_for` seconds a batch is repeated before sending
    stops; `delay` seconds a worker rests after each request; `rate` events a second at most, None for no bound;
    `first_wait` seconds before a batch is repeated, doubled each time up to 5; `key` the write key, where the collector
    asks for one; `compress` sends bodies by gzip, a tenth of the bytes for some processor time."""

    batch: int = 500
    concurrency: int = 4
    timeout: float = 30.0
    retry_for: float = 120.0
    delay: float = 0.0
    rate: float | None = None
    first_wait: float = 0.2
    key: str = field(default="", repr=False)
    compress: bool = False


class CollectorClient:
    """Posts to the collector at `url` (its `/collect`)."""

    def __init__(self, url: str, options: SendOptions = SendOptions()) -> None:
        if not re.match(r"https?://[^/]", url):
            raise InputError(f"the collector's URL is {url!r}; allowed: http(s)://HOST:PORT/collect")
        self._url = url
        self._options = options
        # A steady stream goes out in small steps, a burst a second is not steady.
        step = max(1, int(options.rate / 4)) if options.rate else options.batch
        self._batch = min(options.batch, step)

    def send_all(self, events: Iterable[bytes], on_progress: Callable[[SendReport], None] | None = None) -> SendReport:
        """`send` for callers without an event loop."""
        return asyncio.run(self.send(events, on_progress))

    async def send(
        self, events: Iterable[bytes], on_progress: Callable[[SendReport], None] | None = None
    ) -> SendReport:
        """Send events (wire JSON), read one batch at a time; batches go out in order, up to `concurrency` at once.

        A collector that stays away for `retry_for` seconds, or an answer that no repeat can mend, stops sending: the
        report says so. Safe to repeat as a whole.
        """
        report = SendReport()
        started = time.monotonic()
        source = self._batches(events, report)
        limits = httpx.Limits(max_connections=self._options.concurrency)
        # A proxy of the environment is no way to this machine itself.
        # Without TLS there are no certificates to load, which takes longer than a small batch.
        url = httpx.URL(self._url)
        near, tls = url.host in ("localhost", "127.0.0.1", "::1"), url.scheme == "https"
        async with httpx.AsyncClient(
            timeout=self._options.timeout, limits=limits, trust_env=not near, verify=tls
        ) as http:
            sending = _Sending(http, self._url, self._options, report, started, on_progress)
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(self._options.concurrency):
                        workers.create_task(sending.work(source))
            except* (UnavailableError, InputError) as group:
                report.stopped = str(group.exceptions[0])
        report.failed = report.sent - report.accepted - report.refused
        if report.failed:
            report.reasons["not confirmed by the collector"] += report.failed
        report.seconds = time.monotonic() - started
        return report

    def _batches(self, events: Iterable[bytes], report: SendReport) -> Iterator[tuple[int, list[bytes]]]:
        """Batches with the number of events before each."""
        rest = iter(events)
        while batch := list(islice(rest, self._batch)):
            before = report.sent
            report.sent += len(batch)
            yield before, batch


class _Sending:
    """One run of `send`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        options: SendOptions,
        report: SendReport,
        started: float,
        on_progress: Callable[[SendReport], None] | None,
    ) -> None:
        self._http, self._url, self._options, self._report, self._started = http, url, options, report, started
        self._on_progress = on_progress
        self._complained = False

    async def work(self, source: Iterator[tuple[int, list[bytes]]]) -> None:
        """Send batches until there are no more."""
        for before, batch in source:
            if self._options.rate:
                await self._sleep_until(self._started + before / self._options.rate)
            await self._deliver(batch)
            if self._on_progress:
                self._on_progress(self._report)
            if self._options.delay:
                await asyncio.sleep(self._options.delay)

    async def _sleep_until(self, moment: float) -> None:
        if (seconds := moment - time.monotonic()) > 0:
            await asyncio.sleep(seconds)

    async def _deliver(self, batch: list[bytes]) -> None:
        """Repeat what is unconfirmed until all of `batch` is accepted or refused."""
        deadline = time.monotonic() + self._options.retry_for
        wait = self._options.first_wait
        while batch:
            response, problem = await self._post(batch)
            unconfirmed = batch if response is None else await self._settle(response, batch)
            if not unconfirmed:
                self._complained = False
                return
            if len(unconfirmed) < len(batch):  # the collector gets on: start waiting anew
                deadline, wait = time.monotonic() + self._options.retry_for, self._options.first_wait
            batch = unconfirmed
            pause = max(wait, retry_after(response))
            cause = problem or (f"HTTP {response.status_code}" if response is not None else "")
            self._complain(cause)
            if time.monotonic() + pause > deadline:
                raise UnavailableError(
                    f"{self._url} did not confirm events for {self._options.retry_for:g} s ({cause}). "
                    "Start the collector and send again: what arrived twice counts once."
                )
            self._report.retries += 1
            await asyncio.sleep(pause)
            wait = min(wait * 2, LONGEST_WAIT)

    def _complain(self, cause: str) -> None:
        """Say once an outage that sending waits."""
        if not self._complained:
            self._complained = True
            log.warning("events not confirmed, sending again", url=self._url, cause=cause)

    async def _post(self, batch: list[bytes]) -> tuple[httpx.Response | None, str]:
        """The collector's answer, or None and why there is none."""
        single = self._options.batch == 1
        headers = {"content-type": "application/json" if single else "application/x-ndjson"}
        content = b"\n".join(batch)
        if self._options.key:
            headers["authorization"] = f"Bearer {self._options.key}"
        if self._options.compress:
            headers["content-encoding"] = "gzip"
            content = gzip.compress(content, 1)
        try:
            return await self._http.post(self._url, content=content, headers=headers), ""
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__

    async def _settle(self, response: httpx.Response, batch: list[bytes]) -> list[bytes]:
        """Count what the answer decides; the events that have to be sent again."""
        status = response.status_code
        if status == 413 and len(batch) > 1:
            middle = len(batch) // 2
            await self._deliver(batch[:middle])
            await self._deliver(batch[middle:])
            return []
        if status in (201, 207, 422, 503) and (answer := read_answer(response, len(batch))):
            return self._count(answer, batch)
        if status == 201 and len(batch) == 1:
            self._report.accepted += len(batch)
            return []
        if status in _TRY_AGAIN:
            return batch
        if status in (413, 422):
            at, reason = problem_of(response)
            for event in batch:
                self._report.refuse(name_of(event), at, reason)
            return []
        if status in (401, 403):
            raise InputError(f"{self._url} does not take events with this write key: {problem_of(response)[1]}")
        raise InputError(f"{self._url} answered HTTP {status}: {response.text[:200]!r}. Is it a collector's /collect?")

    def _count(self, answer: list[Answered], batch: list[bytes]) -> list[bytes]:
        again = []
        for item in answer:
            if item.status == "accepted":
                self._report.accepted += 1
            elif item.status == "refused":
                name = item.event_id or name_of(batch[item.index])
                self._report.refuse(name, item.field or "body", item.reason or "no reason given")
            else:
                again.append(batch[item.index])
        return again
