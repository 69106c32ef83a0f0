"""The route by which programs edit graphs: `/api/graphs/{id}/operations` takes one of the nine operations, or many."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from replay.operations import EditOperation
from replay.posted import OperationErrors, OperationProblem, check_operation
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.manual_edits import ManualEdits

MAX_OPERATIONS = 1_000
MAX_OPERATIONS_BYTES = 4 * 1024 * 1024

_Type = Literal[
    "node_create",
    "node_update",
    "node_delete",
    "edge_create",
    "edge_update",
    "edge_delete",
    "layer_create",
    "layer_update",
    "layer_delete",
]


class PostedOperation(BaseModel):
    """An operation: a creation has the entity, an update an id, new values and perhaps old ones, a deletion an id."""

    model_config = ConfigDict(extra="allow")

    type: _Type


class PostedOperations(BaseModel):
    """Operations that are made one after the other, all or none."""

    model_config = ConfigDict(extra="forbid")

    operations: Annotated[list[PostedOperation], Field(min_length=1, max_length=MAX_OPERATIONS)]


def _count(body: Any) -> str:
    return "many" if isinstance(body, PostedOperations) or (isinstance(body, dict) and "operations" in body) else "one"


# Told apart first, so that whoever posts one is told what is wrong with that, not that it should have been many.
Posted = Annotated[
    Annotated[PostedOperation, Tag("one")] | Annotated[PostedOperations, Tag("many")], Discriminator(_count)
]


class PostedBody(BaseModel):
    """How many operations were made, how many had nothing to do, and what they name that is not there."""

    applied: int
    already_applied: int
    warnings: list[Mapping[str, Any]]


def router(edits: ManualEdits) -> APIRouter:
    """Return the route of operations."""
    routes = _OperationRoutes(edits)
    api = APIRouter(tags=["replay"], route_class=_OperationRoute, responses=describe(401, 404, 503))
    api.add_api_route(
        "/api/graphs/{graph_id}/operations",
        routes.post,
        methods=["POST"],
        response_model=PostedBody,
        summary="Create, update and delete nodes, edges and layers while people edit the graph",
        responses=describe(400, 403, 409, 413, 422),
    )
    return api


class _OperationRoute(BoundedRoute):
    max_body_bytes = MAX_OPERATIONS_BYTES


class _OperationRoutes:
    def __init__(self, edits: ManualEdits) -> None:
        self._edits = edits

    async def post(self, graph_id: UUID, body: Posted, caller: Caller) -> Mapping[str, Any]:
        return await self._edits.post(caller, graph_id, checked(body))


def checked(body: PostedOperations | PostedOperation) -> Sequence[EditOperation]:
    """Return the operations of a request. Raises OperationErrors with what is wrong with all of them."""
    if isinstance(body, PostedOperation):
        return [check_operation(body.model_dump())]
    found: list[EditOperation] = []
    problems: list[OperationProblem] = []
    for index, operation in enumerate(body.operations):
        try:
            found.append(check_operation(operation.model_dump()))
        except OperationErrors as errors:
            problems += (OperationProblem(f"operations.{index}.{one.path}", one.message) for one in errors.problems)
    if problems:
        raise OperationErrors(tuple(problems))
    return found
