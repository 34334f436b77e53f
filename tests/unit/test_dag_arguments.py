"""What the DAGs tell the steps, read by the steps' own command line."""

from datetime import date

import pytest
import typer.main

from anmodel.cli import app
from anmodel.score.plan import plan_path
from anmodel_dags.days import Days, export_arguments
from anmodel_dags.forecasts import plan_arguments, run_name, shard_arguments, snapshot_arguments

RUN = run_name("asset_triggered__2026-11-24T00:21:07.118+00:00_x7Yz")
AS_OF = "2026-11-24T00:00:00+00:00"
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


@pytest.mark.parametrize("force", [False, True])
def test_export_takes_the_days_of_each_piece(force: bool) -> None:
    made = [taken(arguments) for arguments in export_arguments(OCTOBER, 7, force=force)]
    assert [(options["from_"], options["until"]) for options in made] == [
        ("2026-10-01", "2026-10-08"),
        ("2026-10-08", "2026-10-15"),
        ("2026-10-15", "2026-10-22"),
        ("2026-10-22", "2026-10-29"),
        ("2026-10-29", "2026-11-01"),
    ]
    assert [options["users"] for options in made] == [False] * 4 + [True]
    assert {options["force"] for options in made} == {force}


def test_snapshot_and_score_take_the_instant_the_run_and_the_shards() -> None:
    assert taken(snapshot_arguments(AS_OF))["as_of"] == AS_OF
    assert taken(snapshot_arguments(""))["as_of"] is None
    plan = taken(plan_arguments(RUN, 3, AS_OF))
    assert (plan["run"], plan["shards"], plan["date_"]) == (RUN, 3, "2026-11-24")
    assert taken(plan_arguments(RUN, 1, ""))["date_"] is None
    assert [taken(arguments)["shard"] for arguments in shard_arguments(RUN, 3)] == [0, 1, 2]
    assert taken(["score", "finish", "--run", RUN])["run"] == RUN


@pytest.mark.parametrize(
    "arguments",
    [
        ["trends"],
        ["snapshot", "train", "--name", "model1"],
        ["train", "--name", "model1", "--force"],
        ["register"],
        ["monitor"],
    ],
)
def test_the_other_steps_take_what_the_dags_say(arguments: list[str]) -> None:
    taken(arguments)


@pytest.mark.parametrize(
    "run_id", ["asset_triggered__2026-11-24T00:21:07.118+00:00_x7Yz", ".hidden", "~", "ranok: вівторок"]
)
def test_a_runs_name_is_one_that_score_takes(run_id: str) -> None:
    assert plan_path(run_name(run_id)).startswith("daily_features/scoring/")
