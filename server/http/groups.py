"""Routes of groups and their members: `/api/groups`."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from auth.groups import Groups
from auth.policy import Role
from persistence.group_records import Group
from persistence.records import RoleName
from server.http.problems import describe
from server.http.projects import Changes
from server.http.requests import BoundedRoute, Caller, Description, Managing, Name


class NewGroup(BaseModel):
    """A group to make; one becomes its admin."""

    name: Name
    description: Description | None = None


class NewRole(BaseModel):
    """What somebody is to be in a group."""

    role: Role


class GroupBody(BaseModel):
    """A group; `role` is what one is in it, null for an admin of the installation who is no member."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    description: str | None
    role: RoleName | None
    created_at: datetime


class GroupList(BaseModel):
    """The groups one is in, or all for an admin of the installation, oldest first."""

    items: list[GroupBody]


class MemberBody(BaseModel):
    """A person in a group; one who is not active has a disabled account."""

    model_config = ConfigDict(from_attributes=True)

    user_id: UUID
    username: str
    name: str
    role: RoleName
    joined_at: datetime
    is_active: bool


class MemberList(BaseModel):
    """The people in a group, in the order they joined."""

    items: list[MemberBody]


def router(groups: Groups) -> APIRouter:
    """Return the routes of groups."""
    routes = _GroupRoutes(groups)
    api = APIRouter(prefix="/api/groups", tags=["groups"], route_class=BoundedRoute, responses=describe(401, 503))
    _add_groups(api, routes)
    _add_members(api, routes)
    return api


def _add_groups(api: APIRouter, routes: "_GroupRoutes") -> None:
    bad_body = describe(400, 403, 413, 422)
    api.add_api_route("", routes.list, response_model=GroupList, summary="List the groups one is in")
    api.add_api_route(
        "",
        routes.create,
        methods=["POST"],
        status_code=201,
        response_model=GroupBody,
        summary="Make a group, as an admin of the installation",
        responses=bad_body,
    )
    api.add_api_route(
        "/{group_id}",
        routes.change,
        methods=["PATCH"],
        response_model=GroupBody,
        summary="Rename or describe a group",
        responses=bad_body | describe(404),
    )


def _add_members(api: APIRouter, routes: "_GroupRoutes") -> None:
    members = "/{group_id}/members"
    api.add_api_route(
        members, routes.members, response_model=MemberList, summary="List who is in a group", responses=describe(404)
    )
    api.add_api_route(
        f"{members}/{{user_id}}",
        routes.set_role,
        methods=["PUT"],
        status_code=204,
        summary="Give a member of a group another role",
        description="Admins of the installation also take in who is no member. The last admin of a group stays one.",
        responses=describe(400, 403, 404, 409, 413, 422),
    )
    api.add_api_route(
        f"{members}/{{user_id}}",
        routes.remove,
        methods=["DELETE"],
        status_code=204,
        summary="Take somebody out of a group, or leave it",
        responses=describe(403, 404, 409),
    )


class _GroupRoutes:
    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    async def list(self, caller: Caller) -> dict[str, object]:
        return {"items": await self._groups.list(caller)}

    async def create(self, body: NewGroup, actor: Managing) -> Group:
        return await self._groups.create(actor, body.name, body.description)

    async def change(self, group_id: UUID, body: Changes, actor: Managing) -> Group:
        return await self._groups.change(actor, group_id, body.as_retitle())

    async def members(self, group_id: UUID, caller: Caller) -> dict[str, object]:
        return {"items": await self._groups.members(caller, group_id)}

    async def set_role(self, group_id: UUID, user_id: UUID, body: NewRole, actor: Managing) -> None:
        await self._groups.set_role(actor, group_id, user_id, body.role)

    async def remove(self, group_id: UUID, user_id: UUID, actor: Managing) -> None:
        await self._groups.remove(actor, group_id, user_id)
