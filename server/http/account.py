"""Routes of one's own account: `/api/auth/me` and `/api/auth/password`."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from auth.own_account import OwnAccount
from auth.policy import Action, Principal
from persistence.people_records import Profile, ScopeName
from persistence.records import RoleName
from server.http.clients import AnyPassword, NewPassword
from server.http.problems import describe
from server.http.requests import Acting, BoundedRoute, Caller, PersonName


class MembershipBody(BaseModel):
    """What one is in a group."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    role: RoleName


class GrantBody(BaseModel):
    """The one graph that a share link, or the team's backend, lets one into."""

    id: UUID
    role: RoleName


class Me(BaseModel):
    """Who one is, and by what the server knows it. A guest is the built-in user anonymous."""

    id: UUID
    username: str
    name: str
    is_admin: bool
    credential: Literal["open", "session", "token", "share", "backend"]
    expires_at: datetime | None
    scopes: list[ScopeName]
    groups: list[MembershipBody]
    graph: GrantBody | None


class MyChanges(BaseModel):
    """What to change of one's own account: a member that is absent stays as it is."""

    name: PersonName | None = None


class PasswordChange(BaseModel):
    """The password one has, and the one to have."""

    old_password: AnyPassword
    new_password: NewPassword


def router(account: OwnAccount) -> APIRouter:
    """Return the routes of one's own account."""
    routes = _AccountRoutes(account)
    api = APIRouter(prefix="/api/auth", tags=["accounts"], route_class=BoundedRoute, responses=describe(401, 503))
    bad_body = describe(400, 413, 422)
    api.add_api_route("/me", routes.me, response_model=Me, summary="Say who one is")
    api.add_api_route(
        "/me",
        routes.change,
        methods=["PATCH"],
        response_model=Me,
        summary="Change one's name",
        responses=describe(403) | bad_body,
    )
    api.add_api_route(
        "/password",
        routes.change_password,
        methods=["PUT"],
        status_code=204,
        summary="Change one's password, and end all other sessions",
        responses=describe(403, 429) | bad_body,
    )
    return api


class _AccountRoutes:
    def __init__(self, account: OwnAccount) -> None:
        self._account = account

    async def me(self, caller: Caller) -> Me:
        return _me(caller, await self._account.profile(caller))

    async def change(self, body: MyChanges, caller: Caller) -> Me:
        if body.name is not None:
            await self._account.rename(caller, body.name)
        return _me(caller, await self._account.profile(caller))

    async def change_password(self, body: PasswordChange, actor: Acting) -> None:
        await self._account.change_password(actor, body.old_password, body.new_password)


def _me(caller: Principal, profile: Profile) -> Me:
    return Me(
        id=caller.id,
        username=profile.username,
        name=profile.name if caller.grant is None else caller.name,
        is_admin=caller.is_admin,
        credential=caller.credential.kind,
        expires_at=caller.credential.expires_at,
        scopes=[scope.value for scope in Action if scope in caller.scopes],
        groups=[MembershipBody.model_validate(group) for group in profile.groups],
        graph=None if caller.grant is None else GrantBody(id=caller.grant.graph_id, role=caller.grant.role),
    )
