"""Users that are asked about at the same time, looked up together."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime

import pytest

from anmodel.errors import WarehouseError
from anmodel.gateway.answers import MAX_USERS
from anmodel.gateway.fresh_features import STATEMENTS_AT_ONCE, Features, FreshFeatures


class Slow:
    """A table of ours that answers when it is let; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Event()
        self.failure: Exception | None = None

    def __call__(self, users: Sequence[str], as_of: datetime) -> Features:
        self.asked.append(list(users))
        self.begun.release()
        assert self.let.wait(10)
        if self.failure:
            raise self.failure
        return {user: {"total_events": len(user)} for user in users if user != "nobody"}


Answer = tuple[datetime, Features]


async def started(fresh: FreshFeatures, table: Slow, *groups: set[str]) -> list["asyncio.Task[Answer]"]:
    """Requests under way: as many as may be are asked, the others wait."""
    tasks = []
    for group in groups:
        tasks.append(asyncio.create_task(fresh.of(group)))
        if len(tasks) <= STATEMENTS_AT_ONCE:
            await asyncio.to_thread(table.begun.acquire)
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_statements_run_waits_for_the_next_one_with_all_others() -> None:
    table = Slow()
    tasks = await started(FreshFeatures(table), table, {"a"}, {"bb"}, {"ccc"}, {"a", "nobody"})
    table.let.set()
    answers = await asyncio.gather(*tasks)
    assert table.asked == [["a"], ["bb"], ["a", "ccc", "nobody"]]
    assert answers[2] == answers[3]
    assert answers[3][1] == {"a": {"total_events": 1}, "ccc": {"total_events": 3}}
    assert answers[0][0] <= answers[1][0] <= answers[2][0]


async def test_a_statement_asks_for_no_more_users_than_a_request_may() -> None:
    table = Slow()
    full = {f"user-{number}" for number in range(MAX_USERS)}
    tasks = await started(FreshFeatures(table), table, {"a"}, {"b"}, full, {"one more"})
    table.let.set()
    await asyncio.gather(*tasks)
    sizes = [len(users) for users in table.asked]
    assert sizes[:2] == [1, 1]
    assert sorted(sizes[2:]) == [1, MAX_USERS]  # these two ran at once: either may be the first to say so


async def test_all_who_wait_for_a_statement_that_fails_are_told_and_the_next_one_is_made_anew() -> None:
    table = Slow()
    fresh = FreshFeatures(table)
    table.failure = WarehouseError("gone")
    table.let.set()
    for _ in range(2):
        for failed in await asyncio.gather(fresh.of({"a"}), fresh.of({"b"}), return_exceptions=True):
            assert isinstance(failed, WarehouseError)
    table.failure = None
    assert (await fresh.of({"a"}))[1] == {"a": {"total_events": 1}}


async def test_who_hangs_up_does_not_end_the_statement_of_others() -> None:
    table = Slow()
    tasks = await started(FreshFeatures(table), table, {"a"}, {"b"}, {"left"}, {"stays"})
    tasks[2].cancel()
    table.let.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    assert "stays" in (await tasks[3])[1]
