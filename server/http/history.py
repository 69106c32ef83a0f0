"""Routes of what was done: the events of a graph and of a project."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from persistence.records import Event
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.history import History

MAX_EVENTS = 200
_MAX_EVENT_ID = 2**63 - 1

Before = Annotated[
    int | None, Query(ge=1, le=_MAX_EVENT_ID, description="Only events older than the one with this id.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_EVENTS, description="How many events.")]


class EventBody(BaseModel):
    """Something that was done to a graph or project; `version` counts from 1 within it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    stream_id: UUID
    version: int
    event_type: str
    payload: Mapping[str, Any]
    user_id: UUID
    project_id: UUID | None
    created_at: datetime


class EventList(BaseModel):
    """Events, newest first; `next_before` is the `before` of the next page, null if this is the last."""

    items: list[EventBody]
    next_before: int | None


def router(history: History) -> APIRouter:
    """Return the routes of events."""
    routes = _HistoryRoutes(history)
    api = APIRouter(tags=["events"], route_class=BoundedRoute, responses=describe(401, 404, 422, 503))
    api.add_api_route(
        "/api/graphs/{graph_id}/events",
        routes.of_graph,
        response_model=EventList,
        summary="Read what was done to a graph",
    )
    api.add_api_route(
        "/api/projects/{project_id}/events",
        routes.of_project,
        response_model=EventList,
        summary="Read what was done to a project and its graphs",
    )
    return api


class _HistoryRoutes:
    def __init__(self, history: History) -> None:
        self._history = history

    async def of_graph(
        self, graph_id: UUID, caller: Caller, before: Before = None, limit: Limit = MAX_EVENTS
    ) -> dict[str, object]:
        return _page(await self._history.of_graph(caller, graph_id, before, limit), limit)

    async def of_project(
        self, project_id: UUID, caller: Caller, before: Before = None, limit: Limit = MAX_EVENTS
    ) -> dict[str, object]:
        return _page(await self._history.of_project(caller, project_id, before, limit), limit)


def _page(events: tuple[Event, ...], limit: int) -> dict[str, object]:
    return {"items": events, "next_before": events[-1].id if len(events) == limit else None}
