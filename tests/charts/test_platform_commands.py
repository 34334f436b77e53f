"""What is done with a part: which commands, in which order, and how it is waited for."""

import json
import re
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from platform_tree import PLATFORM, overlay
from runners import Notes

from bringup.bringing import OurImages, Target, unready
from bringup.command import main
from bringup.errors import CommandFailed, PlatformError
from bringup.parts import K8S
from bringup.running import Commands, retrying, wait_for

OURS = OurImages(registry="", tag="1.2.3")
THERE: dict[str, object] = {"kubectl --context=kind-anmodel get namespace": "namespace/there"}


def target(runner: Any, name: str = "kind", ours: OurImages = OURS) -> Target:
    return Target(PLATFORM, overlay(name), runner, ours=ours)


def applied(part: str, name: str = "kind", **answers: object) -> Notes:
    runner = Notes(answers or dict(THERE))
    target(runner, name).apply(overlay(name).part(part))
    return runner


def test_a_charts_kinds_are_applied_before_it_at_each_run_since_helm_never_upgrades_them() -> None:
    runner = applied("strimzi")
    kinds, chart = runner.ran
    assert kinds.startswith("kubectl --context=kind-anmodel apply --server-side --force-conflicts")
    assert (
        runner.given[kinds] == "# from helm show crds oci://quay.io/strimzi-helm/strimzi-kafka-operator --version=1.2.0"
    )
    assert chart.startswith("helm --kube-context=kind-anmodel upgrade --install strimzi oci://")
    assert "--version=1.2.0" in chart
    assert "--skip-crds" in chart
    assert f"--values={K8S}/values/strimzi.yaml" in chart
    assert "--wait" in chart


def test_an_overlays_values_come_after_those_for_all() -> None:
    (chart,) = [
        it
        for it in applied("valkey", "production", **{"kubectl get namespace": "there", "kubectl -n": ""}).ran
        if "helm" in it
    ]
    first, second = [word for word in chart.split() if word.startswith("--values=")]
    assert first == f"--values={K8S}/values/valkey.yaml"
    assert second == f"--values={K8S}/overlays/production/valkey/values.yaml"


def test_custom_resources_are_applied_and_each_condition_waited_for() -> None:
    runner = applied(
        "kafka", **THERE, **{"kubectl --context=kind-anmodel -n anmodel get secret": {"data": {"password": ""}}}
    )
    apply, *waits = runner.ran
    assert apply == "kubectl --context=kind-anmodel apply -f -"
    assert runner.given[apply] == f"# from kubectl kustomize {K8S}/overlays/kind/kafka"
    assert [" ".join(it.split()[2:6]) for it in waits] == [
        "wait -n anmodel kafka/anmodel",
        "wait -n anmodel kafkatopic",
        "wait -n anmodel kafkauser",
    ]


def test_a_missing_namespace_is_made_once() -> None:
    runner = Notes({"kubectl --context=kind-anmodel -n": ""})
    it = target(runner)
    for part in ("clickhouse-operator", "cnpg", "clickhouse-operator"):
        it.apply(overlay("kind").part(part))
    made = [command for command in runner.ran if " create namespace " in command]
    assert made == [
        f"kubectl --context=kind-anmodel create namespace {name}" for name in ("clickhouse-operator", "cnpg-system")
    ]


def test_secrets_are_made_before_what_uses_them() -> None:
    runner = applied("clickhouse-operator", **THERE, **{"kubectl --context=kind-anmodel -n": ""})
    assert runner.ran[0] == "kubectl --context=kind-anmodel create -f -"
    assert json.loads(runner.given[runner.ran[0]])["metadata"]["namespace"] == "clickhouse-operator"


def test_our_own_images_are_built_and_loaded_on_kind() -> None:
    manifests = "        anmodel.io/images: as-tagged\n        image: anmodel/mlflow:0.1.0\n"
    runner = applied(
        "mlflow",
        **THERE,
        **{"kubectl --context=kind-anmodel -n": {"data": {"uri": ""}}, "kubectl kustomize": manifests},
        **{"docker image inspect": "sha256:77\n"},
    )
    build, load, apply, wait = runner.ran
    assert build.endswith("images STAGES=mlflow IMAGE_TAG=1.2.3")
    assert load == "kind load docker-image anmodel/mlflow:1.2.3 --name=anmodel"
    # the id, so that pods of an older build under the same tag are replaced
    assert runner.given[apply] == '        anmodel.io/images: "sha256:77"\n        image: anmodel/mlflow:1.2.3\n'
    assert wait.startswith("kubectl --context=kind-anmodel rollout status -n anmodel deployment/mlflow --timeout=")


def test_our_own_images_come_from_the_registry_that_is_named() -> None:
    ours = OurImages(registry="registry.test/shop", tag="7")
    runner = Notes({**THERE, "kubectl --context=kind-anmodel -n": {"data": {"uri": ""}}})
    target(runner, ours=ours).apply(overlay("kind").part("mlflow"))
    assert not [it for it in runner.ran if it.startswith(("make", "kind"))]
    text = (
        "      - image: anmodel/mlflow:0.1.0\n"
        '        image: "anmodel/airflow:0.1.0"\n'
        "        image: other/anmodel/x:1\n"
    )
    assert ours.put_into(text) == (
        "      - image: registry.test/shop/anmodel/mlflow:7\n"
        "        image: registry.test/shop/anmodel/airflow:7\n"
        "        image: other/anmodel/x:1\n"
    )


def test_a_helm_that_was_killed_is_told_with_the_way_out() -> None:
    said = "!Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress"
    runner = Notes({**THERE, "helm --kube-context=kind-anmodel upgrade": said})
    with pytest.raises(PlatformError, match="helm rollback cnpg -n cnpg-system"):
        target(runner).apply(overlay("kind").part("cnpg"))


def test_data_goes_only_where_the_cluster_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--overlay", "production", "--delete-data"]) == 1
    assert "--context" in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_is_no_fault() -> None:
    command = f"{sys.executable} {K8S / 'platform.py'} up --overlay production --dry-run | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_airflows_chart_is_told_image_and_version() -> None:
    secret = {"data": dict.fromkeys(PLATFORM.secrets["anmodel-airflow"].data, "")}
    (chart,) = [
        it for it in applied("airflow", **THERE, **{"kubectl --context=kind-anmodel -n": secret}).ran if "helm" in it
    ]
    assert "--set-string=airflowVersion=3.3.2" in chart
    assert "--set-string=images.airflow.repository=anmodel/airflow" in chart
    assert "--set-string=images.airflow.tag=1.2.3" in chart


def test_airflows_pods_are_told_which_build_they_run() -> None:
    """Else those of an older one under the same tag would stay."""
    there = {
        **THERE,
        "kubectl --context=kind-anmodel -n": {"data": dict.fromkeys(PLATFORM.secrets["anmodel-airflow"].data, "")},
    }
    annotation = "airflowPodAnnotations.anmodel"
    (chart,) = [
        it for it in applied("airflow", **there, **{"docker image inspect": "sha256:77\n"}).ran if " upgrade " in it
    ]
    assert re.search(rf"{annotation}\\\.io/images=sha256:77\W", chart), chart
    runner = Notes(dict(there))
    target(runner, ours=OurImages(registry="registry.test/shop", tag="7")).apply(overlay("kind").part("airflow"))
    (chart,) = [it for it in runner.ran if " upgrade " in it]
    assert re.search(rf"{annotation}\\\.io/images=registry\.test/shop/anmodel/airflow:7\W", chart), chart


def test_jobs_are_taken_away_before_they_are_made_anew() -> None:
    secret = {"data": dict.fromkeys(PLATFORM.secrets["anmodel-airflow"].data, "")}
    ran = applied("airflow", **THERE, **{"kubectl --context=kind-anmodel -n": secret}).ran
    delete = "kubectl --context=kind-anmodel -n anmodel delete --ignore-not-found " + " ".join(
        overlay("kind").part("airflow").jobs
    )
    assert ran.index(delete) < next(number for number, it in enumerate(ran) if " upgrade " in it)


def test_a_context_that_is_given_wins() -> None:
    runner = Notes({"kubectl --context=mine get namespace": "there"})
    Target(PLATFORM, overlay("kind"), runner, "mine", OURS).apply(overlay("kind").part("namespace"))
    assert runner.ran == ["kubectl --context=mine apply -f -"]


def test_production_goes_to_the_current_context() -> None:
    assert applied("namespace", "production", **{"kubectl get namespace": "there"}).ran == ["kubectl apply -f -"]


def test_the_test_overlay_needs_neither_charts_nor_images() -> None:
    runner = Notes({"kubectl get namespace": "there"})
    for part in overlay("test").chosen():
        target(runner, "test").apply(part)
    assert not [it for it in runner.ran if it.startswith(("helm", "make", "kind", "docker"))]
    assert [it.split()[1] for it in runner.ran] == ["apply", "apply", "wait", "apply", "rollout", "apply", "rollout"]


def test_a_dry_run_shows_what_would_be_typed_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--overlay", "kind", "--with", "keda", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    need = overlay("kind").needed(overlay("kind").chosen(["keda"]))
    assert f"about {need} MB of memory" in shown
    order = [line.split()[1].rstrip(":") for line in shown.splitlines() if line.startswith("──")]
    assert order == [it.name for it in overlay("kind").chosen(["keda"])]
    assert f"kubectl kustomize {K8S}/overlays/kind/kafka | kubectl --context=kind-anmodel apply -f -" in shown
    assert "is up" not in shown


def test_down_keeps_data_and_what_serves_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    gone = {line.split()[1] for line in shown.splitlines() if line.startswith("──")}
    assert {"kafka-ui", "mlflow", "valkey", "edge"} <= gone
    kept = {"kafka", "strimzi", "clickhouse", "clickhouse-operator", "postgres", "cnpg", "s3", "namespace"}
    assert not kept & gone
    assert "delete pvc" not in shown
    assert "delete namespace" not in shown


def test_down_with_data_goes_backwards_topics_before_their_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--delete-data", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()

    def place(beginning: str) -> int:
        return next(number for number, line in enumerate(lines) if beginning in line)

    places = [
        place("delete kafkatopic --all"),
        place("overlays/kind/kafka | kubectl"),
        place("delete pvc -l strimzi.io/cluster=anmodel"),
        place("uninstall strimzi"),
        place("delete namespace anmodel"),
    ]
    assert places == sorted(places)


def test_taking_down_what_never_came_up_is_no_fault() -> None:
    delete = "kubectl --context=kind-anmodel delete"
    runner = Notes(
        {delete: '!error: no matches for kind "Kafka"', "kubectl --context=kind-anmodel -n anmodel get": None}
    )
    target(runner).remove(overlay("kind").part("kafka"))
    refused = Notes({delete: "!error: forbidden"})
    with pytest.raises(CommandFailed, match="forbidden"):
        target(refused).remove(overlay("kind").part("kafka"))


def test_what_does_not_exist_yet_is_waited_for_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    runner = Notes({"wait": ["!Error from server (NotFound): no kafka", "!error: timed out waiting", "met"]})
    wait_for(runner, ["wait"], 60, lambda: "kafka-0 (Pending)", pause=0)
    assert len(runner.ran) == 3
    assert capsys.readouterr().out.count("kafka-0 (Pending)") == 2


def test_waiting_ends_with_what_was_missing() -> None:
    runner = Notes({"wait": "!error: timed out waiting for the condition on kafkas/anmodel"})
    with pytest.raises(PlatformError, match=r"not there after .* wait\n.*kafkas/anmodel"):
        wait_for(runner, ["wait"], 0, lambda: "", pause=0)


def test_what_passes_is_tried_again_and_what_does_not_is_not() -> None:
    runner = Notes({"apply": ["!failed calling webhook: connection refused", "!no matches for kind", "done"]})
    assert retrying(runner, ["apply"], "manifests", pause=0) == "done"
    assert len(runner.ran) == 3
    with pytest.raises(CommandFailed, match="unknown field"):
        retrying(Notes({"apply": "!unknown field"}), ["apply"], pause=0)
    with pytest.raises(CommandFailed, match="no matches"):
        retrying(Notes({"apply": "!no matches for kind"}), ["apply"], patience=0, pause=0)


def test_pods_that_are_not_ready_are_named_with_their_reason() -> None:
    def pod(name: str, ready: str, phase: str = "Running", waiting: str = "") -> dict[str, object]:
        state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
        status = {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": state}],
        }
        return {"metadata": {"name": name}, "status": status}

    pods = [
        pod("a", "True"),
        pod("b", "False", waiting="ImagePullBackOff"),
        pod("c", "False", "Pending"),
        pod("d", "False", "Succeeded"),
    ]
    assert unready({"items": pods}) == "b (ImagePullBackOff), c (Pending)"


def test_a_real_command_gives_its_output_and_its_error() -> None:
    commands = Commands()
    assert commands.run([sys.executable, "-c", "print(input())"], "given\n") == "given\n"
    with pytest.raises(CommandFailed, match="went wrong"):
        commands.run([sys.executable, "-c", "raise SystemExit('went wrong')"])
    assert commands.ask([sys.executable, "-c", "raise SystemExit(1)"]) is None


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(PlatformError, match="no-such-program is not on the PATH"):
        Commands().run(["no-such-program"])
    assert Commands().ask(["no-such-program"]) is None


def test_a_long_command_says_what_it_waits_for_and_gets_its_input_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = threading.Event()

    def progress() -> str:
        told.set()
        return "kafka-0 (Pending)"

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asks = f"import socket, sys; print(socket.create_connection(('127.0.0.1', {port})).recv(4).decode())"
        asks += "; print(len(sys.stdin.read()))"  # on a busy machine kubectl takes its input after a while

        def answer() -> None:
            child, _ = server.accept()
            with child:
                told.wait(30)
                child.sendall(b"done")

        thread = threading.Thread(target=answer)
        thread.start()
        command = [sys.executable, "-c", asks]
        assert Commands(slice_seconds=0.05).run(command, "x" * 300_000, progress=progress) == "done\n300000\n"
        thread.join()
    assert "kafka-0 (Pending)" in capsys.readouterr().out
