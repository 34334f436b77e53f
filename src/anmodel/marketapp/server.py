"""Serves the built console: its files, one page for every deep link, and the address of the gateway."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anmodel.errors import NotReadyError

FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


def console_app(dist: Path, api_base: str) -> Starlette:
    """The application over a built console in `dist`; the browser finds the gateway at `api_base`.

    Raises `NotReadyError` when there is no build.
    """
    index = dist / "index.html"
    if not index.is_file():
        raise NotReadyError(
            f"MARKETAPP_DIST={dist} holds no built console; `anmodel up` builds it, or run `npm run build`."
        )
    routes = [
        Route("/health", _health),
        Route("/config.json", _config(api_base)),
        Mount("/assets", _Assets(directory=dist / "assets", check_dir=False)),
        Route("/{path:path}", _page(dist.resolve(), index)),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(SecurityHeaders, policy=_policy(api_base))
    return app


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _config(api_base: str) -> Callable[[Request], Awaitable[Response]]:
    async def config(request: Request) -> Response:
        return JSONResponse({"apiBase": api_base}, headers={"Cache-Control": ASK_AGAIN})

    return config


def _page(dist: Path, index: Path) -> Callable[[Request], Awaitable[Response]]:
    """A file of the build's top folder, else the page itself: the console reads deep links such as /users/42."""

    async def page(request: Request) -> Response:
        wanted = request.path_params["path"]
        file = _file_of(dist, wanted)
        if file is not None:
            return FileResponse(file, headers={"Cache-Control": ASK_AGAIN})
        # a script or picture that is missing must not be answered with a page; a person following a link must
        if "." in wanted.rsplit("/", 1)[-1] and "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("not found", 404)
        return FileResponse(index, headers={"Cache-Control": ASK_AGAIN})

    return page


def _file_of(dist: Path, wanted: str) -> Path | None:
    """The file of the build that a path names, if it is one; a user's id may be longer than a file's name can be."""
    try:
        file = (dist / wanted).resolve()
        found = file.is_relative_to(dist) and file.is_file() and not file.name.startswith(".")
    except (OSError, ValueError):
        return None
    return file if found else None


class _Assets(StaticFiles):
    """Files whose names carry a hash of their content: a browser need never ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file; a missing one is 404 and must not be kept."""
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            return PlainTextResponse("not found", error.status_code)
        response.headers["Cache-Control"] = FOREVER
        return response


class SecurityHeaders:
    """ASGI middleware: the page runs its own scripts only, and talks to itself and the gateway only."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self.app = app
        self.headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to every answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _policy(api_base: str) -> str:
    """Styles may be inline: the component library writes them at run time."""
    parts = urlsplit(api_base)
    gateway = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        f"default-src 'self'; connect-src 'self'{gateway}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
