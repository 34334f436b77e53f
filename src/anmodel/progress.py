"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 5.0
"""Seconds between plain lines."""


class ProgressLine:
    """Shows how many of `total` are done, the rate, what is left, and a note; `total` None when nobody knows."""

    def __init__(
        self, what: str, total: int | None = None, *, unit: str = "events", file: TextIO | None = None
    ) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._file = file or sys.stderr
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._file.isatty():
            self._bar, self._task = self._make_bar()

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, done: int, note: str = "") -> None:
        """Tell the state; cheap enough to be called for every batch."""
        now = time.monotonic()
        if self._bar and self._task is not None:
            rate = f"{done / max(now - self._started, 1e-9):,.0f} {self._unit}/s"
            self._bar.update(self._task, completed=done, rate=rate, note=note)
        elif now - self._shown >= PLAIN_SECONDS:
            self._shown = now
            print(self.line(done, note), file=self._file, flush=True)

    def line(self, done: int, note: str = "") -> str:
        """The state as one plain line."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = done / seconds
        parts = [f"{self._what}: {done:,}" + (f" of {self._total:,} {self._unit}" if self._total else f" {self._unit}")]
        parts += [note] if note else []
        parts.append(f"{rate:,.0f}/s")
        if self._total and 0 < done < self._total:
            parts.append(f"{(self._total - done) / rate:,.0f} s left")
        return ", ".join(parts)

    def _make_bar(self) -> tuple[Progress, TaskID]:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=self._file),
        )
        return bar, bar.add_task(self._what, total=self._total, rate="", note="")
