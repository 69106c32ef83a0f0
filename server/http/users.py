"""Routes of accounts, for the admins of the installation: `/api/users`."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from auth.invitations import Invitations, PasswordLink
from auth.people import NewAccount, People
from persistence.group_records import User, UserRole
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller, Managing, PersonName, Username


class NewUserBody(BaseModel):
    """An account to make; its person chooses the password with a link."""

    username: Username
    name: PersonName | None = None
    role: UserRole = "user"


class UserChanges(BaseModel):
    """What to change of an account: a member that is absent stays as it is."""

    is_active: bool | None = None
    role: UserRole | None = None


class UserBody(BaseModel):
    """An account; `role` is the one in the whole installation."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    username: str
    name: str
    role: UserRole
    is_active: bool
    created_at: datetime
    last_login_at: datetime | None


class UserList(BaseModel):
    """All accounts, oldest first."""

    items: list[UserBody]


class PasswordLinkBody(BaseModel):
    """What a link to choose a password has behind `/#/invitation/`, and until when it can be used, once."""

    model_config = ConfigDict(from_attributes=True)

    token: str
    expires_at: datetime


def router(people: People, invitations: Invitations) -> APIRouter:
    """Return the routes of accounts."""
    routes = _UserRoutes(people, invitations)
    api = APIRouter(prefix="/api/users", tags=["users"], route_class=BoundedRoute, responses=describe(401, 403, 503))
    one, bad_body = "/{user_id}", describe(400, 409, 413, 422)
    api.add_api_route("", routes.list, response_model=UserList, summary="List all accounts")
    api.add_api_route(
        "",
        routes.add,
        methods=["POST"],
        status_code=201,
        response_model=UserBody,
        summary="Make an account",
        responses=bad_body,
    )
    api.add_api_route(
        one,
        routes.change,
        methods=["PATCH"],
        response_model=UserBody,
        summary="Disable or enable an account, or make it an admin's",
        responses=bad_body | describe(404),
    )
    api.add_api_route(
        one,
        routes.anonymise,
        methods=["DELETE"],
        status_code=204,
        summary="Disable an account and forget who it was",
        responses=describe(404, 409),
    )
    api.add_api_route(
        f"{one}/password-link",
        routes.link_to_password,
        methods=["POST"],
        response_model=PasswordLinkBody,
        summary="Make a link with which the password of an account is chosen",
        responses=describe(404, 409),
    )
    return api


class _UserRoutes:
    def __init__(self, people: People, invitations: Invitations) -> None:
        self._people = people
        self._invitations = invitations

    async def list(self, caller: Caller) -> dict[str, object]:
        return {"items": await self._people.list(caller)}

    async def add(self, body: NewUserBody, actor: Managing) -> User:
        return await self._people.add(actor, NewAccount(body.username, body.name, body.role))

    async def change(self, user_id: UUID, body: UserChanges, actor: Managing) -> User:
        return await self._people.change(actor, user_id, body.is_active, body.role)

    async def anonymise(self, user_id: UUID, actor: Managing) -> None:
        await self._people.anonymise(actor, user_id)

    async def link_to_password(self, user_id: UUID, actor: Managing) -> PasswordLink:
        return await self._invitations.link_to_password(actor, user_id)
