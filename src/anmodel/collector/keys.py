"""Write keys: who may send. A key is shown once, when it is made; what is kept is its hash.

The file of keys has one key a line: its name, the hash, and what else holds for it, in any order::

    # name    hash                                 pages that may use it           requests with it
    shop-web  sha256:9f86d081884c7d65…             origins=https://shop.example    rate=600/minute
    erp       sha256:60303ae22b998861…

A plain hash is enough: a key has 256 random bits, so there is nothing to be guessed that a slow hash could protect, and
each request would pay for it.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from anmodel.errors import RequestRefused, SettingError

PREFIX = "amk_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")


@dataclass(frozen=True, slots=True)
class WriteKey:
    """One key. Without `origins` it is for servers, and secret; with them it stands in pages, for all to read, and is
    taken from pages of these origins alone. `rate` is how many requests may come with it, empty: any number."""

    name: str
    digest: str
    origins: frozenset[bytes] = frozenset()
    rate: str = ""


def new_key() -> str:
    """A key nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: bytes) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key).hexdigest()


def line_of(name: str, key: str, origins: str = "", rate: str = "") -> str:
    """The line of the file for a key; raises `SettingError` for a name, origin or rate that it could not hold."""
    given = [f"origins={origins}"] if origins else []
    given += [f"rate={rate}"] if rate else []
    line = "  ".join([name, f"sha256:{digest_of(key.encode())}", *given])
    parse_keys(line)
    return line


def parse_keys(text: str) -> dict[str, WriteKey]:
    """The keys of a file, by their digests; raises `SettingError` naming the line. None at all means: nobody may send.

    Two keys may have the same name while one takes the other's place.
    """
    keys = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            key = _parse(words, f"line {number} of the write keys")
            keys[key.digest] = key
    return keys


def _parse(words: list[str], place: str) -> WriteKey:
    """The key of one line. No fault shows more than its name: a line may hold a key by mistake."""
    if len(words) < 2 or not _NAME.fullmatch(words[0]) or not (found := _HASH.fullmatch(words[1])):
        raise SettingError(
            f"{place} is wrong; allowed: NAME sha256:HASH, then origins=… and rate=…, as `anmodel collector --new-key "
            "NAME` prints it"
        )
    given: dict[str, str] = {}
    for word in words[2:]:
        name, _, value = word.partition("=")
        given[name] = value
    if unknown := set(given) - {"origins", "rate"}:
        raise SettingError(f"{place} ({words[0]}) sets {', '.join(sorted(unknown))[:60]}; allowed: origins, rate")
    return WriteKey(words[0], found[1], _origins(given, place), _rate(given, place))


def _origins(given: Mapping[str, str], place: str) -> frozenset[bytes]:
    origins = [item for item in given.get("origins", "").split(",") if item]
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise SettingError(
                f"{place}: the origin {origin[:80]!r} is none; allowed: https://shop.example, with a port where it has "
                "one, several separated by commas"
            )
    if "origins" in given and not origins:
        raise SettingError(f"{place}: origins= is empty; name one at least, or leave it out for a server's key")
    return frozenset(origin.encode() for origin in origins)


def _rate(given: Mapping[str, str], place: str) -> str:
    rate = given.get("rate", "")
    if "rate" in given and not _RATE.fullmatch(rate):
        raise SettingError(f"{place}: rate={rate[:40]} is none; allowed: NUMBER/second, minute, hour or day")
    return rate


def presented(headers: Mapping[bytes, bytes], query: bytes) -> tuple[bytes, bool]:
    """The key a request shows, and whether it stands in its address, for all logs to keep; `RequestRefused` for none.

    A page's beacon can set no header: its key is the address's `key`. With Basic the key is the user, or the password
    of any user.
    """
    if given := headers.get(b"authorization"):
        scheme, _, rest = given.partition(b" ")
        if scheme.lower() == b"bearer":
            return rest.strip(), False
        if scheme.lower() == b"basic":
            return _of_basic(rest), False
    for part in query.split(b"&"):
        if part.startswith(b"key="):
            return part[4:], True
    raise RequestRefused(401, "key", "no write key; send it as Authorization: Bearer KEY, from a page as ?key=KEY")


def _of_basic(given: bytes) -> bytes:
    try:
        user, _, password = base64.b64decode(given.strip(), validate=True).partition(b":")
    except binascii.Error as error:
        raise RequestRefused(401, "key", "Authorization: Basic is not in base 64") from error
    return password or user
