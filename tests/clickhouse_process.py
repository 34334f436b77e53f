"""The laptop's ClickHouse as a process of the tests' own."""

import http.client
import itertools
import os
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from eventually import eventually
from guarded import GuardedProcess

READY_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `cut` when it ended before its end was told."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


class ClickHouseProcess(GuardedProcess):
    """A real engine behind the real HTTP front; killed, it can be started again with all it had."""

    def __init__(self, folder: Path, guardian: Guardian, port: int | None = None, *, log: Path | None = None) -> None:
        super().__init__(guardian)
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.user = "admin"
        self.password = "test-password"
        self.log = log or folder.with_suffix(".log")
        self._names = (f"test_{number}" for number in itertools.count(1))

    def start(self, *, wait: bool = True, under: Sequence[str] = ()) -> "ClickHouseProcess":
        """Start it and wait until it answers. `under`: the words of a program that runs it."""
        module = [sys.executable, "-m", "anmodel.laptop.clickhouse"]
        command = [*under, *module, "--path", str(self.folder), "--port", str(self.port), "--user", self.user]
        # far from UTC, so that a time that slips through in the laptop's own zone is seen
        environment = {**os.environ, "CLICKHOUSE_PASSWORD": self.password, "TZ": "Asia/Tokyo", "LOG_LEVEL": "INFO"}
        self.spawn(command, self.log, environment)
        if wait:
            eventually(self.answers, READY_SECONDS)
        return self

    def answers(self) -> bool:
        """Whether it answers."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        return self.ask(path="/ping").body == b"Ok.\n"

    def client(self, database: str | None = None, **options: Any) -> Client:
        """The client our own code uses."""
        return clickhouse_connect.get_client(
            host=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            database=database or "__default__",
            autogenerate_session_id=False,
            **options,
        )

    def database(self) -> str:
        """Create a database nobody else uses and return its name."""
        name = next(self._names)
        assert self.ask(f"CREATE DATABASE {name}").status == 200
        return name

    def ask(
        self,
        body: str | bytes = b"",
        /,
        *,
        path: str = "/",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = ("admin", "test-password"),
        timeout: float = 60,
        **fields: str,
    ) -> Answer:
        """One request by hand: its body, and `fields` that go into the address."""
        sent = dict(headers or {})
        if login:
            sent.setdefault("Authorization", "Basic " + b64encode(":".join(login).encode()).decode())
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            sent_body = body.encode() if isinstance(body, str) else body
            connection.request(method, f"{path}?{urlencode(fields)}", sent_body or None, sent)
            response = connection.getresponse()
            try:
                return Answer(response.status, response.headers, response.read(), cut=False)
            except http.client.IncompleteRead as error:
                return Answer(response.status, response.headers, error.partial, cut=True)
        finally:
            connection.close()

    def __repr__(self) -> str:
        return f"ClickHouseProcess({self.host}:{self.port})"
