"""Routes of one's sessions: `/api/auth/sessions`."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from auth.own_account import OwnAccount
from server.http.problems import describe
from server.http.requests import Acting, BoundedRoute, Caller


class SessionBody(BaseModel):
    """A session: one device that one is signed in on."""

    id: UUID
    device: str | None
    address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool


class SessionList(BaseModel):
    """The sessions that go on, oldest first."""

    items: list[SessionBody]


def router(account: OwnAccount) -> APIRouter:
    """Return the routes of one's sessions."""
    routes = _SessionRoutes(account)
    api = APIRouter(
        prefix="/api/auth/sessions", tags=["accounts"], route_class=BoundedRoute, responses=describe(401, 403, 503)
    )
    api.add_api_route("", routes.of_caller, response_model=SessionList, summary="List one's sessions")
    api.add_api_route(
        "", routes.end_others, methods=["DELETE"], status_code=204, summary="End all sessions but this one"
    )
    api.add_api_route(
        "/{session_id}",
        routes.end,
        methods=["DELETE"],
        status_code=204,
        summary="End a session",
        responses=describe(404),
    )
    return api


class _SessionRoutes:
    def __init__(self, account: OwnAccount) -> None:
        self._account = account

    async def of_caller(self, caller: Caller) -> SessionList:
        items = [
            SessionBody(
                id=session.id,
                device=session.device,
                address=session.address,
                user_agent=session.user_agent,
                created_at=session.created_at,
                last_used_at=session.last_used_at,
                expires_at=session.expires_at,
                is_current=session.id == caller.credential.id,
            )
            for session in await self._account.sessions(caller)
        ]
        return SessionList(items=items)

    async def end(self, session_id: UUID, actor: Acting) -> None:
        await self._account.end_session(actor, session_id)

    async def end_others(self, actor: Acting) -> None:
        await self._account.end_other_sessions(actor)
