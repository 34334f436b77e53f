"""Kafka's jars: fetched once from Maven Central into the cache, each held to the SHA-256 in `kafka-jars.lock`.

`jgo` does the fetching through the machine's ordinary settings: its own configuration file (a mirror goes there under
`[repositories]`), the proxy variables, the system's certificates. It neither refuses a wrong checksum nor survives
being killed in the middle of a file, so every jar is checked here before use, at each start (44 MB, about 0.1 s).

`python -m anmodel.laptop.jars` resolves the dependencies anew and prints a fresh lock.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from anmodel.errors import UnavailableError
from anmodel.laptop.locks import FolderLock

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

# The broker, and the bridge that makes its log lines reach log4j2 (the broker's own dependencies lack it). `!`: the
# bridge must not manage the versions of others, or it would put an older kafka-clients beside the broker.
ROOTS = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!")
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Jar:
    """One locked jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    def path(self, repository: Path) -> Path:
        """Where the jar lies in a Maven repository folder."""
        name = f"{self.artifact}-{self.version}.jar"
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, name)

    def intact(self, repository: Path) -> bool:
        """Whether the jar is there, whole and the one that was locked."""
        try:
            with self.path(repository).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


def locked_jars() -> list[Jar]:
    """The jars of the lock file, in the order of the class path."""
    lines = [line for line in LOCK_FILE.read_text().splitlines() if line and not line.startswith("#")]
    return [_jar(*line.split()) for line in lines]


def _jar(coordinates: str, sha256: str) -> Jar:
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def repository_of(cache: Path) -> Path:
    """The folder of jars inside the cache."""
    return cache.expanduser() / "maven"


def missing_jars(cache: Path) -> list[Jar]:
    """Jars that are not in the cache, or not whole."""
    return [jar for jar in locked_jars() if not jar.intact(repository_of(cache))]


def fetch_jars(cache: Path, progress: Progress = lambda done, total: None) -> list[Path]:
    """Make every locked jar present and intact; returns their paths. Safe to repeat and to run twice at once.

    `progress` is told how many jars of how many are there. Raises `UnavailableError` when one cannot be had.
    """
    repository = repository_of(cache)
    repository.mkdir(parents=True, exist_ok=True)
    with FolderLock(repository / ".fetching").waiting():
        missing = missing_jars(cache)
        if missing:
            _fetch(missing, repository, progress)
    return [jar.path(repository) for jar in locked_jars()]


def _fetch(missing: list[Jar], repository: Path, progress: Progress) -> None:
    total = len(locked_jars())
    done = total - len(missing)
    context = _maven(repository)
    with ThreadPoolExecutor(4) as pool:
        for future in as_completed([pool.submit(_fetch_one, jar, repository, context) for jar in missing]):
            future.result()
            done += 1
            progress(done, total)


def _fetch_one(jar: Jar, repository: Path, context: "MavenContext") -> None:
    """Two tries: a connection may break, and a file cut short by it must not stay."""
    failure: Exception | None = None
    for _ in range(2):
        jar.path(repository).unlink(missing_ok=True)
        try:
            context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        except Exception as error:
            # jgo raises RuntimeError for what it does not find and lets its HTTP client's own errors through
            failure = error
            continue
        if jar.intact(repository):
            return
        failure = ValueError("what came has another SHA-256 than the lock file says")
    jar.path(repository).unlink(missing_ok=True)
    raise UnavailableError(
        f"cannot fetch {jar.group}:{jar.artifact}:{jar.version} (a jar of Kafka) from Maven Central: {failure}. "
        f"Check the network and its proxy settings (HTTPS_PROXY), or name a mirror in ~/.config/jgo.conf under "
        f"[repositories]; or copy a filled cache to {repository}."
    ) from failure


def _maven(repository: Path) -> "MavenContext":
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    remotes = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=repository, remote_repos=remotes, timeout=60)


def _resolve(context: "MavenContext") -> "Iterable[Artifact]":
    """Every artifact `ROOTS` need at run time, by reading their POMs."""
    from jgo.parse import Endpoint

    coordinates = [Endpoint.parse(root).coordinates[0] for root in ROOTS]
    roots = [context.create_dependency(replace(coordinate, scope="compile")) for coordinate in coordinates]
    inputs, transitive = context.resolver.resolve(roots)
    return [need.artifact for need in [*inputs, *transitive] if need.scope in ("compile", "runtime")]


def print_lock(repository: Path) -> None:
    """Resolve anew, fetch, and print the lock file's lines."""
    for artifact in _resolve(_maven(repository)):
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        typer.echo(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}")


if __name__ == "__main__":
    print_lock(Path(sys.argv[1]))
