"""Rotation of secrets: a service whose secrets have changed ends, so that it is started again with the new ones."""

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from anmodel.errors import SettingError
from anmodel.secret_files import fingerprint
from anmodel.settings import Settings

log = structlog.get_logger()


def terminate() -> None:
    """End this process as its operator would, by SIGTERM: what was taken is finished first."""
    os.kill(os.getpid(), signal.SIGTERM)


def end_when_rotated(settings: Settings, end: Callable[[], None] = terminate) -> None:
    """Watch the folder of secrets that `settings` were read from, on a thread of its own, and return at once.

    Call it before the first client is made: files that clients read later are then watched from before they do.
    Without ANMODEL_SECRETS nothing is watched.
    """
    if settings.anmodel_secrets:
        threading.Thread(target=_Rotation(settings, end).watch, name="rotation", daemon=True).start()


class _Rotation:
    def __init__(self, settings: Settings, end: Callable[[], None]) -> None:
        self._settings = settings
        self._end = end
        self._folder = Path(settings.anmodel_secrets)
        self._refused = ""
        self._pause = threading.Event()

    def watch(self) -> None:
        """Wait for the change, then for this process's turn among its replicas, and end it."""
        while not self._changed():
            self._pause.wait(self._settings.secrets_poll_seconds)
        seconds = random.uniform(0, self._settings.secrets_spread_seconds)  # noqa: S311 - no secret
        log.info("secrets changed", folder=str(self._folder), ends_in_seconds=round(seconds, 1))
        self._pause.wait(seconds)
        while True:
            # again and again: the first process of a container does not hear a signal before it has a handler for it
            self._end()
            self._pause.wait(self._settings.secrets_poll_seconds)

    def _changed(self) -> bool:
        """Whether the files are others than at the start, and a process that starts with them would start."""
        try:
            seen = fingerprint(self._folder)
        except OSError as error:  # they are just being replaced, as a rule
            log.warning("secrets not readable", folder=str(self._folder), error=str(error))
            return False
        if seen in (self._settings.secrets_seen, self._refused):
            return False
        try:
            type(self._settings).load(anmodel_secrets=self._settings.anmodel_secrets)
        except SettingError as error:
            log.error("changed secrets not taken up", error=str(error))
            self._refused = seen
            return False
        return True
