"""One request from beginning to end."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final

import structlog

from anmodel.laptop.clickhouse.body import ClientGone, head_of, raw_pieces, read_pieces, spooled, written_by_engine
from anmodel.laptop.clickhouse.coding import decoded
from anmodel.laptop.clickhouse.engine import Session
from anmodel.laptop.clickhouse.formats import STREAMED, content_type
from anmodel.laptop.clickhouse.problems import EngineError, refusal
from anmodel.laptop.clickhouse.reply import Reply
from anmodel.laptop.clickhouse.request import Call, address_fields, check_user, form_fields, read_call
from anmodel.laptop.clickhouse.statement import Insert, Query, quote, read_insert, read_query, replace_strings

if TYPE_CHECKING:
    from anmodel.laptop.clickhouse.server import Server

HEAD_BYTES: Final = 256 << 10  # in which an INSERT's FORMAT must be
QUERY_BYTES: Final = 32 << 20  # of a statement without data
IDLE_SECONDS: Final = 300.0  # that a connection may say nothing
log = structlog.get_logger()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, in a thread of its own."""

    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 << 10
    timeout = IDLE_SECONDS
    server: "Server"

    def do_POST(self) -> None:
        """Answer one request; nothing rises from here but a lost connection."""
        path, fields = address_fields(self.path)
        reply = Reply(self, "", self.server.engine.timezone)
        if path in ("/ping", "/replicas_status"):
            return reply.text(200, "Ok.\n")
        if path != "/":
            return reply.text(404, f"There is no handle {path}\nUse / or /ping for health checks.\n")
        body = raw_pieces(self.rfile, self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding", ""))
        try:
            self._answer(fields, body, reply)
        except (ClientGone, ConnectionError, TimeoutError):
            self.close_connection = True
        except EngineError as error:
            self._fail(error, body, reply)
        except Exception as error:
            log.exception("request failed", path=path)
            self._fail(refusal(1001, "STD_EXCEPTION", f"{type(error).__name__}: {error}"), body, reply)

    do_GET = do_POST  # noqa: N815
    do_HEAD = do_POST  # noqa: N815

    def _fail(self, error: EngineError, body: Iterator[bytes], reply: Reply) -> None:
        """Tell the client, after its body has been taken off the line: it would not read the answer before."""
        if error.is_fatal:
            self.server.give_up()
        if reply.begun:
            self.close_connection = True
            return
        try:
            for _ in body:
                pass
        except (ClientGone, ConnectionError, TimeoutError, EngineError):
            self.close_connection = True
        reply.error(error)

    def _answer(self, fields: list[tuple[str, str]], raw: Iterator[bytes], reply: Reply) -> None:
        check_user(self.server.user, self.server.password, dict(fields), self.headers)
        body = decoded(raw, self.headers.get("Content-Encoding", "").strip().lower())
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            fields = fields + form_fields(_whole(b"", body), kind)
        call = read_call(self.command, fields, self.headers)
        reply.header("X-ClickHouse-Query-Id", call.query_id)
        head = call.query.encode("utf-8", "surrogateescape")
        head = (head + b"\n" if head else b"") + head_of(body, HEAD_BYTES)
        text = head.decode("utf-8", "surrogateescape")
        if not text.strip() and self.command != "POST":
            return reply.text(200, "Ok.\n")
        insert = read_insert(text)
        if insert is not None:
            data = head[len(text[: insert.data_at].encode("utf-8", "surrogateescape")) :]
            return self._insert(call, insert, data, body, reply)
        text = _whole(head, body).decode("utf-8", "surrogateescape")
        return self._query(call, read_query(text, self.server.engine.output_formats), reply)

    @contextmanager
    def _running(self, call: Call, *, cancel_when_gone: bool, has_slot: bool = True) -> Iterator[Session]:
        """A session for the call, on the list of what runs."""
        with (
            self.server.running.entered(
                call.query_id, self.connection, cancel_when_gone=cancel_when_gone, has_slot=has_slot
            ),
            self.server.engine.session(
                call.query_id, call.database, call.settings, call.params, readonly=call.readonly
            ) as session,
        ):
            yield session

    def _insert(self, call: Call, insert: Insert, first: bytes, body: Iterator[bytes], reply: Reply) -> None:
        """Take the whole body in, then insert it: a body cut short inserts nothing."""
        name = insert.format or call.default_format or "Values"
        with (
            spooled(body, first) as file,
            self._running(call, cancel_when_gone=False) as session,
        ):
            if insert.input_at:
                session.run(_selecting(insert, str(file.name), name), name)
            else:
                source = f"FROM INFILE {quote(str(file.name))} COMPRESSION 'none'"
                session.run(f"{insert.target} {source} {insert.settings} FORMAT {name}", name)
            reply.header("X-ClickHouse-Format", call.default_format or "TabSeparated")
            reply.send(iter(()), accepted="", waits=True, summary=session.summary.as_header)

    def _query(self, call: Call, query: Query, reply: Reply) -> None:
        name = query.format or call.default_format or "TabSeparated"
        reply.header("X-ClickHouse-Format", name)
        reply.header("Content-Type", content_type(name))
        cancels = call.cancel_when_gone and query.is_select
        with self._running(call, cancel_when_gone=cancels, has_slot=not query.is_kill) as session:
            session.check_single(query.text)
            # closed before the session: the engine breaks when a stream outlives its connection
            with closing(self._result(session, call, query, name)) as result:
                reply.send(result, accepted=call.accepted, waits=call.waits, summary=session.summary.as_header)

    def _result(self, session: Session, call: Call, query: Query, name: str) -> Generator[bytes, None, None]:
        """The result as bytes of the format `name`: streamed, written whole by the engine, or small."""
        if query.is_kill:
            yield session.run(replace_strings(query.text, self.server.engine.own_ids()), name)
        elif not query.is_select:
            yield session.run(query.text, name)
        elif name.lower() in STREAMED and not query.has_totals and call.settings.get("extremes", "0") == "0":
            yield from session.stream(query.text, name)
        else:
            with written_by_engine(lambda path: session.run(_into(query, path, name), name)) as file:
                yield from read_pieces(file)

    def log_message(self, format: str, *args: Any) -> None:
        """One line a request, when asked for by the log's level."""
        log.debug("request answered", line=format % args)


def _whole(head: bytes, body: Iterator[bytes]) -> bytes:
    """Head and rest of a statement. Raises QUERY_IS_TOO_LARGE past `QUERY_BYTES`."""
    parts, size = [head], len(head)
    for piece in body:
        parts.append(piece)
        size += len(piece)
        if size > QUERY_BYTES:
            raise refusal(223, "QUERY_IS_TOO_LARGE", f"The statement is larger than {QUERY_BYTES} bytes")
    return b"".join(parts)


def _into(query: Query, path: str, name: str) -> str:
    """The SELECT, writing its result to a file."""
    rest = query.text[query.format_at :]
    clause = f"INTO OUTFILE {quote(path)} COMPRESSION 'none'"
    return f"{query.text[: query.format_at]} {clause} {rest or f'FORMAT {name}'}"


def _selecting(insert: Insert, path: str, name: str) -> str:
    """`INSERT … SELECT … FROM input('…')` with the spooled data in the place of input."""
    begin, end = insert.input_at or (0, 0)
    sql = insert.target + insert.settings
    return f"{sql[:begin]}file({quote(path)}, {quote(name)}, {sql[end:]}"
