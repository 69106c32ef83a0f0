"""The browser page, and the headers that every answer carries."""

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INSTALLED = Path(__file__).parent / "page"
_BUILT = Path(__file__).parent.parent / "web" / "dist"

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "permissions-policy": (
        "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_ONLY_BY_TLS = {"strict-transport-security": "max-age=31536000"}
_NOT_KEPT = {"cache-control": "no-store"}
_API = "/api/"


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
    """Adds the headers that keep a page from doing more than it should (OWASP HTTP Headers Cheat Sheet).

    Answers under /api are kept by no cache; with `is_secure` browsers are told to come by TLS only (RFC 6797).
    """

    def __init__(self, app: ASGIApp, *, is_secure: bool) -> None:
        self._app = app
        self._headers = _HEADERS | (_ONLY_BY_TLS if is_secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        added = self._headers | (_NOT_KEPT if scope["path"].startswith(_API) else {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
