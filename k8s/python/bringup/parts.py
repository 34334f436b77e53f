"""platform.toml, read and checked: the overlays, and the parts of each in the order they come up."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from bringup.errors import PlatformError

T = TypeVar("T")

K8S: Final = Path(__file__).resolve().parents[2]
HOME: Final = "anmodel"
"""The namespace of our release and of all that gives it Secrets."""


@dataclass(frozen=True)
class Chart:
    """A Helm chart of one version. `crds`: its kinds are in the chart's `crds/`, which `helm upgrade` leaves alone."""

    name: str
    version: str
    repo: str = ""
    crds: bool = False


@dataclass(frozen=True)
class Data:
    """What a part keeps on disk. `first`: kinds deleted before the rest; `volumes`: label of its volume claims."""

    volumes: str
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of an overlay. `needs` are the parts that must be up before; `memory_mb` is what its pods ask for.

    `jobs` are its Jobs, which run anew each time: Kubernetes lets nobody change one that is there.
    """

    name: str
    what: str
    group: str
    folder: str
    namespace: str = HOME
    needs: tuple[str, ...] = ()
    optional: bool = False
    memory_mb: int = 0
    timeout: int = 600
    chart: Chart | None = None
    set: Mapping[str, str] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    wait: tuple[str, ...] = ()
    data: Data | None = None
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SecretSpec:
    """A Secret to make: `data` are templates, as credentials.py fills them in."""

    name: str
    data: Mapping[str, str]
    namespace: str = HOME
    type: str = "Opaque"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Overlay:
    """One size of the platform. An empty `context` is kubectl's current one.

    `images_here`: docker on this machine has our images, so that their ids are known.
    """

    name: str
    what: str
    parts: tuple[Part, ...]
    context: str = ""
    build_images: bool = False
    images_here: bool = False
    room_mb: int = 0

    @property
    def folder(self) -> Path:
        return K8S / "overlays" / self.name

    def part(self, name: str) -> Part:
        """The part of that name; raises `PlatformError` with the names there are."""
        for part in self.parts:
            if part.name == name:
                return part
        known = " ".join(part.name for part in self.parts)
        raise PlatformError(f"no part {name!r} in the overlay {self.name}; there are: {known}")

    def chosen(self, more: Iterable[str] = ()) -> list[Part]:
        """The parts to bring up, in order: all that are not optional, those of `more`, and what any of them needs."""
        wanted = {part.name for part in self.parts if not part.optional} | {self.part(name).name for name in more}
        for part in reversed(self.parts):  # a part comes after what it needs
            if part.name in wanted:
                wanted.update(part.needs)
        return [part for part in self.parts if part.name in wanted]

    def needed(self, parts: Iterable[Part]) -> int:
        """Memory in MB for those parts, Kubernetes and our release."""
        return sum(part.memory_mb for part in parts) + self.room_mb


@dataclass(frozen=True)
class Platform:
    """All of platform.toml."""

    tools: Mapping[str, str]
    cluster: Mapping[str, str]
    images: Mapping[str, str]
    secrets: Mapping[str, SecretSpec]
    overlays: Mapping[str, Overlay]

    def overlay(self, name: str) -> Overlay:
        if name not in self.overlays:
            raise PlatformError(f"no overlay {name!r}; there are: {' '.join(self.overlays)}")
        return self.overlays[name]


def load(path: Path = K8S / "platform.toml") -> Platform:
    """Read and check the file; raises `PlatformError` for an unknown key, name or order."""
    read = tomllib.loads(path.read_text())
    secrets = {name: _made(SecretSpec, {"name": name, **table}) for name, table in read["secrets"].items()}
    overlays = {name: _overlay(name, table, read["parts"]) for name, table in read["overlays"].items()}
    for part in (part for overlay in overlays.values() for part in overlay.parts):
        if unknown := set(part.secrets) - set(secrets):
            raise PlatformError(f"{path.name}: the part {part.name} names unknown secrets: {sorted(unknown)}")
    return Platform(read["tools"], read["cluster"], read["images"], secrets, overlays)


def _overlay(name: str, table: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> Overlay:
    mine = tuple(_part(entry, name) for entry in parts if name in entry["overlays"])
    seen: set[str] = set()
    for part in mine:
        if part.name in seen:
            raise PlatformError(f"platform.toml: two parts of {name} are named {part.name}")
        if missing := set(part.needs) - seen:
            raise PlatformError(f"platform.toml: {part.name} comes before what it needs in {name}: {sorted(missing)}")
        seen.add(part.name)
    return _made(Overlay, {"name": name, "parts": mine, **table})


def _part(entry: Mapping[str, Any], overlay: str) -> Part:
    """The part as that overlay has it: a table of the overlay's name replaces keys."""
    keys = {key: value for key, value in entry.items() if key not in entry["overlays"] and key != "overlays"}
    keys |= entry.get(overlay, {})
    keys["optional"] = overlay in keys.get("optional", [])
    keys.setdefault("folder", keys["name"])
    for key, kind in (("chart", Chart), ("data", Data)):
        if key in keys:
            keys[key] = _made(kind, keys[key])
    return _made(Part, keys)


def _made(kind: type[T], keys: Mapping[str, Any]) -> T:
    known = {known.name for known in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(keys) - known:
        raise PlatformError(
            f"platform.toml: {keys.get('name', kind.__name__)} has unknown keys {sorted(unknown)}; "
            f"known: {sorted(known)}"
        )
    return kind(**{key: _frozen(value) for key, value in keys.items()})


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
