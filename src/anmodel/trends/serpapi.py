"""SerpAPI's Google Trends over HTTP. The key goes into requests and nowhere else: into no log and no message."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import structlog
from pydantic import SecretStr

from anmodel.errors import SettingError, UnavailableError

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
"""Seconds before a request is tried again; doubled each time, or as the API asks."""

_NO_RESULTS = "hasn't returned any results"

log = structlog.get_logger()


class TrendsApi:
    """Asks for one query in one region at a time, so that no query's scale depends on another's."""

    def __init__(
        self, http: httpx.Client, url: str, key: SecretStr, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """`http` is closed by its owner; `wait` is called with the seconds to rest."""
        self._http, self._url, self._key, self._wait = http, url, key, wait

    def series(self, query: str, region: str, period: str) -> Any:
        """The API's answer for a query; {} when it has no data. `period` as in "2024-11-24 2026-11-24".

        Raises `SettingError` when the key is refused and `UnavailableError` when the API does not answer.
        """
        asked = {"engine": "google_trends", "data_type": "TIMESERIES", "tz": "0", "hl": "en"}
        asked |= {"q": query, "geo": region, "date": period, "api_key": self._key.get_secret_value()}
        pause = FIRST_WAIT
        for attempt in range(1, TRIES + 1):
            answer, problem, asked_wait = self._ask(asked)
            if answer is not None:
                return answer
            log.warning("trends not answered", query=query, region=region, attempt=attempt, problem=problem)
            if attempt < TRIES:
                self._wait(min(max(pause, asked_wait), LONGEST_WAIT))
                pause *= 2
        raise UnavailableError(
            f"the trends API did not answer for {query!r} in {region} after {TRIES} tries: {problem}"
        )

    def _ask(self, asked: dict[str, str]) -> tuple[Any, str, float]:
        """(answer, "", 0), or (None, the problem, seconds to wait) when trying again may help."""
        try:
            response = self._http.get(self._url, params=asked)
        except httpx.TransportError as error:
            return None, self._hide(str(error) or type(error).__name__), 0.0
        body = _json(response)
        error_text = self._hide(str(body.get("error", ""))) if isinstance(body, dict) else ""
        if response.status_code == 429 or response.status_code >= 500:
            return (
                None,
                f"HTTP {response.status_code} {error_text}".strip(),
                _seconds(response.headers.get("retry-after")),
            )
        if response.status_code in (401, 403):
            raise SettingError(f"SERPAPI_KEY was refused by the trends API (HTTP {response.status_code} {error_text})")
        if _NO_RESULTS in error_text:
            return {}, "", 0.0
        if response.status_code != 200 or error_text or not isinstance(body, dict):
            raise UnavailableError(
                f"the trends API answered HTTP {response.status_code} {error_text or 'without JSON'}"
            )
        return body, "", 0.0

    def _hide(self, text: str) -> str:
        return text.replace(self._key.get_secret_value(), "…")


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _seconds(header: str | None) -> float:
    try:
        return float(header or 0)
    except ValueError:
        return 0.0
