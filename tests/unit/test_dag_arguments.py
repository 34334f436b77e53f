"""What the DAGs tell the steps, read by the steps' own command line."""

import ast
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import typer.main

from anmodel.cli import app
from anmodel.errors import AnModelError, ContractError, InputError, NoChampionError, SettingError
from anmodel.score.plan import plan_path
from anmodel_dags.champions import ACTIONS, register_arguments
from anmodel_dags.days import Days, export_arguments
from anmodel_dags.endings import NO_CHAMPION, WRONG
from anmodel_dags.forecasts import plan_arguments, run_name, shard_arguments, snapshot_arguments

RUN = run_name("asset_triggered__2026-11-24T00:21:07.118+00:00_x7Yz")
AS_OF = "2026-11-24T00:00:00+00:00"
DAGS = Path(__file__).parents[2] / "dags"
OCTOBER = Days(date(2026, 10, 1), date(2026, 10, 31))


def taken(arguments: list[str]) -> dict[str, object]:
    """The options as the command gets them; raises what the command line would say of wrong ones."""
    command = typer.main.get_command(app)
    context = command.make_context("anmodel", list(arguments))
    rest = list(arguments)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)
    return context.params


@pytest.mark.parametrize(("force", "remove"), [(False, False), (True, False), (False, True)])
def test_export_takes_the_days_of_each_piece(force: bool, remove: bool) -> None:
    made = [taken(arguments) for arguments in export_arguments(OCTOBER, 7, force=force, remove=remove)]
    assert [(options["from_"], options["until"]) for options in made] == [
        ("2026-10-01", "2026-10-08"),
        ("2026-10-08", "2026-10-15"),
        ("2026-10-15", "2026-10-22"),
        ("2026-10-22", "2026-10-29"),
        ("2026-10-29", "2026-11-01"),
    ]
    assert {(options["users"], options["force"], options["remove"]) for options in made} == {(False, force, remove)}


def test_snapshot_and_score_take_the_instant_the_run_and_the_shards() -> None:
    assert taken(snapshot_arguments(AS_OF))["as_of"] == AS_OF
    assert taken(snapshot_arguments(""))["as_of"] is None
    assert [taken(snapshot_arguments(as_of, again=True))["again"] for as_of in ("", AS_OF)] == [True, True]
    plan = taken(plan_arguments(RUN, 3, AS_OF))
    assert (plan["run"], plan["shards"], plan["date_"]) == (RUN, 3, "2026-11-24")
    assert taken(plan_arguments(RUN, 1, ""))["date_"] is None
    assert [taken(arguments)["shard"] for arguments in shard_arguments(RUN, 3)] == [0, 1, 2]
    assert taken(["score", "finish", "--run", RUN])["run"] == RUN


@pytest.mark.parametrize("action", ACTIONS)
def test_register_takes_each_action_of_a_person(action: str) -> None:
    options = taken(register_arguments(action, "3"))
    assert options["version"] == ("3" if action == "use" else None)
    assert options["rollback"] is (action == "roll back")


def written_down() -> Iterator[list[str]]:
    """The arguments that stand in the DAGs' files; a template as an option that it may give, else as some value."""
    for file in sorted(DAGS.glob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(call, ast.Call)
                and getattr(call.func, "id", "") == "step"
                and isinstance(call.args[2], ast.List)
            ):
                yield [filled_in(word) for word in ast.literal_eval(call.args[2])]


def filled_in(word: str) -> str:
    option = re.search(r"'(--[a-z-]+)'", word)
    return option[1] if option else "7" if "{{" in word else word


def test_the_other_steps_take_what_the_dags_say() -> None:
    found = list(written_down())
    assert ["train", "--name", "7", "--tune", "7", "--force"] in found
    assert {words[0] for words in found} == {"users", "trends", "snapshot", "train", "register", "monitor"}
    for arguments in found:
        taken(arguments)


def test_the_dags_know_the_exit_codes_of_the_steps() -> None:
    assert set(WRONG) == {SettingError.exit_code, InputError.exit_code, ContractError.exit_code}
    assert NoChampionError.exit_code == NO_CHAMPION
    assert [kind for kind in kinds(AnModelError) if kind.exit_code == NO_CHAMPION] == [NoChampionError]


def kinds(error: type[AnModelError]) -> Iterator[type[AnModelError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize(
    "run_id", ["asset_triggered__2026-11-24T00:21:07.118+00:00_x7Yz", ".hidden", "~", "ranok: вівторок"]
)
def test_a_runs_name_is_one_that_score_takes(run_id: str) -> None:
    assert plan_path(run_name(run_id)).startswith("daily_features/scoring/")
