"""What a former consumer may have done with a partition."""

import threading
from collections.abc import Callable

from anmodel.consumer.blocks import Partition
from anmodel.consumer.plan import Plan


class Past:
    """What may have been done with a partition before this consumer had it, from the start of `plan` on.

    The blocks in the plan may have been tried. Others are looked for in the table, once: of a new lineage nobody wrote
    down what was stored before.
    """

    def __init__(self, partition: Partition, plan: Plan) -> None:
        self.partition = partition
        self.lineage = plan.lineage
        self._plan = plan
        self._highest: int | None = None
        self._lock = threading.Lock()

    def reaches(self, offset: int, highest: Callable[[Partition, int], int]) -> bool:
        """Whether it may have come as far as an offset."""
        if offset <= self._plan.last:
            return True
        with self._lock:
            if self._highest is None:
                self._highest = highest(self.partition, self._plan.start)
            return offset <= self._highest
