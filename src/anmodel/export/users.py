"""Copy the users table to the lake."""

from anmodel.errors import UsersError
from anmodel.lake import Lake
from anmodel.settings import UsersSettings
from anmodel.users import USERS_FILE, UsersTable, users_arrow


def export_users(settings: UsersSettings, lake: Lake) -> str:
    """Write users.parquet whole; returns what was done in words.

    Forecasts need no users table, only the list shown before the first forecast does; so when the table cannot be read
    the last export stays and the words say why.
    """
    try:
        users = users_arrow(UsersTable.of(settings).iter_all())
    except UsersError as error:
        return f"warning: users not exported, the last export stays: {error}"
    lake.write_table(USERS_FILE, users)
    return f"users: {users.num_rows} written"
