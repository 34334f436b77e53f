"""Programs that make requests, compiled ones: a loader in Python would be measured in place of the server.

wrk (Debian: `apt-get install wrk`) is the one that measures, oha (`cargo install oha --locked`) confirms. Both run on
the core that the server does not have, keep their connections, and send each request when the one before on its
connection is answered.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.cores import OTHERS, pinned

CONNECTIONS = 256

SCRIPT = """
local bodies = {}
for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = (line:gsub("\\\\n", "\\n")) end
local requests = {}
init = function(args)
  for number, body in ipairs(bodies) do
    requests[number] = wrk.format("POST", nil, {["Content-Type"] = "%(type)s"}, body)
  end
end
local last = 0
request = function()
  last = last %% #requests + 1
  return requests[last]
end
done = function(summary, latency, _)
  local errors, failed = summary.errors, 0
  for _, kind in ipairs({"connect", "read", "write", "status", "timeout"}) do failed = failed + errors[kind] end
  io.write(string.format('\\n{"requests": %%d, "seconds": %%.3f, "failed": %%d, "p50": %%.5f, "p99": %%.5f}\\n',
    summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""


@dataclass(frozen=True)
class Load:
    """What was answered: requests, in how many seconds, how many of them failed, and latencies in seconds."""

    requests: int
    seconds: float
    failed: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.failed) / self.seconds


def wrk(
    url: str, bodies: Path, seconds: float, *, content_type: str = "application/json", connections: int = CONNECTIONS
) -> Load:
    """Send the bodies, one a line, again and again."""
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing; on Debian: apt-get install wrk")
    script = bodies.with_suffix(".lua")
    script.write_text(SCRIPT % {"bodies": bodies, "type": content_type})
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run(pinned(OTHERS, command), capture_output=True, text=True, check=True)
    return Load(**json.loads(done.stdout.strip().splitlines()[-1]))


def oha(url: str, bodies: Path, seconds: float, connections: int = CONNECTIONS) -> float | None:
    """Good answers a second, None where there is no oha."""
    if not (program := shutil.which("oha")):
        return None
    command = [program, "--no-tui", "--output-format", "json", f"-c{connections}", f"-z{seconds:g}s", "-mPOST"]
    command += ["-Tapplication/json", "-Z", str(bodies), "-w", url]
    done = subprocess.run(pinned(OTHERS, command), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    good = sum(count for status, count in told["statusCodeDistribution"].items() if status.startswith("2"))
    return float(good / told["summary"]["total"])
