"""The turn of `register`: one run at a time, whoever is killed, and whatever the Kubernetes API does."""

import threading
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from anmodel.errors import ClusterError
from anmodel.register.turn import Turn

SHORT = 0.3
LONG = 30.0


class Leases:
    """The part of our Cluster that a turn speaks to, in memory; every write is told to `written`."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] | None = None
        self.away = False
        self.written = threading.Semaphore(0)
        self.read = threading.Semaphore(0)
        self._lock = threading.Lock()

    def lease(self, name: str) -> dict[str, Any] | None:
        if self.away:
            raise ClusterError("the Kubernetes API does not answer: refused. Try again when it does.")
        self.read.release()
        with self._lock:
            return deepcopy(self.kept)

    def write_lease(self, name: str, spec: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
        with self._lock:
            now = self.kept["metadata"]["resourceVersion"] if self.kept else None
            if now != (before["metadata"]["resourceVersion"] if before else None):
                return False
            self.kept = {"metadata": {"resourceVersion": str(int(now or 0) + 1)}, "spec": dict(spec)}
        self.written.release()
        return True

    @property
    def holder(self) -> str:
        return str(self.kept["spec"]["holderIdentity"]) if self.kept else ""


def a_turn(leases: Any, seconds: float = LONG) -> Turn:
    return Turn(leases, "context-aware-register", seconds=seconds, poll_seconds=0.01)


def until_refused(turn: Turn) -> None:
    for _ in range(1000):
        turn.check()
        threading.Event().wait(0.01)


def test_a_turn_is_held_within_and_given_back_after() -> None:
    leases = Leases()
    turn = a_turn(leases)
    with turn.held():
        assert leases.holder
        turn.check()
    assert not leases.holder


def test_a_second_run_begins_when_the_first_has_ended_and_not_before() -> None:
    leases, order = Leases(), []

    def second() -> None:
        with a_turn(leases).held():
            order.append("second")

    waiting = threading.Thread(target=second)
    with a_turn(leases).held():
        while leases.read.acquire(blocking=False):
            pass
        waiting.start()
        for _ in range(20):
            leases.read.acquire(timeout=10)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_of_many_runs_at_once_each_is_alone() -> None:
    leases, within, most = Leases(), [], []

    def run(number: int) -> None:
        with a_turn(leases).held():
            within.append(number)
            threading.Event().wait(0.02)  # long enough for another to come, if it could
            most.append(len(within))
            within.remove(number)

    runs = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for each in runs:
        each.start()
    for each in runs:
        each.join(30)
    assert most == [1] * 8


def test_a_run_that_was_killed_keeps_nobody_for_longer_than_its_lease() -> None:
    leases = Leases()
    leases.write_lease("x", {"holderIdentity": "killed", "leaseDurationSeconds": 1}, None)
    with a_turn(leases).held():
        assert leases.holder != "killed"


def test_a_run_that_renews_is_waited_for_longer_than_its_lease() -> None:
    leases, taken = Leases(), threading.Event()
    with a_turn(leases, SHORT).held():
        first = leases.holder

        def second() -> None:
            with a_turn(leases, SHORT).held():
                taken.set()

        threading.Thread(target=second, daemon=True).start()
        for _ in range(12):  # twelve renewals are four times the length of the lease
            assert leases.written.acquire(timeout=10)
            assert leases.holder == first
    assert taken.wait(10)


def test_whoever_could_not_renew_in_time_changes_nothing_more() -> None:
    leases = Leases()
    turn = a_turn(leases, SHORT)
    with turn.held():
        leases.away = True
        with pytest.raises(ClusterError, match="held no more"):
            until_refused(turn)


def test_a_lease_taken_by_another_ends_the_run_with_its_name() -> None:
    leases = Leases()
    turn = a_turn(leases, SHORT)
    with turn.held():
        assert leases.kept is not None
        while not leases.write_lease("x", {"holderIdentity": "the other"}, leases.lease("x")):
            pass
        with pytest.raises(ClusterError, match="the other"):
            until_refused(turn)
    assert leases.holder == "the other"
