"""Every refusal that leaves by HTTP is noted for the audit log."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import ForbiddenError
from persistence.errors import NotFoundError
from server.http.clients import client_of
from server.refusals import NO_ROLE, Refusals


class NoteRefusals:
    """Notes each answer 403, and each 401 and 404 at the door of a graph."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through, and look at what is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (401, 403, 404):
                self._note(Request(scope), message["status"])
            await send(message)

        await self._app(scope, receive, send_noted)

    def _note(self, request: Request, status: int) -> None:
        error = getattr(request.state, "error", None)
        about = {name: _id(request.path_params, name) for name in ("graph_id", "group_id", "project_id")}
        if status == 401 and about["graph_id"] is None:
            return
        if status == 404 and not (isinstance(error, NotFoundError) and error.kind == "graph"):
            return
        principal = getattr(request.state, "principal", None)
        if not isinstance(error, ForbiddenError):  # only then it is known that one belongs there
            about = {"graph_id": about["graph_id"]}
        self._refusals.note(_action(error), _reason(error), principal, client_of(request), **about)


def _id(parameters: Mapping[str, Any], name: str) -> UUID | None:
    try:
        return UUID(parameters[name])
    except (KeyError, ValueError):
        return None


def _action(error: Exception | None) -> str:
    match error:
        case ForbiddenError():
            return f"{error.kind}.{error.action}"
        case NotFoundError() | HTTPException(status_code=401):
            return "graph.read"
        case _:
            return "request.made"


def _reason(error: Exception | None) -> str:
    match error:
        case NotFoundError():
            return NO_ROLE
        case HTTPException():
            return error.detail
        case None:
            return "came from a foreign page"
        case _:
            return str(error)
