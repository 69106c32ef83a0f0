"""`layercake import`: tables become a graph."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from persistence.records import Graph, Project
from server.commands.catalogue import OPERATOR, DatabaseUrl, DataDir, open_catalogue
from server.commands.sentences import explained
from server.settings import Settings
from workspace.catalogue import Catalogue
from workspace.importing import PreparedGraph, prepare_graph
from workspace.issues import TableErrors
from workspace.tables import MAX_FILE_BYTES, TableFile, TableKind

_TABLE_SUFFIXES = {".csv", ".tsv"}

Tables = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, help="Tables, or folders of them; the header of each says what it is."),
]
Nodes = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A table of nodes, whatever its header.")]
Edges = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A table of edges, whatever its header.")]
Layers = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="A table of layers, whatever its header.")
]
ProjectName = Annotated[
    str, typer.Option("--project", help="Project to import into; made if there is none of this name.")
]
GraphName = Annotated[
    str | None, typer.Option("--graph", help="Name of the graph.", show_default="the name of the folder")
]
IfEmpty = Annotated[bool, typer.Option("--if-empty", help="Do nothing if there is a project already.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("import")(import_tables)


def import_tables(
    *,
    paths: Tables = None,
    project_name: ProjectName,
    graph_name: GraphName = None,
    nodes: Nodes = None,
    edges: Edges = None,
    layers: Layers = None,
    if_empty: IfEmpty = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a graph of tables (CSV or TSV) of nodes, edges and layers: all of it, or nothing and a list of errors."""
    kinds = {TableKind.NODES: nodes, TableKind.EDGES: edges, TableKind.LAYERS: layers}
    explicit = [_read(path, kind) for kind, path in kinds.items() if path is not None]
    files = [_read(path, None) for path in _tables_in(paths or [])] + explicit
    if not files:
        raise typer.BadParameter("name the tables to import, or a folder that has some")
    graph_name = graph_name or _folder_name(paths or [Path(files[0].name)])
    prepared = _prepare(files)
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        graph = asyncio.run(_import(settings, project_name, graph_name, prepared, if_empty=if_empty))
    _report(graph, prepared)


def _tables_in(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.iterdir() if file.suffix.lower() in _TABLE_SUFFIXES)
        else:
            yield path


def _read(path: Path, kind: TableKind | None) -> TableFile:
    with path.open("rb") as file:
        return TableFile(str(path), file.read(MAX_FILE_BYTES + 1), kind)


def _folder_name(paths: Sequence[Path]) -> str:
    first = paths[0].resolve()
    return first.name if first.is_dir() else first.parent.name


def _prepare(files: Sequence[TableFile]) -> PreparedGraph:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Importing", total=None)
        try:
            return prepare_graph(files, lambda done, total: progress.update(task, completed=done, total=total))
        except TableErrors as errors:
            progress.stop()
            _complain(errors)
            raise typer.Exit(1) from None


async def _import(
    settings: Settings, project_name: str, graph_name: str, prepared: PreparedGraph, *, if_empty: bool
) -> Graph | None:
    """Store the graph and return it, or return None if there is a project and there should be none."""
    async with open_catalogue(settings) as catalogue:
        if if_empty and await catalogue.projects(OPERATOR):
            return None
        project = await _project(catalogue, project_name)
        return await catalogue.import_graph(OPERATOR, project.id, graph_name, prepared)


async def _project(catalogue: Catalogue, name: str) -> Project:
    for project in await catalogue.projects(OPERATOR):
        if project.name == name:
            return project
    return await catalogue.create_project(OPERATOR, name, None)


def _complain(errors: TableErrors) -> None:
    for issue in errors.issues:
        typer.echo(str(issue), err=True)
    more = errors.count - len(errors.issues)
    typer.echo(
        f"{errors.count} error(s){f', {more} of them not shown' if more else ''}: nothing was imported", err=True
    )


def _report(graph: Graph | None, prepared: PreparedGraph) -> None:
    if graph is None:
        typer.echo("there is a project already: nothing was imported")
        return
    content = prepared.content
    counts = f"{len(content.nodes)} nodes, {len(content.edges)} edges, {len(content.layers)} layers"
    typer.echo(f"{graph.id}  {graph.name}: {counts}")
    if prepared.left_out:
        typer.echo(f"left out, since their headers are of no such table: {', '.join(prepared.left_out)}")
