"""The predictor, over HTTP: predictions, and what it says of its model."""

import asyncio
from typing import Any

import httpx
import msgspec

from anmodel.errors import AnModelError, InputError, UnavailableError

_AWAY = "the predictor does not answer; try again in a few seconds"
_SLOW = "the predictor took too long; try again, or send fewer records"
_FAILED = "the predictor failed on this request; its log says why"
_BROKEN_CONNECTION = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_PASSING = frozenset({httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT})
"""What a proxy answers while the predictor behind it is being replaced."""
_PAUSE_SECONDS = 0.1


class PredictorFailed(AnModelError):
    """The predictor answered with a fault of its own; its log says which."""

    status = 502


class RecordsRefused(InputError):
    """The records do not fit the model; `unknown` and `missing` name features."""

    def __init__(self, message: str, unknown: list[str] | None = None, missing: list[str] | None = None) -> None:
        super().__init__(message)
        self.unknown = unknown
        self.missing = missing


class PredictorClient:
    """One KServe predictor, asked directly or through a proxy.

    What may be over in a moment (a broken connection, a proxy that finds nobody behind it) is tried once more, since
    predicting changes nothing. Both tries together take no longer than the client's time-out of reading.
    """

    def __init__(self, client: httpx.AsyncClient, model_name: str, *, url: str = "", host: str = "") -> None:
        """`url` is where the predictor answers, the client's base address if empty; `host` the Host header for it."""
        self._client = client
        self._model = f"{url.rstrip('/')}/v1/models/{model_name}"
        self._headers = {"content-type": "application/json"} | ({"host": host} if host else {})

    async def info(self) -> dict[str, Any]:
        """What the predictor says of its model: status, version, error, features and so on."""
        return await self._ask("GET", f"{self._model}/info")

    async def predict(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """`predictions`, one a record, and `model_version`. RecordsRefused when the features do not fit the model."""
        answer = await self._ask("POST", f"{self._model}:predict", msgspec.json.encode({"instances": records}))
        if len(answer.get("predictions") or ()) != len(records):
            raise PredictorFailed(_FAILED)
        return answer

    async def _ask(self, method: str, address: str, content: bytes | None = None) -> dict[str, Any]:
        request = self._client.build_request(method, address, content=content, headers=self._headers)
        try:
            async with asyncio.timeout(self._client.timeout.read):
                return _answer(await self._sent(request))
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise UnavailableError(_SLOW) from error
        except httpx.HTTPError as error:
            raise UnavailableError(_AWAY) from error

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._client.send(request)
        except _BROKEN_CONNECTION:
            pass
        else:
            if response.status_code not in _PASSING or _own_words(response) is not None:
                return response
        await asyncio.sleep(_PAUSE_SECONDS)
        return await self._client.send(request)


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != httpx.codes.OK:
        raise _fault(response)
    try:
        answer = response.json()
    except ValueError as error:
        raise PredictorFailed(_FAILED) from error
    if not isinstance(answer, dict):
        raise PredictorFailed(_FAILED)
    return answer


def _own_words(response: httpx.Response) -> dict[str, Any] | None:
    """The predictor's own refusal, {"error": …}; None when somebody between us and it has answered."""
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) and "error" in body else None


def _fault(response: httpx.Response) -> AnModelError:
    """Our error for the predictor's: a refusal keeps its words, a fault of its own stays in its log."""
    said = _own_words(response)
    if said is None:
        away = response.status_code in _PASSING or response.status_code == httpx.codes.NOT_FOUND  # no route to it
        return UnavailableError(_AWAY) if away else PredictorFailed(_FAILED)
    text = str(said["error"] or "")
    if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
        return RecordsRefused(text or "the predictor refused the records", said.get("unknown"), said.get("missing"))
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return UnavailableError(text or _AWAY)
    return PredictorFailed(_FAILED)
