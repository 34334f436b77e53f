"""What Prometheus and Grafana get: every metric they ask for exists, with the labels they ask for."""

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rendered import Object, Rendered, render, stage_of
from starlette.applications import Starlette

from anmodel.collector.metrics import CollectorMetrics
from anmodel.consumer.metrics import EVENTS, PREDICTIONS, ConsumerMetrics
from anmodel.gateway.edge import Observed
from anmodel.gateway.forecast_age import ForecastAge
from anmodel.gateway.prediction_log import PredictionLog
from anmodel.gateway.selection import Run
from anmodel.predictor.metrics import PredictorMetrics
from anmodel.rate import Limiter
from anmodel.settings import KafkaSettings, RateSettings

OUTSIDE = {
    "kube_deployment_status_replicas_available": {"deployment"},
    "kube_pod_container_status_restarts_total": set(),
    "kube_pod_container_status_last_terminated_reason": {"reason"},
    "kube_job_status_failed": {"job_name"},
    "kube_job_status_succeeded": {"job_name"},
    "kafka_consumergroup_lag": {"consumergroup", "topic"},
    "certmanager_certificate_expiration_timestamp_seconds": {"name"},
    "strimzi_certificate_expiration_timestamp_ms": {"resource_namespace", "cluster", "type"},
    "container_memory_working_set_bytes": set(),
    "container_cpu_usage_seconds_total": set(),
}
"""Metrics of others, with their labels: kube-state-metrics, a Kafka exporter, cert-manager, Strimzi, the kubelet."""
ADDED = {"namespace", "pod", "container", "job", "le"}
"""Labels that Prometheus or a histogram adds."""
SELECTOR = re.compile(r"\b([a-z][a-z0-9_]+)\{([^}]*)\}")
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def exported() -> dict[str, set[str]]:
    """Every metric of the stages that are asked for metrics, and its labels; the stages' own objects are asked."""
    registry = CollectorRegistry()
    Observed(Starlette(), registry)
    Limiter(RateSettings.load(rate_limit="1/minute"), registry)
    PredictionLog(KafkaSettings.load(kafka_bootstrap="127.0.0.1:1"), "predictions", registry)
    for stream in (EVENTS, PREDICTIONS):
        ConsumerMetrics(stream, registry)
    found = of_the_predictor() | of_the_forecasts() | of_the_collector()
    metrics: list[Any] = list(registry._collector_to_names)
    for metric in metrics:
        for described in metric.describe():
            for suffix in SUFFIXES[described.type]:
                found[described.name + suffix] = set(metric._labelnames)
    return found


def of_the_collector() -> dict[str, set[str]]:
    """Its metrics, once it has answered a request and refused an event."""
    metrics = CollectorMetrics()
    metrics.refuse("body")
    metrics.answered(422, 0.1)
    samples = (sample for family in metrics.collect() for sample in family.samples)
    return {sample.name: set(sample.labels) - ADDED for sample in samples}


def of_the_predictor() -> dict[str, set[str]]:
    """Its metrics, read from its page: one request answered, one version served."""
    served: Any = SimpleNamespace(version="1", loaded=SimpleNamespace(contract={"version": "a"}))
    source: Any = SimpleNamespace(served=served, error=None)
    metrics = PredictorMetrics("context_aware", source)
    metrics.answered("v1", 200, 0.1)
    return on_page(metrics.page())


def of_the_forecasts() -> dict[str, set[str]]:
    """The age of the forecasts, where there are some."""
    registry = CollectorRegistry()
    ForecastAge(lambda: Run(1, 2, "2026-11-24", "context_aware", "1", 7), registry).look()
    return on_page(generate_latest(registry))


def on_page(page: bytes) -> dict[str, set[str]]:
    families = text_string_to_metric_families(page.decode())
    return {sample.name: set(sample.labels) - ADDED for family in families for sample in family.samples}


def queries(rendered: Rendered) -> Iterator[tuple[str, str]]:
    """Where each query stands, and the query."""
    for rule in rendered.kind("PrometheusRule"):
        for group in rule["spec"]["groups"]:
            for alert in group["rules"]:
                yield f"alert {alert['alert']}", alert["expr"]
    for title, board in dashboards(rendered):
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{title}: {panel['title']}", target["expr"]


def dashboards(rendered: Rendered) -> Iterator[tuple[str, Object]]:
    for made in rendered.kind("ConfigMap"):
        if made["metadata"]["labels"].get("grafana_dashboard") == "1":
            for file, text in made["data"].items():
                yield file, json.loads(text)


@pytest.fixture(scope="module")
def watched(helm_there: None) -> Rendered:
    return render("kind with everything")


def test_every_metric_that_is_asked_for_exists_with_its_labels(watched: Rendered) -> None:
    known = exported() | OUTSIDE
    asked = list(queries(watched))
    assert len(asked) > 20
    for where, query in asked:
        found = SELECTOR.findall(query)
        assert found, f"{where} asks for nothing"
        for metric, matchers in found:
            assert metric in known, f"{where} asks for {metric}, which nobody exports"
            labels = set(re.findall(r"(\w+)(?:=|!)", matchers))
            assert labels <= known[metric] | ADDED, f"{where} asks {metric} by {labels}"


def test_every_metric_that_is_asked_for_is_asked_of_one_namespace(watched: Rendered) -> None:
    # the names of a group and a topic are Kafka's, not a namespace's
    for where, query in queries(watched):
        bare = SELECTOR.sub("", query)
        assert not re.search(r"\b(anmodel|kube|kafka|container|certmanager|strimzi)_\w+", bare), f"{where}: {bare}"
        for metric, matchers in SELECTOR.findall(query):
            assert metric == "kafka_consumergroup_lag" or 'namespace="shop"' in matchers, f"{where}: {metric}"
        assert "$" not in query, f"{where}: {query}"


def test_what_is_summed_by_a_label_has_it(watched: Rendered) -> None:
    known = exported() | OUTSIDE
    for where, query in queries(watched):
        labels = {
            label
            for _, metric_or_group in re.findall(r"\b(by|on) \(([^)]*)\)", query)
            for label in re.findall(r"\w+", metric_or_group)
        }
        there = {label for metric, _ in SELECTOR.findall(query) for label in known[metric]} | ADDED
        assert labels <= there, f"{where} sums by {labels - there}"


def test_every_stage_with_metrics_is_asked_for_them_at_the_port_that_has_them(watched: Rendered) -> None:
    monitor = watched.one("PodMonitor", "anmodel")
    selector = monitor["spec"]["selector"]
    (expression,) = selector["matchExpressions"]
    chosen = {
        stage_of(pod): pod
        for _, pod in watched.pods()
        if selector["matchLabels"].items() <= pod["metadata"]["labels"].items()
        and pod["metadata"]["labels"][expression["key"]] in expression["values"]
    }
    assert set(chosen) == {"collector", "consumer", "gateway"}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    for pod in chosen.values():
        assert [port["name"] for port in pod["spec"]["containers"][0]["ports"]] == [endpoint["port"]]


def test_the_predictors_pods_are_asked_by_the_label_that_kserve_gives_them(watched: Rendered) -> None:
    spec = watched.one("PodMonitor", "anmodel-predictor")["spec"]
    policy = watched.one("NetworkPolicy", "anmodel-predictor")["spec"]
    assert spec["selector"] == policy["podSelector"]
    (endpoint,) = spec["podMetricsEndpoints"]
    (runtime,) = watched.kind("ServingRuntime")
    assert endpoint["port"] in [port["name"] for port in runtime["spec"]["containers"][0]["ports"]]


def test_every_alert_says_how_bad_it_is_and_what_to_do(watched: Rendered) -> None:
    (rules,) = watched.kind("PrometheusRule")
    alerts = [alert for group in rules["spec"]["groups"] for alert in group["rules"]]
    assert len({alert["alert"] for alert in alerts}) == len(alerts) >= 12
    for alert in alerts:
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert len(alert["annotations"]["description"]) > 30, alert["alert"]
        for text in alert["annotations"].values():
            assert text.count("{{") == text.count("}}")


def test_every_dashboard_is_whole(watched: Rendered) -> None:
    boards = dict(dashboards(watched))
    assert set(boards) == {"anmodel-stream.json", "anmodel-serving.json"}
    assert len({board["uid"] for board in boards.values()}) == len(boards)
    for title, board in boards.items():
        assert len(board["uid"]) <= 40, title
        ids = [panel["id"] for panel in board["panels"]]
        assert ids == list(range(1, len(ids) + 1))
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
        assert len(places) == len(ids), f"{title}: panels lie on each other"
        (variable,) = board["templating"]["list"]
        for panel in board["panels"]:
            assert panel["datasource"]["uid"] == f"${{{variable['name']}}}"
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)


def test_nothing_of_the_prometheus_operator_is_there_unless_it_is_asked_for(helm_there: None) -> None:
    plain = render("kind")
    assert not plain.kind("PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication")
    assert not list(dashboards(plain))
