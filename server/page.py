"""The browser page, the headers that every answer carries, and what an open server answers at all."""

from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.problems import problem
from server.origin import ForeignRequestError, check_open

_INSTALLED = Path(__file__).parent / "page"
_BUILT = Path(__file__).parent.parent / "web" / "dist"

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class PageMissingError(Exception):
    """The page was not built."""

    def __init__(self) -> None:
        super().__init__("the browser page is not built; run `make setup`")


def static_page() -> StaticFiles:
    """Return the page as files. Raises PageMissingError if it was neither installed nor built."""
    for folder in (_INSTALLED, _BUILT):
        if (folder / "index.html").is_file():
            return StaticFiles(directory=folder, html=True)
    raise PageMissingError


class SecurityHeaders:
    """Adds the headers that keep a page from doing more than it should, except to the API description.

    FastAPI's `/docs` loads its viewer from elsewhere, so `server.http.description` serves our own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class OpenRequestsOnly:
    """Answers 403, whatever the path, to requests that `server.origin.check_open` does not take."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            check_open(_combined(headers, "host"), _combined(headers, "origin"))
        except ForeignRequestError as error:
            await problem(403, "forbidden", str(error))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _combined(headers: Headers, name: str) -> str | None:
    """Return the header, a repeated one as a list (RFC 9110 section 5.3), which is no host and no origin."""
    values = headers.getlist(name)
    return ", ".join(values) if values else None
