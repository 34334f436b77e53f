"""What one run of score does: which snapshot and version, since when, and which users are whose."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from anmodel.errors import InputError, LakeError, NoChampionError, NotReadyError
from anmodel.lake import Lake, Written
from anmodel.snapshots.daily import DAILY, DailySnapshot

if TYPE_CHECKING:  # it brings MLflow, which `finish` does without
    from anmodel.registry import LoadedModel, ModelVersion, Registry

log = structlog.get_logger()

SHARD = "CRC32(user_id) % {shards}"
"""A user's shard as ClickHouse computes it; `Plan.shards_of` gives the same."""

_SIGNS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Plan(msgspec.Struct, frozen=True):
    """All that the shards of a run must agree on. `shard_users` are the users of each shard."""

    run: str
    snapshot_path: str
    snapshot_file: Written
    snapshot_time: datetime
    snapshot_version: str
    horizon_days: int
    model_name: str
    model_version: str
    reasons_users: int
    shard_users: list[int]
    scored_at: datetime

    @property
    def users(self) -> int:
        """Users of all shards."""
        return sum(self.shard_users)

    @property
    def row(self) -> dict[str, Any]:
        """The values that all rows of the run share; also the key of the run."""
        names = ("snapshot_time", "model_name", "model_version", "snapshot_version", "horizon_days", "scored_at")
        return {name: getattr(self, name) for name in names}

    def shards_of(self, users: Iterable[str]) -> npt.NDArray[np.int64]:
        """The shard of each user: one user, one shard, wherever and whenever it is asked."""
        if len(self.shard_users) == 1:
            return np.zeros(len(list(users)), dtype=np.int64)
        return shards_of(users, len(self.shard_users))

    def snapshot(self, lake: Lake) -> DailySnapshot:
        """The snapshot to read; NotReadyError when another took its place more than a day ago."""
        if not lake.exists(self.snapshot_path):
            raise NotReadyError(
                f"{lake.path(self.snapshot_path)} is gone, another snapshot took its place since the run was planned. "
                f"Plan it anew: `anmodel score plan --run {self.run} --shards {len(self.shard_users)}`"
            )
        return DailySnapshot(
            lake=lake,
            path=self.snapshot_path,
            instant=self.snapshot_time,
            version=self.snapshot_version,
            horizon_days=self.horizon_days,
            users=self.users,
            file=self.snapshot_file,
        )


def make_plan(
    run: str, snapshot: DailySnapshot, version: "ModelVersion", *, shards: int, reasons_users: int, scored_at: datetime
) -> Plan:
    """Lay a run over the users of the snapshot; counts them, which reads one column of the file."""
    counts = [snapshot.users]
    if shards > 1:
        found = np.zeros(shards, dtype=np.int64)
        for block in snapshot.blocks(["user_id"]):
            found += np.bincount(shards_of(block.column(0).to_pylist(), shards), minlength=shards)
        counts = found.tolist()
    return Plan(
        run=run,
        snapshot_path=snapshot.path,
        snapshot_file=snapshot.file,
        snapshot_time=snapshot.instant,
        snapshot_version=snapshot.version,
        horizon_days=snapshot.horizon_days,
        model_name=version.name,
        model_version=version.version,
        reasons_users=reasons_users,
        shard_users=counts,
        scored_at=scored_at.astimezone(UTC).replace(microsecond=scored_at.microsecond // 1000 * 1000),
    )


def keep_plan(lake: Lake, plan: Plan) -> Plan:
    """Write the plan, or leave one that says the same but for its time; returns the one that is there now.

    So a plan that is made again meanwhile, by a retry, changes nothing for shards that are done or under way.
    """
    try:
        known = read_plan(lake, plan.run)
        if msgspec.structs.replace(known, scored_at=plan.scored_at) == plan:
            return known
        log.warning("run planned anew", run=plan.run, reason="the snapshot, the version or the shards are others now")
    except NotReadyError:
        pass
    except LakeError as error:
        log.warning("run planned anew", run=plan.run, reason=str(error))
    lake.write_json(plan_path(plan.run), msgspec.to_builtins(plan))
    return plan


def read_plan(lake: Lake, run: str) -> Plan:
    """The run's plan; NotReadyError when it was not planned."""
    try:
        plan: Plan = lake.read_json(plan_path(run), Plan)
    except NotReadyError as error:
        raise NotReadyError(
            f"run {run!r} has no plan in {lake.url}. Run `anmodel score plan --run {run} --shards N` first"
        ) from error
    return plan


def plan_path(run: str) -> str:
    """Where the run's plan is; `InputError` for a name that makes no file."""
    if not run or set(run) - _SIGNS or run.startswith("."):
        raise InputError(f"--run {run!r}: allowed are letters, digits, - _ and ., the first of them no dot")
    return f"{DAILY}/scoring/{run}.json"


def shards_of(users: Iterable[str], shards: int) -> npt.NDArray[np.int64]:
    """The shard of each user: `SHARD` in Python."""
    return np.fromiter((crc32(user.encode()) % shards for user in users), dtype=np.int64)


def champion(registry: "Registry") -> "ModelVersion":
    """The version in use; NoChampionError when there is none."""
    found = registry.champion()
    if found is None:
        raise NoChampionError(
            f"Model {registry.name} has no version in use. Run `anmodel train` and `anmodel register`."
        )
    return found


def planned_model(registry: "Registry", plan: Plan) -> "LoadedModel":
    """The version that the plan names, also when another is in use by now."""
    if registry.name != plan.model_name:
        raise InputError(f"run {plan.run} was planned for the model {plan.model_name}, MODEL_NAME is {registry.name}")
    return registry.load(registry.version(plan.model_version))
