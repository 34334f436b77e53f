"""A limit of requests by client is one limit, however many replicas count it; without Valkey the shop goes on."""

import re
from collections import Counter

import httpx
from release import Release, selector
from valkey import Valkey

from cluster import Cluster

LIMIT = 20
PORT = 8000


def counted(cluster: Cluster) -> list[Counter[str]]:
    """How each gateway pod has counted its requests."""
    found = []
    for pod in cluster.pods(selector("gateway")):
        text = cluster.ask_pod(pod["metadata"]["name"], PORT, "/metrics")
        pairs = re.findall(r'^anmodel_rate_limit_requests_total\{outcome="(\w+)"\} (\S+)$', text, re.MULTILINE)
        found.append(Counter({outcome: int(float(number)) for outcome, number in pairs}))
    return found


def ask(api: httpx.Client) -> httpx.Response:
    """A page of users, for a client that is new to the edge's port and the same one to the gateway."""
    return api.get("/users", params={"limit": 1}, headers={"connection": "close"})


def forget_counts(cluster: Cluster) -> None:
    """Take the counts of an earlier run out of Valkey: a day is long."""
    password = cluster.secret("anmodel-valkey", "password")
    with (
        cluster.forwarded("service/redis", 6379, namespace="databases") as port,
        Valkey("127.0.0.1", port, password=password) as valkey,
    ):
        for key in valkey.scan_iter("*anmodel-rate*"):
            valkey.delete(key)


def test_two_gateways_count_a_clients_requests_together_in_valkey(
    release: Release, platform: Cluster, api: httpx.Client
) -> None:
    forget_counts(platform)
    release.upgrade({"gateway": {"replicas": 2, "rateLimit": f"{LIMIT}/day"}})
    try:
        release.wait_until_ready()
        answers = [ask(api) for _ in range(3 * LIMIT)]
        assert Counter(answer.status_code for answer in answers) == {200: LIMIT, 429: 2 * LIMIT}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 429)
        pods = counted(platform)
        assert sum(pods, Counter()) == {"allowed": LIMIT, "refused": 2 * LIMIT}
        assert len(pods) == 2
        assert all(pod.total() for pod in pods), pods
    finally:
        release.upgrade()


def test_every_request_is_served_while_valkey_is_away(release: Release, platform: Cluster, api: httpx.Client) -> None:
    release.upgrade({"gateway": {"rateLimit": "1/day"}, "valkey": {"url": "valkey://anmodel-valkey:6399"}})
    try:
        release.wait_until_ready()
        assert [ask(api).status_code for _ in range(3)] == [200] * 3
        assert sum(counted(platform), Counter()) == {"unchecked": 3}
    finally:
        release.upgrade()
