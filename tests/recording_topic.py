"""A topic of ours in place of Kafka's, for tests of what the collector answers."""

from collections.abc import Sequence

from anmodel.errors import TopicError


class RecordingTopic:
    """Stands in for EventTopic: keeps what is sent, and fails as told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.waiting = 0
        self.max_waiting = 7
        self.failure: str | None = None
        self.full = False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def check(self) -> None:
        if self.failure:
            raise TopicError(self.failure)

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> dict[bytes, str]:
        if self.full:
            raise TopicError("7 events wait for Kafka already; at most 7 may. Try later.")
        self.sent += messages
        return {value: self.failure for _, value in messages} if self.failure else {}
