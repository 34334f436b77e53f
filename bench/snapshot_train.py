"""The training snapshot of 250,000 events: of 40 users, to 9,000 rows, and of 5,000 users, to 20,000 rows."""

import argparse

from bench.result import Row, report
from bench.running import workspace
from bench.shop_lake import make_lake, run

EVENTS = 250_000
SHOPS = {"snapshot_train.40_users": (40, 230, 9_000), "snapshot_train.5000_users": (5_000, 90, 20_000)}
"""Users, days of history, and rows at most."""


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    argparse.ArgumentParser(prog="bench snapshot_train", description=__doc__).parse_args(arguments)
    rows: list[Row] = []
    for name, (users, days, most) in SHOPS.items():
        with workspace() as folder:
            lake = make_lake(folder / "lake", events=EVENTS, users=users, days=days)
            took = run(lake, "snapshot", "train", "--max-rows", str(most))
        rows.append(Row(name, took.seconds, "s", 2, 0.5, lower=True))
    return report(rows)
