"""Errors as KServe's answers, {"error": …}: the client's faults in words, our own only in the log."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady, ServerNotReady

from anmodel.errors import AnModelError
from anmodel.predictor.records import RecordsRefused

_STATUS: dict[type[Exception], int] = {
    InvalidInput: 400,
    ModelNotFound: 404,
    ModelNotReady: 503,
    ServerNotReady: 503,
    NotImplementedError: 501,
}

log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Make `app` answer every error this way."""
    for kind in _STATUS:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(AnModelError, _known)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _crash)


def status_and_words(error: Exception) -> tuple[int, str]:
    """The HTTP status of an error, and what its sender is told: the client's faults in words, ours without."""
    if isinstance(error, AnModelError):
        return error.status, str(error)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    return status, "internal error" if status == 500 else str(error)


def _answer(status: int, error: str, more: Mapping[str, Any] | None = None) -> JSONResponse:
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"error": error.encode("utf-8", "replace").decode(), **(more or {})}, status, headers)


async def _known(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RecordsRefused) and (error.unknown or error.missing):
        return _answer(error.status, str(error), {"unknown": error.unknown, "missing": error.missing})
    return _answer(*status_and_words(error))


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"][1:])
    return _answer(400, f"{place or 'body'}: {first['msg']}")


async def _crash(request: Request, error: Exception) -> JSONResponse:
    log.error("request crashed", path=request.url.path, exc_info=error)
    return _answer(500, "internal error")
