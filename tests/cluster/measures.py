"""What the cluster's tests print at the end: times, memory at its highest, sizes of images."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator

from cluster import Cluster, CommandError, run

_SECONDS = 10.0
_INSTANCE = re.compile(r"-[0-9a-f]{7,10}-[a-z0-9]{5}$|-[0-9]+$|-[a-z0-9]{5}$")


class Measures:
    """One run's measures; memory is looked at every ten seconds in a thread of its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []
        self._memory: dict[str, float] = defaultdict(float)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, cluster: Cluster) -> None:
        """Look at the pods' memory from now on, until `end`."""
        self._thread = threading.Thread(target=self._look, args=(cluster,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def lines(self, images: list[str]) -> Iterator[str]:
        """The report."""
        yield "seconds  step"
        for step, seconds in self.seconds.items():
            yield f"{seconds:7.1f}  {step}"
        yield f"{sum(self.seconds.values()):7.1f}  together"
        if self._memory:
            yield "    MiB  memory at its highest, a container"
        for name, mebibytes in sorted(self._memory.items()):
            yield f"{mebibytes:7.0f}  {name}"
        sizes = _sizes(images)
        if sizes:
            yield "     MB  image"
        for image, megabytes in sizes.items():
            yield f"{megabytes:7.0f}  {image}"
        yield from self.notes

    def _look(self, cluster: Cluster) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                table = cluster.kubectl("top", "pods", "--containers", "--no-headers")
            except CommandError:
                continue  # no metrics-server, or no pod with a measurement yet
            for line in table.splitlines():
                pod, container, _, memory = line.split()
                name = f"{_INSTANCE.sub('', pod)} {container}"
                self._memory[name] = max(self._memory[name], float(memory.removesuffix("Mi")))


def _sizes(images: list[str]) -> dict[str, float]:
    """Bytes as docker counts them, in MB; empty where there is no docker."""
    try:
        return {image: int(run("docker", "image", "inspect", "-f", "{{.Size}}", image)) / 1e6 for image in images}
    except (CommandError, FileNotFoundError):
        return {}
