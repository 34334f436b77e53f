"""A cluster with the test platform and our release on it, made once a run.

KUBECONFIG           the cluster; without one everything here is skipped
ANMODEL_LOAD_IMAGE   a command that hands local images to it, e.g. `kind load docker-image`; without it nothing is built
ANMODEL_EDGE         where the Gateway's port 80 can be reached; default 127.0.0.1:30080
ANMODEL_KEEP         `1` leaves everything in place at the end, for a look and for a quicker next run
ANMODEL_GO_ON        `1` goes on with what such a run left, to try the later tests of a story again (`-k`)
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
import testbed
from browsing import new_page
from edge import DOMAIN, EDGE
from load import Load
from measures import Measures
from playwright.sync_api import Page
from release import Release
from rows import Rows

from cluster import Cluster, reason_to_skip

GO_ON = os.environ.get("ANMODEL_GO_ON") == "1"
_measures = Measures()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Images are built and pods started here: that takes longer than other tests may."""
    for item in items:
        if "tests/cluster" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how long each test took, without what was prepared for it."""
    if report.when == "call" and "tests/cluster" in report.nodeid:
        _measures.seconds[report.nodeid.split("::", 1)[1]] = report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measures, if there was anything to measure."""
    if "the release is installed" not in _measures.seconds:
        return
    terminalreporter.section("the cluster's tests: time, memory, sizes")
    for line in _measures.lines([*testbed.our_images(), *testbed.PLATFORM_IMAGES.values()]):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def measures() -> Measures:
    """What is printed at the end; a test may add a note."""
    return _measures


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of the kubeconfig."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    return Cluster()


@pytest.fixture(scope="session")
def platform(cluster: Cluster) -> Iterator[Cluster]:
    """Kafka, ClickHouse, Gateway and Secrets in the tests' namespace."""
    testbed.make_namespace(cluster)
    with _timed("images are built and loaded"):
        testbed.load_images()
    if not GO_ON:
        Release(cluster).uninstall()
    with _timed("the platform is up"):
        testbed.make_secrets(cluster)
        testbed.make_databases(cluster)
        testbed.start()
    _measures.watch(cluster)
    yield cluster
    _measures.end()
    if os.environ.get("ANMODEL_KEEP") != "1":
        with _timed("everything is removed"):
            Release(cluster).uninstall()
            testbed.remove()


@pytest.fixture(scope="session")
def batch(platform: Cluster) -> Cluster:
    """The platform with MLflow, Airflow and the images of the steps, too."""
    with _timed("the images of batch and serving are built and loaded"):
        testbed.load_batch_images()
    with _timed("MLflow and Airflow are up"):
        if not GO_ON:
            testbed.forget_batch(platform)
            testbed.make_databases(platform)
            testbed.make_buckets(platform)
        testbed.start_batch(platform)
    return platform


@pytest.fixture(scope="session")
def installed(platform: Cluster) -> Release:
    """Our release, installed."""
    release = Release(platform)
    with _timed("the release is installed"):
        (release.upgrade if GO_ON else release.install)()
    return release


@pytest.fixture
def release(installed: Release) -> Release:
    """Our release, as the profile has it and whole, whatever the test before did."""
    installed.wait_until_ready()
    return installed


@pytest.fixture(scope="session")
def rows(platform: Cluster) -> Rows:
    """The table of events."""
    return Rows(platform)


@pytest.fixture
def shop(release: Release) -> Callable[..., Load]:
    """Makes a load of its own for the collector, through the edge."""

    def make(rate: float = 200.0) -> Load:
        return Load(f"load-{secrets.token_hex(4)}", rate)

    return make


@pytest.fixture
def api(release: Release) -> Iterator[httpx.Client]:
    """Asks the gateway through the edge."""
    with httpx.Client(
        base_url=f"http://{EDGE}", headers={"host": f"api.{DOMAIN}"}, timeout=15, trust_env=False
    ) as http:
        yield http


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser's page that finds every host of the edge."""
    with new_page() as opened:
        yield opened


class _Timed:
    def __init__(self, step: str) -> None:
        self.step = step

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        _measures.seconds[self.step] = time.monotonic() - self.started


def _timed(step: str) -> AbstractContextManager[None]:
    return _Timed(step)
