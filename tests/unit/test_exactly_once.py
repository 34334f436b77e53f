"""The consumer's promise as a state machine: whatever is killed in whatever order, a message is one row, or a letter.

The consumer is ours, step by step, without its threads. Kafka and ClickHouse are models with the traps of the real
ones: an answer may be lost, an insert may stop between two months, and the engine notes a token down before the rows
are in place, so that a kill in between makes it ignore rows that it does not have.
"""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from anmodel.consumer.assigned import Assigned, Cut
from anmodel.consumer.blocks import Block, Partition, Refused
from anmodel.consumer.metrics import ConsumerMetrics
from anmodel.consumer.plan import read_plan
from anmodel.consumer.storing import Storage
from anmodel.consumer.streams import Row, Stream
from anmodel.consumer.work import Work
from anmodel.errors import InsertTooLarge, MessageRefused, RowsRefused, TopicError, WarehouseError

PLACE = Partition("events", 0)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("ts", pa.timestamp("ms", tz="UTC")),
        pa.field("poison", pa.bool_()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
    ]
)
LARGEST = 7  # rows of one insert, when the engine is short of memory


@dataclass(frozen=True)
class Sent:
    """A message: an id, the month of its instant, and what is wrong with it."""

    place: int
    id: int
    month: int
    kind: str  # good, malformed, poison (the engine refuses it)

    def offset(self) -> int:
        return self.place

    def key(self) -> bytes:
        return b""

    def value(self) -> bytes:
        return f"{self.id} {self.month} {self.kind}".encode()

    def timestamp(self) -> tuple[int, int]:
        return (2, 0)

    def headers(self) -> None:
        return None


def read(value: bytes, received: int) -> Row:
    name, month, kind = value.decode().split()
    if kind == "malformed":
        raise MessageRefused("body", "not JSON")
    return (name, datetime(2026, int(month), 1, tzinfo=UTC), kind == "poison")


STREAM = Stream("events", "dead", "table", SCHEMA, ("id", "ts"), "ts", read)


class Killed(BaseException):
    """The consumer is no more."""


@dataclass
class Engine:
    """A table with tokens by month; `moods` say what becomes of the next inserts."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[tuple[str, int]] = field(default_factory=set)
    moods: list[str] = field(default_factory=list)
    db: str = "db"

    def insert_arrow(self, table: str, rows: pa.Table, *, token: str, comment: str) -> None:
        mood = self.moods.pop(0) if self.moods else "well"
        if mood == "away":
            raise WarehouseError("no answer")
        if mood == "small" and rows.num_rows > LARGEST:
            raise InsertTooLarge("memory", 241)
        if any(rows["poison"].to_pylist()):
            raise RowsRefused("constraint", 469)
        months: dict[int, list[dict[str, Any]]] = {}
        for row in rows.to_pylist():
            months.setdefault(row["ts"].month, []).append(row)
        for number, (month, part) in enumerate(sorted(months.items())):
            if mood == "between months" and number:
                raise WarehouseError("killed between two months")
            if (token, month) in self.tokens:
                continue
            self.tokens.add((token, month))
            if mood == "between token and rows":
                raise WarehouseError("killed between token and rows")
            if mood == "both killed there":
                raise Killed
            self.rows += part
        if mood == "answer lost":
            raise WarehouseError("no answer, though all is in")
        if mood == "consumer killed":
            raise Killed

    def end_statements(self, comment: str) -> bool:
        return False

    def merge(self) -> None:
        """Of rows with one key the last inserted stays."""
        self.rows = list({(row["id"], row["ts"]): row for row in self.rows}.values())

    def highest(self, partition: Partition, start: int) -> int:
        return max((row["offset"] for row in self.rows if row["offset"] >= start), default=-1)

    def missing(self, block: Block, rows: pa.Table) -> pa.Table:
        """As `present.Present`."""
        there = {(row["id"], row["ts"]) for row in self.rows if row["offset"] >= block.first}
        return rows.filter(pa.array([(row["id"], row["ts"]) not in there for row in rows.to_pylist()], pa.bool_()))


@dataclass
class Kafka:
    """The topic, the group's offset with its metadata, and the dead letters."""

    log: list[Sent] = field(default_factory=list)
    committed: tuple[int, str] = (0, "")
    letters: set[int] = field(default_factory=set)
    refuses_letters: int = 0

    def write(self, partition: Partition, refused: list[Refused]) -> None:
        if refused and self.refuses_letters:
            self.refuses_letters -= 1
            raise TopicError("not acknowledged")
        self.letters |= {each.offset for each in refused}


class Patient(threading.Event):
    """Waits no time."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Consumer:
    """One life of a consumer, from the assignment of the partition on."""

    def __init__(self, kafka: Kafka, engine: Engine) -> None:
        self.kafka = kafka
        self.assigned = Assigned(PLACE)
        self.assigned.gone = Patient()
        offset, metadata = kafka.committed
        self.assigned.begin(read_plan(offset, metadata))
        self.position = offset
        storage = Storage(engine, engine, STREAM, ConsumerMetrics())  # type: ignore[arg-type]
        self.work = Work(STREAM, storage, kafka, ConsumerMetrics())  # type: ignore[arg-type]
        self.begun: list[Cut] = []

    def fetch(self, count: int) -> None:
        messages = self.kafka.log[self.position : self.position + count]
        if messages:
            assert self.assigned.add(messages)
            self.position += len(messages)

    def write(self, outcome: str) -> None:
        plan = self.assigned.to_write()
        if plan is None or outcome == "not written":
            return
        self.kafka.committed = (plan.start, plan.metadata())
        if outcome == "written":
            self.assigned.written(plan)

    def begin(self) -> None:
        while (cut := self.assigned.next_to_begin()) is not None:
            cut.result = Result()  # type: ignore[assignment]
            self.begun.append(cut)

    def work_on(self, number: int) -> None:
        cut = self.begun.pop(number % len(self.begun))
        assert self.assigned.past is not None
        assert cut.result is not None
        cut.result.set_result(self.work.do(cut, self.assigned.past, self.assigned.gone))


class Result:
    """A future without threads."""

    def __init__(self) -> None:
        self._result: bool | None = None

    def done(self) -> bool:
        return self._result is not None

    def result(self) -> bool | None:
        return self._result

    def set_result(self, result: bool) -> None:
        self._result = result


MOODS = [
    "well",
    "away",
    "small",
    "between months",
    "between token and rows",
    "answer lost",
    "consumer killed",
    "both killed there",
]
messages = some.tuples(some.integers(1, 3), some.sampled_from(["good"] * 8 + ["malformed", "poison"]))


class ExactlyOnce(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    @initialize(many=some.lists(messages, min_size=10, max_size=40))
    def start(self, many: list[tuple[int, str]]) -> None:
        self.kafka, self.engine = Kafka(), Engine()
        self.produce(many)
        self.consumer = Consumer(self.kafka, self.engine)
        self.zombies: list[Consumer] = []
        self.moved = False

    @rule(many=some.lists(messages, min_size=1, max_size=12))
    def produced(self, many: list[tuple[int, str]]) -> None:
        self.produce(many)

    def produce(self, many: list[tuple[int, str]]) -> None:
        for month, kind in many:
            place = len(self.kafka.log)
            self.kafka.log.append(Sent(place, place, month, kind))

    @rule(
        fetched=some.integers(1, 20),
        sizes=some.lists(some.integers(1, 12), min_size=1, max_size=3),
        outcome=some.sampled_from(["written", "written", "written", "not written", "answer lost"]),
    )
    def take(self, fetched: int, sizes: list[int], outcome: str) -> None:
        """One turn of the loop: fetch, cut, write down, begin."""
        self.consumer.fetch(fetched)
        for size in sizes:
            self.consumer.assigned.cut(size, 0.0)
        self.consumer.write(outcome)
        self.consumer.begin()

    @precondition(lambda self: self.consumer.begun)
    @rule(
        number=some.integers(0, 5),
        moods=some.lists(some.sampled_from(MOODS), min_size=1, max_size=4),
        letters=some.integers(0, 1),
    )
    def work(self, number: int, moods: list[str], letters: int) -> None:
        self.engine.moods, self.kafka.refuses_letters = moods, letters
        try:
            self.consumer.work_on(number)
        except Killed:
            self.consumer = Consumer(self.kafka, self.engine)
        self.engine.moods, self.kafka.refuses_letters = [], 0

    @precondition(lambda self: any(zombie.begun for zombie in self.zombies) and not self.moved)
    @rule(moods=some.lists(some.sampled_from(MOODS[:-2]), min_size=1, max_size=3))
    def wake(self, moods: list[str]) -> None:
        """A process that stood still goes on with what it had begun."""
        self.engine.moods = moods
        zombie = next(zombie for zombie in self.zombies if zombie.begun)
        zombie.work_on(0)
        self.engine.moods = []

    @rule(what=some.sampled_from(["kill", "kill", "stop", "move back", "merge"]), back=some.integers(1, 30))
    def disturb(self, what: str, back: int) -> None:
        if what == "merge":
            return self.engine.merge()
        if what == "stop":  # the process stands still; Kafka gives its partition to another, and takes no commit of it
            self.zombies.append(self.consumer)
        if what == "move back":  # an operator has the consumer read again what is stored
            self.moved = True
            self.kafka.committed = (max(0, self.kafka.committed[0] - back), "")
        self.consumer = Consumer(self.kafka, self.engine)

    @invariant()
    def what_is_committed_is_stored(self) -> None:
        there = {row["id"] for row in self.engine.rows}
        for message in self.kafka.log[: self.kafka.committed[0]]:
            stored = str(message.id) in there if message.kind == "good" else message.place in self.kafka.letters
            assert stored, f"{message} is lost"

    @invariant()
    def nothing_is_there_twice(self) -> None:
        offsets = [row["offset"] for row in self.engine.rows]
        assert len(offsets) == len(set(offsets)), f"twice: {sorted(offsets)}"

    @invariant()
    def only_what_is_wrong_is_a_letter(self) -> None:
        assert all(self.kafka.log[place].kind != "good" for place in self.kafka.letters)

    def teardown(self) -> None:
        """Left in peace, the consumer comes to the end."""
        if not hasattr(self, "consumer"):
            return
        consumer = Consumer(self.kafka, self.engine)
        for _ in range(len(self.kafka.log) + 50):
            consumer.fetch(50)
            consumer.assigned.cut(5, 0.0)
            consumer.write("written")
            consumer.begin()
            while consumer.begun:
                consumer.work_on(0)
        consumer.write("written")
        assert self.kafka.committed[0] == len(self.kafka.log)
        self.what_is_committed_is_stored()
        self.nothing_is_there_twice()


class WithRepeats(ExactlyOnce):
    """Clients send again what they were not told of: some messages are equal to earlier ones."""

    @rule(back=some.integers(1, 10))
    def repeat(self, back: int) -> None:
        if self.kafka.log:
            old = self.kafka.log[-min(back, len(self.kafka.log))]
            self.kafka.log.append(Sent(len(self.kafka.log), old.id, old.month, old.kind))


ExactlyOnce.TestCase.settings = settings(
    max_examples=300, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
WithRepeats.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class TestEachMessageIsOneRowOrALetterWhateverIsKilled(ExactlyOnce.TestCase):  # type: ignore[misc, name-defined]
    """Each message another event."""


class TestRepeatsAreNeverLostNorStoredMoreOftenThanTheyCame(WithRepeats.TestCase):  # type: ignore[misc, name-defined]
    """Some messages repeat others."""


def test_tokens_that_were_used_before_what_was_written_down_was_lost_hide_no_row() -> None:
    """The engine noted the token, both were killed, and a tool then put the group back to the same offset."""
    kafka, engine = Kafka([Sent(place, place, 1, "good") for place in range(5)]), Engine(moods=["both killed there"])
    with pytest.raises(Killed):
        store_all(Consumer(kafka, engine))
    assert engine.tokens
    assert not engine.rows
    kafka.committed = (0, "")
    store_all(Consumer(kafka, engine))
    assert [row["offset"] for row in engine.rows] == [0, 1, 2, 3, 4]


def store_all(consumer: Consumer) -> None:
    consumer.fetch(5)
    assert consumer.assigned.cut(5, 0.0)
    consumer.write("written")
    consumer.begin()
    consumer.work_on(0)
