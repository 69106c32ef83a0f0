"""The route that copies a graph: `/api/graphs/{id}/copy`."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from persistence.records import Graph
from server.http.graphs import GraphBody
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller, Name
from server.http.turn import Turn
from workspace.copying import Copies


class NewCopy(BaseModel):
    """What the copy is called, and the project it goes to: by default that of the source."""

    name: Name | None = None
    project_id: UUID | None = None


def router(copies: Copies) -> APIRouter:
    """Return the route of copies."""
    api = APIRouter(tags=["graphs"], route_class=BoundedRoute, responses=describe(401, 503))
    api.add_api_route(
        "/api/graphs/{graph_id}/copy",
        _CopyRoutes(copies).create,
        methods=["POST"],
        status_code=201,
        response_model=GraphBody,
        summary="Copy a graph with its content",
        responses=describe(400, 403, 404, 413, 422),
    )
    return api


class _CopyRoutes:
    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._turn = Turn("copy")

    async def create(self, graph_id: UUID, caller: Caller, body: NewCopy = NewCopy()) -> Graph:  # noqa: B008 - immutable
        async with self._turn.taken():
            return await self._copies.copy(caller, graph_id, name=body.name, project_id=body.project_id)
