"""What the consumer counts, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from anmodel.consumer.blocks import Block

EVENTS, PREDICTIONS = "anmodel_consumer", "anmodel_consumer_predictions"
"""How the names of a stream's metrics begin. Not a label: sums over events would count predictions too."""


class ConsumerMetrics:
    """What one process counts of one stream, in a registry that it may share with others."""

    def __init__(self, prefix: str = EVENTS, registry: CollectorRegistry | None = None) -> None:
        """`prefix` is `EVENTS` or `PREDICTIONS`."""
        self.registry = registry = registry or CollectorRegistry()
        self.rows = Counter(f"{prefix}_rows", "Rows stored.", registry=registry)
        self.refused = Counter(
            f"{prefix}_refused", "Messages sent to the dead letters, by field.", ["field"], registry=registry
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
        self.partitions = Gauge(f"{prefix}_partitions", "Partitions assigned.", registry=registry)

    def note(self, block: Block) -> None:
        """Count a stored block."""
        self.rows.inc(block.rows.num_rows)
        self.block_rows.observe(block.rows.num_rows)
        for refused in block.refused:
            self.refused.labels(refused.field if len(refused.field) <= 64 else "other").inc()
