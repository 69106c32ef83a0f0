"""Routes of the bin: `/api/bin`, that of a project, and the ways out of it."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from persistence.records import Graph, Project
from server.http.graphs import GraphBody
from server.http.problems import describe
from server.http.projects import ProjectBody
from server.http.requests import BoundedRoute, Caller
from workspace.bin import Bin


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
    absent = describe(404)
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
    api.add_api_route(
        "/api/projects/{project_id}/restore",
        routes.restore_project,
        methods=["POST"],
        response_model=ProjectBody,
        summary="Take a project out of the bin",
        responses=absent,
    )
    api.add_api_route(
        "/api/graphs/{graph_id}/restore",
        routes.restore_graph,
        methods=["POST"],
        response_model=GraphBody,
        summary="Take a graph out of the bin",
        responses=absent,
    )
    purges = (("projects/{project_id}", routes.purge_project), ("graphs/{graph_id}", routes.purge_graph))
    for path, purge in purges:
        api.add_api_route(
            f"/api/bin/{path}",
            purge,
            methods=["DELETE"],
            status_code=204,
            summary="Delete for ever what is in the bin",
            responses=absent,
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
