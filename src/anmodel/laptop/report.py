"""What `anmodel up` shows while it starts: moving lines on a terminal, plain ones elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from anmodel.laptop.board import UP, Report
from anmodel.laptop.state import PartState, Stage

STYLES = {Stage.READY: "green", Stage.DONE: "green", Stage.FAILED: "red", Stage.RESTARTING: "yellow"}
PROGRESS_SECONDS = 2.0


class PlainReport:
    """A line for each change."""

    def __init__(self) -> None:
        self._seen: dict[str, Stage] = {}
        self._began = time.monotonic()
        self._told: dict[str, float] = {}

    def changed(self, part: PartState) -> None:
        """Print the part's new state; changes of anything else are not told."""
        if self._seen.get(part.name) != part.state:
            self._seen[part.name] = part.state
            note = _note(part)
            typer.echo(f"[{time.monotonic() - self._began:6.1f} s] {part.name} {part.state}{note}", err=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """Print how far it is, every two seconds and at the end."""
        now = time.monotonic()
        if done == total or now - self._told.get(name, 0) >= PROGRESS_SECONDS:
            self._told[name] = now
            typer.echo(f"[{now - self._began:6.1f} s] {name} fetching {done}/{total}", err=True)


class TerminalReport:
    """A line for each part, changing in place, until all are up; after that, `PlainReport`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def changed(self, part: PartState) -> None:
        """Change the part's line."""
        style = STYLES.get(part.state, "cyan")
        text = f"[{style}]{part.state}[/]{escape(_note(part))}"
        task = self._task(part.name)
        if part.state is Stage.PREPARING:
            self._progress.update(task, total=None)
        self._progress.update(task, text=text)
        if part.state in UP or part.state in (Stage.FAILED, Stage.STOPPED):
            self._progress.update(task, total=1, completed=1)
            self._progress.stop_task(task)

    def progress(self, name: str, done: int, total: int) -> None:
        """Fill the part's bar."""
        # one more than there is: the line is not finished before the part is up
        self._progress.update(self._task(name), completed=done, total=total + 1, text=f"fetching {done}/{total}")

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, text="")
        return self._tasks[name]


def _note(part: PartState) -> str:
    """What belongs beside a state, in one line; why a part failed is told in full by the error that follows."""
    if part.state is Stage.READY and part.url:
        return f" at {part.url}"
    return f": {part.note.splitlines()[0]}" if part.note and part.state is not Stage.FAILED else ""


class Switching:
    """Hands everything to one report, which may be exchanged."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def changed(self, part: PartState) -> None:
        """See the report in use."""
        self.report.changed(part)

    def progress(self, name: str, done: int, total: int) -> None:
        """See the report in use."""
        self.report.progress(name, done, total)


@contextmanager
def starting(report: Switching) -> Iterator[None]:
    """Moving lines on a terminal for the time of the start; elsewhere nothing changes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(finished_text="·"), TextColumn("{task.description:16}"), BarColumn(16))
    after = report.report
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[text]}"), console=console) as progress:
        report.report = TerminalReport(progress)
        try:
            yield
        finally:
            report.report = after
