"""`layercake export`: a graph becomes a file."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress

from auth.audit import TERMINAL
from auth.policy import OPERATOR
from persistence.graphs import Graphs
from persistence.projects import Projects
from persistence.records import Graph
from server.commands.catalogue import DatabaseUrl, DataDir, nothing_is_live, open_node
from server.commands.new_file import new_file
from server.commands.sentences import UsageError, explained
from server.community import build_audit
from server.settings import Settings
from workspace.catalogue import Catalogue
from workspace.exporting import ExportFormat, export_file_name, export_head, read_graph_content, write_export
from workspace.tables import TableKind

GraphId = Annotated[UUID | None, typer.Argument(metavar="[GRAPH]", help="Id of the graph, as `graphs` lists it.")]
Format = Annotated[
    ExportFormat | None,
    typer.Option("--format", help="What to write.", show_default="what the name of the file says, else csv"),
]
Out = Annotated[
    Path | None,
    typer.Option(help="File to write, - for standard output.", show_default="the graph's name, in this folder"),
]
OneTable = Annotated[TableKind | None, typer.Option("--table", help="Only this table, as plain CSV.")]
ProjectName = Annotated[str | None, typer.Option("--project", help="Project of the graph, instead of its id.")]
GraphName = Annotated[str | None, typer.Option("--graph", help="Name of the graph, instead of its id.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file, if there is one.")]

_STANDARD_OUTPUT = Path("-")
_FORMATS = {"": ExportFormat.CSV, ".csv": ExportFormat.CSV, ".zip": ExportFormat.CSV} | {
    f".{name.value}": name for name in (ExportFormat.JSON, ExportFormat.XLSX)
}
"""What the name of a file says, by its suffix."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("export")(export_graph)


def export_graph(
    *,
    graph_id: GraphId = None,
    export_format: Format = None,
    out: Out = None,
    table: OneTable = None,
    project_name: ProjectName = None,
    graph_name: GraphName = None,
    force: Force = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a graph to a file: CSV (nodes.csv, edges.csv and layers.csv in a zip archive), JSON or XLSX."""
    chosen = export_format or _format_of(out)
    _check_table(chosen, out, table)
    if graph_id is None and graph_name is None:
        raise typer.BadParameter("give the graph's id, or its name with --graph")
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        graph, document = asyncio.run(_read(settings, graph_id, project_name, graph_name, chosen))
        path = out or Path(export_file_name(graph.name, chosen, table))
        with _opened(path, force=force) as file:
            counts = _write(file, graph, document, chosen, table)
        if path != _STANDARD_OUTPUT:
            typer.echo(f"{path}: {counts}", err=True)


def _format_of(out: Path | None) -> ExportFormat:
    suffix = out.suffix.lower() if out else ""
    if suffix not in _FORMATS:
        raise typer.BadParameter(f"{suffix} says no format; name the file .zip, .json or .xlsx, or give --format")
    return _FORMATS[suffix]


def _check_table(export_format: ExportFormat, out: Path | None, table: TableKind | None) -> None:
    if export_format is not ExportFormat.CSV:
        if table is not None:
            raise typer.BadParameter("a table alone is CSV; leave --table out, or write csv")
    elif table is None and out is not None and out.suffix.lower() == ".csv":
        raise typer.BadParameter("the tables of a graph are a zip archive; name it .zip, or choose one with --table")


async def _read(
    settings: Settings,
    graph_id: UUID | None,
    project_name: str | None,
    graph_name: str | None,
    export_format: ExportFormat,
) -> tuple[Graph, bytes]:
    """Return a graph and its document, as far as it is committed; the audit log tells of it."""
    async with open_node(settings) as (database, node):
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        if graph_id is None:
            graph = await _named(catalogue, project_name, graph_name)
        else:
            graph = await catalogue.graph(OPERATOR, graph_id)
        document = await node.whole(graph.id)
        await build_audit(database).exported(TERMINAL, graph.id, graph.project_id, export_format.value)
        return graph, document


async def _named(catalogue: Catalogue, project_name: str | None, graph_name: str | None) -> Graph:
    found = [
        graph
        for project in await catalogue.projects(OPERATOR)
        if project_name in (None, project.name)
        for graph in await catalogue.graphs(OPERATOR, project.id)
        if graph.name == graph_name
    ]
    if len(found) != 1:
        many = f"there are {len(found)} graphs" if found else "there is no graph"
        raise UsageError(f"{many} of the name {graph_name!r}; `layercake graphs` lists all with their ids")
    return found[0]


def _write(file: BinaryIO, graph: Graph, document: bytes, export_format: ExportFormat, table: TableKind | None) -> str:
    """Write the graph and return how much is in it."""
    content = read_graph_content(graph.id, document)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Exporting", total=content.entities)
        advance = lambda entities: progress.advance(task, entities)  # noqa: E731 - one expression with a name
        write_export(file, export_head(graph), content, export_format, table, advance)
    return f"{len(content.nodes)} nodes, {len(content.edges)} edges, {len(content.layers)} layers"


@contextmanager
def _opened(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Give a file that is at `path` once the block has ended well, and not before.

    What is no regular file (a pipe, a device, standard output by any name) is written to as it is, and a link
    stays one.
    """
    if path == _STANDARD_OUTPUT or _is_standard_output(path):
        yield sys.stdout.buffer
    elif path.exists() and not (path.is_file() or path.is_dir()):
        with path.open("wb") as file:
            yield file
    elif path.is_file() and not force:
        raise UsageError(f"{path} exists already and is left as it is; name another file, or replace it with --force")
    else:
        with new_file(path.resolve(), replace=force) as unfinished, unfinished.open("wb") as file:
            yield file


def _is_standard_output(path: Path) -> bool:
    """Tell whether `path` leads to the file, pipe or terminal that standard output is, as /dev/stdout does."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(1))
