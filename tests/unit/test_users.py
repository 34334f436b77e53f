"""The users table in SQLite; the same on Postgres is in tests/stream."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from anmodel.errors import SettingError, UsersError
from anmodel.settings import UsersSettings
from anmodel.users import REGIONS, UsersTable, users_arrow, users_url


@pytest.fixture
def table(tmp_path: Path) -> UsersTable:
    table = UsersTable(f"sqlite:///{tmp_path / 'users.db'}", schema="public")
    table.create()
    return table


def test_seeding_again_adds_nobody_and_more_keeps_the_first(table: UsersTable) -> None:
    assert table.seed(20, seed=7) == 20
    first = [user.user_uid for user in table.iter_all()]
    assert table.seed(20, seed=7) == 0
    assert table.seed(30, seed=7) == 10
    assert [user.user_uid for user in table.iter_all()][:20] == first
    assert {user.region for user in table.iter_all()} == set(REGIONS)


def test_the_same_seed_gives_the_same_users_in_another_table(table: UsersTable, tmp_path: Path) -> None:
    other = UsersTable(f"sqlite:///{tmp_path / 'other.db'}")
    other.create()
    table.seed(5, seed=1), other.seed(5, seed=1)
    assert [(user.user_uid, user.region) for user in table.iter_all()] == [
        (user.user_uid, user.region) for user in other.iter_all()
    ]


def test_seeding_tops_up_a_table_that_has_others(table: UsersTable) -> None:
    table.add([("900", ""), ("901", "")])
    assert table.seed(5) == 3
    assert table.count() == 5


def test_known_users_stay_as_they_are(table: UsersTable) -> None:
    assert table.add([("a", "UA-30"), ("b", "UA-40")]) == 2
    assert table.add([("b", "elsewhere"), ("c", ""), ("c", "again")]) == 1
    assert [(user.user_uid, user.region) for user in table.iter_all()] == [("a", "UA-30"), ("b", "UA-40"), ("c", "")]
    assert table.add([]) == 0


def test_many_users_are_added_and_read_in_blocks(table: UsersTable) -> None:
    assert table.add((f"u{number}", "") for number in range(10_500)) == 10_500
    assert [user.user_uid for user in table.iter_all()] == [f"u{number}" for number in range(10_500)]


def test_a_page_is_searched_by_part_of_the_id_in_any_case(table: UsersTable) -> None:
    table.add([("Alpha-1", ""), ("alpha_2", ""), ("beta", ""), ("100%", "")])
    assert [user.user_uid for user in table.list(search="ALPHA")] == ["Alpha-1", "alpha_2"]
    assert [user.user_uid for user in table.list(search="%")] == ["100%"]
    assert [user.user_uid for user in table.list(search="a_")] == ["alpha_2"]
    assert [user.user_uid for user in table.list(limit=2, offset=1)] == ["alpha_2", "beta"]


def test_a_user_is_found_by_the_whole_id(table: UsersTable) -> None:
    table.add([("'; DROP TABLE users; --", "UA-30"), ("🙂", "")])
    found = table.get("'; DROP TABLE users; --")
    assert found is not None
    assert found.region == "UA-30"
    assert abs((datetime.now(UTC) - found.created_at).total_seconds()) < 60
    assert table.get("🙂") is not None
    assert table.get("nobody") is None


def test_a_missing_table_is_told_with_what_to_do_and_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(UsersError, match=r"no such table.*`anmodel users seed` makes the table"):
        UsersTable(f"sqlite:///{tmp_path / 'empty.db'}").count()
    away = UsersTable("postgresql://shop:s3cret@127.0.0.1:9/shop")
    with pytest.raises(UsersError, match=r"shop:\*\*\*@127.0.0.1") as raised:
        away.count()
    assert "s3cret" not in str(raised.value)


def test_a_url_that_is_none_names_the_setting_and_not_its_value() -> None:
    with pytest.raises(SettingError, match="USERS_URL") as raised:
        UsersTable("s3cret")
    assert "s3cret" not in str(raised.value)


def test_the_url_is_made_up_from_pg_settings_when_none_is_given() -> None:
    settings = UsersSettings.load(
        users_url="", pg_host="db", pg_port=5433, pg_db="shop", pg_user="me", pg_password="p@:/s"
    )
    assert users_url(settings) == "postgresql+psycopg://me:p%40%3A%2Fs@db:5433/shop"
    assert users_url(UsersSettings.load(users_url="sqlite:///x.db")) == "sqlite:///x.db"


def test_the_arrow_table_has_the_columns_of_the_lake_also_when_empty(table: UsersTable) -> None:
    assert users_arrow([]).num_rows == 0
    table.seed(3)
    arrow = users_arrow(table.iter_all())
    assert arrow.schema.names == ["id", "user_uid", "region", "created_at"]
    assert arrow.schema.field("created_at").type == pa.timestamp("ms", "UTC")
    assert arrow["user_uid"].to_pylist() == [user.user_uid for user in table.list()]
