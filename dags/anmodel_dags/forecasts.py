"""The arguments of one forecast's steps."""

import re

from anmodel_dags.days import instant


def run_name(run_id: str) -> str:
    """Airflow's name of a run as `score` takes it: letters, digits and -_. alone, with no dot before them."""
    return re.sub(r"[^A-Za-z0-9._-]+|^\.", "-", run_id)


def snapshot_arguments(as_of: str, *, again: bool = False) -> list[str]:
    """Of `snapshot daily`; empty `as_of`: just after the newest event, or `again` as of the snapshot before."""
    asked = ["--as-of", instant(as_of).isoformat()] if as_of else ["--again"] if again else []
    return ["snapshot", "daily", *asked]


def plan_arguments(run: str, shards: int, as_of: str) -> list[str]:
    """Of `score plan`: the day's snapshot, or the newest one when the instant was left to the step."""
    date = ["--date", instant(as_of).date().isoformat()] if as_of else []
    return ["score", "plan", "--run", run, "--shards", str(shards), *date]


def shard_arguments(run: str, shards: int) -> list[list[str]]:
    """Of each `score shard`."""
    return [["score", "shard", "--run", run, "--shard", str(shard)] for shard in range(shards)]
