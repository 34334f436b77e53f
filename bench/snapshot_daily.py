"""The daily snapshot of 10 million events of 200,000 users over 90 days, by all cores: seconds and memory."""

import argparse

from bench.result import Row, report
from bench.running import workspace
from bench.shop_lake import make_lake, run


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench snapshot_daily", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    options = parser.parse_args(arguments)
    with workspace() as folder:
        lake = make_lake(folder / "lake", events=options.events, users=options.users, days=90)
        took = run(lake, "snapshot", "daily")
    rows = [
        Row("snapshot_daily", took.seconds, "s", 45, 15, lower=True),
        Row("snapshot_daily.memory", took.memory, "GB", 4, 2, lower=True),
    ]
    return report(rows, events=options.events, users=options.users)
