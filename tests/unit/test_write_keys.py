"""Write keys: who may send, from where, and how often; taken up anew as the file changes."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typer.testing import CliRunner

from anmodel.cli import app as cli
from anmodel.collector.app import build_app
from anmodel.collector.front import Front
from anmodel.collector.keyring import Keyring
from anmodel.collector.keys import line_of, parse_keys, presented
from anmodel.errors import RequestRefused, SettingError
from anmodel.settings import CollectorSettings
from recording_topic import RecordingTopic

SERVER, PAGE = "amk_server", "amk_page"
SHOP = "https://shop.example"
EVENT = json.dumps(
    {
        "event_id": "e1",
        "event_type": "click",
        "timestamp": "2026-11-20T10:00:00Z",
        "session_id": "s1",
        "user_id": "u1",
        "region": "",
    }
)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "write_keys"
    path.write_text(f"# who may send\n{line_of('erp', SERVER)}\n\n{line_of('shop', PAGE, origins=SHOP)}\n")
    return path


def application(keys: Path, topic: RecordingTopic | None = None, **settings: object) -> Front:
    given = {"write_keys": str(keys), "event_max_age_days": 36_500, "secrets_poll_seconds": 0.01} | settings
    return build_app(topic or RecordingTopic(), CollectorSettings.load(**given))  # type: ignore[arg-type]


async def post(app: Front, query: str = "", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector") as client:
        return await client.post(f"/collect{query}", content=EVENT, headers=headers)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {SERVER}", f"bearer  {SERVER}", basic(SERVER, ""), basic("anybody", SERVER)],
)
async def test_a_key_is_shown_as_bearer_or_by_basic(keys: Path, authorization: str) -> None:
    topic = RecordingTopic()
    assert (await post(application(keys, topic), authorization=authorization)).status_code == 201
    assert len(topic.sent) == 1


@pytest.mark.parametrize(
    ("query", "headers", "status", "field"),
    [
        ("", {}, 401, "key"),
        ("", {"authorization": "Bearer amk_wrong"}, 401, "key"),
        ("", {"authorization": f"Basic {SERVER}"}, 401, "key"),
        ("", {"authorization": "Digest x"}, 401, "key"),
        (f"?key={SERVER}", {}, 403, "key"),
        (f"?key={PAGE}", {}, 403, "origin"),
        (f"?key={PAGE}", {"origin": "https://elsewhere.example"}, 403, "origin"),
        (f"?key={PAGE}", {"origin": "null"}, 403, "origin"),
    ],
)
async def test_who_may_not_send_is_told_why_and_nothing_is_stored(
    keys: Path, query: str, headers: dict[str, str], status: int, field: str
) -> None:
    topic = RecordingTopic()
    answer = await post(application(keys, topic), query, **headers)
    assert (answer.status_code, answer.json()["detail"][0]["field"]) == (status, field)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert SERVER not in answer.text
    assert not topic.sent


async def test_a_pages_key_stands_in_its_address_and_is_good_for_its_own_origin(keys: Path) -> None:
    app = application(keys)
    assert (await post(app, f"?a=b&key={PAGE}", origin=SHOP)).status_code == 201
    assert (await post(app, authorization=f"Bearer {PAGE}", origin=SHOP)).status_code == 201


async def test_a_page_may_read_why_it_may_not_send(keys: Path) -> None:
    answer = await post(application(keys), "?key=amk_wrong", origin=SHOP)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")


async def test_each_key_has_a_rate_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("\n".join([line_of("a", "key-a", rate="2/day"), line_of("b", "key-b", rate="2/day")]))
    app = application(path)
    statuses = [(await post(app, authorization="Bearer key-a")).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]
    assert (await post(app, authorization="Bearer key-b")).status_code == 201
    refused = await post(app, authorization="Bearer key-a")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["detail"][0]["reason"].startswith("too many requests: more than 2/day with the key a; wait ")


async def test_without_a_file_everybody_may_send() -> None:
    app = build_app(RecordingTopic(), CollectorSettings.load(event_max_age_days=36_500))  # type: ignore[arg-type]
    assert (await post(app)).status_code == 201


async def test_an_empty_file_lets_nobody_send(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# nobody yet\n")
    assert (await post(application(path), authorization=f"Bearer {SERVER}")).status_code == 401


def test_a_changed_file_is_taken_up_and_a_faulty_one_changes_nothing(keys: Path) -> None:
    keyring = Keyring(keys, 10)
    keys.write_text(f"{line_of('erp', SERVER)}\n{line_of('erp', 'amk_next')}\n")
    keyring.look()
    assert keyring.find(SERVER.encode())  # both are good, while senders change over
    assert keyring.find(b"amk_next")
    keys.write_text("erp amk_by_mistake\n")
    with capture_logs() as logs:
        keyring.look()
        keyring.look()
    assert [line["event"] for line in logs] == ["changed write keys not taken up"]
    assert "amk_by_mistake" not in str(logs)
    assert keyring.find(b"amk_next")
    keys.write_text(line_of("erp", "amk_next"))
    keyring.look()
    assert not keyring.find(SERVER.encode())
    keys.write_text("")  # it is being written anew, perhaps
    keyring.look()
    assert keyring.find(b"amk_next")
    keys.unlink()
    keyring.look()
    assert keyring.find(b"amk_next")


@pytest.mark.parametrize(
    "line",
    [
        "shop",
        "shop amk_key",
        "shop sha256:123",
        "sh/op sha256:" + "0" * 64,
        f"shop sha256:{'0' * 64} origins=",
        f"shop sha256:{'0' * 64} origins=shop.example",
        f"shop sha256:{'0' * 64} origins=https://shop.example/path",
        f"shop sha256:{'0' * 64} rate=many",
        f"shop sha256:{'0' * 64} colour=red",
    ],
)
def test_a_line_that_is_wrong_stops_the_start_and_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# first\n" + line)
    with pytest.raises(SettingError, match="line 2 of the write keys") as caught:
        application(path)
    assert "amk_key" not in str(caught.value)


def test_a_file_that_is_not_there_stops_the_start_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nowhere cannot be read"):
        application(tmp_path / "nowhere")


def test_the_command_shows_a_key_once_and_prints_the_line_that_knows_it() -> None:
    done = CliRunner().invoke(cli, ["collector", "--new-key", "shop", "--origins", SHOP, "--rate", "600/minute"])
    assert done.exit_code == 0
    (key,) = (word for word in done.stderr.split() if word.startswith("amk_"))
    (known,) = parse_keys(done.stdout).values()
    assert key not in done.stdout
    assert known.digest == hashlib.sha256(key.encode()).hexdigest()
    assert (known.name, known.origins, known.rate) == ("shop", {SHOP.encode()}, "600/minute")
    assert len(key) >= 43  # 256 bits


@given(st.dictionaries(st.sampled_from([b"authorization", b"origin"]), st.binary(max_size=60)), st.binary(max_size=60))
def test_whatever_is_shown_is_a_key_or_none(headers: dict[bytes, bytes], query: bytes) -> None:
    try:
        key, in_address = presented(headers, query)
    except RequestRefused as refused:
        status = refused.status
    else:
        assert isinstance(key, bytes)
        assert not in_address or b"key=" in query
        return
    assert status == 401


@given(st.text(max_size=200))
def test_any_text_is_a_file_of_keys_or_a_setting_that_is_wrong(text: str) -> None:
    try:
        keys: dict[str, Any] = parse_keys(text)
    except SettingError:
        return
    assert all(len(digest) == 64 for digest in keys)
