"""Compressed bodies: taken as they were, and never inflated further than is allowed."""

import gzip
import json
import tracemalloc
from collections.abc import Callable

import httpx
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from anmodel.collector.app import build_app
from anmodel.collector.bodies import split_body
from anmodel.collector.inflating import MEMBERS, inflate
from anmodel.errors import EventRefused, RequestRefused
from anmodel.settings import CollectorSettings
from recording_topic import RecordingTopic

EVENT = {
    "event_id": "e1",
    "event_type": "click",
    "timestamp": "2026-11-20T10:00:00Z",
    "session_id": "s1",
    "user_id": "u1",
    "region": "UA-30",
}
Compress = Callable[[bytes], bytes]
ENCODINGS: dict[str, Compress] = {"gzip": gzip.compress, "zstd": zstd.compress}


@pytest.fixture(params=ENCODINGS)
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def post(body: bytes, encoding: str, **settings: object) -> tuple[httpx.Response, RecordingTopic]:
    topic = RecordingTopic()
    app = build_app(topic, CollectorSettings.load(event_max_age_days=36_500, **settings))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector") as client:
        return await client.post("/collect", content=body, headers={"content-encoding": encoding}), topic


async def test_a_compressed_event_is_sent_as_it_was_before(encoding: str) -> None:
    raw = json.dumps(EVENT).encode()
    answer, topic = await post(ENCODINGS[encoding](raw), encoding.upper())
    assert answer.status_code == 201
    assert topic.sent == [("u1", raw)]


async def test_a_compressed_batch_is_answered_event_by_event(encoding: str) -> None:
    lines = "\n".join(map(json.dumps, [EVENT, EVENT | {"user_id": ""}]))
    answer, topic = await post(ENCODINGS[encoding](lines.encode()), encoding)
    assert (answer.status_code, len(topic.sent)) == (207, 1)
    assert answer.json()["events"][1]["field"] == "user_id"


async def test_the_limit_of_a_body_counts_what_it_inflates_to(encoding: str) -> None:
    body = ENCODINGS[encoding](b" " * 5000 + json.dumps(EVENT).encode())
    assert len(body) < 1024
    answer, topic = await post(body, encoding, collect_max_bytes=5000)
    assert answer.status_code == 413
    assert answer.json()["detail"][0]["reason"] == "inflated larger than COLLECT_MAX_BYTES, 5000 bytes"
    assert not topic.sent


def test_a_bomb_takes_no_more_memory_than_a_body_may(encoding: str) -> None:
    bomb = ENCODINGS[encoding](b"\0" * 300_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(RequestRefused) as caught:
            inflate(bomb, encoding, 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status == 413
    assert peak < 10_000_000


def test_a_frame_that_asks_for_a_huge_window_is_refused() -> None:
    options = {int(zstd.CompressionParameter.window_log): 27, int(zstd.CompressionParameter.content_size_flag): 0}
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(b"x" * 100) + compressor.flush()
    with pytest.raises(RequestRefused, match="no whole zstd") as caught:
        inflate(body, "zstd", 1_000_000)
    assert caught.value.status == 422


def test_several_members_are_one_body_but_not_any_number(encoding: str) -> None:
    member = ENCODINGS[encoding](b"ab")
    assert inflate(member * 3, encoding, 6) == b"ababab"
    with pytest.raises(RequestRefused, match="more than 64 members"):
        inflate(member * (MEMBERS + 1), encoding, 1000)


@pytest.mark.parametrize("spoil", [lambda body: body[:-5], lambda _: b"junk", lambda body: body + b"junk"])
def test_a_damaged_body_is_refused(encoding: str, spoil: Compress) -> None:
    with pytest.raises(RequestRefused) as caught:
        inflate(spoil(ENCODINGS[encoding](b"some text")), encoding, 1000)
    assert (caught.value.status, caught.value.field) == (422, "body")


@given(text=st.binary(max_size=2000), most=st.integers(1, 2000), name=st.sampled_from(sorted(ENCODINGS)))
def test_what_is_within_the_limit_comes_back_whole_and_nothing_else(text: bytes, most: int, name: str) -> None:
    body = ENCODINGS[name](text)
    if len(text) <= most:
        assert inflate(body, name, most) == text
    else:
        with pytest.raises(RequestRefused):
            inflate(body, name, most)


@given(body=st.binary(max_size=300), name=st.sampled_from(sorted(ENCODINGS)))
def test_any_bytes_are_inflated_or_refused(body: bytes, name: str) -> None:
    try:
        inflated = inflate(body, name, 1000)
    except RequestRefused:
        return
    assert len(inflated) <= 1000


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=5)
_objects = st.dictionaries(st.text(max_size=9), _json, max_size=4)


@given(events=st.lists(_objects, min_size=1, max_size=20), compact=st.booleans())
def test_arrays_and_lines_are_taken_apart_into_what_was_put_in(events: list[object], compact: bool) -> None:
    separators = (",", ":") if compact else (" , ", " : ")
    texts = [json.dumps(event, separators=separators) for event in events]
    array = split_body(f" [{' , '.join(texts)}]\n".encode())
    lines = split_body("\r\n".join(texts).encode(), b"application/x-ndjson; charset=utf-8")
    assert [json.loads(raw) for raw in array.events] == events
    assert [json.loads(raw) for raw in lines.events] == events
    assert not array.single
    assert not lines.single


@given(event=_objects, indent=st.integers(0, 2) | st.none())
def test_one_object_is_one_event_however_it_is_written(event: object, indent: int | None) -> None:
    body = split_body(json.dumps(event, indent=indent).encode())
    assert body.single
    assert json.loads(body.events[0]) == event


@given(body=st.binary(max_size=200) | st.text('[]{}",:\n \\1', max_size=60).map(str.encode))
def test_any_bytes_are_taken_apart_or_refused(body: bytes) -> None:
    try:
        events = split_body(body).events
    except EventRefused:
        return
    assert events
    assert all(events)


@pytest.mark.parametrize("body", [b"{}\n" * 3_000_000, b"[" + b"1," * 3_000_000 + b"1]"], ids=["lines", "array"])
def test_far_more_pieces_than_events_are_allowed_cost_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RequestRefused, match="COLLECT_MAX_EVENTS"):
            split_body(body)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * len(body)
    finally:
        tracemalloc.stop()


async def test_large_bodies_are_held_within_bounds_until_they_are_answered(encoding: str) -> None:
    lines = "\n".join([json.dumps(EVENT)] * 9000).encode()  # 1.2 MB
    answer, _ = await post(ENCODINGS[encoding](lines), encoding, max_waiting_bytes=1_048_576)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    answer, topic = await post(ENCODINGS[encoding](lines), encoding)
    assert (answer.status_code, len(topic.sent)) == (201, 9000)
