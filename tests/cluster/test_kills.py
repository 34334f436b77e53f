"""Each pod killed while a shop sends: what was accepted is stored, each event once."""

from collections.abc import Callable

import httpx
import pytest
from load import Load
from measures import Measures
from release import SERVING, Release, selector
from rows import Rows

from cluster import Cluster

VICTIMS = {stage: selector(stage) for stage in SERVING} | {
    "kafka": "strimzi.io/name=anmodel-kafka",
    "clickhouse": "clickhouse.altinity.com/chi=anmodel",
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_counts_are_exact_after_every_pod_of_one_kind_was_killed_under_load(
    victim: str, release: Release, platform: Cluster, shop: Callable[..., Load], rows: Rows, measures: Measures
) -> None:
    with shop() as load:
        load.wait_for(300)
        killed = platform.kill(VICTIMS[victim])
        platform.wait_until_ready(VICTIMS[victim], len(killed))
        load.wait_for(300)
        sent = load.finish()
    counted = rows.assert_exact(load.prefix, sent)
    assert load.report is not None
    measures.notes.append(f"{victim} killed: {sent} events, {load.report.retries} requests repeated, {counted}")


def test_the_gateway_answers_again_after_its_pods_were_killed(
    release: Release, platform: Cluster, api: httpx.Client
) -> None:
    platform.kill(selector("gateway"))
    release.wait_until_ready()
    assert api.get("/users", params={"limit": 1}).status_code == 200
