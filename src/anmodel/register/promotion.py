"""Putting versions in use: judge the newest, take a named one, or go back. Each is safe to cut short and repeat.

The registry's alias is what counts; what serves (`Serving`) is made ready before a judged version gets it, and brought
to it (`Serving.settle`) after every run, which finishes what an earlier run left half done.
"""

from dataclasses import dataclass
from typing import Any

import structlog

from anmodel.errors import ContractError, NotReadyError, RegistryError
from anmodel.lake import Lake
from anmodel.register.comparison import Verdict, compare, compare_logged
from anmodel.register.serving import (
    CHALLENGER,
    CHAMPION,
    DECISION,
    REJECTED,
    ROLLED_BACK,
    ServedFromRegistry,
    Serving,
    VersionRejected,
)
from anmodel.registry import ModelVersion, Registry
from anmodel.snapshots import snapshot_version
from anmodel.snapshots.samples import read_manifest, read_sample

log = structlog.get_logger()

_BACK_TO = "rolled_back_to"


@dataclass(frozen=True)
class Outcome:
    """Which version is in use now (None: none is), which was before (None: the first), and why.

    `rejected` is a version that this run tried and that did not serve as it must.
    """

    champion: ModelVersion | None
    former: ModelVersion | None
    changed: bool
    reason: str
    rejected: ModelVersion | None = None


def promote_newest(registry: Registry, lake: Lake, serving: Serving | None = None) -> Outcome:
    """Put the newest version in use if it is the first one or better than the one in use; say why or why not.

    Better, but not serving as it must, it is rejected: the champion stays, and the version is not tried again.
    """
    serving = serving or ServedFromRegistry()
    newest, champion = registry.newest(), registry.champion()
    if newest is None:
        raise NotReadyError(f"Model {registry.name} has no version. Run `anmodel train` first.")
    if champion is not None and champion.version == newest.version:
        return Outcome(champion, None, False, "The newest version is in use already.")
    if champion is not None and newest.tags.get(DECISION) == ROLLED_BACK:
        return Outcome(champion, None, False, f"Version {newest.version} was rolled back. Train a new one, or name it.")
    if newest.tags.get(DECISION) == REJECTED:
        return Outcome(champion, None, False, f"Version {newest.version} was rejected. Train a new one, or name it.")
    try:
        verdict = _judge(registry, lake, newest, champion)
        if verdict.promote:
            serving.roll_out(newest, champion)
    except VersionRejected as error:
        registry.note(newest, **{DECISION: REJECTED, "reason": str(error)})
        return Outcome(champion, None, False, f"Version {newest.version} is rejected. {error}", rejected=newest)
    if not verdict.promote:
        assert champion is not None
        registry.note(newest, **{DECISION: CHALLENGER, "reason": verdict.reason})
        return Outcome(champion, None, False, f"Version {newest.version} stays challenger. {verdict.reason}")
    registry.set_champion(newest, reason=verdict.reason)
    return Outcome(newest, champion, True, verdict.reason)


def promote_version(registry: Registry, number: str) -> Outcome:
    """Put this version in use, whatever its metrics; RegistryError when it cannot even be loaded."""
    version, champion = registry.version(number), registry.champion()
    if champion is not None and champion.version == version.version:
        return Outcome(champion, None, False, f"Version {number} is in use already.")
    registry.load(version)
    reason = "Chosen by hand."
    registry.note(version, **{DECISION: CHAMPION, "reason": reason})  # first: no mark of old may outlive this choice
    registry.set_champion(version, reason=reason)
    return Outcome(version, champion, True, reason)


def roll_back(registry: Registry, serving: Serving | None = None) -> Outcome:
    """Put the version in use that the champion replaced. A version left this way is not promoted by itself again.

    Repeated, it does not go forward again: it finishes what a rollback cut short had begun, and says so when all is
    done already. NotReadyError when there is nothing earlier to go back to.
    """
    champion = registry.champion()
    former = None if champion is None else _before(registry, champion)
    if champion is None or former is None:
        if champion is not None and (left := _left_for(registry, champion)):
            return Outcome(champion, None, False, f"It was rolled back from version {left} already.")
        raise NotReadyError(
            f"Model {registry.name} has no earlier champion to go back to. "
            "`anmodel register --version N` puts one in use."
        )
    reason = f"Rolled back from version {champion.version}."
    # first: cut short before the alias moves, the next try still knows whom to leave and where to go
    said = f"Rolled back to version {former.version}."
    registry.note(champion, **{DECISION: ROLLED_BACK, _BACK_TO: former.version, "reason": said})
    registry.set_champion(former, reason=reason)
    return Outcome(former, champion, True, reason)


def _left_for(registry: Registry, champion: ModelVersion) -> str:
    """The version that the last rollback left for this one; empty when the champion came otherwise."""
    former = registry.former_champion()
    if former is None or former.tags.get(DECISION) != ROLLED_BACK or former.tags.get(_BACK_TO) != champion.version:
        return ""
    return former.version


def _before(registry: Registry, champion: ModelVersion) -> ModelVersion | None:
    """The version to go back to from the champion; where a rollback was cut short, the one that it meant."""
    if champion.tags.get(DECISION) == ROLLED_BACK and champion.tags.get(_BACK_TO):
        return registry.version(champion.tags[_BACK_TO])
    former = registry.former_champion()
    if former is None or former.version == champion.version or former.tags.get(DECISION) == ROLLED_BACK:
        return None
    return former


def _judge(registry: Registry, lake: Lake, newest: ModelVersion, champion: ModelVersion | None) -> Verdict:
    if champion is None:
        return Verdict(True, _first(newest))
    if champion.snapshot_version != newest.snapshot_version:
        return _judge_by_logged(newest, champion)
    name = newest.tags.get("snapshot_name", "model1")
    manifest = read_manifest(lake, name)
    if manifest["version"] != newest.snapshot_version:
        raise ContractError(
            f"version {newest.version} was trained on snapshot version {newest.snapshot_version}, the lake has "
            f"{manifest['version']}. Run `anmodel train` first."
        )
    if newest.tags.get("data_fingerprint", manifest["created_from"]) != manifest["created_from"]:
        raise ContractError(
            f"snapshot {name} was built anew since version {newest.version} was trained: its test rows may be rows "
            "that the version learnt from. Run `anmodel train` first."
        )
    test = read_sample(lake, manifest, "test")
    log.info("challenger compared", challenger=newest.version, champion=champion.version, rows=len(test.bought))
    in_use = registry.load(champion).model
    challenger = _challenger(registry, newest, champion)
    return compare(challenger, in_use, test)


def _challenger(registry: Registry, newest: ModelVersion, champion: ModelVersion) -> Any:
    """The model of the newest version; VersionRejected when it is its own fault that it cannot be loaded.

    That is so when the champion's files, from the same place, can be loaded before and after.
    """
    try:
        return registry.load(newest).model
    except RegistryError:
        registry.load(champion)
    try:
        return registry.load(newest).model
    except RegistryError as error:
        raise VersionRejected(str(error)) from error


def _first(newest: ModelVersion) -> str:
    return f"The first version.{_caution(newest)}"


def _caution(newest: ModelVersion) -> str:
    """A word of warning about a version that takes over without a match and did not beat the simplest forecasts."""
    saved = newest.metrics.get("test_log_loss_saved")
    if saved is None or saved > 0:
        return ""
    return (
        " It is no better than its best baseline on the test rows "
        f"(log loss {abs(saved):.4f} higher): read its forecasts with care."
    )


def _judge_by_logged(newest: ModelVersion, champion: ModelVersion) -> Verdict:
    """The two read other features, so no rows suit both."""
    said = (
        f"The champion reads snapshot version {champion.snapshot_version}, this one {newest.snapshot_version}; "
        f"each on its own test rows: {compare_logged(newest.metrics, champion.metrics)}."
    )
    if snapshot_version(int(newest.contract["horizon_days"])) == newest.snapshot_version:
        return Verdict(
            True, f"The champion cannot read the snapshots that this AnModel makes. {said}{_caution(newest)}"
        )
    return Verdict(False, f"This AnModel does not make the snapshots that version {newest.version} reads. {said}")
