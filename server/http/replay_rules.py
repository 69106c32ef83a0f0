"""Routes of what a project says of replays: `/api/projects/{id}/replay-rules`."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from persistence.replay_records import ConflictPolicy, ReplayRules
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.replays import Replays


class RulesBody(BaseModel):
    """Whether replays follow changes by themselves, and who wins a conflict between an edit and what is upstream."""

    model_config = ConfigDict(from_attributes=True)

    automatic: bool
    conflicts: ConflictPolicy


class RuleChanges(BaseModel):
    """What to change: a member that is absent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    automatic: bool | None = Field(None, description="Rebuild graphs by itself when what they are made of changes.")
    conflicts: ConflictPolicy | None = Field(
        None, description="mine: the edit; theirs: what is upstream; ask: the edit, until somebody settles it."
    )


def router(replays: Replays) -> APIRouter:
    """Return the routes of replay rules."""
    routes = _RuleRoutes(replays)
    api = APIRouter(tags=["replay"], route_class=BoundedRoute, responses=describe(401, 404, 503))
    path = "/api/projects/{project_id}/replay-rules"
    api.add_api_route(path, routes.read, response_model=RulesBody, summary="Read what a project says of replays")
    api.add_api_route(
        path,
        routes.change,
        methods=["PATCH"],
        response_model=RulesBody,
        summary="Change what a project says of replays",
        responses=describe(400, 403, 413, 422),
    )
    return api


class _RuleRoutes:
    def __init__(self, replays: Replays) -> None:
        self._replays = replays

    async def read(self, project_id: UUID, caller: Caller) -> ReplayRules:
        return await self._replays.rules(caller, project_id)

    async def change(self, project_id: UUID, body: RuleChanges, caller: Caller) -> ReplayRules:
        return await self._replays.change_rules(caller, project_id, body.automatic, body.conflicts)
