"""Everything below our release: namespace, images, Secrets, and the workloads of k8s/overlays/test.

Each step may be repeated; Secrets and data that are there stay as they are.
"""

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import storage
from psycopg import sql

from bringup.credentials import filled
from bringup.parts import load
from certificates import Authority
from cluster import NAMESPACE, OURS, Cluster, run

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "k8s/platform.py"
STAGES = ("collector", "consumer", "migrate", "generator", "gateway", "marketapp")
BATCH_STAGES = ("export", "trends", "snapshot", "train", "register", "score", "monitor", "predictor")
BATCH_PARTS = ("mlflow", "airflow")
PLATFORM_IMAGES = {"kafka": "anmodel-test/kafka:4.3.1", "clickhouse": "anmodel-test/clickhouse:26.9"}
CONTEXT = ("requirements/laptop.txt", "src/anmodel", "tests/cluster/images")
SECRETS = load().secrets
NEXT = "next"
"""A second tag of our images, for the tests of upgrades."""

KAFKA_USERS = ("anmodel-collector", "anmodel-consumer", "anmodel-register", "anmodel-monitor", "anmodel-gateway")
OWNERS = ("users", "mlflow", "airflow")
"""Databases of the cluster's Postgres, each with a role of its name and the Secret anmodel-pg-NAME."""
BUCKETS = ("lake", "mlflow", "airflow-logs")
S3_SECRETS = ("anmodel-s3-lake", "anmodel-s3-mlflow", "anmodel-s3-models", "anmodel-s3-logs")
BOOTSTRAP = "anmodel-kafka-bootstrap"


def version() -> str:
    """The version, which is the images' tag."""
    from anmodel import __version__

    return __version__


def our_images() -> list[str]:
    """The images that the release runs all the time, as they are tagged here."""
    return [f"anmodel/{stage}:{version()}" for stage in STAGES]


def batch_images() -> list[str]:
    """Those of the steps, the predictor, MLflow and Airflow."""
    return [f"anmodel/{name}:{version()}" for name in (*BATCH_STAGES, *BATCH_PARTS)]


def make_namespace(cluster: Cluster) -> None:
    """The tests' namespace; refuses one that somebody else made."""
    if cluster.exists("namespace", NAMESPACE):
        labels = cluster.get("namespace", NAMESPACE)["metadata"]["labels"]
        if not OURS.items() <= labels.items():
            raise RuntimeError(
                f"the namespace {NAMESPACE} exists and was not made by these tests, which would change and delete what "
                f"is in it. If that is what you want: kubectl label namespace {NAMESPACE} anmodel.tests/namespace=yes"
            )
        return
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": OURS}})


def load_images() -> None:
    """Build the images that events need and hand them to the cluster by the command in ANMODEL_LOAD_IMAGE.

    Without that variable nothing is built: the cluster must have the images or know where to pull them.
    """
    loading = _loading()
    if not loading:
        return
    for name, image in PLATFORM_IMAGES.items():
        _build(name, image)
    run("make", "-C", str(ROOT), "images", f"STAGES={' '.join(STAGES)}", timeout=1800)
    following = [image.rsplit(":", 1)[0] + f":{NEXT}" for image in our_images()]
    for image, second in zip(our_images(), following, strict=True):
        run("docker", "tag", image, second)
    run(*loading, *PLATFORM_IMAGES.values(), *our_images(), *following, timeout=900)


def load_batch_images() -> None:
    """The same for the images that batch and serving need."""
    loading = _loading()
    if not loading:
        return
    run("make", "-C", str(ROOT), "images", f"STAGES={' '.join((*BATCH_STAGES, *BATCH_PARTS))}", timeout=3600)
    run(*loading, *batch_images(), timeout=1800)


def _loading() -> list[str]:
    return shlex.split(os.environ.get("ANMODEL_LOAD_IMAGE", ""))


def _build(name: str, image: str) -> None:
    base = os.environ.get("BASE_IMAGE")
    arguments = ["--build-arg", f"BASE_IMAGE={base}"] if base else []
    with subprocess.Popen(
        ["tar", "-c", "--exclude=__pycache__", *CONTEXT], cwd=ROOT, stdout=subprocess.PIPE
    ) as context:
        built = subprocess.run(
            ["docker", "build", "-q", "-f", f"tests/cluster/images/{name}.Dockerfile", "-t", image, *arguments, "-"],
            stdin=context.stdout,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
    assert built.returncode == 0, built.stdout + built.stderr


def make_secrets(cluster: Cluster) -> None:
    """The Secrets that platform and operators would make, and those of the cluster's own databases under our names."""
    if not cluster.exists("secret", "anmodel-cluster-ca-cert"):
        new_certificates(cluster)
    for user in KAFKA_USERS:
        if not cluster.exists("secret", user):
            cluster.put_secret(user, {"password": secrets.token_hex(16)})
    cluster.put_secret("anmodel-valkey", {"password": cluster.secret("databases", "password", "databases")})
    for name in S3_SECRETS:  # that S3 knows one key, which all of them hold
        data = filled({**SECRETS[name].data, **storage.credentials(cluster)}, cluster.secret)
        cluster.put_secret(name, data, SECRETS[name].annotations)
    for name in ("anmodel-clickhouse", *(f"anmodel-pg-{owner}" for owner in OWNERS), "anmodel-dags-login"):
        _make_secret(cluster, name)
    _make_secret(cluster, "anmodel-mlflow", ("sslmode=require", "sslmode=disable"))  # that Postgres has no certificate
    _make_secret(cluster, "anmodel-airflow")


def _make_secret(cluster: Cluster, name: str, change: tuple[str, str] = ("", "")) -> None:
    """A Secret as platform.toml has it, but for one word; what is there stays."""
    if not cluster.exists("secret", name):
        data = filled(SECRETS[name].data, cluster.secret)
        cluster.put_secret(name, {key: value.replace(*change) for key, value in data.items()})


def new_certificates(cluster: Cluster, trusted_too: str = "") -> None:
    """A new CA and a broker's certificate by it; clients are told to trust it, and `trusted_too` beside it."""
    authority = Authority(f"anmodel cluster tests {secrets.token_hex(4)}")
    domain = ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")
    certificate, key = authority.issue(BOOTSTRAP, hosts=[BOOTSTRAP + end for end in domain])
    cluster.put_secret("anmodel-cluster-ca-cert", {"ca.crt": authority.certificate + trusted_too})
    cluster.put_secret("anmodel-kafka-brokers", {"tls.key": key, "tls.crt": certificate})


@contextmanager
def _postgres(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """The cluster's Postgres, as its administrator."""
    admin = {key: cluster.secret("databases", key, "databases") for key in ("username", "password")}
    with (
        cluster.forwarded("service/postgres", 5432, namespace="databases") as port,
        psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=admin["username"],
            password=admin["password"],
            dbname="postgres",
            autocommit=True,
            sslmode="disable",
        ) as connection,
    ):
        yield connection


def make_databases(cluster: Cluster) -> None:
    """Our roles and databases on the cluster's Postgres, with the passwords of our Secrets. Safe to repeat."""
    passwords = {owner: cluster.secret(f"anmodel-pg-{owner}", "password") for owner in OWNERS}
    with _postgres(cluster) as connection:
        roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for owner, password in passwords.items():
            name, verb = sql.Identifier(owner), sql.SQL("ALTER" if owner in roles else "CREATE")
            connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, sql.Literal(password)))
            if owner not in databases:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def forget_batch(cluster: Cluster) -> None:
    """Remove what earlier runs of Airflow and MLflow left: they themselves, their databases, what KServe serves."""
    cluster.kubectl("delete", "inferenceservices", "--all", "--wait")
    for chosen in ("release=airflow", "app.kubernetes.io/name=mlflow"):
        cluster.kubectl("delete", "deployments", "-l", chosen, "--wait")
    with _postgres(cluster) as connection:
        for owner in BATCH_PARTS:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(owner)))


def make_buckets(cluster: Cluster) -> None:
    """Our buckets in the cluster's S3, empty."""
    with storage.opened(cluster) as s3:
        there = {str(name) for name in s3.ls("")}
        for bucket in BUCKETS:
            if bucket not in there:
                s3.mkdir(bucket)
            for entry in s3.ls(bucket, detail=False):
                s3.rm(entry, recursive=True)


def start() -> None:
    """Bring up the overlay and wait until Kafka, ClickHouse and the Gateway are there."""
    run(sys.executable, str(PLATFORM), "up", "--overlay", "test")


def start_batch(cluster: Cluster) -> None:
    """Bring up MLflow and Airflow, with the images as they are now, and wait until they are there."""
    for part in BATCH_PARTS:
        run(sys.executable, str(PLATFORM), "apply", part, "--overlay", "test", timeout=900)


def remove() -> None:
    """Delete the namespace with all data in it. What the tests made in the cluster's databases and S3 stays."""
    context = run("kubectl", "config", "current-context").strip()
    run(sys.executable, str(PLATFORM), "down", "--overlay", "test", "--delete-data", "--context", context)
