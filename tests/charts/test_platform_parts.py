"""platform.toml and what is planned from it, without any command."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from platform_tree import OVERLAYS, PLATFORM, overlay

from bringup.bringing import ROOT
from bringup.command import listed, main
from bringup.errors import PlatformError
from bringup.parts import K8S, Overlay, Part, load

TEXT = (K8S / "platform.toml").read_text()


def part(name: str, *needs: str, optional: bool = False, memory_mb: int = 0) -> Part:
    return Part(name, name, "group", name, needs=needs, optional=optional, memory_mb=memory_mb)


def small(*parts: Part) -> Overlay:
    return Overlay("small", "for tests", parts, room_mb=100)


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = tmp_path / "platform.toml"
    path.write_text(TEXT.replace(old, new, 1))
    return path


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_part_comes_after_what_it_needs(name: str) -> None:
    seen: set[str] = set()
    for it in overlay(name).parts:
        assert set(it.needs) <= seen, it.name
        seen.add(it.name)


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_must_be_there_needs_nothing_optional(name: str) -> None:
    optional = {it.name for it in overlay(name).parts if it.optional}
    for it in overlay(name).parts:
        assert it.optional or not optional & set(it.needs), it.name


def test_parts_have_no_stages_names() -> None:
    stages = set(re.findall(r"^\| (\w+) \|", (ROOT / "docs/stages.md").read_text(), re.MULTILINE))
    for name in OVERLAYS:
        assert not stages & {it.name for it in overlay(name).parts}, "Tilt has one list of both"


def test_an_optional_part_comes_with_what_it_needs_in_order() -> None:
    three = small(part("a", optional=True), part("b", "a", optional=True), part("c"), part("d", "b", optional=True))
    assert [it.name for it in three.chosen()] == ["c"]
    assert [it.name for it in three.chosen(["d"])] == ["a", "b", "c", "d"]


def test_memory_is_that_of_the_chosen_parts_and_of_all_else() -> None:
    two = small(part("a", memory_mb=10), part("b", optional=True, memory_mb=1000))
    assert two.needed(two.chosen()) == 110
    assert two.needed(two.chosen(["b"])) == 1110


def test_an_unknown_part_or_overlay_is_answered_with_those_there_are() -> None:
    with pytest.raises(PlatformError, match="no part 'kafak' in the overlay kind; there are: namespace"):
        overlay("kind").part("kafak")
    with pytest.raises(PlatformError, match="no overlay 'prod'; there are: kind production test"):
        PLATFORM.overlay("prod")


def test_a_wrong_order_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, 'needs = ["namespace", "envoy-gateway"]', 'needs = ["namespace", "kafka"]')
    with pytest.raises(PlatformError, match=r"edge comes before what it needs in kind: \['kafka'\]"):
        load(path)


def test_a_mistyped_key_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, "memory_mb = 1536", "memory = 1536")
    with pytest.raises(PlatformError, match=r"kafka has unknown keys \['memory'\]"):
        load(path)


def test_an_unknown_secret_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, 'secrets = ["anmodel-valkey"]', 'secrets = ["valkey"]')
    with pytest.raises(PlatformError, match=r"valkey names unknown secrets: \['valkey'\]"):
        load(path)


def test_every_secret_is_used_and_has_one_maker() -> None:
    for name in OVERLAYS:
        used = [secret for it in overlay(name).parts for secret in it.secrets]
        assert len(used) == len(set(used))
    everywhere = {secret for name in OVERLAYS for it in overlay(name).parts for secret in it.secrets}
    assert everywhere == set(PLATFORM.secrets)


def test_no_secret_is_written_down() -> None:
    for spec in PLATFORM.secrets.values():
        for key, template in spec.data.items():
            assert "${" in template or key == "username", f"{spec.name}: {key}"


def test_kinds_links_are_hosts_of_the_edge() -> None:
    hosts = [url for it in overlay("kind").parts for url, _ in it.links]
    assert len(hosts) >= 4
    assert all(re.fullmatch(r"http://[a-z-]+\.anmodel\.localtest\.me:8081", url) for url in hosts)


def test_the_list_has_what_tilt_reads() -> None:
    for name in OVERLAYS:
        found = json.loads(json.dumps(listed(overlay(name))))
        assert [it["name"] for it in found] == [it.name for it in overlay(name).parts]
        wanted = {"name", "needs", "group", "optional", "memory_mb", "links", "images"}
        assert all(wanted <= set(it) for it in found)


def test_the_file_runs_as_a_script_beside_the_standard_librarys_module_of_its_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(K8S / "platform.py"), "list", "--overlay", "kind"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(done.stdout) == listed(overlay("kind"))


def test_versions_are_shown_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions"]) == 0
    shown = capsys.readouterr().out
    for chart in {it.chart for name in OVERLAYS for it in overlay(name).parts if it.chart}:
        assert chart.version in shown
    for version in (*PLATFORM.tools.values(), *PLATFORM.images.values()):
        assert version in shown


def test_a_fault_is_one_message_and_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "nothing", "--dry-run"]) == 1
    assert "error: no part 'nothing'" in capsys.readouterr().err


def test_only_kinds_context_is_ever_touched_by_kinds_overlay() -> None:
    assert overlay("kind").context == "kind-anmodel"
    assert {field.name for field in dataclasses.fields(Overlay)} >= {"context"}


def test_the_docs_table_of_parts_is_the_platforms_file() -> None:
    rows = {}
    for line in (ROOT / "docs/platform.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and not line.startswith(("| part ", "| ---")):
            for name in cells[0].split(", "):
                rows[name] = cells
    seen = {it.name: it for name in ("production", "kind") for it in overlay(name).parts}
    order = [it.name for it in overlay("kind").parts]
    assert set(rows) == set(seen)
    assert [name for name in rows if name in order] == order
    for name, (_, _, version, namespace, memory, on_kind) in rows.items():
        it = seen[name]
        assert it.chart is None or it.chart.version in version, name
        assert namespace == it.namespace, name
        if name in order and not name.startswith("kserve"):
            assert int(memory or 0) == it.memory_mb, name
        assert ("optional" in on_kind) == it.optional, name
