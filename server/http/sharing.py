"""Routes of what people are in one graph, and of links into it, for those who may manage the graph."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from auth.policy import Role
from auth.sharing import Sharing
from persistence.group_records import GraphRoleName
from persistence.records import RoleName
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller, Days, Managing


class NewGraphRole(BaseModel):
    """What somebody is to be in a graph; none hides it."""

    role: GraphRoleName


class AccessBody(BaseModel):
    """What a person is in a graph: by its group, or by a role of their own in the graph."""

    model_config = ConfigDict(from_attributes=True)

    user_id: UUID
    username: str
    name: str
    role: GraphRoleName
    source: Literal["group", "graph"]


class AccessList(BaseModel):
    """Everybody who is something in a graph, or whom it is hidden from, by name."""

    items: list[AccessBody]


class NewLink(BaseModel):
    """A link to make into a graph; with null for `expires_in_days` it has no end."""

    role: Literal["member", "viewer"]
    expires_in_days: Days | None = 7


class LinkBody(BaseModel):
    """A link into a graph for anybody who has it; without an end if `expires_at` is null."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    role: RoleName
    created_at: datetime
    expires_at: datetime | None


class NewLinkBody(LinkBody):
    """The same with what the link has behind `/#/share/`, which is told only here."""

    token: str


class LinkList(BaseModel):
    """The links into a graph that work, oldest first."""

    items: list[LinkBody]


def router(sharing: Sharing) -> APIRouter:
    """Return the routes of sharing."""
    routes = _SharingRoutes(sharing)
    api = APIRouter(tags=["sharing"], route_class=BoundedRoute, responses=describe(401, 403, 404, 503))
    access, links = "/api/graphs/{graph_id}/access", "/api/graphs/{graph_id}/share-links"
    bad_body = describe(400, 413, 422)
    api.add_api_route(access, routes.access, response_model=AccessList, summary="List who is what in a graph")
    api.add_api_route(
        f"{access}/{{user_id}}",
        routes.set_role,
        methods=["PUT"],
        status_code=204,
        summary="Give somebody a role in a graph",
        description="It counts instead of the one in the group, whose admins stay admins.",
        responses=bad_body,
    )
    api.add_api_route(
        f"{access}/{{user_id}}",
        routes.remove_role,
        methods=["DELETE"],
        status_code=204,
        summary="Let somebody be in a graph what they are in its group",
    )
    api.add_api_route(links, routes.links, response_model=LinkList, summary="List the links into a graph")
    api.add_api_route(
        links,
        routes.make_link,
        methods=["POST"],
        status_code=201,
        response_model=NewLinkBody,
        summary="Make a link into a graph for anybody who has it",
        responses=bad_body,
    )
    api.add_api_route(
        "/api/share-links/{link_id}",
        routes.revoke_link,
        methods=["DELETE"],
        status_code=204,
        summary="Let a link into a graph lead nowhere",
    )
    return api


class _SharingRoutes:
    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    async def access(self, graph_id: UUID, caller: Caller) -> dict[str, object]:
        return {"items": await self._sharing.access(caller, graph_id)}

    async def set_role(self, graph_id: UUID, user_id: UUID, body: NewGraphRole, actor: Managing) -> None:
        await self._sharing.set_role(actor, graph_id, user_id, body.role)

    async def remove_role(self, graph_id: UUID, user_id: UUID, actor: Managing) -> None:
        await self._sharing.remove_role(actor, graph_id, user_id)

    async def links(self, graph_id: UUID, caller: Caller) -> dict[str, object]:
        return {"items": await self._sharing.links(caller, graph_id)}

    async def make_link(self, graph_id: UUID, body: NewLink, actor: Managing) -> NewLinkBody:
        link, token = await self._sharing.make_link(actor, graph_id, Role(body.role), body.expires_in_days)
        return NewLinkBody(**LinkBody.model_validate(link).model_dump(), token=token)

    async def revoke_link(self, link_id: UUID, actor: Managing) -> None:
        await self._sharing.revoke_link(actor, link_id)
