"""What a command asks of a running server, because that has the graph open."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from replay.plan import PlanErrors, PlanProblem
from server.commands.sentences import UsageError
from server.http.executions import ExecutionBody, NewRunBody
from server.http.importing import MergedBody
from server.http.plans import PlanBody
from server.http.problems import Problem
from server.http.quarantine import ReleasedBody
from server.http.replays import ReplayBody
from server.settings import Settings
from workspace.issues import TableErrors, TableIssue
from workspace.tables import TableFile

_ADDRESS = "address"
_POLL_S = 0.5

_Body = TypeVar("_Body", bound=BaseModel)


def address_file(data_dir: Path) -> Path:
    """Return where a server on this folder writes its address, as long as it serves."""
    return data_dir / _ADDRESS


def knows_a_server(settings: Settings) -> bool:
    """Return whether a server is named, or one runs on the folder."""
    return settings.server is not None or (settings.database_url is None and address_file(settings.data_dir).exists())


def address_of_server(settings: Settings) -> str:
    """Return the address of the server that is asked: the one that is set, else that of the folder's own server.

    Raises UsageError if neither is known.
    """
    if settings.server is not None:
        return settings.server
    try:
        return address_file(settings.data_dir).read_text()
    except FileNotFoundError:
        raise UsageError(
            "a server has this graph open; name it with --server http://host:port, or try again once nobody edits it"
        ) from None


async def merge_remotely(
    settings: Settings, graph_id: UUID, files: Sequence[TableFile], *, replace: bool
) -> Mapping[str, Any]:
    """Have the server merge files into a graph that it has open, and return the summary.

    Raises TableErrors as merging here would, UsageError with what the server says to anything else.
    """
    uploads = [(file.kind or "files", (file.name, file.data)) for file in files]
    path = f"/api/graphs/{graph_id}/import"
    merged = await _ask(settings, MergedBody, path, params={"replace": replace}, files=uploads)
    return merged.model_dump()


async def release_remotely(settings: Settings, operation_id: int) -> ReleasedBody:
    """Have the server load a graph that it has open again, with an operation that was left out.

    Raises UsageError with what the server says if it does not.
    """
    return await _ask(settings, ReleasedBody, f"/api/quarantine/{operation_id}/release")


async def replay_remotely(settings: Settings, graph_id: UUID) -> ReplayBody:
    """Have the server rebuild a graph that it has open, and return what became of its edits.

    Raises UsageError with what the server says if it does not.
    """
    return await _ask(settings, ReplayBody, f"/api/graphs/{graph_id}/replay")


async def run_remotely(settings: Settings, project_id: UUID, targets: Sequence[str]) -> ExecutionBody:
    """Have the server run a project's plan, and return the run once it has ended.

    Raises UsageError with what the server says to anything else.
    """
    of_project = f"/api/projects/{project_id}/executions"
    begun = await _ask(settings, NewRunBody, of_project, json={"targets": list(targets)})
    look = partial(_ask, settings, ExecutionBody, f"/api/executions/{begun.id}", method="GET")
    execution = await look()
    while execution.status == "running":
        await asyncio.sleep(_POLL_S)
        execution = await look()
    return execution


async def put_plan_remotely(settings: Settings, project_id: UUID, plan: bytes) -> None:
    """Have the server that has a project's plan open make it `plan`, JSON.

    Raises PlanErrors as changing it here would, UsageError with what the server says to anything else.
    """
    await _ask(settings, PlanBody, f"/api/projects/{project_id}/plan", method="PUT", content=plan)


async def _ask(settings: Settings, body: type[_Body], path: str, *, method: str = "POST", **request: Any) -> _Body:
    address, timeout_s = address_of_server(settings), 2 * settings.edit_timeout_s
    try:
        async with httpx.AsyncClient(base_url=address, headers=_bearer(settings), timeout=timeout_s) as http:
            answer = await http.request(method, path, **request)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # the last for a host that is none
        raise UsageError(f"{address} does not answer ({error}); start it, or correct --server") from None
    return _body(address, answer, body)


def _bearer(settings: Settings) -> dict[str, str]:
    return {} if settings.token is None else {"Authorization": f"Bearer {settings.token.get_secret_value()}"}


def _body(address: str, answer: httpx.Response, body: type[_Body]) -> _Body:
    """Return what a server says that it did; raises as `merge_remotely` does for all else."""
    try:
        if answer.is_success:
            return body.model_validate_json(answer.content)
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        said = f"{answer.status_code} {answer.reason_phrase}".strip()
        raise UsageError(f"{address} is no Layercake server, by what it answers ({said}); correct --server") from None
    if problem.code == "invalid_tables" and problem.errors:
        issues = tuple(TableIssue(error.file, error.line, error.column, error.message) for error in problem.errors)
        raise TableErrors(issues, problem.error_count or len(issues))
    if problem.code == "invalid_plan" and problem.errors:
        found = tuple(
            PlanProblem(error.code or "", error.message, error.node_id, error.edge_id, error.field)
            for error in problem.errors
        )
        raise PlanErrors(found, problem.error_count or len(found))
    raise UsageError(f"{address} answers: {problem.detail}")
