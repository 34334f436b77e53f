"""Secrets that the platform makes: once, whole, and never written over."""

import base64
import hashlib
import json
from typing import Any

import pytest
from platform_tree import OVERLAYS, PLATFORM, overlay, values
from runners import Notes

from bringup.credentials import ensure_secret, filled
from bringup.errors import PlatformError
from bringup.parts import SecretSpec

KUBECTL = ["kubectl"]
GET = "kubectl -n anmodel get secret"
SPEC = SecretSpec("shop", {"username": "shop", "password": "${random}"}, labels={"a": "b"})


def encoded(**values: str) -> dict[str, object]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def nobody(name: str, key: str) -> str:
    raise AssertionError(f"{name} {key} was asked for")


def test_a_missing_secret_is_made_and_its_values_are_on_no_command_line() -> None:
    runner = Notes({GET: ""})
    ensure_secret(runner, KUBECTL, SPEC)
    (command,) = runner.ran
    assert command == "kubectl create -f -"
    made = json.loads(runner.given[command])
    assert made["metadata"] == {"name": "shop", "namespace": "anmodel", "labels": {"a": "b"}}
    assert made["stringData"]["username"] == "shop"
    assert len(made["stringData"]["password"]) == 32


def test_a_secrets_annotations_are_made_with_it() -> None:
    runner = Notes({GET: ""})
    ensure_secret(runner, KUBECTL, PLATFORM.secrets["anmodel-s3-models"])
    annotations = json.loads(runner.given["kubectl create -f -"])["metadata"]["annotations"]
    assert annotations["serving.kserve.io/s3-endpoint"] == "anmodel-s3.anmodel.svc:8333", "KServe wants no scheme"
    assert annotations["serving.kserve.io/s3-usehttps"] == "0"


def test_two_secrets_have_two_passwords() -> None:
    assert filled({"password": "${random}"}, nobody) != filled({"password": "${random}"}, nobody)


def test_an_existing_secret_is_left_alone() -> None:
    runner = Notes({GET: encoded(username="mine", password="mine")})
    ensure_secret(runner, KUBECTL, SPEC)
    assert runner.ran == []


def test_an_existing_secret_without_a_key_is_refused_and_left_alone() -> None:
    runner = Notes({GET: encoded(username="mine")})
    with pytest.raises(PlatformError, match=r"anmodel/shop lacks \['password'\].*add the keys, or"):
        ensure_secret(runner, KUBECTL, SPEC)
    assert runner.ran == []


def test_a_cluster_that_does_not_answer_is_not_taken_for_one_without_secrets() -> None:
    runner = Notes({GET: None})
    with pytest.raises(PlatformError, match="is it reachable"):
        ensure_secret(runner, KUBECTL, SPEC)
    assert runner.ran == []


def test_a_digest_is_that_of_the_password_beside_it() -> None:
    made = filled(PLATFORM.secrets["anmodel-clickhouse"].data, nobody)
    assert made["password_sha256_hex"] == hashlib.sha256(made["password"].encode()).hexdigest()


def s3_identities() -> dict[str, Any]:
    """What SeaweedFS is told of each identity of the S3, by name."""
    made = filled(PLATFORM.secrets["anmodel-s3-identities"].data, "{} {}".format)
    told = json.loads(made["seaweedfs_s3_config"])["identities"]
    by_name = {identity["name"]: identity for identity in told}
    assert len(by_name) == len(told)
    return by_name


def test_seaweedfs_gets_the_keys_that_its_clients_get() -> None:
    secrets = {name for name in PLATFORM.secrets if name.startswith("anmodel-s3-")} - {"anmodel-s3-identities"}
    assert {f"anmodel-s3-{name}" for name in s3_identities()} == secrets
    for name, identity in s3_identities().items():
        secret = f"anmodel-s3-{name}"
        keys = {"AWS_ACCESS_KEY_ID": "accessKey", "AWS_SECRET_ACCESS_KEY": "secretKey"}
        assert set(keys) <= set(PLATFORM.secrets[secret].data)
        assert identity["credentials"] == [{field: f"{secret} {key}" for key, field in keys.items()}]


def test_each_identity_of_the_s3_is_bound_to_its_buckets_and_one_alone_writes_a_bucket() -> None:
    may = {name: {tuple(action.split(":")) for action in it["actions"]} for name, it in s3_identities().items()}
    every = ("Read", "Write", "List")
    buckets = {
        "lake": {"lake"},
        "mlflow": {"mlflow"},
        "logs": {"airflow-logs"},
        "backups": {"backups", "clickhouse-backups"},
    }
    wanted = {name: {(verb, bucket) for bucket in own for verb in every} for name, own in buckets.items()}
    # the bucket of models is code: whoever serves it reads
    assert may == wanted | {"models": {("Read", "mlflow"), ("List", "mlflow")}}
    created = {it["name"] for it in values("s3", "production")["s3"]["createBuckets"]}
    assert created == {bucket for own in buckets.values() for bucket in own}


def test_airflows_connection_to_its_logs_holds_the_keys_beside_it() -> None:
    made = filled(PLATFORM.secrets["anmodel-s3-logs"].data, nobody)
    connection = json.loads(made["connection"])
    assert (connection["login"], connection["password"]) == (made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"])


def test_the_sign_in_of_the_uis_is_in_the_form_that_the_edge_reads() -> None:
    made = filled(PLATFORM.secrets["anmodel-ui-users"].data, nobody)
    user, _, digest = made[".htpasswd"].partition(":{SHA}")
    assert user == made["username"]
    assert base64.b64decode(digest) == hashlib.sha1(made["password"].encode(), usedforsecurity=False).digest()


def test_a_secret_may_take_a_key_of_another() -> None:
    runner = Notes({f"{GET} anmodel-mlflow ": "", f"{GET} anmodel-pg-mlflow ": encoded(password="opensesame")})
    ensure_secret(runner, KUBECTL, PLATFORM.secrets["anmodel-mlflow"])
    uri = json.loads(runner.given["kubectl create -f -"])["stringData"]["uri"]
    assert uri == "postgresql+psycopg2://mlflow:opensesame@anmodel-pg-rw:5432/mlflow?sslmode=require"


def test_a_secret_whose_other_is_missing_says_which() -> None:
    with pytest.raises(PlatformError, match="anmodel/anmodel-pg-mlflow with the key password must be there before"):
        ensure_secret(Notes({GET: ""}), KUBECTL, PLATFORM.secrets["anmodel-mlflow"])


def test_every_template_of_the_platforms_file_is_filled() -> None:
    for spec in PLATFORM.secrets.values():
        for value in filled(spec.data, lambda name, key: "other").values():
            assert "${" not in value


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_secret_that_another_is_made_of_comes_before_it(name: str) -> None:
    made: set[str] = set()
    for part in overlay(name).parts:
        for secret in part.secrets:
            wanted: list[str] = []
            filled(PLATFORM.secrets[secret].data, lambda other, key, wanted=wanted: wanted.append(other) or "")  # type: ignore[misc]
            assert set(wanted) <= made, secret
            made.add(secret)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(PlatformError, match=r"unknown template \$\{rnadom\}"):
        filled({"password": "${rnadom}"}, nobody)
