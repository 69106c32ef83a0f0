"""Routes of manual edits: `/api/graphs/{id}/edits`, and `/conflicts` for those that somebody has to settle."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from persistence.replay_records import ManualEdit, OpenConflict
from replay.hashing import SHOWN_DIGITS
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.manual_edits import ManualEdits

MAX_EDITS = 200
_MAX_NUMBER = 2**63 - 1

_Active = Annotated[bool | None, Query(description="Only edits that are active, or only those that are not.")]
_After = Annotated[int, Query(ge=0, le=_MAX_NUMBER, description="Only edits with a higher number.")]
_Limit = Annotated[int, Query(ge=1, le=MAX_EDITS, description="How many edits.")]
_Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
]


class EditBody(BaseModel):
    """What somebody did to one entity of a graph that has a base, in its place among all that was done."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    number: int
    operation_type: str
    entity_id: str
    operation: Mapping[str, Any]
    context: Mapping[str, Any]
    is_active: bool
    is_open_conflict: bool
    dag_state_hash: str
    signature: str
    last_applied_at: datetime | None
    deactivated_at: datetime | None
    deactivation_reason: str | None
    created_by: UUID
    created_at: datetime

    @classmethod
    def of(cls, edit: ManualEdit) -> "EditBody":
        """Return an edit as it is answered."""
        return cls(
            **{name: getattr(edit, name) for name in cls.model_fields.keys() & set(ManualEdit.__slots__) - _CUT},
            dag_state_hash=edit.dag_state_hash[:SHOWN_DIGITS],
            operation=edit.operation_data,
            context=edit.context_data,
            signature=edit.applicability_signature,
        )


_CUT = {"dag_state_hash"}


class EditList(BaseModel):
    """Edits by number; `next_after` is the `after` of the next page, null if this is the last."""

    items: list[EditBody]
    next_after: int | None


class ConflictBody(BaseModel):
    """An edit of what changed upstream too: each field as the edit found it, as it is upstream, and as it is here."""

    edit: EditBody
    reason: str
    message: str
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, conflict: OpenConflict) -> "ConflictBody":
        """Return a conflict as it is answered."""
        edit = EditBody.of(conflict.edit)
        return cls(edit=edit, reason=conflict.reason, message=conflict.message, fields=conflict.fields)


class ConflictList(BaseModel):
    """Conflicts that somebody has to settle, by the number of their edit."""

    items: list[ConflictBody]
    next_after: int | None


class Deactivation(BaseModel):
    """Why an edit is left out."""

    reason: _Reason | None = None


class Settlement(BaseModel):
    """Who wins."""

    keep: Literal["mine", "theirs"] = Field(description="mine: the edit; theirs: what is upstream.")


def router(edits: ManualEdits) -> APIRouter:
    """Return the routes of manual edits."""
    routes = _EditRoutes(edits)
    api = APIRouter(
        prefix="/api/graphs/{graph_id}",
        tags=["replay"],
        route_class=BoundedRoute,
        responses=describe(401, 404, 422, 503),
    )
    changing = describe(400, 403, 409, 413)
    api.add_api_route("/edits", routes.page, response_model=EditList, summary="List the manual edits of a graph")
    api.add_api_route(
        "/edits/{edit_id}/deactivate",
        routes.deactivate,
        methods=["POST"],
        response_model=EditBody,
        summary="Leave an edit out, and rebuild the graph without it",
        responses=changing,
    )
    api.add_api_route(
        "/edits/{edit_id}/reactivate",
        routes.reactivate,
        methods=["POST"],
        response_model=EditBody,
        summary="Apply an edit again, and rebuild the graph with it",
        responses=changing,
    )
    api.add_api_route(
        "/conflicts", routes.conflicts, response_model=ConflictList, summary="List the conflicts to settle"
    )
    api.add_api_route(
        "/conflicts/{edit_id}",
        routes.settle,
        methods=["POST"],
        response_model=EditBody,
        summary="Settle a conflict",
        responses=changing,
    )
    return api


class _EditRoutes:
    def __init__(self, edits: ManualEdits) -> None:
        self._edits = edits

    async def page(
        self, graph_id: UUID, caller: Caller, active: _Active = None, after: _After = 0, limit: _Limit = MAX_EDITS
    ) -> EditList:
        found = await self._edits.page(caller, graph_id, after, limit, is_active=active)
        return EditList(
            items=list(map(EditBody.of, found)), next_after=found[-1].number if len(found) == limit else None
        )

    async def deactivate(
        self, graph_id: UUID, edit_id: UUID, caller: Caller, body: Deactivation | None = None
    ) -> EditBody:
        reason = None if body is None else body.reason
        return EditBody.of(await self._edits.deactivate(caller, graph_id, edit_id, reason))

    async def reactivate(self, graph_id: UUID, edit_id: UUID, caller: Caller) -> EditBody:
        return EditBody.of(await self._edits.reactivate(caller, graph_id, edit_id))

    async def conflicts(
        self, graph_id: UUID, caller: Caller, after: _After = 0, limit: _Limit = MAX_EDITS
    ) -> ConflictList:
        found = await self._edits.conflicts(caller, graph_id, after, limit)
        return ConflictList(
            items=list(map(ConflictBody.of, found)), next_after=found[-1].edit.number if len(found) == limit else None
        )

    async def settle(self, graph_id: UUID, edit_id: UUID, body: Settlement, caller: Caller) -> EditBody:
        return EditBody.of(await self._edits.settle(caller, graph_id, edit_id, body.keep))
