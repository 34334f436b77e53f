"""What the consumer holds of one partition: messages that wait for their block, and blocks under way."""

import time
from collections import deque
from concurrent.futures import Future

from anmodel.consumer.blocks import Message, Partition


class Assigned:
    """One assigned partition. Blocks are cut in order of offset; offsets are committed in order too."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._waiting: deque[Message] = deque()
        self._since = 0.0
        self._under_way: deque[tuple[int, Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """Messages that wait for their block."""
        return len(self._waiting)

    def add(self, message: Message) -> None:
        """Keep a message until its block is cut."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(message)

    def is_due(self, size: int, seconds: float) -> bool:
        """Whether a block is full, or its first message has waited long enough."""
        full = len(self._waiting) >= size
        return full or (bool(self._waiting) and time.monotonic() - self._since >= seconds)

    def cut(self, size: int) -> list[Message]:
        """Take the next block's messages, at most `size`."""
        self._since = time.monotonic()
        return [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]

    def track(self, last: int, future: Future[None]) -> None:
        """Remember a block under way that ends at offset `last`."""
        self._under_way.append((last, future))

    def finished(self) -> int | None:
        """The offset to commit: one past the last block before which all are stored; None if there is none new.

        Raises what a block raised.
        """
        offset = None
        while self._under_way and self._under_way[0][1].done():
            last, future = self._under_way.popleft()
            future.result()
            offset = last + 1
        return offset

    def futures(self) -> list[Future[None]]:
        """The blocks under way."""
        return [future for _, future in self._under_way]
