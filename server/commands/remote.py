"""What a command asks of a running server, because that has the graph open."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from server.commands.sentences import UsageError
from server.http.importing import MergedBody
from server.http.problems import Problem
from server.http.quarantine import ReleasedBody
from server.settings import Settings
from workspace.issues import TableErrors, TableIssue
from workspace.tables import TableFile

_ADDRESS = "address"

_Body = TypeVar("_Body", bound=BaseModel)


def address_file(data_dir: Path) -> Path:
    """Return where a server on this folder writes its address, as long as it serves."""
    return data_dir / _ADDRESS


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
    merged = await _ask(settings, MergedBody, f"/api/graphs/{graph_id}/import", {"replace": replace}, uploads)
    return merged.model_dump()


async def release_remotely(settings: Settings, operation_id: int) -> ReleasedBody:
    """Have the server load a graph that it has open again, with an operation that was left out.

    Raises UsageError with what the server says if it does not.
    """
    return await _ask(settings, ReleasedBody, f"/api/quarantine/{operation_id}/release")


async def _ask(
    settings: Settings, body: type[_Body], path: str, params: Mapping[str, Any] | None = None, files: Any = None
) -> _Body:
    address, timeout_s = address_of_server(settings), 2 * settings.edit_timeout_s
    try:
        async with httpx.AsyncClient(base_url=address, headers=_bearer(settings), timeout=timeout_s) as http:
            answer = await http.post(path, params=params, files=files)
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
    raise UsageError(f"{address} answers: {problem.detail}")
