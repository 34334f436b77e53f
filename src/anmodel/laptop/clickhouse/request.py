"""What a request asks for, from its address, headers and form."""

import hmac
import re
import uuid
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Final
from urllib.parse import parse_qsl

from anmodel.laptop.clickhouse.problems import refusal

# Parameters of the interface itself; every other one is a setting of the query.
_INTERFACE_NAMES: Final = """
    query database default_format user password query_id quota_key wait_end_of_query buffer_size compress decompress
    client_protocol_version enable_http_compression http_zlib_compression_level send_progress_in_http_headers
    http_headers_progress_interval_ms cancel_http_readonly_queries_on_client_close add_http_cors_header
    session_timeout session_check stacktrace
"""
_INTERFACE: Final = frozenset(_INTERFACE_NAMES.split())
_REFUSED: Final = {
    "session_id": "Sessions are not kept here: ask without one (clickhouse-connect: autogenerate_session_id=False)",
    "role": "There are no roles here: ask without one",
    "compress": "compress=1 is not known here: use enable_http_compression=1 and Accept-Encoding",
    "decompress": "decompress=1 is not known here: use Content-Encoding",
}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Call:
    """One request's wishes.

    `query` is the part of the statement in the address or form, the body goes on with it; `default_format` is empty
    when none is asked for; `waits` wants the whole result before the first byte of the answer.
    """

    query: str
    database: str
    query_id: str
    default_format: str
    readonly: bool
    waits: bool
    cancel_when_gone: bool
    accepted: str
    settings: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


def read_call(method: str, fields: list[tuple[str, str]], headers: Message) -> Call:
    """The call made by these address and form fields. Raises `EngineError` for what is not done here."""
    given = dict(fields)
    for name, reason in _REFUSED.items():
        if given.get(name, "0") not in ("", "0"):
            raise refusal(48, "NOT_IMPLEMENTED", reason)
    if any(name.endswith(("_structure", "_format", "_types")) and name[: name.rfind("_")] in given for name in given):
        raise refusal(48, "NOT_IMPLEMENTED", "External tables are not taken here: insert them into a table first")
    settings, params = {}, {}
    for name, value in given.items():
        if name.startswith("param_"):
            params[_checked(name)] = value
        elif name not in _INTERFACE and name not in _REFUSED:
            settings[_checked(name)] = value
    return Call(
        query=given.get("query", ""),
        database=given.get("database") or str(headers.get("X-ClickHouse-Database", "")),
        query_id=given.get("query_id") or headers.get("X-ClickHouse-Query-Id", "") or str(uuid.uuid4()),
        default_format=given.get("default_format") or str(headers.get("X-ClickHouse-Format", "")),
        readonly=method != "POST",
        waits=_is_on(given.get("wait_end_of_query")),
        cancel_when_gone=_is_on(given.get("cancel_http_readonly_queries_on_client_close")),
        accepted=headers.get("Accept-Encoding", "") if _is_on(given.get("enable_http_compression")) else "",
        settings=settings,
        params=params,
    )


def _is_on(value: str | None) -> bool:
    return (value or "0").lower() in ("1", "true")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise refusal(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    return name


def address_fields(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Path and fields of a request's target."""
    path, _, query = target.partition("?")
    return path, parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="surrogateescape", separator="&")


def form_fields(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The fields of a multipart form; one with a file in it is an external table, which is refused."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise refusal(36, "BAD_ARGUMENTS", "The multipart form has no boundary in its Content-Type")
    fields = []
    for part in body.split(b"--" + boundary.group(1).encode())[1:]:
        head, gap, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if not gap or name is None:
            continue
        if b"filename=" in head:
            raise refusal(48, "NOT_IMPLEMENTED", "External tables are not taken here: insert them into a table first")
        fields.append((name.group(1).decode(), value.removesuffix(b"\r\n").decode("utf-8", "surrogateescape")))
    return fields


def check_user(user: str, password: str, fields: Mapping[str, str], headers: Message) -> None:
    """Let the one user through; raises AUTHENTICATION_FAILED for anybody else, in a server's words."""
    came_user, came_password = _credentials(fields, headers)
    same = hmac.compare_digest(came_user.encode(), user.encode())
    if not (hmac.compare_digest(came_password.encode(), password.encode()) and same):
        raise refusal(
            516,
            "AUTHENTICATION_FAILED",
            f"{came_user}: Authentication failed: password is incorrect, or there is no user with such name.",
        )


def _credentials(fields: Mapping[str, str], headers: Message) -> tuple[str, str]:
    """User and password by the first way used; two ways at once are refused, as a server does."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    ways = []
    if scheme.lower() == "basic":
        ways.append(_basic(token))
    elif scheme:
        raise refusal(
            516,
            "AUTHENTICATION_FAILED",
            f"Authentication failed: '{scheme}' HTTP Authorization scheme is not supported",
        )
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        ways.append((headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")))
    if "user" in fields or "password" in fields:
        ways.append((fields.get("user", "default"), fields.get("password", "")))
    if len(ways) > 1:
        raise refusal(
            516,
            "AUTHENTICATION_FAILED",
            "Invalid authentication: use one of Authorization, X-ClickHouse-User/Key and user/password parameters",
        )
    return ways[0] if ways else ("default", "")


def _basic(token: str) -> tuple[str, str]:
    try:
        user, _, password = b64decode(token, validate=True).decode().partition(":")
    except ValueError as error:  # no base64, no ASCII, or no UTF-8 in it
        raise refusal(516, "AUTHENTICATION_FAILED", "Authentication failed: the Basic token is not base64") from error
    return user, password
