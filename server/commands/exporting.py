"""`layercake export`: a graph becomes a file."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress

from persistence.records import Graph
from server.commands.catalogue import OPERATOR, DatabaseUrl, DataDir, open_documents
from server.commands.sentences import UsageError, explained
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
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a graph to a file: CSV (nodes.csv, edges.csv and layers.csv in a zip archive), JSON or XLSX."""
    chosen = export_format or _format_of(out)
    if table is not None and chosen is not ExportFormat.CSV:
        raise typer.BadParameter("a table alone is CSV; leave --table out, or write csv")
    if graph_id is None and graph_name is None:
        raise typer.BadParameter("give the graph's id, or its name with --graph")
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        graph, document = asyncio.run(_read(settings, graph_id, project_name, graph_name))
        path = out or Path(export_file_name(graph.name, chosen, table))
        _write(path, graph, document, chosen, table)


def _format_of(out: Path | None) -> ExportFormat:
    suffix = out.suffix.lower().removeprefix(".") if out else ""
    return ExportFormat(suffix) if suffix in list(ExportFormat) else ExportFormat.CSV


async def _read(
    settings: Settings, graph_id: UUID | None, project_name: str | None, graph_name: str | None
) -> tuple[Graph, bytes]:
    """Return a graph and its document, as far as it is committed."""
    async with open_documents(settings) as (catalogue, documents):
        if graph_id is None:
            graph = await _named(catalogue, project_name, graph_name)
        else:
            graph = await catalogue.graph(OPERATOR, graph_id)
        return graph, await documents(graph.id)


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


def _write(path: Path, graph: Graph, document: bytes, export_format: ExportFormat, table: TableKind | None) -> None:
    content = read_graph_content(graph.id, document)
    console = Console(stderr=True)
    with _opened(path) as file, Progress(console=console, transient=True) as progress:
        task = progress.add_task("Exporting", total=content.entities)
        advance = lambda entities: progress.advance(task, entities)  # noqa: E731 - one expression with a name
        write_export(file, export_head(graph), content, export_format, table, advance)
    if path != Path("-"):
        counts = f"{len(content.nodes)} nodes, {len(content.edges)} edges, {len(content.layers)} layers"
        console.print(f"{path}: {counts}", highlight=False, soft_wrap=True, markup=False)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Give standard output for `-`, else a file that is at `path` once the block has ended well, and not before."""
    if path == Path("-"):
        yield sys.stdout.buffer
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
