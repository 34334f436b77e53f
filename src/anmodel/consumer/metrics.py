"""What the consumer counts, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from anmodel.consumer.blocks import Block


class ConsumerMetrics:
    """Counters of one consumer process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows = Counter("anmodel_consumer_rows", "Rows stored.", registry=self.registry)
        self.refused = Counter(
            "anmodel_consumer_refused",
            "Messages sent to the dead letters, by field.",
            ["field"],
            registry=self.registry,
        )
        self.block_rows = Histogram(
            "anmodel_consumer_block_rows",
            "Rows in a block.",
            buckets=(1, 10, 100, 1000, 5000, 20000, 100000),
            registry=self.registry,
        )
        self.insert_seconds = Histogram(
            "anmodel_consumer_insert_seconds", "Time to store a block, with every retry.", registry=self.registry
        )
        self.partitions = Gauge("anmodel_consumer_partitions", "Partitions assigned.", registry=self.registry)

    def note(self, block: Block) -> None:
        """Count a stored block."""
        self.rows.inc(block.rows.num_rows)
        self.block_rows.observe(block.rows.num_rows)
        for refused in block.refused:
            self.refused.labels(refused.field if len(refused.field) <= 64 else "other").inc()
