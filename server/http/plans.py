"""Routes of a project's plan: `/api/projects/{id}/plan`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel

from persistence.replay_records import InputFormat
from replay.plan_edits import Change, patch, put
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.plans import Plans, ProjectPlan

MAX_PLAN_BODY_BYTES = 4 * 1024 * 1024

IfMatch = Annotated[
    str | None, Header(description="Tags as in ETag: change the plan only if it is as one of them says.")
]

_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "Of the plan as people edit it, for If-Match."}}


class InputBody(BaseModel):
    """An input of a plan, without when it came and how large it is."""

    name: str
    format: InputFormat
    digest: str
    rows: int


class PlanProblemBody(BaseModel):
    """One thing wrong with the plan as people edit it, and where that is."""

    code: str
    message: str
    node_id: str | None
    edge_id: str | None
    field: str | None


class PlanBody(BaseModel):
    """The plan of a project, as it was when it last was sound.

    `plan_graph_id` is the graph whose document it is, once somebody changed it; `problems` tells what is wrong with
    that. `hashes` tells of each node the first 16 hex digits of what is hashed of it and of all it is computed from.
    """

    plan_dag_version: str
    hashes: dict[str, str]
    plan_dag: dict[str, Any]
    inputs: list[InputBody]
    plan_graph_id: UUID | None
    problems: list[PlanProblemBody]


_OBJECTS = {"type": "array", "items": {"type": "object"}}
_IDS = {"type": "array", "items": {"type": "string"}}


def _body(description: str, required: list[str], **properties: Any) -> dict[str, Any]:
    properties |= {"nodes": _OBJECTS, "edges": _OBJECTS, "metadata": {"type": "object"}}
    schema = {"type": "object", "description": description, "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_PLAN = _body("A whole plan.", ["nodes", "edges"], version={"type": "string"})
_PATCH = _body(
    "Nodes and edges are merged by id (RFC 7396, null removes a member); a node that is removed takes its edges along.",
    [],
    remove_nodes=_IDS,
    remove_edges=_IDS,
)


def router(plans: Plans) -> APIRouter:
    """Return the routes of plans."""
    routes = _PlanRoutes(plans)
    api = APIRouter(tags=["plans"], route_class=_PlanRoute, responses=describe(401, 404, 503))
    one = "/api/projects/{project_id}/plan"
    answers: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}}
    changed = answers | describe(400, 403, 412, 413, 422)
    api.add_api_route(
        one, routes.read, response_model=PlanBody, summary="Read the plan of a project", responses=answers
    )
    api.add_api_route(
        one,
        routes.put,
        methods=["PUT"],
        response_model=PlanBody,
        summary="Make a plan that of a project, as an edit of its live document",
        responses=changed,
        openapi_extra=_PLAN,
    )
    api.add_api_route(
        one,
        routes.patch,
        methods=["PATCH"],
        response_model=PlanBody,
        summary="Change nodes and edges of a project's plan, as an edit of its live document",
        responses=changed,
        openapi_extra=_PATCH,
    )
    return api


class _PlanRoute(BoundedRoute):
    max_body_bytes = MAX_PLAN_BODY_BYTES


class _PlanRoutes:
    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    async def read(self, project_id: UUID, caller: Caller) -> Response:
        return _answer(await self._plans.read(caller, project_id))

    async def put(self, project_id: UUID, request: Request, caller: Caller, if_match: IfMatch = None) -> Response:
        return await self._change(caller, project_id, put(await request.body()), if_match)

    async def patch(self, project_id: UUID, request: Request, caller: Caller, if_match: IfMatch = None) -> Response:
        return await self._change(caller, project_id, patch(await request.body()), if_match)

    async def _change(self, caller: Caller, project_id: UUID, change: Change, if_match: str | None) -> Response:
        return _answer(await self._plans.change(caller, project_id, change, _expected(if_match)))


def _expected(if_match: str | None) -> frozenset[str] | None:
    """Return the tags of a header (RFC 9110, 13.1.1); weak ones match nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    return frozenset(tag.strip().strip('"') for tag in if_match.split(","))


def _answer(plan: ProjectPlan) -> Response:
    graph_id = plan.stored.plan_graph_id
    body: Mapping[str, Any] = {
        "plan_dag_version": plan.stored.plan_dag_version,
        "hashes": plan.status.hashes,
        "plan_dag": plan.stored.plan_dag,
        "inputs": [{name: getattr(one, name) for name in InputBody.model_fields} for one in plan.inputs],
        "plan_graph_id": None if graph_id is None else str(graph_id),
        "problems": [asdict(problem) for problem in plan.status.problems],
    }
    headers = {"etag": f'"{plan.status.etag}"'}
    return Response(orjson.dumps(body), headers=headers, media_type="application/json")
