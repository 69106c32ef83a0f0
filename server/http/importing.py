"""The routes that take uploaded files: `/api/projects/{id}/import` makes a graph of them, `/api/graphs/{id}/import`
merges them into one."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from auth.policy import Action
from server.http.graphs import ContentSource, GraphBody
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller, Name
from server.http.turn import Turn
from server.workers import Workers
from workspace.catalogue import Catalogue
from workspace.importing import MERGE_EVENT, merge_files, prepare_graph, preview_merge
from workspace.ports import LiveEditor
from workspace.tables import TableFile, TableKind

_T = TypeVar("_T")

MAX_IMPORT_BYTES = 64 * 1024 * 1024
MAX_FILES = 16
MAX_FIELDS = 8
"""Of a form, beside its files."""

MAX_FILE_NAME_CHARACTERS = 200

_KINDS = {"files": None, "files[]": None} | {kind.value: kind for kind in TableKind}
"""The fields of the form that hold files, and what each says they are."""


def _form(required: list[str], members: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the API description says of a form with files and `members`."""
    file = {"type": "string", "format": "binary"}
    of_kinds = {
        kind.value: {**file, "description": f"A table of {kind}, whatever its header suggests."} for kind in TableKind
    }
    files = {
        "type": "array",
        "items": file,
        "description": "CSV, TSV, XLSX, JSON, or tables packed with zip; the content of each says what it is.",
    }
    schema = {"type": "object", "required": required, "properties": {**members, "files": files, **of_kinds}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_NEW = _form(["name"], {"name": {"type": "string", "description": "Name of the new graph."}})
_MERGED = _form(
    [],
    {
        "replace": {
            "type": "boolean",
            "default": False,
            "description": "Delete, of each kind that the files have, what they do not name.",
        },
        "dry_run": {"type": "boolean", "default": False, "description": "Only tell what would be done."},
    },
)


class ImportedBody(GraphBody):
    """The graph that was made, how much is in it, and the files that had no part in it."""

    node_count: int
    edge_count: int
    layer_count: int
    left_out: list[str]


class Counts(BaseModel):
    """How many entities of each kind."""

    nodes: int
    edges: int
    layers: int


class MergedBody(BaseModel):
    """What was done to the entities of a graph that the files name, and the files that had no part in it."""

    added: Counts
    changed: Counts
    deleted: Counts
    unchanged: Counts
    left_out: list[str]


def router(catalogue: Catalogue, content: ContentSource, workers: Workers, editor: LiveEditor) -> APIRouter:
    """Return the routes of imports."""
    routes = _ImportRoutes(catalogue, content, workers, editor)
    api = APIRouter(tags=["graphs"], route_class=_ImportRoute, responses=describe(401, 503))
    bad_body = describe(400, 403, 404, 413, 422)
    api.add_api_route(
        "/api/projects/{project_id}/import",
        routes.create,
        methods=["POST"],
        status_code=201,
        response_model=ImportedBody,
        summary="Make a graph of tables of nodes, edges and layers",
        responses=bad_body,
        openapi_extra=_NEW,
    )
    api.add_api_route(
        "/api/graphs/{graph_id}/import",
        routes.merge,
        methods=["POST"],
        response_model=MergedBody,
        summary="Merge tables of nodes, edges and layers into a graph, by id, while people edit it",
        responses=bad_body,
        openapi_extra=_MERGED,
    )
    return api


class _ImportRoute(BoundedRoute):
    max_body_bytes = MAX_IMPORT_BYTES


class _ImportRoutes:
    def __init__(self, catalogue: Catalogue, content: ContentSource, workers: Workers, editor: LiveEditor) -> None:
        self._catalogue = catalogue
        self._content = content
        self._workers = workers
        self._editor = editor
        self._turn = Turn("import")  # one at a time is held in memory

    async def create(self, project_id: UUID, request: Request, caller: Caller) -> ImportedBody:
        # Nothing is taken from those who may not import.
        await self._catalogue.authorise_project(caller, project_id, Action.EDIT)
        async with _form_of(request) as form:
            name = _valid(_NAME, form, "name")
            async with self._turn.taken():
                prepared = await self._workers.run(prepare_graph, await _files(form))
                graph = await self._catalogue.import_graph(caller, project_id, name, prepared)
        return ImportedBody(
            **GraphBody.model_validate(graph).model_dump(),
            node_count=prepared.counts["nodes"],
            edge_count=prepared.counts["edges"],
            layer_count=prepared.counts["layers"],
            left_out=list(prepared.left_out),
        )

    async def merge(
        self, graph_id: UUID, request: Request, caller: Caller, replace: bool = False, dry_run: bool = False
    ) -> Mapping[str, Any]:
        await self._catalogue.authorise_graph(caller, graph_id, Action.EDIT)
        async with _form_of(request) as form:
            replace = _valid(_FLAG, form, "replace") if "replace" in form else replace
            dry_run = _valid(_FLAG, form, "dry_run") if "dry_run" in form else dry_run
            async with self._turn.taken():
                files = await _files(form)
                if dry_run:
                    document = await self._content(graph_id)
                    return await self._workers.run(preview_merge, files, graph_id, replace, document)
                build = partial(merge_files, files, graph_id, replace)
                return await self._editor.edit(caller.caller, graph_id, MERGE_EVENT, build)


@asynccontextmanager
async def _form_of(request: Request) -> AsyncIterator[FormData]:
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS)
    except (LookupError, UnicodeError):  # a charset that is none, or that cannot say what was sent
        raise HTTPException(400, "the form's charset is not understood; send multipart/form-data in UTF-8") from None
    try:
        yield form
    finally:
        await form.close()


_NAME: TypeAdapter[str] = TypeAdapter(Name)
_FLAG: TypeAdapter[bool] = TypeAdapter(bool)


def _valid(adapter: TypeAdapter[_T], form: FormData, field: str) -> _T:
    try:
        return adapter.validate_python(form.get(field))
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", field)} for one in error.errors()]) from None


async def _files(form: FormData) -> list[TableFile]:
    return [
        TableFile(_file_name(upload.filename or field), await upload.read(), _KINDS[field])
        for field, upload in form.multi_items()
        if isinstance(upload, UploadFile) and field in _KINDS
    ]


def _file_name(name: str) -> str:
    """Return a name that can be told and stored: no control characters, no halves of characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "_", name)[:MAX_FILE_NAME_CHARACTERS]
