"""The file of write keys, taken up again whenever it changes."""

import asyncio
from pathlib import Path

import structlog

from anmodel.collector.keys import WriteKey, digest_of, parse_keys
from anmodel.errors import SettingError

log = structlog.get_logger()


class Keyring:
    """The keys of the file at `path`. While it cannot be read, or holds faults, those it held before stay good."""

    def __init__(self, path: Path, poll_seconds: float) -> None:
        """Reads the file; raises `SettingError`."""
        self._path = path
        self._poll_seconds = poll_seconds
        self._text: str | None = None
        self._fault = ""
        self._keys: dict[str, WriteKey] = {}
        self._load()

    def find(self, key: bytes) -> WriteKey | None:
        """The key whose hash is that of what was shown."""
        return self._keys.get(digest_of(key))

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            self.look()

    def look(self) -> None:
        """Take up the file if it has changed; a fault is logged once."""
        try:
            self._load()
            self._fault = ""
        except SettingError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.error("changed write keys not taken up", error=self._fault)

    def _load(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise SettingError(f"WRITE_KEYS={self._path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise SettingError(f"WRITE_KEYS={self._path} is no text in UTF-8.") from error
        if not text.strip() and self._keys:
            raise SettingError(
                f"WRITE_KEYS={self._path} is empty: the keys known before stay. To take all away, leave a comment."
            )
        if text != self._text:
            self._keys = parse_keys(text)
            self._text = text
            log.info("write keys", names=sorted({key.name for key in self._keys.values()}))
