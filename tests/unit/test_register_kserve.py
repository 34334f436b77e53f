"""A version's way into service by KServe: tried, given a share, made champion, and cut short anywhere on the way."""

import re
from typing import Any

import pytest

from anmodel.errors import ClusterError, ContractError, NotReadyError
from anmodel.lake import Lake
from anmodel.register.kserve import KServe
from anmodel.register.promotion import Outcome, promote_newest, promote_version, roll_back
from anmodel.settings import RegisterSettings
from batch.synthetic import write_training
from unit.kserve_world import STABLE, KilledError, MemoryCluster, MemoryRegistry, Steps

CANARY = "context-aware-v2-predictor"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("kserve")))
    write_training(lake, rows=60)
    return lake


class World:
    """A registry, a cluster, and the command's way through both."""

    def __init__(self, lake: Lake, versions: int = 2, **settings: Any) -> None:
        self.steps = Steps()
        self.registry: Any = MemoryRegistry(self.steps, versions)
        self.cluster: Any = MemoryCluster(self.steps)
        self.lake = lake
        given = {
            "mlflow_tracking_uri": "unused",
            "parquet_out": lake.url,
            "serving": "kserve",
            "serving_gateway": "edge/public",
            "serving_host": "models.test",
            "serving_timeout": 0.05,
            "canary_percent": 10,
            "canary_seconds": 0.002,
        }
        self.settings = RegisterSettings.load(**{**given, **settings})

    @property
    def serving(self) -> KServe:
        """A process of its own knows nothing of the one before."""
        return KServe(self.cluster, self.settings, self.registry, self.lake, poll_seconds=0.0, drain_seconds=0.0)

    def first(self) -> "World":
        """Version 1 is champion and serves."""
        self.registry.set_champion(self.registry.version("1"))
        self.serving.settle(self.registry.version("1"))
        self.cluster.shares.clear()
        self.steps.done = 0
        return self

    def register(self, way: str = "") -> Outcome:
        """As the command does it."""
        serving = self.serving
        if way == "rollback":
            outcome = roll_back(self.registry, serving)
        elif way:
            outcome = promote_version(self.registry, way)
        else:
            outcome = promote_newest(self.registry, self.lake, serving)
        if outcome.champion is not None:
            serving.settle(outcome.champion)
        return outcome

    def serves_alone(self, version: str) -> bool:
        """Whether the registry, KServe and the route agree on this version, and nothing else is left."""
        route = self.cluster.objects["HTTPRoute"]["spec"]["rules"][0]["backendRefs"]
        return bool(
            self.registry.aliases["champion"] == version
            and self.cluster.serving == {STABLE: version}
            and self.cluster.running == {STABLE: version}
            and [backend["name"] for backend in route] == [STABLE]
            and "canary" not in self.cluster.objects["InferenceService"]["spec"]
        )


def test_the_first_version_is_ready_before_it_becomes_champion(lake: Lake) -> None:
    world = World(lake, versions=1)
    served: list[dict[str, str]] = []
    world.steps.after = lambda: served.append(dict(world.cluster.serving)) if world.registry.aliases else None

    assert world.register().changed
    assert served[0] == {STABLE: "1"}
    assert world.serves_alone("1")


@pytest.mark.parametrize("behaves", ["unready", "refuses", "crashes", "untrue"])
def test_a_first_version_that_does_not_serve_is_taken_away_and_there_is_no_champion(lake: Lake, behaves: str) -> None:
    world = World(lake, versions=1)
    world.cluster.behaviour["1"] = behaves
    outcome = world.register()

    assert outcome.champion is None
    assert outcome.rejected is not None
    assert world.registry.aliases == {}
    assert "InferenceService" not in world.cluster.objects


def test_a_better_version_has_nothing_then_its_share_then_everything(lake: Lake) -> None:
    world = World(lake).first()

    assert world.register().changed
    assert world.serves_alone("2")
    assert world.cluster.shares == [{STABLE: 100}, {STABLE: 90, CANARY: 10}, {STABLE: 100}, {STABLE: 100}]


def test_without_a_gateway_a_version_is_tried_in_the_dark_and_no_route_is_made(lake: Lake) -> None:
    world = World(lake, serving_gateway="", serving_host="").first()

    assert world.register().changed
    assert world.registry.aliases["champion"] == "2"
    assert "HTTPRoute" not in world.cluster.objects


@pytest.mark.parametrize(
    ("behaves", "said"),
    [
        ("unready", "not ready within SERVING_TIMEOUT"),
        ("refuses", "only in the model: x"),
        ("crashes", r"ended 3 times \(OOMKilled, exit code 137\)"),
        ("untrue", "purchase_proba is 0.99, the model itself says 0.02"),
        ("ends under load", "With 10 % of the traffic its predictor ended"),
    ],
)
def test_a_version_that_does_not_serve_as_it_must_is_rejected_once(lake: Lake, behaves: str, said: str) -> None:
    world = World(lake).first()
    world.cluster.behaviour["2"] = behaves
    outcome = world.register()

    assert outcome.rejected is not None
    assert re.search(said, outcome.reason)
    assert world.serves_alone("1")
    assert world.registry.tags["2"]["decision"] == "rejected"
    changes = world.steps.done
    assert "was rejected" in world.register().reason
    assert world.steps.done - changes == 2, "more was done than to apply the champion and its route again"


def test_a_bad_version_never_has_a_share_unless_it_answered_rightly_without_one(lake: Lake) -> None:
    for behaves in ("unready", "refuses", "crashes", "untrue"):
        world = World(lake).first()
        world.cluster.behaviour["2"] = behaves
        world.register()
        assert all(CANARY not in share for share in world.cluster.shares), behaves


def test_a_rejected_version_may_be_chosen_by_hand(lake: Lake) -> None:
    world = World(lake).first()
    world.cluster.behaviour["2"] = "untrue"
    world.register()
    world.cluster.behaviour["2"] = "well"

    assert world.register("2").changed
    assert world.serves_alone("2")
    assert world.registry.tags["2"]["decision"] == "champion"


@pytest.mark.parametrize(
    ("behaves", "said"),
    [
        ("homeless", "finds no node: 0/1 nodes are available"),
        ("starting", "a predictor never started: PodInitializing"),
    ],
)
def test_a_predictor_that_the_cluster_does_not_start_rejects_nobody(lake: Lake, behaves: str, said: str) -> None:
    world = World(lake).first()
    world.cluster.behaviour["2"] = behaves

    with pytest.raises(ClusterError, match=said):
        world.register()
    assert world.serves_alone("1")
    assert "decision" not in world.registry.tags["2"]

    world.cluster.behaviour["2"] = "well"
    assert world.register().changed


def test_a_cluster_that_does_not_answer_moves_nothing(lake: Lake) -> None:
    world = World(lake).first()
    world.cluster.away = True
    with pytest.raises(ClusterError, match="does not answer"):
        world.register()
    world.cluster.away = False

    assert world.serves_alone("1")
    assert world.register().changed


def test_a_webhook_that_is_started_anew_is_waited_for(lake: Lake) -> None:
    world = World(lake, serving_timeout=5).first()
    world.cluster.refusals = 3

    assert world.register().changed
    assert world.serves_alone("2")


def test_a_champion_that_does_not_come_up_rejects_no_newer_version(lake: Lake) -> None:
    world = World(lake, versions=3)
    champion, newest = world.registry.version("2"), world.registry.version("3")
    world.cluster.behaviour["2"] = "unready"

    with pytest.raises(ClusterError, match="version 2 is champion, but does not come up"):
        world.serving.roll_out(newest, champion)
    assert "canary" not in world.cluster.objects["InferenceService"]["spec"]


def test_where_nothing_served_a_version_of_other_snapshots_gets_no_share_and_then_everything(lake: Lake) -> None:
    world = World(lake)
    world.registry.set_champion(world.registry.version("1"))
    world.cluster.behaviour["1"] = "refuses"

    assert world.register().changed
    assert world.serves_alone("2")
    assert world.cluster.shares == [{STABLE: 100}]


def test_a_version_of_other_snapshots_takes_over_from_a_champion_that_the_new_images_refuse(lake: Lake) -> None:
    world = World(lake).first()
    world.cluster.behaviour["1"] = "refuses"  # new pods of it: those of the image before still answer

    assert world.register().changed
    assert world.serves_alone("2")


def test_when_it_does_not_serve_either_it_is_rejected_and_the_pods_of_before_go_on(lake: Lake) -> None:
    world = World(lake).first()
    world.cluster.behaviour |= {"1": "refuses", "2": "untrue"}

    with pytest.raises(ClusterError, match="version 1 is champion, but does not come up"):
        world.register()
    assert world.registry.tags["2"]["decision"] == "rejected"
    assert world.cluster.serving == {STABLE: "1"}


@pytest.mark.parametrize("decision", ["champion", "rolled back"])
def test_a_champion_whose_alias_was_lost_is_not_pushed_out_by_a_first_version(lake: Lake, decision: str) -> None:
    world = World(lake).first()
    world.registry.tags["1"]["decision"] = decision
    world.registry.aliases.clear()
    changes = world.steps.done

    with pytest.raises(ContractError, match=r"serves version 1. `anmodel register --version 1` gives it"):
        world.register()
    assert world.steps.done == changes
    assert world.register("1").changed
    assert world.serves_alone("1")


def test_what_a_first_run_left_half_made_is_replaced_by_a_newer_version(lake: Lake) -> None:
    world = World(lake, versions=1)
    world.steps.kill_at = 1
    with pytest.raises(KilledError):
        world.register()
    world.steps.kill_at = None
    world.registry.tags["2"] = {}

    assert world.register().changed
    assert world.serves_alone("2")


@pytest.mark.parametrize(("faults", "rejected"), [(2, False), (10**6, True)])
def test_a_request_that_fails_on_its_way_is_sent_again_before_anybody_is_blamed(
    lake: Lake, faults: int, rejected: bool
) -> None:
    world = World(lake).first()
    world.cluster.lost_requests = faults
    outcome = world.register()

    assert (outcome.rejected is not None) is rejected
    world.cluster.lost_requests = 0
    assert world.serves_alone("1" if rejected else "2")


def test_a_run_that_lost_its_turn_moves_no_alias(lake: Lake) -> None:
    world = World(lake).first()
    serving = world.serving
    world.steps.after = lambda: serving._turn.__dict__.update(_taken_by="another")

    with pytest.raises(ClusterError, match="held no more"):
        promote_newest(world.registry, world.lake, serving)
    assert world.registry.aliases["champion"] == "1"
    assert "decision" not in world.registry.tags["2"]


def test_a_rollback_moves_the_alias_and_what_serves_follows(lake: Lake) -> None:
    world = World(lake).first()
    world.register()

    assert world.register("rollback").changed
    assert world.serves_alone("1")
    again = world.register("rollback")
    assert (again.changed, again.reason) == (False, "It was rolled back from version 2 already.")
    assert "was rolled back" in world.register().reason
    assert world.serves_alone("1")


def test_a_first_version_cannot_be_rolled_back(lake: Lake) -> None:
    world = World(lake, versions=1)
    world.register()
    with pytest.raises(NotReadyError, match="no earlier champion"):
        world.register("rollback")


def test_a_champion_that_does_not_come_up_leaves_the_one_before_serving(lake: Lake) -> None:
    world = World(lake).first()
    world.cluster.behaviour["2"] = "unready"

    with pytest.raises(ClusterError, match="version 2 is champion, but does not come up"):
        world.register("2")
    assert world.cluster.serving == {STABLE: "1"}


@pytest.mark.parametrize("way", ["", "2", "rollback"])
def test_killed_before_any_change_and_run_again_the_end_is_the_same(lake: Lake, way: str) -> None:
    """A share that leads nowhere is a fault at any instant; the world looks after every change."""
    kills = 0
    while True:
        world = World(lake).first()
        if way == "rollback":
            world.register()
            world.steps.done = 0
        world.steps.kill_at = kills
        try:
            world.register(way)
        except KilledError:
            kills += 1
        else:
            break
        assert STABLE in world.cluster.serving
        world.steps.kill_at = None
        world.register(way)
        assert world.serves_alone("1" if way == "rollback" else "2"), f"killed before change {kills - 1}"
    assert kills >= 6


@pytest.mark.parametrize("behaves", ["untrue", "ends under load"])
def test_killed_before_any_change_and_run_again_a_bad_version_is_rejected_all_the_same(
    lake: Lake, behaves: str
) -> None:
    kills = 0
    while True:
        world = World(lake).first()
        world.cluster.behaviour["2"] = behaves
        world.steps.kill_at = kills
        try:
            world.register()
        except KilledError:
            kills += 1
        else:
            break
        world.steps.kill_at = None
        world.register()
        assert world.serves_alone("1"), f"killed before change {kills - 1}"
        assert world.registry.tags["2"]["decision"] == "rejected"
    assert kills >= 6


def test_an_inference_service_that_is_gone_is_made_again(lake: Lake) -> None:
    world = World(lake).first()
    world.registry.tags["2"]["decision"] = "rolled back"
    del world.cluster.objects["InferenceService"]
    world.cluster.running = {}
    del world.cluster.objects["HTTPRoute"]
    world.cluster.serving = {}

    assert not world.register().changed
    assert world.serves_alone("1")
