"""`anmodel forecast`: which steps run, in which order, and what a failure says."""

import pytest

from anmodel.errors import InputError
from anmodel.laptop.forecast import NAMES, STEPS, StepFailedError, chosen_steps, run_step


def words(only: str = "", start: str = "") -> list[str]:
    return [" ".join(step) for _, step in chosen_steps(only, start)]


def test_all_steps_run_in_the_order_of_their_needs() -> None:
    assert words() == [
        "export",
        "trends",
        "snapshot train",
        "train",
        "register",
        "snapshot daily",
        "score",
        "monitor",
    ]


def test_only_runs_one_stage_with_all_its_commands() -> None:
    assert words(only="snapshot") == ["snapshot train", "snapshot daily"]
    assert words(only="score") == ["score"]


def test_from_runs_a_stage_and_all_after_its_first_step() -> None:
    assert words(start="register") == ["register", "snapshot daily", "score", "monitor"]
    assert words(start="snapshot") == words()[2:]
    assert words(start="export") == [" ".join(step) for _, step in STEPS]


@pytest.mark.parametrize(("only", "start", "option"), [("sing", "", "--only"), ("", "sing", "--from")])
def test_a_step_that_is_none_is_refused_with_those_there_are(only: str, start: str, option: str) -> None:
    with pytest.raises(InputError) as caught:
        chosen_steps(only, start)
    assert str(caught.value) == f"{option}: there is no step 'sing'; the steps are {', '.join(NAMES)}."


def test_a_step_that_fails_names_its_exit_code_and_how_to_go_on() -> None:
    with pytest.raises(
        StepFailedError, match=r"nonsense ended with exit code 2\. .* `anmodel forecast --from nonsense`"
    ):
        run_step(("nonsense",))


def test_a_step_that_succeeds_tells_its_time_and_memory() -> None:
    run = run_step(("--version",))
    assert 0 < run.seconds < 60
    assert 5 < run.peak_mb < 8000  # a child counts what its parent holds when it is made
