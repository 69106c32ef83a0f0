"""A graph becomes a file: CSV tables, one JSON document, or a spreadsheet.

Pure. What is written, an import reads as an equal graph, but for what `export_tables` says of empty text. JSON
holds everything. These functions take long for large graphs: a server runs them in a worker process.
"""

import csv
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar
from uuid import UUID

import orjson
from pycrdt import Doc

from persistence.document import GraphContent, read_content
from persistence.records import Graph
from workspace.export_tables import Cell, ExportTable, export_table
from workspace.tables import TableKind
from workspace.xlsx_writer import cell_problem, write_xlsx

MAX_FILE_NAME_BYTES = 200
"""Of the part that is the graph's name, in UTF-8; a whole name has 255 at most on most systems."""

PROGRESS_STEP = 1_000
"""After so many nodes, edges and layers progress is told."""

Progress = Callable[[int], None]
"""Hears how many more nodes, edges and layers are written."""

_UNSAFE = re.compile(r"[^\w .()-]+")
_T = TypeVar("_T")
_Counted = Callable[[Iterable[Any]], Iterator[Any]]


class ExportFormat(StrEnum):
    """What a graph can be exported as."""

    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


def read_graph_content(graph_id: UUID, document: bytes) -> GraphContent:
    """Return what a graph has, whose whole document is one Yjs v1 update."""
    doc: Doc[Any] = Doc()
    doc.apply_update(document)
    return read_content(doc, graph_id)


def document_json(members: Mapping[str, Any], graph_id: UUID, document: bytes) -> bytes:
    """Return the graph as one JSON object: `members`, then its nodes, edges and layers."""
    content = read_graph_content(graph_id, document)
    return orjson.dumps({**members, "nodes": content.nodes, "edges": content.edges, "layers": content.layers})


def export_file_name(graph_name: str, export_format: ExportFormat, table: TableKind | None = None) -> str:
    """Return a name for the file of a graph that any system takes: short, no separators, no dot in front."""
    stem = safe_stem(graph_name)
    if table is not None:
        return f"{stem} {table.value}.csv"
    return f"{stem}.{'zip' if export_format is ExportFormat.CSV else export_format.value}"


def safe_stem(name: str) -> str:
    """Return what of a file's name comes before its ending: short, no separators, no dot in front."""
    safe = _UNSAFE.sub("_", name).strip(" ._").encode()
    return safe[:MAX_FILE_NAME_BYTES].decode(errors="ignore") or "graph"


def export_head(graph: Graph) -> dict[str, Any]:
    """Return what a JSON document says of a graph beside its nodes, edges and layers."""
    return {
        "id": str(graph.id),
        "name": graph.name,
        "graph_type": graph.graph_type,
        "description": graph.description,
    }


def write_export(
    out: BinaryIO,
    head: Mapping[str, Any],
    content: GraphContent,
    export_format: ExportFormat,
    table: TableKind | None = None,
    progress: Progress = lambda _: None,
    folder: Path | None = None,
) -> None:
    """Write a graph to `out`; `head` are the members of a JSON document beside its lists.

    CSV is a zip archive of nodes.csv, edges.csv and layers.csv, or `table` alone if that is not None.
    A spreadsheet takes temporary files, in `folder`, else where the system has such files.
    Raises ExportError if the format cannot hold the graph, and then `out` has part of it.
    """
    counted = partial(_counted, progress)
    match export_format:
        case ExportFormat.JSON:
            _write_json(out, head, content, counted)
        case ExportFormat.XLSX:
            tables = [export_table(kind, content, cell_problem) for kind in TableKind]
            write_xlsx(out, [(table.kind.value, table.header, counted(table.rows())) for table in tables], folder)
        case ExportFormat.CSV if table is None:
            _write_archive(out, content, counted)
        case ExportFormat.CSV:
            _write_csv(out, export_table(table, content, _csv_problem), counted)


def _counted(progress: Progress, entities: Iterable[_T]) -> Iterator[_T]:
    since = 0
    for since, entity in enumerate(entities, start=1):
        yield entity
        if since % PROGRESS_STEP == 0:
            progress(PROGRESS_STEP)
    progress(since % PROGRESS_STEP)


def _write_json(out: BinaryIO, head: Mapping[str, Any], content: GraphContent, counted: _Counted) -> None:
    """Write one object with an entity on each line, so that files can be compared line by line."""
    out.write(orjson.dumps(head).removesuffix(b"}"))
    for kind in TableKind:
        out.write(b',\n"%s": [' % kind.value.encode())
        separator = b"\n"
        for entity in counted(getattr(content, kind.value)):
            out.write(separator + orjson.dumps(entity))
            separator = b",\n"
        out.write(b"\n]")
    out.write(b"}\n")


def _write_archive(out: BinaryIO, content: GraphContent, counted: _Counted) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in TableKind:
            with archive.open(f"{kind.value}.csv", "w") as part:
                _write_csv(part, export_table(kind, content, _csv_problem), counted)


def _write_csv(out: IO[bytes], table: ExportTable, counted: _Counted) -> None:
    """Write a table as RFC 4180 wants it, in UTF-8 without a mark."""
    text = TextIOWrapper(out, "utf-8", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow(table.header)
    writer.writerows([_csv_cell(cell) for cell in row] for row in counted(table.rows()))
    text.detach()


def _csv_cell(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell)


def _csv_problem(text: str) -> str | None:
    return "has a NUL character, which no CSV file can have" if "\0" in text else None
