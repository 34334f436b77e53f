"""What runs of each kind do, in Airflow's own database."""

from datetime import UTC, datetime

import pytest
import runs

pytestmark = pytest.mark.usefixtures("database")

NIGHT = datetime(2026, 11, 24, 0, 15, tzinfo=UTC)


def test_the_nights_run_exports_the_day_that_ended_with_two_before_it_and_tells_of_its_midnight(dags) -> None:
    run = runs.scheduled(dags["export_events"], NIGHT)
    assert run.arguments("export") == [["export", "--from", "2026-11-21", "--until", "2026-11-24", "--no-users"]]
    assert run.events("events") == [{"as_of": "2026-11-24T00:00:00+00:00", "last_day": "2026-11-23"}]
    assert set(run.states.values()) == {"success"}


def test_a_run_by_hand_exports_up_to_today_and_leaves_the_instant_open(dags) -> None:
    run = runs.by_hand(dags["export_events"], at=datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    assert run.arguments("export") == [["export", "--from", "2026-11-22", "--until", "2026-11-25", "--no-users"]]
    assert run.events("events") == [{"as_of": "", "last_day": "2026-11-24"}]


def test_the_users_table_is_exported_beside_the_days_and_holds_up_nothing(dags) -> None:
    run = runs.by_hand(dags["export_events"], at=NIGHT)
    assert run.arguments("users") == [["users", "export"]]
    assert dags["export_events"].get_task("users").downstream_task_ids == set()


def test_only_a_form_that_says_so_takes_days_from_the_lake(dags) -> None:
    form = {"first_day": "2026-10-01", "last_day": "2026-10-01", "remove": True}
    (asked,) = runs.by_hand(dags["export_events"], form, at=NIGHT).arguments("export")
    (plain,) = runs.by_hand(dags["export_events"], {**form, "remove": False}, at=NIGHT).arguments("export")
    assert asked == [*plain, "--remove"]


def test_a_filled_form_maps_its_range_to_pods(dags) -> None:
    form = {"first_day": "2026-10-01", "last_day": "2026-10-30", "days_a_task": 7, "force": True}
    run = runs.by_hand(dags["export_events"], form, at=NIGHT)
    assert [made[1:5] for made in run.arguments("export")] == [
        ["--from", "2026-10-01", "--until", "2026-10-08"],
        ["--from", "2026-10-08", "--until", "2026-10-15"],
        ["--from", "2026-10-15", "--until", "2026-10-22"],
        ["--from", "2026-10-22", "--until", "2026-10-29"],
        ["--from", "2026-10-29", "--until", "2026-10-31"],
    ]
    assert [made[5:] for made in run.arguments("export")] == 5 * [["--no-users", "--force"]]
    assert run.events("events") == [{"as_of": "2026-10-31T00:00:00+00:00", "last_day": "2026-10-30"}]


def test_a_form_with_days_that_cannot_be_fails_before_any_pod(dags) -> None:
    run = runs.by_hand(dags["export_events"], {"first_day": "2026-10-30", "last_day": "2026-10-01"}, at=NIGHT)
    assert run.states[("choose_days", -1)] == "failed"
    assert run.pods == {}
    assert run.events("events") == []


def test_a_backfills_run_exports_the_day_before_its_night_and_starts_no_forecast(dags) -> None:
    run = runs.scheduled(dags["export_events"], datetime(2026, 11, 8, 0, 15, tzinfo=UTC), backfill=True)
    assert run.arguments("export") == [["export", "--from", "2026-11-05", "--until", "2026-11-08", "--no-users"]]
    assert run.events("events") == []
    assert run.states[("tell", -1)] == "skipped"


def test_a_backfill_of_seven_days_makes_seven_runs_each_of_its_own_day(dags) -> None:
    from airflow.models.backfill import ReprocessBehavior, _do_dry_run
    from airflow.settings import Session

    made = _do_dry_run(
        dag_id="export_events",
        from_date=datetime(2026, 8, 2, tzinfo=UTC),
        to_date=datetime(2026, 8, 9, tzinfo=UTC),
        reverse=False,
        reprocess_behavior=ReprocessBehavior.NONE,
        session=Session(),
    )
    assert [info.data_interval.start.date().isoformat() for info in made] == [f"2026-08-0{day}" for day in range(1, 8)]


def test_the_forecast_after_an_export_is_as_of_the_exports_midnight_or_of_what_is_shown_if_that_is_later(dags) -> None:
    run = runs.on_events(dags["daily_forecast"], {"events": [{"as_of": "2026-11-24T00:00:00+00:00"}]})
    (plan,) = run.arguments("plan")
    name = plan[plan.index("--run") + 1]
    assert run.arguments("snapshot") == [["snapshot", "daily", "--as-of", "2026-11-24T00:00:00+00:00", "--again"]]
    assert plan == ["score", "plan", "--run", name, "--shards", "1"], "the newest snapshot, whatever its day"
    assert run.arguments("score") == [["score", "shard", "--run", name, "--shard", "0"]]
    assert run.arguments("finish") == [["score", "finish", "--run", name]]
    assert run.arguments("monitor") == [["monitor"]]
    assert set(run.states.values()) == {"success"}


def test_of_several_exports_at_once_the_newest_instant_counts(dags) -> None:
    told = [{"as_of": "2026-11-24T00:00:00+00:00"}, {"as_of": "2026-11-20T00:00:00+00:00"}]
    run = runs.on_events(dags["daily_forecast"], {"events": told})
    assert run.arguments("snapshot") == [["snapshot", "daily", "--as-of", "2026-11-24T00:00:00+00:00", "--again"]]


@pytest.mark.parametrize("told", [{"as_of": ""}, {}])
def test_a_forecast_after_an_export_of_today_is_as_of_the_newest_event(dags, told: dict[str, str]) -> None:
    run = runs.on_events(dags["daily_forecast"], {"events": [told]})
    assert run.arguments("snapshot") == [["snapshot", "daily"]]
    assert "--date" not in run.arguments("plan")[0]


def test_a_forecast_by_hand_takes_its_instant_and_shards_from_the_form(dags) -> None:
    run = runs.by_hand(dags["daily_forecast"], {"as_of": "2026-11-01T12:00:00Z", "shards": 3})
    assert run.arguments("snapshot") == [["snapshot", "daily", "--as-of", "2026-11-01T12:00:00+00:00"]]
    assert run.arguments("plan")[0][-4:] == ["--shards", "3", "--date", "2026-11-01"]
    assert [made[-1] for made in run.arguments("score")] == ["0", "1", "2"]
    assert len({made[3] for made in run.arguments("score")}) == 1


def test_an_instant_that_cannot_be_read_fails_before_any_pod(dags) -> None:
    run = runs.by_hand(dags["daily_forecast"], {"as_of": "tomorrow"})
    assert run.states[("choose", -1)] == "failed"
    assert run.pods == {}


def test_a_runs_name_is_one_that_score_takes_and_no_two_runs_share_it(dags) -> None:
    names = [runs.by_hand(dags["daily_forecast"]).arguments("finish")[0][-1] for _ in range(2)]
    assert len(set(names)) == 2
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") for name in names)


def test_a_training_goes_from_trends_to_a_message(dags) -> None:
    run = runs.by_hand(dags["train_model"])
    assert {task: made[0] for task in ("trends", "register") if (made := run.arguments(task))} == {
        "trends": ["trends"],
        "register": ["register"],
    }
    assert run.arguments("snapshot") == [["snapshot", "train", "--name", "model1"]]
    told = run.others[("tell", -1)].producer_function_kwargs
    assert told == {"dag_id": "train_model", "run_id": run.run_id}


def test_a_trainings_form_names_the_snapshot_and_may_tune_and_force_it(dags) -> None:
    run = runs.by_hand(dags["train_model"], {"snapshot": "2026", "force": True, "tune_minutes": 30})
    assert run.arguments("snapshot") == [["snapshot", "train", "--name", "2026"]]
    assert run.arguments("train") == [["train", "--name", "2026", "--tune", "30", "--force"]]


def test_a_message_of_drift_starts_a_training_without_a_form(dags) -> None:
    payload = {"type": "drift", "model": "context_aware", "version": "3"}
    run = runs.on_events(dags["train_model"], {"drift": [{"from_trigger": True, "payload": payload}]})
    assert run.arguments("train") == [["train", "--name", "model1", "--tune", "0"]]
    assert run.states[("tell", -1)] == "success"


def test_a_forecast_after_a_version_was_weighed_is_of_the_snapshot_before(dags) -> None:
    run = runs.on_events(dags["daily_forecast"], {"model": [{}]})
    assert run.arguments("snapshot") == [["snapshot", "daily", "--again"]]
    (plan,) = run.arguments("plan")
    assert "--date" not in plan


def test_an_export_counts_more_than_a_version_weighed_meanwhile(dags) -> None:
    told = {"model": [{}], "events": [{"as_of": "2026-11-08T00:00:00+00:00"}]}
    run = runs.on_events(dags["daily_forecast"], told)
    assert run.arguments("snapshot") == [["snapshot", "daily", "--as-of", "2026-11-08T00:00:00+00:00", "--again"]]


def test_an_export_of_today_counts_more_than_a_version_weighed_meanwhile(dags) -> None:
    run = runs.on_events(dags["daily_forecast"], {"model": [{}], "events": [{"as_of": ""}]})
    assert run.arguments("snapshot") == [["snapshot", "daily"]]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, ["register"]),
        ({"version": "3"}, ["register"]),
        ({"action": "roll back", "version": "3"}, ["register", "--rollback"]),
        ({"action": "use", "version": "3"}, ["register", "--version", "3"]),
    ],
)
def test_a_person_judges_rolls_back_or_takes_a_version(dags, form: dict[str, str], said: list[str]) -> None:
    assert runs.by_hand(dags["choose_champion"], form).arguments("register") == [said]


@pytest.mark.parametrize("version", [{}, {"version": None}])
def test_a_version_that_the_form_lacks_is_refused_before_any_pod_and_not_tried_again(
    dags, version: dict[str, None]
) -> None:
    run = runs.by_hand(dags["choose_champion"], {"action": "use", **version})
    assert run.states == {("choose", -1): "failed", ("register", -1): "upstream_failed"}
    assert run.pods == {}
    assert run.tried_again == []
