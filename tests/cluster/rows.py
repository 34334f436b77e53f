"""What ClickHouse has of the events of one load, asked through the API server."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cluster import Cluster
from eventually import eventually


@dataclass(frozen=True)
class Counted:
    """Rows as they are, rows that are not repeats, different events, and different places in the topic."""

    rows: int
    final: int
    events: int
    places: int


class Rows:
    """The table of events."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a SELECT."""
        fields = {
            "user": "anmodel",
            "password": self._cluster.secret("anmodel-clickhouse", "password"),
            "query": f"{sql} FORMAT JSONEachRow",
            "output_format_json_quote_64bit_integers": "0",
        }
        answer = self._cluster.ask_service("clickhouse-anmodel", 8123, f"/?{urlencode(fields)}")
        return [json.loads(line) for line in answer.splitlines()]

    def count(self, prefix: str) -> Counted:
        """The rows whose event id begins with `prefix`."""
        where = f"FROM analytics.events_raw {{final}} WHERE startsWith(event_id, '{prefix}-')"
        (all_,) = self.query(
            "SELECT count() AS rows, uniqExact(event_id) AS events, uniqExact(partition, offset) AS places "
            + where.format(final="")
        )
        (final,) = self.query("SELECT count() AS rows " + where.format(final="FINAL"))
        return Counted(all_["rows"], final["rows"], all_["events"], all_["places"])

    def assert_exact(self, prefix: str, events: int, seconds: float = 120) -> Counted:
        """Wait until all events are there, then: each once, and no message of the topic stored twice.

        A client that repeats an unanswered request may put an event on the topic twice. Such a repeat is a row more
        until the table merges, and none through FINAL; but one message is never two rows.
        """

        found = [self.count(prefix)]

        def settled() -> bool:
            found[0] = self.count(prefix)
            return found[0].events >= events or found[0].final > events

        with suppress(AssertionError):
            eventually(settled, seconds)
        counted = found[0]
        assert (counted.final, counted.events) == (events, events), counted
        assert counted.rows == counted.places, counted
        return counted
