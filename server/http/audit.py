"""The route of the audit log: `/api/audit`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from auth.audit import Audit
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller

MAX_ENTRIES = 200
_MAX_ENTRY_ID = 2**63 - 1

Before = Annotated[
    int | None, Query(ge=1, le=_MAX_ENTRY_ID, description="Only entries older than the one with this id.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_ENTRIES, description="How many entries.")]
GroupId = Annotated[UUID | None, Query(description="Only entries about this group and its graphs.")]


class EntryBody(BaseModel):
    """Something that was done or refused; `username` is null for those whom one may not see."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    action: str
    outcome: str
    reason: str | None
    user_id: UUID
    username: str | None
    group_id: UUID | None
    graph_id: UUID | None
    details: Mapping[str, Any]
    address: str | None
    user_agent: str | None
    created_at: datetime


class EntryList(BaseModel):
    """Entries, newest first; `next_before` is the `before` of the next page, null if this is the last."""

    items: list[EntryBody]
    next_before: int | None


def router(audit: Audit) -> APIRouter:
    """Return the route of the audit log."""
    api = APIRouter(tags=["audit"], route_class=BoundedRoute, responses=describe(401, 403, 404, 422, 503))

    async def page(
        caller: Caller, before: Before = None, limit: Limit = MAX_ENTRIES, group_id: GroupId = None
    ) -> dict[str, object]:
        entries = await audit.page(caller, group_id, before, limit)
        return {"items": entries, "next_before": entries[-1].id if len(entries) == limit else None}

    api.add_api_route(
        "/api/audit",
        page,
        response_model=EntryList,
        summary="Read the audit log, of a group as its admin, or all as an admin of the installation",
    )
    return api
