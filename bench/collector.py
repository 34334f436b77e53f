"""The collector, one event a request, against a bare endpoint on the same server and against the original's way.

256 connections, `acks=all`, idempotent; the server on core 0, loader and broker on core 1. Rounds take turns, and the
median counts. BASELINE names the file of the original's way, BASELINE_PYTHON a Python that has its packages.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import loaders, running, servers
from bench.cores import used_while
from bench.result import Row, report
from bench.traffic import lines

WARM_SECONDS = 2.0
Start = Callable[[], AbstractContextManager[servers.Server]]


@dataclass(frozen=True)
class Round:
    """One server under load."""

    rate: float
    cpu: float
    p50: float
    p99: float
    failed: int


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    with running.workspace() as folder, running.kafka(folder) as bootstrap:
        variables = dict(running.topic(bootstrap, "raw-events"))
        bodies = folder / "bodies.txt"
        bodies.write_text("\n".join(lines(5000)) + "\n")
        baseline = _baseline()
        kinds: dict[str, Start] = {
            "bare": lambda: servers.bare(folder),
            "collector": lambda: servers.collector(folder, variables),
        }
        if baseline:
            kinds["original"] = lambda: servers.original_way(folder, variables, baseline)
        rounds: dict[str, list[Round]] = {kind: [] for kind in kinds}
        for kind, start in _turns(kinds, options.rounds):
            rounds[kind].append(_round(start, bodies, options.seconds))
            print(f"{kind}: {rounds[kind][-1]}", flush=True)
        confirmed = _confirm(kinds["collector"], bodies, options.seconds)
    return report(list(_rows(rounds)), latency_p50=_of(rounds["collector"], "p50"), oha=confirmed)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench collector", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    return parser.parse_args(arguments)


def _baseline() -> Path | None:
    given = os.environ.get("BASELINE", "")
    if given and Path(given).exists():
        return Path(given)
    print(f"no row against the original's way: BASELINE={given} names no file", flush=True)
    return None


def _turns(kinds: dict[str, Start], rounds: int) -> Iterator[tuple[str, Start]]:
    for _ in range(rounds):
        yield from kinds.items()


def _round(start: Start, bodies: Path, seconds: float) -> Round:
    with start() as server:
        loaders.wrk(server.url, bodies, WARM_SECONDS)
        loads: list[loaders.Load] = []
        used = used_while(server.pid, lambda: loads.append(loaders.wrk(server.url, bodies, seconds)))
    (load,) = loads
    return Round(load.rate, used / load.requests, load.p50, load.p99, load.failed)


def _confirm(start: Start, bodies: Path, seconds: float) -> float | None:
    """The collector's rate as another loader sees it."""
    with start() as server:
        loaders.wrk(server.url, bodies, WARM_SECONDS)
        rate = loaders.oha(server.url, bodies, seconds)
    return rate and round(rate)


def _of(rounds: list[Round], name: str) -> float:
    return float(median(getattr(one, name) for one in rounds))


def _rows(rounds: dict[str, list[Round]]) -> Iterator[Row]:
    ours, bare = rounds["collector"], rounds["bare"]
    assert not any(one.failed for one in ours), "the collector refused events under load"
    cpu = 1e6 * _of(ours, "cpu"), 1e6 * _of(bare, "cpu")
    yield Row("collector.cpu", cpu[0], "us/request", 2.2, 1.5, cpu[1], lower=True)
    yield Row("collector.rate", _of(ours, "rate"), "requests/s", 0.5, 0.7, _of(bare, "rate"))
    if "original" in rounds:
        yield Row("collector.original", _of(ours, "rate"), "requests/s", 3, 5, _of(rounds["original"], "rate"))
