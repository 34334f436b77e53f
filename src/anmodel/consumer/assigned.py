"""What the consumer holds of one assigned partition: messages that wait, and its blocks until they are committed.

A block goes through four states, in the order of offsets: *cut* (its end is decided), *recorded* (Kafka knows its end),
*begun* (it may be in the table), *done*. None is skipped, and only what all blocks before are done too is committed.
"""

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate, takewhile

from anmodel.consumer.blocks import Message, Partition, offset_of, size_of
from anmodel.consumer.past import Past
from anmodel.consumer.plan import Plan, fresh_plan

BLOCK_BYTES = 16 << 20
"""A block ends early when its messages are larger than this together: memory is bounded however large events are."""


@dataclass(slots=True)
class Cut:
    """A block's messages; its range is `first` to `last`, whether or not there is a message at each offset.

    `again`: it was written down by a former consumer, which may have tried it.
    """

    first: int
    last: int
    messages: Sequence[Message]
    again: bool
    recorded: bool
    result: Future[bool] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing works on it any more."""
        return self.result is not None and self.result.done()

    @property
    def stored(self) -> bool:
        """Whether it has ended well; False also if it was given up. Raises what went wrong."""
        return self.result is not None and self.result.done() and self.result.result()


class Assigned:
    """One assigned partition. For one thread alone, but for `gone`."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.gone = threading.Event()  # set once the partition is taken away: its blocks must not be tried any more
        self.plan: Plan | None = None  # as Kafka has it
        self.past: Past | None = None
        self._found = False
        self._waiting: list[Message] = []
        self._offsets: list[int] = []
        self._since = 0.0
        self.waiting_bytes = 0
        self._restored: deque[int] = deque()
        self._cuts: deque[Cut] = deque()
        self._next = -1  # the first offset of the next block
        self._start = -1  # the first offset that is not stored

    @property
    def waiting(self) -> int:
        """Messages that wait for their block."""
        return len(self._waiting)

    @property
    def unfinished(self) -> int:
        """Blocks that are cut and have not ended."""
        return sum(not cut.ended for cut in self._cuts)

    def start(self, end: int) -> int:
        """The first offset that is not stored, `end` if none is known to be left."""
        if self._start >= 0:
            return self._start
        return self._offsets[0] if self._offsets else end

    @property
    def found(self) -> bool:
        """Whether it is known what was written down."""
        return self._found

    def begin(self, plan: Plan | None) -> None:
        """Go on by what was written down: those blocks are cut first, at the same offsets. None: nothing was."""
        self._found = True
        if plan is None or (self._offsets and self._offsets[0] < plan.start):
            return
        self._follow(plan)

    def _follow(self, plan: Plan) -> None:
        self.plan, self.past = plan, Past(self.partition, plan)
        self._start = self._next = plan.start
        self._restored = deque(plan.ends)

    def add(self, messages: Sequence[Message]) -> bool:
        """Keep fetched messages, in order of offset, until their blocks are cut.

        False, and nothing is kept, if they lie before what was fetched already: the topic was made anew.
        """
        first = offset_of(messages[0])
        if first < self._next or (self._offsets and first <= self._offsets[-1]):
            return False
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.extend(messages)
        self._offsets.extend(map(offset_of, messages))
        self.waiting_bytes += sum(map(size_of, messages))
        return True

    def cut(self, size: int, seconds: float) -> bool:
        """Cut the next block if it is due; False if none is.

        It is when a former consumer's block is whole again, when `size` messages or `BLOCK_BYTES` wait, and when the
        first of them has waited `seconds`.
        """
        if not self._waiting or not self._found:
            return False
        if self._restored:
            return self._offsets[-1] >= self._restored[0] and self._cut_to(self._restored.popleft(), again=True)
        full = len(self._waiting) >= size or self.waiting_bytes >= BLOCK_BYTES
        if full or time.monotonic() - self._since >= seconds:
            return self._cut_to(self._offsets[self._most(size) - 1], again=False)
        return False

    def _most(self, size: int) -> int:
        """How many of the waiting messages one block may hold: one at least."""
        size = min(size, len(self._waiting))
        if self.waiting_bytes < BLOCK_BYTES:
            return size
        fitting = takewhile(lambda total: total <= BLOCK_BYTES, accumulate(map(size_of, self._waiting[:size])))
        return max(1, sum(1 for _ in fitting))

    def _cut_to(self, last: int, *, again: bool) -> bool:
        count = bisect_right(self._offsets, last)
        messages = self._waiting[:count]
        if self.plan is None:
            self._follow(fresh_plan(self._offsets[0]))
        del self._waiting[:count], self._offsets[:count]
        self.waiting_bytes -= sum(map(size_of, messages))
        self._since = time.monotonic()
        self._cuts.append(Cut(self._next, last, messages, again, recorded=again))
        self._next = last + 1
        return True

    def to_write(self) -> Plan | None:
        """The plan to write down next, None if it stands so already. Raises what a block raised.

        It starts one past the last block before which all are stored.
        """
        if self.plan is None:
            return None
        while self._cuts and self._cuts[0].stored:
            self._start = self._cuts.popleft().last + 1
        plan = Plan(self.plan.lineage, self._start, (*(cut.last for cut in self._cuts), *self._restored))
        return None if plan == self.plan else plan

    def written(self, plan: Plan) -> None:
        """Kafka has the plan: the blocks in it may begin."""
        self.plan = plan
        for cut in self._cuts:
            cut.recorded = cut.recorded or cut.last <= plan.last

    def next_to_begin(self) -> Cut | None:
        """The first block that may begin and has not."""
        return next((cut for cut in self._cuts if cut.recorded and cut.result is None), None)

    def results(self) -> list[Future[bool]]:
        """Of the blocks that have begun."""
        return [cut.result for cut in self._cuts if cut.result is not None]
