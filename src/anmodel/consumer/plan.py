"""What the consumer remembers of one partition in Kafka itself: where its blocks end.

A block's end is written down, in the metadata of the committed offset, before the block is inserted. Whoever has the
partition next, after a kill at any instant, reads it there and makes the same block of the same messages again.
"""

import uuid
from dataclasses import dataclass

_FORM = "anmodel-blocks-1"


@dataclass(frozen=True, slots=True)
class Plan:
    """The blocks that may have been tried, from offset `start` on, which is the one committed.

    The first begins at `start` and each other one after the one before; `ends` are their last offsets, ascending.
    `lineage` goes from plan to plan as long as consumers take over from one another. Tokens hold it, so that the tokens
    of a partition that was begun anew (another group, an offset moved by hand, a topic made anew) were never used.
    """

    lineage: str
    start: int
    ends: tuple[int, ...] = ()

    @property
    def last(self) -> int:
        """The last offset that may have been tried, -1 if none."""
        return self.ends[-1] if self.ends else -1

    def metadata(self) -> str:
        """The plan as Kafka keeps it beside the offset `start`: ends are written as lengths, 7 bytes a block or so."""
        lengths, first = [], self.start
        for end in self.ends:
            lengths.append(str(end + 1 - first))
            first = end + 1
        return f"{_FORM} {self.lineage} {self.start} {','.join(lengths)}".rstrip()


def fresh_plan(start: int) -> Plan:
    """A plan of a new lineage: nothing was tried under its tokens."""
    return Plan(uuid.uuid4().hex[:12], start)


def read_plan(offset: int, metadata: str | None) -> Plan | None:
    """The plan that was committed beside `offset`; None if there is none, or one that is not of this offset."""
    form, *parts = (metadata or "").split(" ")
    if form != _FORM or len(parts) not in (2, 3) or parts[1] != str(offset):
        return None
    ends, end = [], offset - 1
    for length in parts[2].split(",") if len(parts) == 3 else ():
        if not length.isdecimal() or length == "0":
            return None
        end += int(length)
        ends.append(end)
    return Plan(parts[0], offset, tuple(ends))
