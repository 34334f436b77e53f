"""What `helm test` runs: asks the release's real endpoints, adds nothing to its data, and says what is wrong."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

SECONDS = 60.0
"""How long an endpoint may take to answer as it should."""


def ask(url: str, body: bytes | None = None) -> tuple[int, str]:
    """Status and text of the answer."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own URLs
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def status_is(url: str, wanted: int) -> str:
    """Empty when the answer has that status, else what came."""
    status, text = ask(url)
    return "" if status == wanted else f"answered {status} instead of {wanted}: {text[:300]}"


def refuses_events(url: str) -> str:
    """Empty when what is no event is refused: for what it is, or where write keys are asked for, for lack of one."""
    status, text = ask(url, b'{"event_type": "none"}')
    return "" if status in (401, 422) else f"answered {status} instead of 422: {text[:300]}"


def console_knows_api(url: str, api: str) -> str:
    """Empty when the console tells browsers to call `api`."""
    status, text = ask(url)
    told = json.loads(text).get("apiBase") if status == 200 else None
    return "" if told == api else f"answered {status}, apiBase {told!r} instead of {api!r}"


def questions(collector: str, gateway: str, marketapp: str, api: str) -> dict[str, Callable[[], str]]:
    """What is asked; each answers with what is wrong, or nothing."""
    return {
        "collector lives": lambda: status_is(f"{collector}/health", 200),
        "collector can reach Kafka": lambda: status_is(f"{collector}/ready", 200),
        "collector refuses what is no event": lambda: refuses_events(f"{collector}/collect"),
        "gateway lives": lambda: status_is(f"{gateway}/health", 200),
        "gateway lists users": lambda: status_is(f"{gateway}/users?limit=1", 200),
        "gateway names its models": lambda: status_is(f"{gateway}/services", 200),
        "console lives": lambda: status_is(f"{marketapp}/health", 200),
        "console has a page": lambda: status_is(f"{marketapp}/", 200),
        "console knows the API": lambda: console_knows_api(f"{marketapp}/config.json", api),
    }


def fault_after(question: Callable[[], str], seconds: float) -> str:
    """Ask until nothing is wrong; after that time, what is."""
    end = time.monotonic() + seconds
    while True:
        try:
            fault = question()
        except OSError as error:
            fault = str(error)
        if not fault or time.monotonic() > end:
            return fault
        time.sleep(1)


def main() -> int:
    """Ask everything and print one line each; 1 if something is wrong."""
    seconds = float(os.environ.get("SECONDS_EACH", SECONDS))
    addresses = [os.environ[name] for name in ("COLLECTOR", "GATEWAY", "MARKETAPP", "API")]
    faults = 0
    for name, question in questions(*addresses).items():
        fault = fault_after(question, seconds)
        faults += bool(fault)
        print(f"{'FAILED' if fault else 'ok    '}  {name}{': ' + fault if fault else ''}", flush=True)  # noqa: T201 - its log is its answer
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
