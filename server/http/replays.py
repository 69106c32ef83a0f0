"""Routes of replays: `/api/graphs/{id}/replay` rebuilds a graph, `/api/graphs/{id}/replays` tells what came of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from persistence.replay_records import ReplayCause, ReplaySummary
from replay.hashing import SHOWN_DIGITS
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.replays import Replays

MAX_REPLAYS = 100

_Before = Annotated[UUID | None, Query(description="Only replays older than the one with this id.")]
_Limit = Annotated[int, Query(ge=1, le=MAX_REPLAYS, description="How many replays.")]
_Hash = Annotated[str, Field(description="16 hex digits of the hash of the plan that the base was made by.")]


class ReplayCounts(BaseModel):
    """How many edits a replay did what with, and how many entities it removed whole."""

    applied: int
    already_applied: int
    conflicts: int
    failed: int
    inapplicable: int
    warnings: int
    removed: int | None = None


class MadeCounts(ReplayCounts):
    """The same, and how many updates changed the document; null in a preview."""

    updates: int | None = None


class ToldEdit(BaseModel):
    """An edit that does not fit, or fits but for something: why, for machines and for people."""

    edit_id: UUID | None
    reason: str
    message: str


class ToldConflict(ToldEdit):
    """An edit of what changed upstream too: each field as the edit found it, as it is upstream, and as it is here."""

    fields: Mapping[str, Any]
    settled: bool


class ReplayBody(BaseModel):
    """What a replay made of a graph and its edits."""

    replay_id: UUID
    cause: ReplayCause
    dag_state_hash: _Hash
    counts: MadeCounts
    conflicts: list[ToldConflict]
    failed: list[ToldEdit]
    inapplicable: list[ToldEdit]
    warnings: list[ToldEdit]


class PreviewBody(BaseModel):
    """What a replay would make of a graph and its edits; of the changes the first ones, all are counted."""

    dag_state_hash: _Hash
    counts: MadeCounts
    conflicts: list[ToldConflict]
    failed: list[ToldEdit]
    inapplicable: list[ToldEdit]
    warnings: list[ToldEdit]
    entities: Mapping[str, Mapping[str, int]]
    changes: list[Mapping[str, Any]]


class ReplaySummaryBody(BaseModel):
    """A replay in a list."""

    id: UUID
    cause: ReplayCause
    replay_timestamp: datetime
    dag_state_hash: _Hash
    data_digest: str
    triggered_by: UUID | None
    execution_id: UUID | None
    counts: ReplayCounts


class ReplayList(BaseModel):
    """Replays, newest first; `next_before` is the `before` of the next page, null if this is the last."""

    items: list[ReplaySummaryBody]
    next_before: UUID | None


class WholeReplayBody(BaseModel):
    """A replay with all that was told of it; the lists of applied edits are ids."""

    id: UUID
    cause: ReplayCause
    execution_id: UUID | None
    triggered_by: UUID | None
    replay_timestamp: datetime
    dag_state_hash: _Hash
    data_digest: str
    applied_edits: list[UUID]
    already_applied_edits: list[UUID]
    conflicts: list[ToldConflict]
    failed_edits: list[ToldEdit]
    inapplicable_edits: list[ToldEdit]
    warnings: list[ToldEdit]
    removed_entities: list[Mapping[str, Any]]
    unseen_operations: list[Any]


def router(replays: Replays) -> APIRouter:
    """Return the routes of replays."""
    routes = _ReplayRoutes(replays)
    api = APIRouter(
        prefix="/api/graphs/{graph_id}", tags=["replay"], route_class=BoundedRoute, responses=describe(401, 404, 503)
    )
    api.add_api_route(
        "/replay",
        routes.rebuild,
        methods=["POST"],
        response_model=ReplayBody,
        summary="Rebuild a graph of what it is made of, with all edits that fit",
        responses=describe(403, 409),
    )
    api.add_api_route(
        "/replay/preview",
        routes.preview,
        methods=["POST"],
        response_model=PreviewBody,
        summary="Tell what rebuilding a graph would change, without changing anything",
        responses=describe(409),
    )
    api.add_api_route(
        "/replays",
        routes.page,
        response_model=ReplayList,
        summary="List the replays of a graph",
        responses=describe(422),
    )
    api.add_api_route(
        "/replays/{replay_id}", routes.read, response_model=WholeReplayBody, summary="Read what a replay did"
    )
    return api


class _ReplayRoutes:
    def __init__(self, replays: Replays) -> None:
        self._replays = replays

    async def rebuild(self, graph_id: UUID, caller: Caller) -> Response:
        return Response(await self._replays.rebuild(caller, graph_id), media_type="application/json")

    async def preview(self, graph_id: UUID, caller: Caller) -> Response:
        return Response(await self._replays.preview(caller, graph_id), media_type="application/json")

    async def page(
        self, graph_id: UUID, caller: Caller, before: _Before = None, limit: _Limit = MAX_REPLAYS
    ) -> ReplayList:
        found = await self._replays.page(caller, graph_id, before, limit)
        return ReplayList(items=list(map(_body, found)), next_before=found[-1].id if len(found) == limit else None)

    async def read(self, graph_id: UUID, replay_id: UUID, caller: Caller) -> Response:
        return Response(await self._replays.read(caller, graph_id, replay_id), media_type="application/json")


def _body(one: ReplaySummary) -> ReplaySummaryBody:
    return ReplaySummaryBody(
        id=one.id,
        cause=one.cause,
        replay_timestamp=one.replay_timestamp,
        dag_state_hash=one.dag_state_hash[:SHOWN_DIGITS],
        data_digest=one.data_digest,
        triggered_by=one.triggered_by,
        execution_id=one.execution_id,
        counts=ReplayCounts(**one.counts),
    )
