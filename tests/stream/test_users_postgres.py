"""The users table on a real Postgres: ours, and the original's with its UUID column."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from anmodel.errors import UsersError
from anmodel.laptop.kafka import free_port
from anmodel.settings import UsersSettings
from anmodel.users import UsersTable, users_arrow
from certificates import Authority
from eventually import eventually

UID = "bdd640fb-0667-4ad1-9c80-317fa3b1799d"


def _program(name: str) -> str | None:
    """A program of Postgres, also where Debian hides it."""
    hidden = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(name, path=os.pathsep.join([*hidden[::-1], os.environ.get("PATH", "")]))


def _account() -> str | None:
    """Postgres refuses to run as root; then an account that may do nothing else."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[str]:
    """The URL of a Postgres of this module's own; it speaks TLS too, with a certificate of `authority`."""
    server, initdb = _program("postgres"), _program("initdb")
    if server is None or initdb is None:
        pytest.skip("Postgres is not installed here (Debian: apt-get install postgresql)")
    account = _account()
    folder = Path(subprocess.check_output(["mktemp", "-d", "-t", "anmodel-pg-XXXXXX"], user=account, text=True).strip())
    process = None
    try:
        made = [initdb, "-D", f"{folder}/data", "-U", "shop", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(made, check=True, user=account, capture_output=True, cwd="/")
        port = free_port()
        for name, content in zip(("server.crt", "server.key"), authority.issue("postgres"), strict=True):
            keep = ["sh", "-c", 'umask 077; cat > "$0"', f"{folder}/data/{name}"]
            subprocess.run(keep, check=True, user=account, input=content.encode(), cwd="/")
        run = [server, "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F", "-c", "ssl=on"]
        with (tmp_path_factory.mktemp("pg") / "log").open("w") as log:
            process = subprocess.Popen(run, user=account, stdout=log, stderr=log, cwd="/")
        url = f"postgresql://shop@127.0.0.1:{port}/postgres"
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        eventually(lambda: engine.connect().close() is None, 30)
        engine.dispose()
        yield url
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown: on SIGTERM it would wait for its clients
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def test_our_own_table_works_as_in_sqlite(postgres: str) -> None:
    table = UsersTable(postgres, "ours", "public")
    table.create(), table.create()
    assert table.seed(1200, seed=42) == 1200
    assert table.seed(1200, seed=42) == 0
    assert table.add([("900", "UA-30"), (UID, "elsewhere")]) == 1
    assert table.count() == 1201
    assert len({user.user_uid for user in table.iter_all()}) == 1201
    assert [user.user_uid for user in table.list(search="BDD640FB")] == [UID]
    found = table.get("900")
    assert found is not None
    assert found.region == "UA-30"
    assert found.created_at.tzinfo is not None
    assert users_arrow(table.iter_all()).num_rows == 1201


def test_the_originals_table_with_uuids_is_read_and_added_to(postgres: str) -> None:
    engine = sa.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE users(id SERIAL PRIMARY KEY, user_uid UUID NOT NULL UNIQUE, region TEXT NOT NULL, "
                "created_at TIMESTAMP DEFAULT now())"
            )
        )
    engine.dispose()
    table = UsersTable(postgres, "users", "public")
    table.create()
    assert table.seed(10, seed=42) == 10
    assert table.add([(UID, "elsewhere")]) == 0
    found = table.get(UID)
    assert found is not None
    assert found.user_uid == UID
    assert table.get("900") is None
    assert [user.user_uid for user in table.list(search="bdd640")] == [UID]
    with pytest.raises(UsersError, match="users"):
        table.add([("900", "")])


def test_a_missing_schema_is_told(postgres: str) -> None:
    with pytest.raises(UsersError, match='schema "nowhere" does not exist'):
        UsersTable(postgres, "users", "nowhere").create()


def test_a_server_is_trusted_by_the_authority_that_is_named(
    postgres: str, authority: Authority, tmp_path: Path
) -> None:
    for name, each in (("ca.pem", authority), ("other.pem", Authority("other"))):
        (tmp_path / name).write_text(each.certificate)
    address = sa.make_url(postgres)
    assert address.port is not None

    def table(**security: str) -> UsersTable:
        place = {"pg_host": "127.0.0.1", "pg_port": address.port, "pg_user": "shop", "users_table": "trusted"}
        return UsersTable.of(UsersSettings.load(**place, **security))

    trusting = table(pg_sslmode="verify-full", pg_ca=str(tmp_path / "ca.pem"))
    trusting.create()
    assert trusting.count() == 0
    with pytest.raises(UsersError, match="certificate verify failed"):
        table(pg_sslmode="verify-full", pg_ca=str(tmp_path / "other.pem")).count()
