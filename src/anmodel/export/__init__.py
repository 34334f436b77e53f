"""export: events from ClickHouse, and users, to the lake."""
