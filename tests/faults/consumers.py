"""More than one consumer of a stream."""

from pathlib import Path

import httpx

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from stages import Stage
from streaming import Stream


def another_consumer(stream: Stream, folder: Path, guardian: Guardian) -> Stage:
    """One more member of its group; whoever makes it ends it."""
    port = free_port()
    variables = stream.variables | {"CONSUMER_PORT": str(port)}
    return Stage("consumer", variables, folder, guardian, f"http://127.0.0.1:{port}")


def partitions_of(member: Stage) -> int:
    """How many partitions a consumer has."""
    shown = httpx.get(f"{member.url}/metrics", timeout=10).text
    return int(float(shown.split("\nanmodel_consumer_partitions ")[1].split()[0]))
