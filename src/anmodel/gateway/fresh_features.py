"""Features of users as of now, for requests that come faster than ClickHouse answers one.

A statement for a hundred users costs about twice what it does for one. So only two run at once; requests that come
meanwhile wait together for the next one.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from anyio.to_thread import run_sync

from anmodel.gateway.answers import MAX_USERS

STATEMENTS_AT_ONCE = 2

Features = dict[str, dict[str, Any]]
"""Every feature of each user; who has no event is left out."""
Look = Callable[[Sequence[str], datetime], Features]


class FreshFeatures:
    """Looks users up by `look`, which blocks and may raise: all who wait for the same statement get the same."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._turn = asyncio.Semaphore(STATEMENTS_AT_ONCE)
        self._users: set[str] = set()
        self._next: asyncio.Task[tuple[datetime, Features]] | None = None

    async def of(self, users: set[str]) -> tuple[datetime, Features]:
        """The instant, not before this call, and the features as of it of these users, and maybe of others."""
        if self._next is None or len(self._users | users) > MAX_USERS:
            self._users = set()
            self._next = asyncio.create_task(self._asked(self._users))
        self._users |= users
        return await asyncio.shield(self._next)  # who hangs up leaves the others waiting

    async def _asked(self, users: set[str]) -> tuple[datetime, Features]:
        async with self._turn:
            if self._users is users:
                self._next = None  # who comes from now on waits for another
            as_of = datetime.now(UTC)
            return as_of, await run_sync(self._look, sorted(users), as_of)
