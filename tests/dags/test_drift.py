"""Which messages start a training."""

import json
import logging
from dataclasses import dataclass

import msgspec
import pytest

from anmodel_dags.drift import only_drift

DRIFT = {
    "type": "drift",
    "model": "context_aware",
    "version": "3",
    "snapshot_time": "2026-11-24T00:00:00+00:00",
    "findings": [{"metric": "psi", "feature": "views_7d", "value": 0.41}],
    "at": "2026-11-24T00:31:02.118Z",
}


@dataclass
class Message:
    content: object

    def value(self) -> bytes | None:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content if isinstance(self.content, bytes | None) else json.dumps(self.content).encode()


def test_of_a_message_of_drift_the_model_and_the_version_are_let_through() -> None:
    assert only_drift(Message(DRIFT)) == {"type": "drift", "model": "context_aware", "version": "3"}


@pytest.mark.parametrize(
    ("more", "model", "version"),
    [
        (b'"model": "context_aware", "version": "3", "rows": 99999999999999999999999', "context_aware", "3"),
        (b'"model": "context_aware", "version": 18446744073709551616', "context_aware", "18446744073709551616"),
        (rb'"model": "\ud800 \u0000 \u044f", "version": NaN', "? ? ?", "nan"),
        (b'"model": {"a": [1, 2]}, "version": [-Infinity]', "{'a': [1, 2]}", "[-inf]"),
        (b'"model": "' + b"m" * 1000 + b'", "version": "' + b"v" * 1000 + b'"', "m" * 64, "v" * 32),
        (b'"at": 0', "", ""),
    ],
)
def test_nothing_goes_on_that_airflow_could_not_pack_and_keep(more: bytes, model: str, version: str) -> None:
    let_through = only_drift(Message(b'{"type": "drift", ' + more + b"}"))
    assert let_through == {"type": "drift", "model": model, "version": version}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(let_through)) == let_through
    assert json.dumps(let_through, allow_nan=False).isascii()


@pytest.mark.parametrize(
    "content",
    [
        {"type": "champion_changed", "model": "context_aware", "version": "4", "reason": "drift"},
        {"type": "version_rejected", "model": "context_aware", "version": "4"},
        DRIFT | {"type": "forecasts_shifted"},
        DRIFT | {"type": "forecasts_worse"},
        {"type": "training_finished", "dag_id": "train_model", "run_id": "drift"},
        {"type": "Drift"},
        {"type": ["drift"]},
        {"kind": "drift"},
        {},
        [],
        [DRIFT],
        "drift",
        7,
        True,
        None,
        b"",
        b"null",
    ],
)
def test_our_own_messages_and_others_start_nothing(content: object, caplog: pytest.LogCaptureFixture) -> None:
    assert only_drift(Message(content)) is None
    assert not caplog.records, "a message that is merely not for us is no news"


@pytest.mark.parametrize(
    "content",
    [b"{", b"drift", b"\xff\xfe", b"\x00" * 100, b'{"type": "drift"', b"[" * 100_000, "type=drift".encode("utf-16")],
)
def test_an_unreadable_message_is_logged_and_dropped(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert only_drift(Message(content)) is None
    assert "unreadable and dropped" in caplog.text


def test_a_message_without_content_is_dropped() -> None:
    assert only_drift(Message(None)) is None
