"""Requests for forecasts that never stop, through the edge: what each was answered by which version."""

import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

import httpx
from edge import EDGE


class SteadyRequests:
    """Asks from entering the `with` to leaving it, from a few clients at once; no request is repeated."""

    def __init__(self, host: str, path: str, body: Any, clients: int = 3, pause: float = 0.1) -> None:
        self._host, self._path, self._body, self._pause = host, path, body, pause
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(40)

    def _ask(self) -> None:
        with httpx.Client(base_url=f"http://{EDGE}", headers={"host": self._host}, timeout=15, trust_env=False) as http:
            while not self._ending.is_set():
                try:
                    answer = http.post(self._path, json=self._body)
                    if answer.status_code == 200:
                        self.versions[answer.json()["model_version"]] += 1
                    else:
                        self.failures.append(f"{answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                self._ending.wait(self._pause)
