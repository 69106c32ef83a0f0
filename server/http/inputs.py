"""Routes of the data that a project's plan reads: `/api/projects/{id}/inputs`."""

import asyncio
from datetime import datetime
from tempfile import TemporaryFile
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from auth.policy import Action
from persistence.replay_records import InputContent, StoredInput
from server.http.downloads import Download, content_disposition
from server.http.plans import InputBody
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from server.http.turn import Turn
from workspace.catalogue import Catalogue
from workspace.inputs import MEDIA_TYPES, Inputs, received

InputName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
        description="What the source of an input node names; it may have slashes.",
    ),
]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_MEDIA_TYPES = ("application/octet-stream", *MEDIA_TYPES.values())
_FILE = {"requestBody": {"required": True, "content": dict.fromkeys(_MEDIA_TYPES, _BINARY)}}


class ListedInputBody(InputBody):
    """An input in a list."""

    model_config = ConfigDict(from_attributes=True)

    size_bytes: int
    updated_at: datetime


class InputList(BaseModel):
    """The inputs of a project, sorted by name."""

    items: list[ListedInputBody]


def router(catalogue: Catalogue, inputs: Inputs, max_bytes: int) -> APIRouter:
    """Return the routes of inputs, each of `max_bytes` at most."""

    class Route(BoundedRoute):
        max_body_bytes = max_bytes

    routes = _InputRoutes(catalogue, inputs)
    api = APIRouter(tags=["plans"], route_class=Route, responses=describe(401, 404, 503))
    of_project = "/api/projects/{project_id}/inputs"
    one = f"{of_project}/{{input_name:path}}"
    api.add_api_route(of_project, routes.of_project, response_model=InputList, summary="List the inputs of a project")
    api.add_api_route(
        one,
        routes.write,
        methods=["PUT"],
        response_model=InputBody,
        summary="Upload an input: a table as CSV or TSV, or JSON",
        description=(
            "Content-Type says which it is: text/csv, text/tab-separated-values or application/json; else the suffix "
            "of the name, else how it begins."
        ),
        responses=describe(403, 409, 413, 422),
        openapi_extra=_FILE,
    )
    _add_one(api, routes, one)
    return api


def _add_one(api: APIRouter, routes: "_InputRoutes", one: str) -> None:
    files: dict[int | str, dict[str, Any]] = {200: {"content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY)}}
    api.add_api_route(
        one, routes.read, response_class=StreamingResponse, summary="Download an input as it came", responses=files
    )
    api.add_api_route(
        one,
        routes.delete,
        methods=["DELETE"],
        status_code=204,
        summary="Delete an input that the plan does not name",
        responses=describe(403, 409),
    )


class _InputRoutes:
    def __init__(self, catalogue: Catalogue, inputs: Inputs) -> None:
        self._catalogue = catalogue
        self._inputs = inputs
        self._turn = Turn("upload or download of an input")  # one at a time is held in memory

    async def of_project(self, project_id: UUID, caller: Caller) -> dict[str, tuple[StoredInput, ...]]:
        return {"items": await self._inputs.of_project(caller, project_id)}

    async def write(self, project_id: UUID, input_name: InputName, request: Request, caller: Caller) -> InputBody:
        # Nothing is taken from those who may not upload.
        await self._catalogue.authorise_project(caller, project_id, Action.EDIT)
        async with received(request.stream()) as upload, self._turn.taken():
            content_type = request.headers.get("content-type")
            stored = await self._inputs.write(caller, project_id, input_name, content_type, upload)
        return InputBody(name=stored.name, format=stored.format, digest=stored.digest, rows=stored.rows)

    async def read(self, project_id: UUID, input_name: InputName, caller: Caller) -> Response:
        async with self._turn.taken():
            return await _download(await self._inputs.read(caller, project_id, input_name))

    async def delete(self, project_id: UUID, input_name: InputName, caller: Caller) -> None:
        await self._inputs.delete(caller, project_id, input_name)


async def _download(stored: InputContent) -> Download:
    """Return an input as a file without a name, so that whoever reads slowly holds no memory."""
    file = TemporaryFile(prefix="layercake-")  # noqa: SIM115 - the download closes it
    try:
        await asyncio.to_thread(file.write, stored.content)
    except BaseException:
        file.close()
        raise
    download = Download(file, MEDIA_TYPES[stored.format])
    download.headers["content-disposition"] = content_disposition(stored.name.rpartition("/")[2])
    return download
