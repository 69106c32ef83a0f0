"""Routes of the bin: `/api/bin`, that of a project, and the ways out of it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from persistence.records import Graph, Project
from server.http.graphs import GraphBody
from server.http.problems import describe
from server.http.projects import ProjectBody
from server.http.requests import BoundedRoute, Caller
from workspace.bin import Bin

_Kind = tuple[str, type[BaseModel], Callable[..., Any], Callable[..., Any]]
"""What can be in the bin: its name, how it is answered, and the ways out."""


class BinnedProjectBody(ProjectBody):
    """A project in the bin."""

    deleted_at: datetime


class BinnedGraphBody(GraphBody):
    """A graph in the bin of its project."""

    deleted_at: datetime


class BinnedProjectList(BaseModel):
    """The projects in the bin that one may manage, last deleted first."""

    items: list[BinnedProjectBody]


class BinnedGraphList(BaseModel):
    """The graphs in the bin of a project, last deleted first."""

    items: list[BinnedGraphBody]


def router(bin_: Bin) -> APIRouter:
    """Return the routes of the bin."""
    routes = _BinRoutes(bin_)
    api = APIRouter(tags=["bin"], route_class=BoundedRoute, responses=describe(401, 503))
    api.add_api_route(
        "/api/bin", routes.projects, response_model=BinnedProjectList, summary="List the projects in the bin"
    )
    api.add_api_route(
        "/api/projects/{project_id}/bin",
        routes.graphs,
        response_model=BinnedGraphList,
        summary="List the graphs in the bin of a project",
        responses=describe(403, 404),
    )
    kinds: tuple[_Kind, ...] = (
        ("project", ProjectBody, routes.restore_project, routes.purge_project),
        ("graph", GraphBody, routes.restore_graph, routes.purge_graph),
    )
    for kind, body, restore, purge in kinds:
        one = f"{kind}s/{{{kind}_id}}"
        about = f"a {kind} that is in the bin"
        options: dict[str, Any] = {"responses": describe(404)}
        api.add_api_route(
            f"/api/{one}/restore", restore, methods=["POST"], response_model=body, summary=f"Restore {about}", **options
        )
        api.add_api_route(
            f"/api/bin/{one}", purge, methods=["DELETE"], status_code=204, summary=f"Purge {about}", **options
        )
    return api


class _BinRoutes:
    def __init__(self, bin_: Bin) -> None:
        self._bin = bin_

    async def projects(self, caller: Caller) -> dict[str, object]:
        return {"items": await self._bin.projects(caller)}

    async def graphs(self, project_id: UUID, caller: Caller) -> dict[str, object]:
        return {"items": await self._bin.graphs(caller, project_id)}

    async def restore_project(self, project_id: UUID, caller: Caller) -> Project:
        return await self._bin.restore_project(caller, project_id)

    async def restore_graph(self, graph_id: UUID, caller: Caller) -> Graph:
        return await self._bin.restore_graph(caller, graph_id)

    async def purge_project(self, project_id: UUID, caller: Caller) -> None:
        await self._bin.purge_project(caller, project_id)

    async def purge_graph(self, graph_id: UUID, caller: Caller) -> None:
        await self._bin.purge_graph(caller, graph_id)
