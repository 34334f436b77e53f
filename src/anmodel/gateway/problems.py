"""Errors as answers: {"detail": …} in words, never a path, a host or a stack trace."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from anmodel.errors import AnModelError, InputError, NotReadyError, UnavailableError
from anmodel.gateway.answers import Problem, RecordsProblem
from anmodel.gateway.predictor_client import PredictorFailed, RecordsRefused

RETRY_SECONDS = 5
_SHOWN = 5
_BODY_RECORD = ("body", "records")
_TOLD = (InputError, NotReadyError, PredictorFailed)
"""Errors whose text is meant for the client; others may speak of hosts and paths, which only the log gets."""

log = structlog.get_logger()

TOO_MANY: dict[int | str, dict[str, Any]] = {
    429: {"model": Problem, "description": "Too many requests of this client; Retry-After says when to try again"},
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    **TOO_MANY,
    422: {"model": Problem, "description": "A parameter is wrong"},
    503: {"model": Problem, "description": "A part that is needed does not answer; Retry-After says when to try again"},
}
RECORD_REFUSALS: dict[int | str, dict[str, Any]] = {
    **REFUSALS,
    400: {"model": Problem, "description": "The body is no text in UTF-8"},
    404: {"model": Problem, "description": "No such service"},
    413: {"model": Problem, "description": "The request is too large"},
    422: {"model": RecordsProblem, "description": "The records do not fit the model"},
    502: {"model": Problem, "description": "The predictor failed"},
}


class NotFound(InputError):
    """There is no such thing."""

    status = 404


def problem(status: int, detail: str, more: Mapping[str, Any] | None = None) -> JSONResponse:
    """A refusal; what cannot be written as UTF-8 (half a surrogate pair) becomes a question mark."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
    content = {"detail": detail.encode("utf-8", "replace").decode(), **(more or {})}
    return JSONResponse(content, status, headers)


def too_many(reason: str, seconds: int) -> JSONResponse:
    """The refusal of a client that asks too often."""
    answer = problem(429, reason)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem."""
    app.add_exception_handler(AnModelError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _known(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnModelError)
    if isinstance(error, RecordsRefused):
        lists = {"unknown": error.unknown, "missing": error.missing}
        return problem(422, str(error), {name: value for name, value in lists.items() if value is not None})
    if isinstance(error, _TOLD) or type(error) is UnavailableError:
        return problem(error.status, str(error))
    log.error("request failed", path=request.url.path, error=str(error), kind=type(error).__name__)
    return problem(error.status, "a part that is needed does not answer" if error.status == 503 else "internal error")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = list(dict.fromkeys(_fault(item) for item in error.errors()))
    rest = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return problem(422, "; ".join(faults[:_SHOWN]) + rest)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _fault(item: Mapping[str, Any]) -> str:
    """One line for one of pydantic's records: where, what came, what is allowed."""
    place = tuple(item["loc"])
    if place[:2] == _BODY_RECORD and place[-1] == "[key]":
        return f"records[{place[2]}]: got the name {_shown(item['input'])}; a text of at most 256 characters is needed"
    if place[:2] == _BODY_RECORD and len(place) > 3:  # a union's branches each complain: say it once
        return (
            f"records[{place[2]}].{place[3]}: got {_shown(item['input'])}; "
            "a finite number, a text of at most 1024 characters or null is needed"
        )
    if item["type"] == "json_invalid":
        return f"the body is no JSON: {item['ctx']['error']}"
    if place == ("body",):
        return "the body is no JSON object; send one, with Content-Type: application/json"
    name = ".".join(str(step) for step in place[1:]) or str(place[0])
    came = "" if item["type"] == "missing" else f" (got {_shown(item['input'])})"
    return f"{name}: {item['msg']}{came}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
