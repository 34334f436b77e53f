"""The predictor, over HTTP: predictions, and what it says of its model."""

from typing import Any

import httpx
import msgspec

from anmodel.errors import AnModelError, InputError, UnavailableError

_AWAY = "the predictor does not answer; try again in a few seconds"
_BROKEN_CONNECTION = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


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
    """One KServe predictor. A broken connection is tried once more (predicting changes nothing); a timeout is not."""

    def __init__(self, client: httpx.AsyncClient, model_name: str) -> None:
        self._client = client
        self._model = f"/v1/models/{model_name}"

    async def info(self) -> dict[str, Any]:
        """What the predictor says of its model: status, version, error, features and so on."""
        return await self._ask(self._client.build_request("GET", f"{self._model}/info"))

    async def predict(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """`predictions` and `model_version`. RecordsRefused when the features do not fit the model."""
        return await self._ask(
            self._client.build_request(
                "POST",
                f"{self._model}:predict",
                content=msgspec.json.encode({"instances": records}),
                headers={"content-type": "application/json"},
            )
        )

    async def _ask(self, request: httpx.Request) -> dict[str, Any]:
        try:
            try:
                response = await self._client.send(request)
            except _BROKEN_CONNECTION:
                response = await self._client.send(request)
        except httpx.TimeoutException as error:
            raise UnavailableError("the predictor took too long; try again, or send fewer records") from error
        except httpx.HTTPError as error:
            raise UnavailableError(_AWAY) from error
        if response.status_code != httpx.codes.OK:
            raise _fault(response)
        answer: dict[str, Any] = response.json()
        return answer


def _fault(response: httpx.Response) -> AnModelError:
    """Our error for the predictor's: a refusal keeps its words, a fault of its own stays in its log."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    text = str(body.get("error") or "") if isinstance(body, dict) else ""
    if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
        return RecordsRefused(text or "the predictor refused the records", body.get("unknown"), body.get("missing"))
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return UnavailableError(text or _AWAY)
    return PredictorFailed("the predictor failed on this request; its log says why")
