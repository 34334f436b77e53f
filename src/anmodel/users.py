"""The users table: who may be forecast, in SQLite or Postgres.

    users(id, user_uid unique, region, created_at)

`user_uid` is text here; a table made elsewhere with a UUID column (the original's) is read and written as well.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from anmodel.errors import SettingError, UsersError
from anmodel.settings import UsersSettings

if TYPE_CHECKING:
    import pyarrow as pa

REGIONS = ("UA-30", "UA-40", "UA-05")
"""Regions that seeded users live in, as ISO 3166-2 names them (the original's third, UA-50, is none)."""

USERS_FILE = "users/users.parquet"
"""Where the lake keeps the table's export."""

_BLOCK = 1000


@dataclass(frozen=True, slots=True)
class User:
    """One row; `created_at` is an instant in UTC."""

    id: int
    user_uid: str
    region: str
    created_at: datetime


def users_url(settings: UsersSettings) -> str:
    """The users database's URL: USERS_URL, or one made up from PG_*."""
    if settings.users_url:
        return settings.users_url
    # libpq's own default is not written out: a PGSSLMODE that asks for more stays in force
    security = {"sslmode": settings.pg_sslmode} if settings.pg_sslmode != "prefer" else {}
    if settings.pg_ca:
        security["sslrootcert"] = settings.pg_ca
    return sa.URL.create(
        "postgresql+psycopg",
        username=settings.pg_user,
        password=settings.pg_password.get_secret_value() or None,
        host=settings.pg_host,
        port=settings.pg_port,
        database=settings.pg_db,
        query=security,
    ).render_as_string(hide_password=False)


class UsersTable:
    """The table at `url`; `schema` counts for Postgres alone. Making one touches nothing.

    Every method may be repeated, opens its own connection and gives it back; failures raise `UsersError`, which never
    shows the password.
    """

    def __init__(self, url: str, table: str = "users", schema: str | None = None) -> None:
        try:
            parsed = sa.make_url(url)
        except ArgumentError as error:
            raise SettingError(
                "USERS_URL is no database URL; allowed: sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
            ) from error
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self._url = parsed
        self._name = table
        self._schema = schema if parsed.get_backend_name() == "postgresql" else None

    @classmethod
    def of(cls, settings: UsersSettings) -> "UsersTable":
        """The table that the settings name."""
        return cls(users_url(settings), settings.users_table, settings.pg_schema)

    def create(self) -> None:
        """Make the table if it is not there."""
        with self._connection() as connection:
            self._table.create(connection, checkfirst=True)

    def seed(self, count: int, seed: int = 42) -> int:
        """Add made-up users until there are `count`; the number added. The same seed gives the same users."""
        missing = count - self.count()
        if missing <= 0:
            return 0
        added = 0
        made = seeded_users(seed)
        while added < missing:
            added += self.add(islice(made, missing - added))
        return added

    def add(self, users: Iterable[tuple[str, str]]) -> int:
        """Add (user_uid, region) pairs, leaving known uids as they are; the number added."""
        added, rest = 0, iter(users)
        with self._connection() as connection:
            while block := list(islice(rest, _BLOCK)):
                rows = [{"user_uid": uid, "region": region} for uid, region in block]
                # `rowcount` is -1 for such an insert on Postgres; the rows that come back are those that went in.
                added += len(connection.execute(self._insert(rows)).all())
        return added

    def count(self) -> int:
        """Users in the table."""
        with self._connection() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one())

    def list(self, limit: int = 100, offset: int = 0, search: str = "") -> Sequence[User]:
        """A page in the order of `id`; `search` keeps users whose uid contains it, whatever its case."""
        query = sa.select(self._table).order_by(self._table.c.id).limit(limit).offset(offset)
        if search:
            uid = sa.cast(self._table.c.user_uid, sa.Text)
            query = query.where(uid.icontains(search, autoescape=True))
        with self._connection() as connection:
            return [_user(row) for row in connection.execute(query)]

    def iter_all(self) -> Iterator[User]:
        """Every user in the order of `id`, a block at a time."""
        last = -1
        while True:
            query = sa.select(self._table).where(self._table.c.id > last).order_by(self._table.c.id).limit(_BLOCK * 10)
            with self._connection() as connection:
                block = [_user(row) for row in connection.execute(query)]
            if not block:
                return
            yield from block
            last = block[-1].id

    def get(self, user_uid: str) -> User | None:
        """One user, None if unknown."""
        if isinstance(self._table.c.user_uid.type, sa.Uuid) and not _is_uuid(user_uid):
            return None
        with self._connection() as connection:
            row = connection.execute(sa.select(self._table).where(self._table.c.user_uid == user_uid)).first()
        return None if row is None else _user(row)

    def _insert(self, rows: Sequence[dict[str, str]]) -> Any:
        make: Any = postgresql.insert if self._schema is not None else sqlite.insert
        insert = make(self._table).values(rows).on_conflict_do_nothing(index_elements=["user_uid"])
        return insert.returning(self._table.c.id)

    @cached_property
    def _table(self) -> sa.Table:
        """The table as it is, or as `create` makes it."""
        uid: Any = sa.Uuid(as_uuid=False) if self._has_uuid() else sa.Text()
        return sa.Table(
            self._name,
            sa.MetaData(schema=self._schema),
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
            sa.Column("user_uid", uid, nullable=False, unique=True),
            sa.Column("region", sa.Text, nullable=False),
            sa.Column("created_at", sa.DateTime, nullable=False, server_default=_utc_now(self._url)),
        )

    def _has_uuid(self) -> bool:
        with self._connection() as connection:
            inspector = sa.inspect(connection)
            if not inspector.has_table(self._name, schema=self._schema):
                return False
            columns = inspector.get_columns(self._name, schema=self._schema)
        return any(column["name"] == "user_uid" and isinstance(column["type"], sa.Uuid) for column in columns)

    @cached_property
    def _engine(self) -> sa.Engine:
        """SQLite gets a connection a use, since its file is shared by processes; Postgres keeps a few."""
        if self._schema is None:
            return sa.create_engine(self._url, poolclass=NullPool, connect_args={"timeout": 30})
        return sa.create_engine(self._url, pool_pre_ping=True, pool_size=2, connect_args={"connect_timeout": 5})

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """A transaction whose database errors come out as `UsersError`."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, ImportError) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> UsersError:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        shown = self._url.render_as_string(hide_password=True)
        return UsersError(
            f"the users table {self._name} at {shown}: {cause}. "
            "Check USERS_URL (or PG_*); `anmodel users seed` makes the table."
        )


def seeded_users(seed: int) -> Iterator[tuple[str, str]]:
    """Endless made-up users (uid, region), the same for the same seed on every machine."""
    chance = Random(seed)  # noqa: S311 (no secrets)
    while True:
        uid = str(UUID(int=chance.getrandbits(128), version=4))
        yield uid, REGIONS[int(chance.random() * len(REGIONS))]


def users_arrow(users: Iterable[User]) -> "pa.Table":
    """The users as the lake keeps them: id, user_uid, region, created_at (ms, UTC)."""
    import pyarrow as pa

    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("user_uid", pa.string()),
            ("region", pa.string()),
            ("created_at", pa.timestamp("ms", "UTC")),
        ]
    )
    rows, batches = iter(users), []
    while block := list(islice(rows, _BLOCK * 10)):
        columns = [[getattr(user, name) for user in block] for name in schema.names]
        columns[3] = [at.replace(microsecond=at.microsecond // 1000 * 1000) for at in columns[3]]
        batches.append(pa.record_batch(columns, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _utc_now(url: sa.URL) -> sa.TextClause:
    return sa.text("CURRENT_TIMESTAMP" if url.get_backend_name() == "sqlite" else "(now() AT TIME ZONE 'UTC')")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _user(row: Any) -> User:
    at: datetime = row.created_at
    return User(
        row.id, str(row.user_uid), row.region, at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    )
