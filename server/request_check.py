"""The part of the HTTP door that comes before every route."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.problems import problem
from server.origin import ForeignRequestError, OriginPolicy
from server.visitors import Visitors

_SAFE = ("GET", "HEAD", "OPTIONS")


class RequestCheck:
    """Finds out where a request comes from, for routes as `request.state.visitor`, and answers 403 to foreign ones."""

    def __init__(self, app: ASGIApp, visitors: Visitors, origins: OriginPolicy) -> None:
        self._app = app
        self._visitors = visitors
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        visitor = self._visitors.visitor(headers.getlist, scope["client"][0] if scope["client"] else "")
        is_harmless = scope["method"] in _SAFE and not ("authorization" in headers or "cookie" in headers)
        state = scope.setdefault("state", {})
        state["visitor"] = visitor
        try:
            state["visitor"] = self._origins.check(visitor, is_harmless=is_harmless)
        except ForeignRequestError as error:
            await problem(403, "forbidden", str(error))(scope, receive, send)
        else:
            await self._app(scope, receive, send)
