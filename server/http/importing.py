"""The route that makes a graph of uploaded tables: `/api/projects/{id}/import`."""

import asyncio
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from auth.policy import Action
from server.http.graphs import GraphBody
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller, Name
from server.http.turn import Turn
from workspace.catalogue import Catalogue
from workspace.importing import prepare_graph
from workspace.tables import TableFile, TableKind

MAX_IMPORT_BYTES = 64 * 1024 * 1024
MAX_FILES = 16
MAX_FILE_NAME_CHARACTERS = 200

_KINDS = {"files": None, "files[]": None} | {str(kind): kind for kind in TableKind}
"""The fields of the form that hold files, and what each says they are."""

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "description": "Name of the new graph."},
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "CSV or TSV tables; the header of each says what it is.",
                        },
                    }
                    | {
                        str(kind): {
                            "type": "string",
                            "format": "binary",
                            "description": f"A table of {kind}, whatever its header suggests.",
                        }
                        for kind in TableKind
                    },
                }
            }
        },
    }
}


class ImportedBody(GraphBody):
    """The graph that was made, how much is in it, and the files that had no part in it."""

    node_count: int
    edge_count: int
    layer_count: int
    left_out: list[str]


def router(catalogue: Catalogue) -> APIRouter:
    """Return the route of imports."""
    api = APIRouter(tags=["graphs"], route_class=_ImportRoute, responses=describe(401, 503))
    api.add_api_route(
        "/api/projects/{project_id}/import",
        _ImportRoutes(catalogue).create,
        methods=["POST"],
        status_code=201,
        response_model=ImportedBody,
        summary="Make a graph of tables of nodes, edges and layers",
        responses=describe(400, 403, 404, 413, 422),
        openapi_extra=_FORM,
    )
    return api


class _ImportRoute(BoundedRoute):
    max_body_bytes = MAX_IMPORT_BYTES


class _ImportRoutes:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._turn = Turn("import")  # one at a time is held in memory

    async def create(self, project_id: UUID, request: Request, caller: Caller) -> ImportedBody:
        # Nothing is taken from those who may not import.
        await self._catalogue.authorise_project(caller, project_id, Action.EDIT)
        async with request.form(max_files=MAX_FILES, max_fields=len(_KINDS) + 1) as form:
            name = _name(form)
            async with self._turn.taken():
                prepared = await asyncio.to_thread(prepare_graph, await _files(form))
                graph = await self._catalogue.import_graph(caller, project_id, name, prepared)
        return ImportedBody(
            **GraphBody.model_validate(graph).model_dump(),
            node_count=len(prepared.content.nodes),
            edge_count=len(prepared.content.edges),
            layer_count=len(prepared.content.layers),
            left_out=list(prepared.left_out),
        )


def _name(form: FormData) -> str:
    try:
        return _NAME.validate_python(form.get("name"))
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", "name")} for one in error.errors()]) from None


_NAME: TypeAdapter[str] = TypeAdapter(Name)


async def _files(form: FormData) -> list[TableFile]:
    return [
        TableFile((upload.filename or field)[:MAX_FILE_NAME_CHARACTERS], await upload.read(), _KINDS[field])
        for field, upload in form.multi_items()
        if isinstance(upload, UploadFile) and field in _KINDS
    ]
