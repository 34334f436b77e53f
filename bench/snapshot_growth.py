"""How the daily snapshot's time grows with the events: at each size against as many times the time of the smallest."""

import argparse

from bench.result import Row, report
from bench.running import workspace
from bench.shop_lake import make_lake, run


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench snapshot_growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000, 50_000_000])
    options = parser.parse_args(arguments)
    seconds: dict[int, float] = {}
    for size in sorted(options.sizes):
        with workspace() as folder:
            lake = make_lake(folder / "lake", events=size, users=size // 50, days=90)
            seconds[size] = run(lake, "snapshot", "daily").seconds
        print(f"{size:,} events: {seconds[size]:.1f} s", flush=True)
    least, *larger = sorted(seconds)
    worst = max(larger, key=lambda size: seconds[size] / size)
    row = Row("snapshot_growth", seconds[worst], "s", 1, 0.9, reference=seconds[least] * worst / least, lower=True)
    return report([row], seconds={str(size): round(took, 1) for size, took in seconds.items()})
