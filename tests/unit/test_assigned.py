"""What is held of one partition: where blocks are cut, what is written down, and what is committed."""

from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from anmodel.consumer import assigned as module
from anmodel.consumer.assigned import Assigned, Cut
from anmodel.consumer.blocks import Partition
from anmodel.consumer.plan import Plan, fresh_plan, read_plan

PLACE = Partition("raw-events", 2)


@dataclass
class Sent:
    """A message as Kafka would hand it over."""

    place: int
    size: int = 10

    def offset(self) -> int:
        return self.place

    def key(self) -> bytes:
        return b"u1"

    def value(self) -> bytes:
        return b"x" * self.size

    def timestamp(self) -> tuple[int, int]:
        return (2, 0)

    def headers(self) -> None:
        return None


def holding(*offsets: int, plan: Plan | None = None) -> Assigned:
    assigned = Assigned(PLACE)
    assigned.begin(plan)
    if offsets:
        assert assigned.add([Sent(offset) for offset in offsets])
    return assigned


def write(assigned: Assigned) -> Plan | None:
    """As Kafka would take it."""
    plan = assigned.to_write()
    if plan is not None:
        assigned.written(plan)
    return plan


def begin(assigned: Assigned) -> Cut | None:
    cut = assigned.next_to_begin()
    if cut is not None:
        cut.result = Future()
    return cut


def store(cut: Cut | None, well: bool = True) -> None:
    assert cut is not None
    assert cut.result is not None
    cut.result.set_result(well)


@pytest.mark.parametrize("plan", [Plan("abc", 0), Plan("abc", 7, (7,)), Plan("abc", 100, (199, 450, 451))])
def test_a_plan_is_read_as_it_was_written(plan: Plan) -> None:
    assert read_plan(plan.start, plan.metadata()) == plan


def test_the_plan_of_sixty_four_blocks_of_a_million_fits_beside_an_offset() -> None:
    ends = tuple(10**12 + 10**6 * (number + 1) for number in range(64))
    assert len(Plan("0123456789ab", 10**12, ends).metadata()) < 4096


@pytest.mark.parametrize(
    "metadata",
    ["", None, "their own words", "anmodel-blocks-1 abc", "anmodel-blocks-1 abc 5 3,x", "anmodel-blocks-1 abc 5 0"],
)
def test_what_others_wrote_beside_an_offset_is_no_plan(metadata: str | None) -> None:
    assert read_plan(5, metadata) is None


def test_a_plan_beside_an_offset_that_was_moved_is_none() -> None:
    assert read_plan(0, Plan("abc", 7, (9,)).metadata()) is None


def test_no_block_begins_before_its_end_is_written_down() -> None:
    assigned = holding(0, 1, 2)
    assert assigned.cut(2, 60.0)
    assert begin(assigned) is None
    plan = write(assigned)
    assert plan is not None
    assert (plan.start, plan.ends) == (0, (1,))
    cut = begin(assigned)
    assert cut is not None
    assert (cut.first, cut.last, cut.again) == (0, 1, False)


def test_a_block_is_due_when_full_or_when_its_first_message_waited() -> None:
    assigned = holding()
    assert not assigned.cut(2, 0.0)
    assert assigned.add([Sent(0)])
    assert not assigned.cut(2, 60.0)
    assert assigned.cut(2, 0.0)
    assert assigned.add([Sent(1), Sent(2), Sent(3)])
    assert assigned.cut(2, 60.0)
    assert assigned.waiting == 1


def test_a_block_of_large_messages_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 25)  # messages have 12, with their keys
    assigned = holding(0, 1, 2, 3)
    assert assigned.cut(100, 60.0)
    write(assigned)
    cut = begin(assigned)
    assert cut is not None
    assert cut.last == 1
    huge = Assigned(PLACE)
    huge.begin(None)
    huge.add([Sent(0, size=100)])
    assert huge.cut(100, 60.0)


def test_the_blocks_of_a_former_consumer_are_cut_again_at_the_same_offsets_whatever_the_size_is_now() -> None:
    assigned = holding(100, 101, plan=Plan("abc", 100, (102, 104)))
    assert not assigned.cut(1, 0.0)  # the block is not whole yet
    assert assigned.add([Sent(102), Sent(103), Sent(104), Sent(105)])
    assert [assigned.cut(1, 0.0) for _ in range(4)] == [True, True, True, False]
    cuts = [begin(assigned), begin(assigned)]
    assert [(cut.first, cut.last, cut.again) for cut in cuts if cut] == [(100, 102, True), (103, 104, True)]
    assert begin(assigned) is None  # the third is of this consumer's making, and not written down
    assert assigned.past is not None
    assert assigned.past.lineage == "abc"


def test_a_former_consumers_block_whose_messages_are_no_more_is_empty_and_holds_nothing_up() -> None:
    assigned = holding(200, plan=Plan("abc", 100, (110,)))
    assert assigned.cut(1, 0.0)
    cut = begin(assigned)
    assert cut is not None
    assert (cut.first, cut.last, list(cut.messages)) == (100, 110, [])


def test_ranges_lie_side_by_side_though_offsets_are_missing() -> None:
    assigned = holding(3, 5, 9, 12)
    assert assigned.cut(2, 0.0)
    assert assigned.cut(2, 0.0)
    write(assigned)
    assert [(cut.first, cut.last) for cut in (begin(assigned), begin(assigned)) if cut] == [(3, 5), (6, 12)]


def test_offsets_are_committed_only_up_to_the_first_block_that_is_not_stored() -> None:
    assigned = holding(*range(6))
    for _ in range(3):
        assert assigned.cut(2, 0.0)
    write(assigned)
    cuts = [begin(assigned) for _ in range(3)]
    store(cuts[1])
    assert write(assigned) is None
    store(cuts[0])
    plan = write(assigned)
    assert plan is not None
    assert (plan.start, plan.ends) == (4, (5,))
    store(cuts[2], well=False)  # given up
    assert write(assigned) is None


def test_what_was_stored_stays_so_when_it_could_not_be_committed_at_once() -> None:
    assigned = holding(0, 1)
    assert assigned.cut(2, 0.0)
    write(assigned)
    store(begin(assigned))
    first, again = assigned.to_write(), assigned.to_write()
    assert first == again
    assert first is not None
    assert first.start == 2


def test_what_a_block_failed_by_is_raised() -> None:
    assigned = holding(0)
    assert assigned.cut(1, 0.0)
    write(assigned)
    cut = begin(assigned)
    assert cut is not None
    assert cut.result is not None
    cut.result.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        assigned.to_write()


@pytest.mark.parametrize("again", [0, 2, 5])
def test_offsets_that_go_back_are_not_kept(again: int) -> None:
    assigned = holding(*range(6))
    assert assigned.cut(3, 0.0)
    assert not assigned.add([Sent(again), Sent(6)])


def test_a_plan_that_begins_behind_the_first_message_is_of_another_topic() -> None:
    assigned = Assigned(PLACE)
    assigned.add([Sent(0), Sent(1)])
    assigned.begin(Plan("old", 5000, (6000,)))
    assert assigned.cut(2, 0.0)
    plan = write(assigned)
    assert plan is not None
    assert (plan.start, plan.ends, plan.lineage == "old") == (0, (1,), False)


def test_every_beginning_has_a_lineage_of_its_own() -> None:
    assert fresh_plan(0).lineage != fresh_plan(0).lineage
