"""The supervisor with tiny processes for parts: started in order, restarted, ended in order, never left behind."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from anmodel.errors import SettingError, UnavailableError
from anmodel.laptop.board import Silent
from anmodel.laptop.keeper import Backoff
from anmodel.laptop.locks import FolderLock
from anmodel.laptop.logfile import follow, log_path, open_log, rotate, tail
from anmodel.laptop.part import Part
from anmodel.laptop.state import PartState, Stage, end_leftovers, part_states, read_state, write_state
from anmodel.laptop.status import PlatformStatus, platform_status, status_table
from anmodel.laptop.supervisor import Platform, signals_put_off
from eventually import eventually

LIVE = "import signal; signal.pause()"
NOTE_END = """
import os, signal, sys
def end(*_):
    with open({notes!r}, 'a') as file: file.write({name!r} + '\\n')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open({ready!r}, 'w').close()
while True: signal.pause()
"""

WRONG_SETTING = "import sys; print('KAFKA_BOOTSTRAP is wrong'); sys.exit(2)"


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def part(name: str, code: str = LIVE, **more: object) -> Part:
    return replace(Part(name, lambda: python(code)), **more)  # type: ignore[arg-type]


def noting_part(name: str, folder: Path, needs: tuple[str, ...] = ()) -> Part:
    """A part that is ready once its handler stands, and notes the order in which parts end."""
    ready = folder / f"{name}.ready"
    code = NOTE_END.format(name=name, notes=str(folder / "ended"), ready=str(ready))
    return part(name, code, needs=needs, ready=ready.exists)


def state_of(platform: Platform, name: str) -> PartState:
    return next(state for state in platform.states() if state.name == name)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def living_guardian() -> psutil.Process:
    """This process's guardian; `StopIteration` while there is none. A killed one stays a zombie until replaced."""
    living = (child for child in psutil.Process().children() if not gone(child.pid))
    return next(child for child in living if "guard" in child.cmdline())


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


class Starts(Silent):
    """Notes the order in which parts begin."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def changed(self, part: PartState) -> None:
        if part.state is Stage.STARTING and part.name not in self.order:
            self.order.append(part.name)


def test_a_part_starts_only_when_what_it_needs_is_ready(tmp_path: Path) -> None:
    starts, opened = Starts(), tmp_path / "opened"
    parts = [
        part("gateway", needs=("tables",)),
        part("tables", f"open({str(opened)!r}, 'w')", needs=("clickhouse",), once=True),
        part("clickhouse"),
    ]
    with Platform(tmp_path, parts, {}, starts) as platform:
        platform.wait_ready(10)
        assert state_of(platform, "tables").state is Stage.DONE
    assert starts.order == ["clickhouse", "tables", "gateway"]
    assert opened.exists()


def test_parts_end_in_the_reverse_order_of_their_needs_even_through_a_finished_task(tmp_path: Path) -> None:
    parts = [
        noting_part("clickhouse", tmp_path),
        part("tables", "", needs=("clickhouse",), once=True),
        noting_part("consumer", tmp_path, needs=("tables",)),
    ]
    with Platform(tmp_path, parts, {}) as platform:
        platform.wait_ready(10)
        pids = [state.pid for state in platform.states() if state.pid]
    assert (tmp_path / "ended").read_text().split() == ["consumer", "clickhouse"]
    assert len(pids) == 2
    assert all(map(gone, pids))


def test_a_part_that_dies_is_started_again_and_the_state_says_so(tmp_path: Path) -> None:
    with Platform(tmp_path, [part("collector")], {}) as platform:
        platform.wait_ready(10)
        first = state_of(platform, "collector").pid
        assert first
        os.kill(first, signal.SIGKILL)
        eventually(lambda: state_of(platform, "collector").restarts and state_of(platform, "collector").pid)
        platform.wait_ready(10)
        again = state_of(platform, "collector")
        assert again.pid not in (None, first)
        assert (again.restarts, again.last_exit) == (1, "SIGKILL")


def test_a_part_that_cannot_be_started_for_a_while_is_started_once_it_can(tmp_path: Path) -> None:
    logs, aside = tmp_path / "logs", tmp_path / "aside"
    with Platform(tmp_path, [part("one")], {}) as platform:
        platform.wait_ready(10)
        logs.rename(aside)
        logs.touch()  # a file in the folder's place: no log can be opened, as on a full disk
        os.kill(int(state_of(platform, "one").pid or 0), signal.SIGKILL)
        eventually(lambda: "cannot be started" in state_of(platform, "one").note, 10)
        assert "one: cannot be started" in table_text(platform_status(tmp_path, [], time.time()))
        logs.unlink()
        eventually(lambda: state_of(platform, "one").state is Stage.READY, 10)


def table_text(status: PlatformStatus) -> str:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(status_table(status))
    return console.export_text()


def test_the_wait_between_restarts_doubles_up_to_a_limit_and_starts_anew_after_a_steady_life() -> None:
    backoff = Backoff(first=0.5, most=30, steady=60)
    assert [backoff.after(1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [backoff.after(60), backoff.after(1)] == [0.5, 1]


def test_readiness_is_asked_for_and_a_part_not_ready_in_time_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    writer = open_log(log_path(tmp_path, "gateway"))
    os.write(writer, b"cannot find the model\n")
    os.close(writer)
    mute = part("gateway", ready=lambda: False, deadline=0.1)
    with pytest.raises(UnavailableError) as failure, Platform(tmp_path, [mute], {}) as platform:
        platform.wait_ready(10)
    assert "gateway" in str(failure.value)
    assert "not ready within 0.1 s" in str(failure.value)
    assert "cannot find the model" in str(failure.value)


def test_a_part_that_cannot_start_fails_the_start_and_leaves_no_process(tmp_path: Path) -> None:
    parts = [part("kafka"), part("collector", WRONG_SETTING, needs=("kafka",), ready=lambda: False)]
    with Platform(tmp_path, parts, {}) as platform:
        kafka = eventually(lambda: state_of(platform, "kafka").pid) or 0
        with pytest.raises(UnavailableError, match=r"collector cannot be started: it ended \(exit 2\)") as failure:
            platform.wait_ready(10)
    assert "KAFKA_BOOTSTRAP is wrong" in str(failure.value)
    assert gone(kafka)


def test_a_taken_port_is_named_with_its_part_and_variable_before_anything_starts(
    tmp_path: Path, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    parts = [part("kafka"), part("collector", port=port, port_variable="COLLECTOR_PORT")]
    with pytest.raises(SettingError) as refusal, Platform(tmp_path, parts, {}):
        pass
    message = str(refusal.value)
    assert f"port {port}, which collector needs, is taken" in message
    assert f"(process {os.getpid()})" in message
    assert "COLLECTOR_PORT" in message
    assert not log_path(tmp_path, "kafka").exists()


def test_the_same_port_for_two_parts_is_refused(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parts = [part(name, port=port, port_variable=f"{name.upper()}_PORT") for name in ("collector", "gateway")]
    with pytest.raises(SettingError, match="COLLECTOR_PORT and GATEWAY_PORT are both"), Platform(tmp_path, parts, {}):
        pass


def test_a_second_platform_on_the_same_folder_refuses_and_names_the_first(tmp_path: Path) -> None:
    with Platform(tmp_path, [part("kafka")], {}) as first:
        first.wait_ready(10)
        with pytest.raises(SettingError, match=f"in use by a running .anmodel up. .process {os.getpid()}"):
            Platform(tmp_path, [part("kafka")], {}).__enter__()
        assert state_of(first, "kafka").state is Stage.READY
    with Platform(tmp_path, [part("kafka")], {}) as next_one:
        next_one.wait_ready(10)


SUPERVISE = """
import sys
from pathlib import Path
from anmodel.laptop.part import Part
from anmodel.laptop.supervisor import Platform, interrupted_by_signals
sleeper = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
parent = [sys.executable, "-I", "-S", "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *sleeper]
with interrupted_by_signals(), Platform(Path(sys.argv[1]), [Part("kafka", lambda: parent)], {}) as platform:
    platform.wait_ready()
    platform.wait()
"""


def supervisor_in_its_own_process(home: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A supervisor of one part, which has a child of its own; and the ids of these two."""
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISE, str(home)], stderr=subprocess.DEVNULL)

    def family() -> list[int]:
        kept = part_states(read_state(home))[0]
        children = psutil.Process(kept.pid).children() if kept.state is Stage.READY else []
        return [kept.pid or 0, *(child.pid for child in children)] if children else []

    return supervisor, eventually(family)


def test_no_part_nor_its_children_outlive_a_killed_supervisor_and_the_next_start_is_not_hindered(
    tmp_path: Path,
) -> None:
    supervisor, pids = supervisor_in_its_own_process(tmp_path)
    supervisor.kill()
    supervisor.wait()
    eventually(lambda: all(map(gone, pids)), 5)
    with Platform(tmp_path, [part("kafka")], {}) as platform:
        platform.wait_ready(10)


def test_sigterm_ends_the_supervisor_and_everything_with_it(tmp_path: Path) -> None:
    supervisor, pids = supervisor_in_its_own_process(tmp_path)
    supervisor.terminate()
    supervisor.wait(10)
    assert all(map(gone, pids))
    assert part_states(read_state(tmp_path))[0].state is Stage.STOPPED


def test_what_starts_while_the_platform_stops_can_still_be_asked_to_end() -> None:
    with signals_put_off():
        os.kill(os.getpid(), signal.SIGTERM)
        shown = subprocess.run(
            python("import signal; print(signal.getsignal(signal.SIGTERM).name)"),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert shown.stdout == "SIG_DFL\n"


def test_leftovers_of_a_dead_supervisor_are_ended_but_never_another_process_with_the_same_id(tmp_path: Path) -> None:
    left = subprocess.Popen(python(LIVE), start_new_session=True)
    namesake = subprocess.Popen(python(LIVE), start_new_session=True)
    began = psutil.Process(left.pid).create_time()
    write_state(
        tmp_path,
        began,
        [
            PartState("kafka", Stage.READY, pid=left.pid, created=began),
            PartState("clickhouse", Stage.READY, pid=namesake.pid, created=began - 3600),
        ],
    )
    try:
        assert end_leftovers(tmp_path) == ["kafka"]
        assert gone(left.pid)
        assert namesake.poll() is None
    finally:
        for process in (left, namesake):
            process.kill()
            process.wait()


def test_a_killed_guardian_is_replaced_and_takes_over_the_living(tmp_path: Path) -> None:
    with Platform(tmp_path, [noting_part("kafka", tmp_path), noting_part("collector", tmp_path)], {}) as platform:
        platform.wait_ready(10)
        guardian, collector = eventually(living_guardian), state_of(platform, "collector").pid
        assert collector
        guardian.kill()
        eventually(lambda: gone(guardian.pid))
        os.kill(collector, signal.SIGKILL)
        assert eventually(living_guardian).pid != guardian.pid


def test_the_status_tells_living_parts_from_dead_ones_and_a_stopped_platform(tmp_path: Path) -> None:
    answers = [True]
    kafka = part("kafka", ready=lambda: answers[0])
    with Platform(tmp_path, [kafka], {}) as platform:
        platform.wait_ready(10)
        seen = platform_status(tmp_path, [kafka], time.time())
        assert (seen.pid, seen.parts[0].state) == (os.getpid(), "ready")
        assert seen.parts[0].memory
        assert seen.parts[0].uptime_seconds is not None
        answers[0] = False
        assert platform_status(tmp_path, [kafka], time.time()).parts[0].state == "not answering"
        assert json.loads(json.dumps(seen.as_json()))["parts"][0]["name"] == "kafka"
    stopped = platform_status(tmp_path, [kafka], time.time())
    assert (stopped.pid, stopped.parts[0].state, stopped.parts[0].pid) == (None, "stopped", None)


def test_the_status_of_a_supervisor_that_has_just_come_is_not_that_of_the_one_before(tmp_path: Path) -> None:
    ended = subprocess.Popen(python("pass"))
    ended.wait()
    write_state(tmp_path, time.time(), [PartState("one", Stage.READY)])
    (tmp_path / "state.json").write_text(
        (tmp_path / "state.json").read_text().replace(str(os.getpid()), str(ended.pid))
    )
    lock = FolderLock(tmp_path / "up.lock")
    assert lock.take()
    try:
        status = platform_status(tmp_path, [], time.time())
        assert (status.pid, [part.state for part in status.parts]) == (os.getpid(), ["stopped"])
    finally:
        lock.release()


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"{", b"[]", b'{"parts": [{"name": "one"}]}', b'{"parts": [{"name": "one", "state": "unheard-of"}]}'],
)
def test_a_state_that_cannot_be_read_is_no_state(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    assert platform_status(tmp_path, [], time.time()).parts == []


def test_a_lock_is_free_again_when_its_owner_is_gone(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "lock")
    assert lock.take()
    assert not FolderLock(lock.path).take()
    assert not FolderLock(lock.path).free()
    lock.release()
    assert FolderLock(lock.path).free()


def test_a_log_past_its_size_is_moved_aside_and_the_writer_goes_on_in_the_emptied_file(tmp_path: Path) -> None:
    path = log_path(tmp_path, "kafka")
    writer = open_log(path)
    os.write(writer, b"old line\n" * 10)
    assert not rotate(path, max_bytes=1000)
    assert rotate(path, max_bytes=50)
    os.write(writer, b"new line\n")
    os.close(writer)
    assert path.read_text() == "new line\n"
    assert path.with_suffix(".log.1").read_text().count("old line") == 10


def test_a_followed_log_gives_whole_new_lines_only(tmp_path: Path) -> None:
    path = log_path(tmp_path, "kafka")
    writer = open_log(path)
    os.write(writer, b"before\n")
    writes = iter([b"one\ntw", b"o\n", b"unfinished"])

    def ended() -> bool:
        text = next(writes, None)
        os.write(writer, text or b"")
        return text is None

    assert list(follow(path, ended)) == ["one", "two"]
    assert tail(path, 2) == ["two", "unfinished"]
    os.close(writer)
