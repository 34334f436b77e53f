"""Build a training snapshot: features and targets at instants of the past, split into train, val and test."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from anmodel.errors import InputError
from anmodel.lake import EventsManifest, Lake, Written
from anmodel.snapshot.engine import Engine, quoted, split_by_users
from anmodel.snapshot.plan import PARTS, SHARES, Plan, beginning, plan
from anmodel.snapshot.sources import fingerprint, known_events, no_events, open_events, open_trends
from anmodel.snapshots import contract, milliseconds, snapshot_version, training_sql

log = structlog.get_logger()

MOST_INSTANTS = 60
_MOST_OF_FEW_USERS = 240
_FEW_ROWS = 20_000
_FEWEST_INSTANTS = 12
_ROWS_A_CHUNK = 100_000
_EVENTS_A_CHUNK = 2_000_000


class Part(msgspec.Struct, frozen=True):
    """What was written of one part: its rows, the share of them who bought, and the file."""

    rows: int
    positive_rate: float
    file: Written


def build_training(
    lake: Lake,
    engine: Engine,
    scratch: Path,
    *,
    name: str,
    horizon_days: int,
    max_rows: int,
    as_of: datetime | None = None,
    progress: Callable[[int, str], None],
) -> dict[str, Any]:
    """Write the files of `snapshots/<name>/`, then its manifest, and return that; the same lake gives the same rows.

    Of several at once under one name, the one that ends last counts; whoever reads an older one goes on reading it.

    `as_of` (aware): as it would have been at that instant, to see how a model of then would have done. `progress` is
    told the rows made and how far that is. Raises `NotReadyError` without events, `InputError` when their history is
    too short.
    """
    manifest, watermark = known_events(lake)
    watermark = min(watermark, as_of.astimezone(UTC)) if as_of else watermark
    with open_events(lake, engine, manifest, until=watermark) as source, open_trends(lake) as trends:
        created_from = fingerprint(engine, manifest, trends)
        known = f"ts < fromUnixTimestamp64Milli({milliseconds(watermark)}, 'UTC')"
        facts = engine.rows(
            f"SELECT toUnixTimestamp64Milli(min(ts)) AS first, uniqExact(user_id) AS users FROM {source} WHERE {known}"
        )[0]
        if not facts["users"]:
            raise no_events(manifest, watermark)
        first = _first(datetime.fromtimestamp(facts["first"] / 1000, UTC), watermark, manifest)
        most = min(_most_instants(facts["users"]), max(_FEWEST_INSTANTS, max_rows // facts["users"]))
        planned = plan(first, watermark, horizon_days=horizon_days, most_instants=most)
        instants = [milliseconds(instant) for instant in planned.all_instants]
        known_until = [milliseconds(end) for end in planned.known_until(watermark)]
        users = min(facts["users"], max(1, max_rows // len(instants)))
        sample = _sample(engine, source, users) if users < facts["users"] else "1"
        chunks = _chunks(users * len(instants), manifest.rows)
        log.info("training snapshot planned", split=planned.split, instants=len(instants), users=users, chunks=chunks)
        rows = 0
        for done, part in enumerate(split_by_users(engine, source, sample, scratch, chunks), 1):
            chunk = scratch / f"chunk-{done}.parquet"
            engine.write(chunk, training_sql(part, instants, known_until, horizon_days=horizon_days, trends=trends))
            rows += pq.read_metadata(chunk).num_rows
            progress(rows, f"part {done} of {chunks}")
    made = _write_parts(lake, engine, scratch, name, planned)
    result = {
        "name": name,
        "version": snapshot_version(horizon_days),
        "horizon_days": horizon_days,
        "contract": contract(horizon_days),
        "created_from": created_from,
        "past_events": manifest.fingerprint_before(watermark),
        "watermark": watermark.isoformat(),
        "split": planned.split,
        "step_days": planned.step_days,
        "instants": {part: [instant.isoformat() for instant in planned.instants[part]] for part in PARTS},
        "users": users,
        "embargo_days": horizon_days,
        "rows": {part: found.rows for part, found in made.items()},
        "positive_rate": {part: found.positive_rate for part, found in made.items()},
        "files": {part: msgspec.to_builtins(found.file) for part, found in made.items()},
    }
    lake.write_json(f"snapshots/{name}/manifest.json", result)
    return result


def _first(oldest: datetime, watermark: datetime, manifest: EventsManifest) -> datetime:
    """When training begins; says so if that is not with the oldest event."""
    first = beginning(oldest, watermark, {day: entry.rows for day, entry in manifest.over(watermark).items()})
    if first > oldest:
        reason = f"the few events from {oldest:%Y-%m-%d} until then are no history to learn from"
        log.warning("training begins later", first=f"{first:%Y-%m-%d}", reason=reason)
    return first


def _most_instants(users: int) -> int:
    """More than `MOST_INSTANTS` only where few users give few rows: those of one user, day after day, are alike."""
    return min(_MOST_OF_FEW_USERS, max(MOST_INSTANTS, _FEW_ROWS // users))


def _sample(engine: Engine, source: str, users: int) -> str:
    """A condition that so many users meet, the same ones every time."""
    hashes = f"SELECT DISTINCT cityHash64(user_id) AS hash FROM {source} ORDER BY hash LIMIT {users}"
    sql = f"SELECT max(hash) AS last FROM ({hashes})"
    return f"cityHash64(user_id) <= {engine.rows(sql)[0]['last']}"


def _chunks(rows: int, events: int) -> int:
    """Into how many groups of users to cut the work, for memory."""
    return max(1, -(-rows // _ROWS_A_CHUNK), -(-events // _EVENTS_A_CHUNK))


def _write_parts(lake: Lake, engine: Engine, scratch: Path, name: str, planned: Plan) -> dict[str, Part]:
    """Write the three files in one pass, in order of time and user."""
    chunks = f"file('{quoted(str(scratch))}/chunk-*.parquet', 'Parquet')"
    engine.write(
        scratch / "part-{_partition_id}.parquet",
        f"SELECT * FROM {chunks} ORDER BY snapshot_time, user_id",
        partition=_part_sql(engine, chunks, planned),
    )
    return {part: _part(lake, name, part, scratch / f"part-{part}.parquet") for part in PARTS}


def _part(lake: Lake, name: str, part: str, file: Path) -> Part:
    if not file.exists():
        raise InputError(f"the {part} part has no rows: too few users were active. Collect more events")
    bought = pq.ParquetFile(file).read(["will_purchase"])["will_purchase"]
    return Part(len(bought), pc.sum(bought).as_py() / len(bought), lake.add_file(f"snapshots/{name}", part, file))


def _part_sql(engine: Engine, chunks: str, planned: Plan) -> str:
    """The name of the part that a row belongs to, in SQL."""
    cases = ", ".join(f"{condition}, '{part}'" for part, condition in _conditions(engine, chunks, planned))
    return f"multiIf({cases}, 'none')"


def _conditions(engine: Engine, chunks: str, planned: Plan) -> Iterator[tuple[str, str]]:
    """Which rows belong to each part, in SQL."""
    if planned.split == "time":
        for part in PARTS:
            instants = ", ".join(str(milliseconds(instant)) for instant in planned.instants[part])
            yield part, f"toUnixTimestamp64Milli(snapshot_time) IN ({instants})"
        return
    # another hash than the sample's and the chunks': theirs would leave parts empty
    hashes = f"SELECT DISTINCT sipHash64(user_id) AS hash FROM {chunks}"
    users = engine.rows(f"SELECT count() AS users FROM ({hashes})")[0]["users"]
    if users < len(PARTS):
        raise InputError(f"{users} active users; training needs at least {len(PARTS)}. Collect more events")
    val = min(int(users * SHARES[0]), users - 2)
    test = min(max(int(users * (SHARES[0] + SHARES[1])), val + 1), users - 1)
    first_val, first_test = (
        engine.rows(f"{hashes} ORDER BY hash LIMIT 1 OFFSET {offset}")[0]["hash"] for offset in (val, test)
    )
    yield "train", f"sipHash64(user_id) < {first_val}"
    yield "val", f"sipHash64(user_id) >= {first_val} AND sipHash64(user_id) < {first_test}"
    yield "test", f"sipHash64(user_id) >= {first_test}"
