"""The route that makes a file of a graph: `/api/graphs/{id}/export`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import StreamingResponse

from auth.audit import Audit
from persistence.records import Graph
from server.http.downloads import Download, content_disposition
from server.http.graphs import ContentSource
from server.http.problems import describe
from server.http.requests import Acting, BoundedRoute
from server.workers import Workers
from workspace.catalogue import Catalogue
from workspace.exporting import ExportFormat, export_file_name, export_head, read_graph_content, write_export
from workspace.tables import TableKind

_MEDIA_TYPES = {
    ExportFormat.CSV: "application/zip",
    ExportFormat.JSON: "application/json",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_TABLE_MEDIA_TYPE = "text/csv; charset=utf-8; header=present"


def router(catalogue: Catalogue, content: ContentSource, workers: Workers, audit: Audit) -> APIRouter:
    """Return the route of exports, each of which is noted in the audit log."""
    api = APIRouter(tags=["graphs"], route_class=BoundedRoute, responses=describe(401, 404, 503))
    api.add_api_route(
        "/api/graphs/{graph_id}/export",
        _ExportRoutes(catalogue, content, workers, audit).export,
        response_class=StreamingResponse,
        summary="Download a graph as CSV, JSON or XLSX",
        description=(
            "`csv` is a zip archive of nodes.csv, edges.csv and layers.csv, or one of them alone if `table` names it. "
            "`json` is what the graph is read as, without its dates. `xlsx` has a sheet of each kind, in which all "
            "text is text. An import reads each of them as an equal graph; only JSON tells empty text from none."
        ),
        responses=describe(422) | {200: {"content": _described([*_MEDIA_TYPES.values(), "text/csv"])}},
    )
    return api


def _described(media_types: Sequence[str]) -> dict[str, Any]:
    binary, parsed = {"type": "string", "format": "binary"}, {"type": "object"}
    return {name: {"schema": parsed if name == "application/json" else binary} for name in media_types}


class _ExportRoutes:
    def __init__(self, catalogue: Catalogue, content: ContentSource, workers: Workers, audit: Audit) -> None:
        self._catalogue = catalogue
        self._content = content
        self._workers = workers
        self._audit = audit

    async def export(
        self,
        graph_id: UUID,
        actor: Acting,
        format: ExportFormat = ExportFormat.CSV,  # noqa: A002 - the name of the parameter
        table: TableKind | None = None,
    ) -> Response:
        if table is not None and format is not ExportFormat.CSV:
            raise HTTPException(422, "a table alone is CSV; ask for format=csv, or leave table out")
        graph = await self._catalogue.graph(actor.principal, graph_id)
        download = await self._written(graph, await self._content(graph_id), format, table)
        await self._audit.exported(actor, graph_id, graph.project_id, format.value)
        download.headers["content-disposition"] = content_disposition(export_file_name(graph.name, format, table))
        return download

    async def _written(
        self, graph: Graph, document: bytes, export_format: ExportFormat, table: TableKind | None
    ) -> Download:
        # A worker that ends amid its work, and one that goes on after a caller who has left, leave files or make some.
        with TemporaryDirectory(prefix="layercake-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "export"
            await self._workers.run(write_file, path, export_head(graph), document, export_format, table)
            file = path.open("rb")  # what is open can be read when its name is gone
        return Download(file, _MEDIA_TYPES[export_format] if table is None else _TABLE_MEDIA_TYPE)


def write_file(
    path: Path,
    head: Mapping[str, Any],
    document: bytes,
    export_format: ExportFormat,
    table: TableKind | None,
) -> None:
    """Write a graph into a file at `path`, if its folder is still there; all else is written below that, too.

    Raises ExportError.
    """
    content = read_graph_content(UUID(head["id"]), document)
    with path.open("wb") as out:
        write_export(out, head, content, export_format, table, folder=path.parent)
