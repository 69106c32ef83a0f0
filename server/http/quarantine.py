"""Routes of the quarantine: operations that are left out of their graphs, and the way back."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.quarantine import Quarantine

MAX_ID = 2**63 - 1
"""The highest id that PostgreSQL counts to."""

OperationId = Annotated[int, Path(ge=1, le=MAX_ID)]


class QuarantinedBody(BaseModel):
    """An operation that is left out of its graph: who sent it, when, and why it is left out."""

    model_config = ConfigDict(from_attributes=True)

    operation_id: int
    graph_id: UUID
    reason: str
    quarantined_at: datetime
    user_id: UUID
    session_id: str
    client_id: str
    created_at: datetime
    size_bytes: int


class QuarantinedDataBody(QuarantinedBody):
    """The same with its bytes, a raw Yjs v1 update, in hexadecimal."""

    data: str


class QuarantinedList(BaseModel):
    """Operations that are left out of graphs that one may manage, newest first."""

    items: list[QuarantinedBody]


class ReleasedBody(BaseModel):
    """What became of an operation; `reason` tells why it is in quarantine again, null if it is part of its graph."""

    operation_id: int
    is_released: bool
    reason: str | None


def router(quarantine: Quarantine) -> APIRouter:
    """Return the routes of the quarantine."""
    routes = _QuarantineRoutes(quarantine)
    api = APIRouter(tags=["quarantine"], route_class=BoundedRoute, responses=describe(401, 422, 503))
    one = "/api/quarantine/{operation_id}"
    api.add_api_route(
        "/api/quarantine",
        routes.list,
        response_model=QuarantinedList,
        summary="List the operations that are left out of graphs that one may manage",
    )
    api.add_api_route(
        one,
        routes.show,
        response_model=QuarantinedDataBody,
        summary="Read an operation that is left out of its graph",
        responses=describe(404),
    )
    api.add_api_route(
        f"{one}/release",
        routes.release,
        methods=["POST"],
        response_model=ReleasedBody,
        summary="Load a graph again with an operation that is left out of it",
        responses=describe(404),
    )
    return api


class _QuarantineRoutes:
    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    async def list(self, caller: Caller, graph_id: UUID | None = None) -> dict[str, object]:
        return {"items": await self._quarantine.list(caller, graph_id)}

    async def show(self, operation_id: OperationId, caller: Caller) -> dict[str, object]:
        found = await self._quarantine.show(caller, operation_id)
        return {**QuarantinedBody.model_validate(found).model_dump(), "data": found.data.hex()}

    async def release(self, operation_id: OperationId, caller: Caller) -> ReleasedBody:
        again = await self._quarantine.release(caller, operation_id)
        return ReleasedBody(
            operation_id=operation_id, is_released=again is None, reason=None if again is None else again.reason
        )
