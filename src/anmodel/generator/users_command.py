"""`anmodel users`: the table that the generator's shoppers come from."""

from pathlib import Path
from typing import Annotated

import typer

from anmodel.errors import InputError
from anmodel.settings import UsersExportSettings, UsersSettings

command = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The shop's users.")


@command.command()
def seed(
    count: Annotated[int, typer.Argument(min=0, help="Users there shall be.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same users.")] = 42,
) -> None:
    """Make the table if it is not there, and add made-up users until there are COUNT. Safe to repeat."""
    from anmodel.users import UsersTable

    table = UsersTable.of(UsersSettings.load())
    table.create()
    added = table.seed(count, seed)
    typer.echo(f"{added} users added, {table.count()} in all")


@command.command("import")
def import_users(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or Parquet: columns user_uid and region.")],
) -> None:
    """Add the users of FILE; known ones stay as they are. Safe to repeat."""
    from anmodel.users import UsersTable

    table = UsersTable.of(UsersSettings.load())
    table.create()
    added = table.add(_read_users(file))
    typer.echo(f"{added} users added, {table.count()} in all")


@command.command("list")
def list_users(
    limit: Annotated[int, typer.Option(min=1, help="Users shown at most.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Users skipped.")] = 0,
    search: Annotated[str, typer.Option(help="Only ids that contain this.")] = "",
) -> None:
    """Show users."""
    from anmodel.users import UsersTable

    table = UsersTable.of(UsersSettings.load())
    for user in table.list(limit, offset, search):
        typer.echo(f"{user.user_uid}\t{user.region}\t{user.created_at:%Y-%m-%d %H:%M:%S}Z")


@command.command()
def export() -> None:
    """Write all users to the lake, users/users.parquet. Safe to repeat."""
    from anmodel.lake import Lake
    from anmodel.users import USERS_FILE, UsersTable, users_arrow

    settings = UsersExportSettings.load()
    lake = Lake(settings.parquet_out)
    table = users_arrow(UsersTable.of(settings).iter_all())
    lake.write_table(USERS_FILE, table)
    typer.echo(f"{table.num_rows} users written to {lake.path(USERS_FILE)}")


def _read_users(file: Path) -> list[tuple[str, str]]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    text = pyarrow.csv.ConvertOptions(column_types={"user_uid": pa.string(), "region": pa.string()})
    try:
        table = pq.read_table(file) if file.suffix == ".parquet" else pyarrow.csv.read_csv(file, convert_options=text)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{file} cannot be read as CSV or Parquet: {error}") from error
    if missing := {"user_uid", "region"} - set(table.column_names):
        raise InputError(f"{file} has columns {table.column_names}; missing: {', '.join(sorted(missing))}")
    uids, regions = table["user_uid"].cast(pa.string()).to_pylist(), table["region"].cast(pa.string()).to_pylist()
    return [(uid, region or "") for uid, region in zip(uids, regions, strict=True) if uid]
