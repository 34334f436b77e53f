"""register over real KServe: a first version, a better one by canary, bad ones, a run killed anywhere, a rollback.

One story, in order: each test goes on where the one before ended. Requests never stop, and none may fail.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import serving_bed
from serving_bed import HOST, MODEL, NAMESPACE, SERVICE, Models, good, models_of, souring, unloadable, untrue, weak
from steady_requests import SteadyRequests

from anmodel.cluster import Cluster as Kubernetes
from anmodel.register.turn import Turn
from batch.serving import records_of
from batch.synthetic import feature_rows
from cluster import Cluster
from eventually import eventually

CANARY_SECONDS = 6.0


@dataclass
class Register:
    """The command as a process of this machine, by the kubeconfig."""

    models: Models

    def run(self, *words: str, code: int = 0) -> str:
        """Run it to its end; what it says."""
        with self.start(*words) as process:
            said, complained = process.communicate(timeout=400)
        assert process.returncode == code, complained
        return said

    def kill_at(self, step: str) -> None:
        """Run it, and kill it (-9) as soon as it logs this step."""
        with self.start() as process:
            until_logged(process, step)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL

    def start(self, *words: str) -> subprocess.Popen[str]:
        variables = {
            "MLFLOW_TRACKING_URI": self.models.mlflow,
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{serving_bed.BUCKET}/artifacts",
            "PARQUET_OUT": self.models.lake.url,
            "KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "KAFKA_OPTIONS": "message.timeout.ms=500",
            "SERVING": "kserve",
            "KUBERNETES_NAMESPACE": NAMESPACE,
            "SERVING_ACCOUNT": "anmodel-predictor",
            "SERVING_GATEWAY": f"{NAMESPACE}/edge",
            "SERVING_HOST": HOST,
            "SERVING_TIMEOUT": "240",
            "CANARY_PERCENT": "30",
            "CANARY_SECONDS": str(CANARY_SECONDS),
            "LOG_FORMAT": "json",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "anmodel", "register", *words],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def until_logged(process: subprocess.Popen[str], step: str) -> None:
    """Return as soon as the process logs this step."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if f'"event": "{step}"' in line:
            return
    raise AssertionError(f"it never came to {step!r}: {''.join(seen)}")


@pytest.fixture(scope="module")
def models(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    serving_bed.load_images()
    serving_bed.remove(cluster)
    serving_bed.make(cluster)
    with models_of(cluster, tmp_path_factory.mktemp("serving")) as made:
        yield made
    if os.environ.get("ANMODEL_KEEP") != "1":
        serving_bed.remove(cluster)


@pytest.fixture(scope="module")
def register(models: Models) -> Register:
    return Register(models)


@pytest.fixture(scope="module")
def kubernetes(models: Models) -> Kubernetes:
    return Kubernetes.connect(NAMESPACE)


@pytest.fixture
def requests() -> Callable[[], SteadyRequests]:
    features, _ = feature_rows(1, seed=5)
    body = {"instances": records_of(features)}
    return lambda: SteadyRequests(HOST, f"/v1/models/{MODEL}:predict", body)


def serves_alone(kubernetes: Kubernetes, version: str) -> bool:
    """Whether KServe and the route know this version only."""
    service, route = kubernetes.service(SERVICE), kubernetes.route(SERVICE)
    assert service is not None
    assert route is not None
    backends = [backend["name"] for backend in route["spec"]["rules"][0]["backendRefs"]]
    (served,) = kubernetes.services()
    pods = {json.dumps(variables(pod)) for pod in kubernetes.pods({"serving.kserve.io/inferenceservice": SERVICE})}
    return (
        (served.version, served.ready) == (version, True)
        and "canary" not in service["spec"]
        and backends == [f"{SERVICE}-predictor"]
        and pods == {json.dumps({"MODEL_VERSION": version})}
        and kubernetes.deployment(f"{SERVICE}-v{version}-predictor") is None
    )


def variables(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = (each for each in pod["spec"]["containers"] if each["name"] == "kserve-container")
    return {each["name"]: each["value"] for each in container["env"] if each["name"] == "MODEL_VERSION"}


def test_the_first_version_is_served_before_it_becomes_champion(
    register: Register, models: Models, kubernetes: Kubernetes, requests: Callable[[], SteadyRequests]
) -> None:
    models.add(weak())
    assert "version 1 is champion. The first version" in register.run()
    assert models.in_use() == "1"
    eventually(lambda: serves_alone(kubernetes, "1"), 60)

    with requests() as steady:
        eventually(lambda: steady.versions["1"] > 20, 60)
    assert not steady.failures


def test_a_run_with_nothing_new_changes_nothing(register: Register, kubernetes: Kubernetes) -> None:
    before = kubernetes.service(SERVICE)
    assert before is not None
    assert "in use already" in register.run()
    after = kubernetes.service(SERVICE)
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


@pytest.mark.parametrize(
    ("made", "said"), [(unloadable, "does not serve"), (untrue, "does not answer as it must: .*purchase_proba")]
)
def test_a_broken_version_is_rejected_and_nobody_notices(
    register: Register,
    models: Models,
    kubernetes: Kubernetes,
    requests: Callable[[], SteadyRequests],
    made: Callable[[], Any],
    said: str,
) -> None:
    broken = models.add(made())
    with requests() as steady:
        told = register.run()
        again = register.run()
        eventually(lambda: serves_alone(kubernetes, "1"), 60)

    assert f"version 1 is champion. Version {broken.version} is rejected." in told
    assert re.search(said, told)
    assert f"Version {broken.version} was rejected" in again
    assert models.registry.version(broken.version).tags["decision"] == "rejected"
    assert models.in_use() == "1"
    assert not steady.failures
    assert set(steady.versions) == {"1"}


def test_a_version_that_sours_with_its_share_is_taken_back_and_never_had_more(
    register: Register, models: Models, kubernetes: Kubernetes, requests: Callable[[], SteadyRequests]
) -> None:
    broken = models.add(souring()).version
    with requests() as steady:
        told = register.run()
        eventually(lambda: serves_alone(kubernetes, "1"), 60)
        answered = steady.versions[broken]
        known = steady.versions["1"]
        eventually(lambda: steady.versions["1"] > known + 20, 60)

    assert f"version 1 is champion. Version {broken} is rejected. With 30 % of the traffic it answered wrongly" in told
    assert models.in_use() == "1"
    assert not steady.failures
    assert 0 < answered < steady.versions["1"]
    assert steady.versions[broken] == answered


def test_killed_anywhere_and_run_again_a_better_version_takes_over_with_no_request_refused(
    register: Register, models: Models, kubernetes: Kubernetes, requests: Callable[[], SteadyRequests]
) -> None:
    better = models.add(good()).version
    with requests() as steady:
        register.kill_at("canary made, without traffic")
        assert set(steady.versions) == {"1"}
        register.kill_at("canary has its share")
        eventually(lambda: steady.versions[better] > 5, 30)
        assert models.in_use() == "1"
        register.kill_at("version answers in the champion's place")
        assert models.in_use() == "1"
        assert f"version {better} is champion. Better" in register.run()
        assert models.in_use() == better
        eventually(lambda: serves_alone(kubernetes, better), 60)
        answered = steady.versions["1"]
        eventually(lambda: steady.versions[better] > 50, 60)
        assert steady.versions["1"] == answered
    assert not steady.failures


def test_a_rollback_brings_the_version_before_with_no_request_refused(
    register: Register, models: Models, kubernetes: Kubernetes, requests: Callable[[], SteadyRequests]
) -> None:
    with requests() as steady:
        assert "version 1 is champion. Rolled back" in register.run("--rollback")
        eventually(lambda: serves_alone(kubernetes, "1"), 60)
    assert models.in_use() == "1"
    assert not steady.failures


def test_a_run_that_begins_while_another_is_at_work_waits_for_its_end(
    register: Register, models: Models, kubernetes: Kubernetes, requests: Callable[[], SteadyRequests]
) -> None:
    better = models.registry.newest()
    assert better is not None
    turn = Turn(kubernetes, f"{SERVICE}-register")
    with requests() as steady:
        with turn.held():
            second = register.start("--version", better.version)
            until_logged(second, "another run is at work, waiting for it")
            assert models.in_use() == "1"
            assert serves_alone(kubernetes, "1")
            turn.check()
        assert f"version {better.version} is champion. Chosen by hand" in second.communicate(timeout=400)[0]
        eventually(lambda: serves_alone(kubernetes, better.version), 60)
    assert steady.versions[better.version] > 0
    assert not steady.failures
    assert "version 1 is champion. Rolled back" in register.run("--rollback")


def test_what_others_changed_is_brought_back_to_the_champion(
    register: Register, models: Models, kubernetes: Kubernetes, cluster: Cluster
) -> None:
    cluster.kubectl("delete", "inferenceservice", SERVICE, namespace=NAMESPACE)
    assert "was rolled back" in register.run()
    eventually(lambda: serves_alone(kubernetes, "1"), 60)
