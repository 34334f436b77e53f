"""What the consumer counts, in Prometheus' form, and what it knows of its own trouble."""

import re
from collections.abc import Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from anmodel.consumer.blocks import Block, Refused

EVENTS, PREDICTIONS = "anmodel_consumer", "anmodel_consumer_predictions"
"""How the names of a stream's metrics begin. Not a label: sums over events would count predictions too."""

_REASONS = (
    ("not JSON", "not JSON"),
    ("an empty message", "empty"),
    ("required, but missing", "missing"),
    ("Object missing required field", "missing"),
    ("unknown; ", "unknown field"),
    ("control character", "control character"),
    ("could not be read", "our fault"),
    ("ClickHouse", "refused by ClickHouse"),
)
_FIELD = re.compile(r"[\w.]{1,64}")


class ConsumerMetrics:
    """What one process counts of one stream, in a registry that it may share with others."""

    def __init__(self, prefix: str = EVENTS, registry: CollectorRegistry | None = None) -> None:
        """`prefix` is `EVENTS` or `PREDICTIONS`."""
        self.registry = registry = registry or CollectorRegistry()
        self.trouble = ""
        self.fetched = Counter(f"{prefix}_messages", "Messages fetched from Kafka.", registry=registry)
        self.rows = Counter(f"{prefix}_rows", "Rows stored.", registry=registry)
        self.refused = Counter(
            f"{prefix}_refused",
            "Messages sent to the dead letters, by field and kind of reason.",
            ["field", "reason"],
            registry=registry,
        )
        self.block_rows = Histogram(
            f"{prefix}_block_rows",
            "Rows in a block.",
            buckets=(1, 10, 100, 1000, 5000, 20000, 100000),
            registry=registry,
        )
        self.insert_seconds = Histogram(
            f"{prefix}_insert_seconds", "Time to store a block, with every retry.", registry=registry
        )
        self.faults = Counter(
            f"{prefix}_faults",
            "Times that ClickHouse did not do what it was asked, by its code.",
            ["code"],
            registry=registry,
        )
        self.partitions = Gauge(f"{prefix}_partitions", "Partitions assigned.", registry=registry)
        self.lag = Gauge(
            f"{prefix}_lag",
            "Messages on the topic that are not committed, by partition.",
            ["partition"],
            registry=registry,
        )

    def note(self, block: Block, refused: Iterable[Refused]) -> None:
        """Count a stored block, and those of its messages that went to the dead letters."""
        self.trouble = ""
        refused = list(refused)
        rows = block.rows.num_rows - len(refused) + len(block.refused)
        self.rows.inc(rows)
        self.block_rows.observe(rows)
        for each in refused:
            self.refused.labels(_field(each.field), kind(each.reason)).inc()

    def forget(self, partition: int) -> None:
        """The partition is another consumer's now."""
        with suppress(KeyError):
            self.lag.remove(str(partition))

    def behind(self) -> int:
        """Messages that are not committed, of the partitions assigned."""
        return int(sum(sample.value for metric in self.lag.collect() for sample in metric.samples))

    def note_fault(self, text: str, code: int | None) -> None:
        """Count what ClickHouse did not do; it is the trouble there is until the next block is stored."""
        self.trouble = text
        self.faults.labels("none" if code is None else str(code)).inc()


def kind(reason: str) -> str:
    """The kind of a reason: there are few, so that a hostile producer cannot make many series."""
    return next((name for start, name in _REASONS if reason.startswith(start)), "not allowed")


def _field(path: str) -> str:
    return path if _FIELD.fullmatch(path) else "other"
