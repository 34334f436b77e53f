"""Upgrade, rollback, a limit set too low, removal and return: under load, with counts exact each time."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from load import Load
from measures import Measures
from release import CHART, NAME, PROFILE, Release, selector, values_file
from rows import Rows
from testbed import NEXT, version

from cluster import Cluster, CommandError
from eventually import eventually


def finish_exactly(load: Load, rows: Rows, measures: Measures, what: str) -> None:
    """End the load and hold its counts."""
    sent = load.finish()
    counted = rows.assert_exact(load.prefix, sent)
    assert load.report is not None
    measures.notes.append(f"{what}: {sent} events, {load.report.retries} requests repeated, {counted}")


def tags(release: Release) -> set[str]:
    return {image.rpartition(":")[2] for image in release.images()}


def test_an_upgrade_to_other_images_and_the_rollback_lose_nothing_under_load(
    release: Release, shop: Callable[..., Load], rows: Rows, measures: Measures
) -> None:
    with shop() as load:
        load.wait_for(200)
        release.upgrade({"image": {"tag": NEXT}})
        release.wait_until_ready()
        assert tags(release) == {NEXT}
        load.wait_for(200)
        finish_exactly(load, rows, measures, "upgrade")
    with shop() as load:
        load.wait_for(200)
        release.rollback()
        release.wait_until_ready()
        assert tags(release) == {version()}
        load.wait_for(200)
        finish_exactly(load, rows, measures, "rollback")


def was_killed_for_memory(cluster: Cluster, stage: str) -> bool:
    states = [
        status.get(when, {}).get("terminated", {}).get("reason")
        for pod in cluster.pods(selector(stage))
        for status in pod["status"].get("containerStatuses", [])
        for when in ("state", "lastState")
    ]
    return "OOMKilled" in states


@pytest.mark.parametrize("stage", ["consumer", "collector"])
def test_nothing_is_lost_when_a_stage_hits_its_memory_limit_under_load(
    stage: str, release: Release, platform: Cluster, shop: Callable[..., Load], rows: Rows, measures: Measures
) -> None:
    tight = {"resources": {"requests": {"memory": "24Mi"}, "limits": {"memory": "32Mi"}}}
    with shop() as load:
        load.wait_for(200)
        old = [pod["metadata"]["name"] for pod in platform.pods(selector(stage))]
        release.upgrade({stage: tight}, wait=False)
        eventually(lambda: was_killed_for_memory(platform, stage), 90)
        # the rolling update keeps the old pod until a new one is ready, which never comes; take that one away too
        platform.kubectl("delete", "pod", *old, "--force", "--grace-period=0")
        if stage == "consumer":
            load.wait_for(200)  # the collector and Kafka go on without it
        release.upgrade()
        release.wait_until_ready()
        load.wait_for(200)
        finish_exactly(load, rows, measures, f"{stage} out of memory")


def test_a_values_file_with_a_typing_error_is_refused_and_nothing_changes(release: Release, tmp_path: Path) -> None:
    before = release.revision()
    bad = values_file(tmp_path, "collector:\n  replicaz: 2\n")
    with pytest.raises(CommandError, match="replicaz"):
        release.cluster.helm("upgrade", NAME, str(CHART), "-f", str(PROFILE), "-f", str(bad))
    assert release.revision() == before


def test_a_release_that_comes_back_after_its_removal_finds_the_data(
    release: Release, api: httpx.Client, shop: Callable[..., Load], rows: Rows, measures: Measures
) -> None:
    with shop() as load:
        load.wait_for(200)
        sent = load.finish()
    before = rows.assert_exact(load.prefix, sent)
    users = api.get("/users", params={"limit": 1}).json()["total"]
    release.uninstall()
    assert rows.count(load.prefix) == before
    release.install()
    release.wait_until_ready()
    assert rows.count(load.prefix) == before
    assert api.get("/users", params={"limit": 1}).json()["total"] == users
    with shop() as again:
        again.wait_for(200)
        finish_exactly(again, rows, measures, "installed again")
