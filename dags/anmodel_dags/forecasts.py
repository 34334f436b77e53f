"""The arguments of one forecast's steps."""

import re

from anmodel_dags.days import instant


def run_name(run_id: str) -> str:
    """Airflow's name of a run as `score` takes it: letters, digits and -_. alone, with no dot before them."""
    return re.sub(r"[^A-Za-z0-9._-]+|^\.", "-", run_id)


def snapshot_arguments(as_of: str, *, again: bool = False) -> list[str]:
    """Of `snapshot daily`: as of this instant; `again` as of the snapshot before, if that is later or none is given.

    Neither: just after the newest event.
    """
    asked = ["--as-of", instant(as_of).isoformat()] if as_of else []
    return ["snapshot", "daily", *asked, *(["--again"] if again else [])]


def plan_arguments(run: str, shards: int, as_of: str, *, again: bool = False) -> list[str]:
    """Of `score plan`: the day's snapshot, or the newest one when the instant was left to the step."""
    date = ["--date", instant(as_of).date().isoformat()] if as_of and not again else []
    return ["score", "plan", "--run", run, "--shards", str(shards), *date]


def shard_arguments(run: str, shards: int) -> list[list[str]]:
    """Of each `score shard`."""
    return [["score", "shard", "--run", run, "--shard", str(shard)] for shard in range(shards)]
