"""`anmodel forecast`: the batch steps in order, each a process of its own, as in the cluster each is a pod."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from anmodel.errors import AnModelError, InputError

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("export", ("export",)),
    ("trends", ("trends",)),
    ("snapshot", ("snapshot", "train")),
    ("train", ("train",)),
    ("register", ("register",)),
    ("snapshot", ("snapshot", "daily")),
    ("score", ("score",)),
    ("monitor", ("monitor",)),
)
"""(stage, the command's words), in the order of their needs."""

NAMES = tuple(dict.fromkeys(stage for stage, _ in STEPS))


class StepFailedError(AnModelError):
    """A step ended with an exit code other than 0; what it said stands above."""


@dataclass(frozen=True, slots=True)
class StepRun:
    """One finished step: its words, seconds, and the most memory it held (resident, MB)."""

    words: tuple[str, ...]
    seconds: float
    peak_mb: float


def run_steps(only: str = "", start: str = "", say: Callable[[str], None] = typer.echo) -> list[StepRun]:
    """Run the steps in order; `only` names one, `start` the first. Safe to repeat: a step replaces its own output.

    Raises `StepFailedError` at the first step that fails; those before it stay done.
    """
    runs = []
    chosen = chosen_steps(only, start)
    for number, (_, words) in enumerate(chosen, start=1):
        say(f"[{number}/{len(chosen)}] {' '.join(words)}")
        runs.append(run_step(words))
        say(f"      done in {runs[-1].seconds:.1f} s, {runs[-1].peak_mb:.0f} MB at most")
    return runs


def chosen_steps(only: str, start: str) -> list[tuple[str, tuple[str, ...]]]:
    """The steps to run, in order: of one stage, from a stage on, or all. `InputError` for an unknown one."""
    for option, name in (("--only", only), ("--from", start)):
        if name and name not in NAMES:
            raise InputError(f"{option}: there is no step {name!r}; the steps are {', '.join(NAMES)}.")
    if only:
        return [step for step in STEPS if step[0] == only]
    first = next((place for place, step in enumerate(STEPS) if step[0] == start), 0)
    return list(STEPS[first:])


def run_step(words: tuple[str, ...]) -> StepRun:
    """Run one command to its end; raises `StepFailedError`. Interrupted, it takes the command with it."""
    begun = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "anmodel", *words])
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        child.terminate()
        child.wait()
        raise
    code = child.returncode = os.waitstatus_to_exitcode(status)
    if code:
        raise StepFailedError(
            f"{' '.join(words)} ended with exit code {code}. Repair what it names, then go on with "
            f"`anmodel forecast --from {words[0]}`."
        )
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return StepRun(words, time.monotonic() - begun, kilobytes / 1024)


def command(
    only: Annotated[str, typer.Option(help=f"Run one step: {', '.join(NAMES)}.", metavar="STEP")] = "",
    start: Annotated[str, typer.Option("--from", help="Run from this step on.", metavar="STEP")] = "",
) -> None:
    """export, trends, snapshot, train, register, score and monitor, in order. Safe to repeat."""
    runs = run_steps(only, start)
    typer.echo(f"forecast made in {sum(run.seconds for run in runs):.1f} s, {max(run.peak_mb for run in runs):.0f} MB")
