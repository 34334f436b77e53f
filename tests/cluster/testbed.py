"""Everything below our release: namespace, images, Secrets, and the workloads of k8s/overlays/test.

Each step may be repeated; Secrets and data that are there stay as they are.
"""

import hashlib
import os
import secrets
import shlex
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from certificates import Authority
from cluster import NAMESPACE, OURS, Cluster, run

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "k8s/platform.py"
STAGES = ("collector", "consumer", "migrate", "generator", "gateway", "marketapp")
PLATFORM_IMAGES = {"kafka": "anmodel-test/kafka:4.3.1", "clickhouse": "anmodel-test/clickhouse:26.9"}
CONTEXT = ("requirements/laptop.txt", "src/anmodel", "tests/cluster/images")
NEXT = "next"
"""A second tag of our images, for the tests of upgrades."""

KAFKA_USERS = ("anmodel-collector", "anmodel-consumer")
BOOTSTRAP = "anmodel-kafka-bootstrap"


def version() -> str:
    """The version, which is the images' tag."""
    from anmodel import __version__

    return __version__


def our_images() -> list[str]:
    """The images that the release runs, as they are tagged here."""
    return [f"anmodel/{stage}:{version()}" for stage in STAGES]


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
    """Build all images and hand them to the cluster by the command in ANMODEL_LOAD_IMAGE.

    Without that variable nothing is built: the cluster must have the images or know where to pull them.
    """
    loading = shlex.split(os.environ.get("ANMODEL_LOAD_IMAGE", ""))
    if not loading:
        return
    for name, image in PLATFORM_IMAGES.items():
        _build(name, image)
    run("make", "-C", str(ROOT), "images", f"STAGES={' '.join(STAGES)}", timeout=1800)
    following = [image.rsplit(":", 1)[0] + f":{NEXT}" for image in our_images()]
    for image, second in zip(our_images(), following, strict=True):
        run("docker", "tag", image, second)
    run(*loading, *PLATFORM_IMAGES.values(), *our_images(), *following, timeout=900)


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
    """The Secrets that the operators would make, and those of the cluster's own databases under our names."""
    if not cluster.exists("secret", "anmodel-cluster-ca-cert"):
        new_certificates(cluster)
    for user in KAFKA_USERS:
        if not cluster.exists("secret", user):
            cluster.put_secret(user, {"password": secrets.token_hex(16)})
    if not cluster.exists("secret", "anmodel-clickhouse"):
        password = secrets.token_hex(16)
        digest = hashlib.sha256(password.encode()).hexdigest()
        cluster.put_secret("anmodel-clickhouse", {"password": password, "password_sha256_hex": digest})
    cluster.put_secret("anmodel-valkey", {"password": cluster.secret("databases", "password", "databases")})
    if not cluster.exists("secret", "anmodel-pg-users"):
        cluster.put_secret("anmodel-pg-users", {"username": "users", "password": secrets.token_hex(16)})


def new_certificates(cluster: Cluster, trusted_too: str = "") -> None:
    """A new CA and a broker's certificate by it; clients are told to trust it, and `trusted_too` beside it."""
    authority = Authority(f"anmodel cluster tests {secrets.token_hex(4)}")
    domain = ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")
    certificate, key = authority.issue(BOOTSTRAP, hosts=[BOOTSTRAP + end for end in domain])
    cluster.put_secret("anmodel-cluster-ca-cert", {"ca.crt": authority.certificate + trusted_too})
    cluster.put_secret("anmodel-kafka-brokers", {"tls.key": key, "tls.crt": certificate})


def make_users_database(cluster: Cluster) -> None:
    """Role and database `users` on the cluster's Postgres, with the password of our Secret. Safe to repeat."""
    admin = {key: cluster.secret("databases", key, "databases") for key in ("username", "password")}
    password = cluster.secret("anmodel-pg-users", "password")
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
        known = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'users'").fetchone()
        verb = sql.SQL("ALTER" if known and known[0] else "CREATE")
        connection.execute(sql.SQL("{} ROLE users LOGIN PASSWORD {}").format(verb, sql.Literal(password)))
        known = connection.execute("SELECT count(*) FROM pg_database WHERE datname = 'users'").fetchone()
        if not known or not known[0]:
            connection.execute("CREATE DATABASE users OWNER users")


def start() -> None:
    """Bring up the overlay and wait until Kafka, ClickHouse and the Gateway are there."""
    run(sys.executable, str(PLATFORM), "up", "--overlay", "test")


def remove() -> None:
    """Delete the namespace with all data in it. What the tests made in the cluster's Postgres and Valkey stays."""
    context = run("kubectl", "config", "current-context").strip()
    run(sys.executable, str(PLATFORM), "down", "--overlay", "test", "--delete-data", "--context", context)
