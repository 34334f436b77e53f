"""A new CA, a new broker certificate and new passwords while a shop sends: taken up without a hand, nothing lost."""

import secrets
from collections.abc import Callable

import testbed
from load import Load
from measures import Measures
from release import Release, selector
from rows import Rows

from cluster import Cluster
from eventually import eventually

STAGES = ("collector", "consumer")
SECONDS = 240
"""The kubelet brings a changed Secret to a pod within about 90 s; the stage then waits its random share."""


def restarts(cluster: Cluster, stage: str) -> int:
    """How often the containers of a stage were started again."""
    return sum(
        int(container["restartCount"])
        for pod in cluster.pods(selector(stage))
        for container in pod["status"].get("containerStatuses", [])
    )


def wait_until_taken_up(release: Release, before: dict[str, int]) -> None:
    """Wait until the stages have ended and started by themselves."""
    eventually(lambda: all(restarts(release.cluster, stage) > count for stage, count in before.items()), SECONDS)
    release.wait_until_ready()


def test_rotated_passwords_and_certificates_are_taken_up_under_load(
    release: Release, platform: Cluster, shop: Callable[..., Load], rows: Rows, measures: Measures
) -> None:
    before = {stage: restarts(platform, stage) for stage in STAGES}
    old_ca = platform.secret("anmodel-cluster-ca-cert", "ca.crt")
    with shop(50.0) as load:
        load.wait_for(100)
        # as Strimzi does it: clients trust the new CA beside the old one before a broker has a certificate by it
        testbed.new_certificates(platform, trusted_too=old_ca)
        for user in testbed.KAFKA_USERS:
            platform.put_secret(user, {"password": secrets.token_hex(16)})
        wait_until_taken_up(release, before)
        load.wait_for(100)
        platform.kubectl("delete", "pod", "-l", "strimzi.io/name=anmodel-kafka")
        platform.wait_until_ready("strimzi.io/name=anmodel-kafka", 1)
        load.wait_for(200)
        sent = load.finish()
    counted = rows.assert_exact(load.prefix, sent)
    for stage in STAGES:
        (pod, *_) = platform.pods(selector(stage))
        last = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert last["exitCode"] == 0, f"{stage} ended by {last}"
    assert load.report is not None
    measures.notes.append(f"rotation: {sent} events, {load.report.retries} requests repeated, {counted}")
