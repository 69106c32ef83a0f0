"""Routes of graphs: `/api/graphs`, and those of a project's graphs."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from auth.policy import Principal
from persistence.document import Edge, Layer, Node
from persistence.records import Graph, GraphType, Retitle, RoleName
from server.http.problems import describe
from server.http.projects import Changes
from server.http.requests import BoundedRoute, Caller, Description, Name
from server.workers import Workers
from workspace.catalogue import Catalogue
from workspace.exporting import document_json


class ContentSource(Protocol):
    """Where the content of a graph is read: its live document, else what is stored."""

    async def __call__(self, graph_id: UUID) -> bytes:
        """Return the graph's document as it is now, as one Yjs v1 update."""


class Renamer(Protocol):
    """Renames and describes graphs, such as `workspace.renaming.Renaming`."""

    async def change_graph(self, principal: Principal, graph_id: UUID, new: Retitle) -> Graph: ...


class NewGraph(BaseModel):
    """A graph to create, empty."""

    name: Name
    graph_type: GraphType = "data"
    description: Description | None = None


class GraphBody(BaseModel):
    """A graph without its content; `role` is what one is there."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    project_id: UUID
    name: str
    description: str | None
    graph_type: GraphType
    parent_graph_id: UUID | None
    role: RoleName
    created_at: datetime
    updated_at: datetime


class GraphList(BaseModel):
    """Graphs, oldest first."""

    items: list[GraphBody]


class GraphDocument(GraphBody):
    """A graph with its content, each list sorted by id; null where the document has nothing."""

    nodes: list[Node]
    edges: list[Edge]
    layers: list[Layer]


def router(catalogue: Catalogue, content: ContentSource, renamer: Renamer, workers: Workers) -> APIRouter:
    """Return the routes of graphs."""
    routes = _GraphRoutes(catalogue, content, renamer, workers)
    api = APIRouter(tags=["graphs"], route_class=BoundedRoute, responses=describe(401, 404, 503))
    of_project, one = "/api/projects/{project_id}/graphs", "/api/graphs/{graph_id}"
    bad_body = describe(400, 403, 413, 422)
    api.add_api_route(
        of_project,
        routes.create,
        methods=["POST"],
        status_code=201,
        response_model=GraphBody,
        summary="Create an empty graph",
        responses=bad_body,
    )
    api.add_api_route(of_project, routes.of_project, response_model=GraphList, summary="List the graphs of a project")
    api.add_api_route(
        "/api/graphs",
        routes.shared,
        response_model=GraphList,
        summary="List the graphs of groups one is not in that were shared with one",
    )
    api.add_api_route(one, routes.read, response_model=GraphDocument, summary="Read a graph with its content")
    api.add_api_route(
        one,
        routes.change,
        methods=["PATCH"],
        response_model=GraphBody,
        summary="Rename or describe a graph",
        responses=bad_body,
    )
    api.add_api_route(
        one,
        routes.delete,
        methods=["DELETE"],
        status_code=204,
        summary="Put a graph in the bin",
        responses=describe(403),
    )
    return api


class _GraphRoutes:
    def __init__(self, catalogue: Catalogue, content: ContentSource, renamer: Renamer, workers: Workers) -> None:
        self._catalogue = catalogue
        self._content = content
        self._renamer = renamer
        self._workers = workers

    async def create(self, project_id: UUID, body: NewGraph, caller: Caller) -> Graph:
        return await self._catalogue.create_graph(caller, project_id, body.name, body.graph_type, body.description)

    async def of_project(self, project_id: UUID, caller: Caller) -> dict[str, object]:
        return {"items": await self._catalogue.graphs(caller, project_id)}

    async def shared(self, caller: Caller) -> dict[str, object]:
        return {"items": await self._catalogue.shared_graphs(caller)}

    async def read(self, graph_id: UUID, caller: Caller) -> Response:
        graph = await self._catalogue.graph(caller, graph_id)
        document = await self._content(graph_id)
        members = GraphBody.model_validate(graph).model_dump(mode="json")
        body = await self._workers.run(document_json, members, graph_id, document)
        return Response(body, media_type="application/json")

    async def change(self, graph_id: UUID, body: Changes, caller: Caller) -> Graph:
        return await self._renamer.change_graph(caller, graph_id, body.as_retitle())

    async def delete(self, graph_id: UUID, caller: Caller) -> None:
        await self._catalogue.delete_graph(caller, graph_id)
