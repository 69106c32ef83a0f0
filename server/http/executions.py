"""Routes of runs of a project's plan: begin one, see how far it is, cancel it, take the files it wrote."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from persistence.execution_records import Change, Execution, ExecutionStatus, ExecutionType, NodeStatus
from replay.execution_views import ExecutionViews
from replay.executions import Executions
from replay.node_configs import RenderTarget
from replay.plan import MAX_ID_BYTES, MAX_NODES
from server.http.downloads import content_disposition
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.plan_outputs import media_type

HEARTBEAT_S = 15.0
"""After so long without an event a comment is sent, so that nobody on the way takes the connection for dead."""

_EVENTS_MEDIA_TYPE = "text/event-stream"
_EVENT_SCHEMA: Mapping[str, Any] = {  # of each event of the stream
    "type": "object",
    "properties": {"event": {"type": "string", "enum": ["execution", "node"]}, "data": {"type": "string"}},
    "required": ["event", "data"],
}

NodeId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_BYTES)]


class NewRun(BaseModel):
    """What to run: nodes of the plan with all they are computed from; by default, all that make a graph or a file."""

    targets: Annotated[list[NodeId], Field(max_length=MAX_NODES)] = []


class NewRunBody(BaseModel):
    """The run that has begun."""

    id: UUID


class NodeRunBody(BaseModel):
    """How far a node is; `change` tells why a graph was made or rebuilt, `replay` what became of its edits then."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    status: NodeStatus
    ms: int | None
    error: str | None
    change: Change | None
    replay: Mapping[str, Any] | None


class OutputBody(BaseModel):
    """A file that an output node wrote, and where it is."""

    node_id: str
    format: str
    file_name: str
    size_bytes: int
    url: str


class ExecutionBody(BaseModel):
    """A run of a plan; `nodes` are in the order in which they run, `graphs` tells the graph of each node."""

    id: UUID
    project_id: UUID
    execution_type: ExecutionType
    targets: list[str]
    status: ExecutionStatus
    error: str | None
    nodes: list[NodeRunBody]
    graphs: dict[str, UUID]
    outputs: list[OutputBody]
    started_at: datetime
    completed_at: datetime | None

    @classmethod
    def of(cls, execution: Execution) -> "ExecutionBody":
        """Return a run as it is answered."""
        return cls(
            **{name: getattr(execution, name) for name in _AS_STORED},
            targets=list(execution.targets),
            nodes=[NodeRunBody.model_validate(node) for node in execution.nodes],
            graphs={node_id: UUID(graph_id) for node_id, graph_id in execution.graphs.items()},
            outputs=[
                OutputBody(
                    node_id=one.node_id,
                    format=one.format,
                    file_name=one.file_name,
                    size_bytes=one.size_bytes,
                    url=f"/api/executions/{execution.id}/outputs/{quote(one.node_id, safe='')}",
                )
                for one in execution.outputs
            ],
        )


_AS_STORED = ("id", "project_id", "execution_type", "status", "error", "started_at", "completed_at")


class ExecutionList(BaseModel):
    """The runs of a project that are kept, newest first."""

    items: list[ExecutionBody]


def router(executions: Executions, views: ExecutionViews) -> APIRouter:
    """Return the routes of runs."""
    routes = _ExecutionRoutes(executions, views)
    api = APIRouter(tags=["executions"], route_class=BoundedRoute, responses=describe(401, 404, 503))
    of_project, one = "/api/projects/{project_id}/executions", "/api/executions/{execution_id}"
    api.add_api_route(
        of_project,
        routes.start,
        methods=["POST"],
        status_code=202,
        response_model=NewRunBody,
        summary="Run the plan of a project",
        responses=describe(400, 403, 409, 413, 422),
    )
    api.add_api_route(
        of_project, routes.of_project, response_model=ExecutionList, summary="List the runs of a project's plan"
    )
    api.add_api_route(one, routes.read, response_model=ExecutionBody, summary="See how far a run is")
    api.add_api_route(
        f"{one}/cancel",
        routes.cancel,
        methods=["POST"],
        status_code=202,
        response_class=Response,
        summary="End a run before its next node",
        responses=describe(403),
    )
    _add_streams(api, routes, one)
    return api


def _add_streams(api: APIRouter, routes: "_ExecutionRoutes", one: str) -> None:
    api.add_api_route(
        f"{one}/events",
        routes.events,
        response_class=StreamingResponse,
        summary="Follow a run by server-sent events",
        description=(
            "`event: execution` carries the whole run, first and last; `event: node` one node that is further than "
            "it was. Whoever reads slowly is told the latest state only. The stream ends with the run."
        ),
        responses={200: {"content": {_EVENTS_MEDIA_TYPE: {"schema": _EVENT_SCHEMA}}}},
    )
    binary = {"schema": {"type": "string", "format": "binary"}}
    api.add_api_route(
        f"{one}/outputs/{{node_id:path}}",
        routes.output,
        response_class=Response,
        summary="Download a file that a run wrote",
        responses={200: {"content": {media_type(target).split(";")[0]: binary for target in RenderTarget}}},
    )


class _ExecutionRoutes:
    def __init__(self, executions: Executions, views: ExecutionViews) -> None:
        self._executions = executions
        self._views = views

    async def start(self, project_id: UUID, caller: Caller, body: NewRun = NewRun()) -> dict[str, object]:  # noqa: B008 - immutable
        return {"id": (await self._executions.start(caller, project_id, body.targets)).id}

    async def of_project(self, project_id: UUID, caller: Caller) -> dict[str, object]:
        return {"items": [ExecutionBody.of(one) for one in await self._views.of_project(caller, project_id)]}

    async def read(self, execution_id: UUID, caller: Caller) -> ExecutionBody:
        return ExecutionBody.of(await self._views.read(caller, execution_id))

    async def cancel(self, execution_id: UUID, caller: Caller) -> Response:
        await self._executions.cancel(caller, execution_id)
        return Response(status_code=202)

    async def events(self, execution_id: UUID, caller: Caller) -> StreamingResponse:
        states = self._views.watch(caller, execution_id)
        first = await anext(states)  # what one may not see is answered as such, before anything is sent
        return StreamingResponse(_events(first, states), media_type=_EVENTS_MEDIA_TYPE)

    async def output(self, execution_id: UUID, node_id: str, caller: Caller) -> Response:
        file, content = await self._views.output(caller, execution_id, node_id)
        headers = {"content-disposition": content_disposition(file.file_name)}
        return Response(content, media_type=media_type(RenderTarget(file.format)), headers=headers)


async def _events(first: Execution, states: AsyncGenerator[Execution]) -> AsyncIterator[bytes]:
    """Yield a run as events: whole, then each node that is further, then whole again when it has ended."""
    yield _event("execution", ExecutionBody.of(first))
    seen = first
    async with aclosing(states):
        async for execution in _beating(states):
            if execution is None:
                yield b": still running\n\n"
                continue
            for node in execution.nodes:
                if node not in seen.nodes:
                    yield _event("node", NodeRunBody.model_validate(node))
            seen = execution
            if not execution.is_running:
                yield _event("execution", ExecutionBody.of(execution))


async def _beating(states: AsyncGenerator[Execution]) -> AsyncIterator[Execution | None]:
    """Yield what comes, and None whenever nothing does for HEARTBEAT_S."""
    while True:
        following = asyncio.ensure_future(anext(states, None))
        try:
            while not (await asyncio.wait((following,), timeout=HEARTBEAT_S))[0]:
                yield None
            execution = following.result()
        finally:
            following.cancel()
            await asyncio.wait((following,))
        if execution is None:
            return
        yield execution


def _event(name: str, body: BaseModel) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), body.model_dump_json().encode())
