"""`layercake import`: files become a graph, or are merged into one."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn

from auth.policy import OPERATOR
from persistence.errors import GraphServedElsewhereError
from persistence.graphs import Graphs
from persistence.projects import Projects
from persistence.records import Graph, Project
from server.commands.catalogue import (
    DatabaseUrl,
    DataDir,
    GroupOption,
    group_named,
    nothing_is_live,
    open_documents,
    open_editor,
)
from server.commands.remote import merge_remotely
from server.commands.sentences import UsageError, explained
from server.http.requests import Name
from server.settings import Settings
from server.store import open_store
from workspace.catalogue import Catalogue
from workspace.importing import MERGE_EVENT, PreparedGraph, merge_files, prepare_graph, preview_merge
from workspace.issues import TableErrors
from workspace.reading import TABLE_SUFFIXES
from workspace.tables import MAX_FILE_BYTES, TableFile, TableKind

Tables = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, help="CSV, TSV, XLSX, JSON or zipped tables, or folders of CSV and TSV."),
]
Nodes = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A table of nodes, whatever its header.")]
Edges = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A table of edges, whatever its header.")]
Layers = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="A table of layers, whatever its header.")
]
ProjectName = Annotated[
    str | None, typer.Option("--project", help="Project of the new graph; made if there is none of this name.")
]
GraphName = Annotated[
    str | None, typer.Option("--graph", help="Name of the graph.", show_default="the name of the folder")
]
IfEmpty = Annotated[bool, typer.Option("--if-empty", help="Do nothing if there is a project already.")]
Into = Annotated[
    UUID | None,
    typer.Option("--into", metavar="GRAPH", help="Merge into the graph with this id, instead of a new one."),
]
Replace = Annotated[bool, typer.Option("--replace", help="With --into: delete what the files do not name.")]
ServerAddress = Annotated[
    str | None,
    typer.Option(help="With --into: the server that has the graph open.", show_default="that of the data folder"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --into: only tell what would be done.")]

_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a new graph goes, by names; without a group its project is any of that name."""

    group: str | None
    project: str
    graph: str


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("import")(import_tables)


def import_tables(
    *,
    paths: Tables = None,
    project_name: ProjectName = None,
    graph_name: GraphName = None,
    nodes: Nodes = None,
    edges: Edges = None,
    layers: Layers = None,
    if_empty: IfEmpty = False,
    group: GroupOption = None,
    into: Into = None,
    replace: Replace = False,
    dry_run: DryRun = False,
    server: ServerAddress = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a graph of files of nodes, edges and layers, or merge them into one: all, or nothing and the errors."""
    files = _files(paths or [], {TableKind.NODES: nodes, TableKind.EDGES: edges, TableKind.LAYERS: layers})
    if (into is None) == (project_name is None):
        raise typer.BadParameter("name the project of the new graph with --project, or a graph with --into")
    if into is None and (replace or dry_run):
        raise typer.BadParameter("--replace and --dry-run go with --into")
    with explained(), _complaining():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url, server=server)
        if into is not None:
            _tell_merged(asyncio.run(_merge(settings, into, files, replace=replace, dry_run=dry_run)))
            return
        graph_name = _valid_name(graph_name or _folder_name(paths or [Path(files[0].name)]))
        prepared = _prepare(files)
        graph = asyncio.run(
            _import(settings, _Place(group, str(project_name), graph_name), prepared, if_empty=if_empty)
        )
        _report(graph, prepared)


def _files(paths: Sequence[Path], kinds: Mapping[TableKind, Path | None]) -> list[TableFile]:
    explicit = [_read(path, kind) for kind, path in kinds.items() if path is not None]
    files = [_read(path, None) for path in _tables_in(paths)] + explicit
    if not files:
        raise typer.BadParameter("name the tables to import, or a folder that has some")
    return files


def _tables_in(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.iterdir() if file.suffix.lower() in TABLE_SUFFIXES)
        else:
            yield path


def _read(path: Path, kind: TableKind | None) -> TableFile:
    with path.open("rb") as file:
        return TableFile(str(path), file.read(MAX_FILE_BYTES + 1), kind)


def _folder_name(paths: Sequence[Path]) -> str:
    first = paths[0].resolve()
    return first.name if first.is_dir() else first.parent.name


def _valid_name(name: str) -> str:
    """Return the name as it is stored. Raises UsageError if no graph can have it."""
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise UsageError(
            "the name of a graph has 1 to 200 characters, none of them a control character; give it one with --graph"
        ) from None


def _prepare(files: Sequence[TableFile]) -> PreparedGraph:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Importing", total=None)
        return prepare_graph(files, lambda done, total: progress.update(task, completed=done, total=total))


async def _merge(
    settings: Settings, graph_id: UUID, files: Sequence[TableFile], *, replace: bool, dry_run: bool
) -> Mapping[str, Any]:
    """Merge files into a graph, or only see what that would do, and return the summary."""
    if dry_run:
        async with open_documents(settings) as (_, documents):
            return preview_merge(files, graph_id, replace, await documents(graph_id))
    with Progress(SpinnerColumn(), "Merging", console=Console(stderr=True), transient=True) as progress:
        progress.add_task("Merging", total=None)
        try:
            async with open_editor(settings) as editor:
                build = partial(merge_files, files, graph_id, replace)
                return await editor.edit(OPERATOR.caller, graph_id, MERGE_EVENT, build)
        except GraphServedElsewhereError:
            return await merge_remotely(settings, graph_id, files, replace=replace)


async def _import(settings: Settings, place: "_Place", prepared: PreparedGraph, *, if_empty: bool) -> Graph | None:
    """Store the graph and return it, or return None if there is a project and there should be none."""
    async with open_store(settings, create=True) as database:
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        if if_empty and await catalogue.projects(OPERATOR):
            return None
        project = await _project(catalogue, place.project, await group_named(database, place.group))
        return await catalogue.import_graph(OPERATOR, project.id, place.graph, prepared)


async def _project(catalogue: Catalogue, name: str, group_id: UUID | None) -> Project:
    for project in await catalogue.projects(OPERATOR):
        if project.name == name and group_id in (None, project.group_id):
            return project
    return await catalogue.create_project(OPERATOR, name, None, group_id)


@contextmanager
def _complaining() -> Iterator[None]:
    """End the command with exit code 1 and every error of the files, each on its line."""
    try:
        yield
    except TableErrors as errors:
        for issue in errors.issues:
            typer.echo(str(issue), err=True)
        more = errors.count - len(errors.issues)
        shown = f", {more} of them not shown" if more else ""
        typer.echo(f"{errors.count} error(s){shown}: nothing was imported", err=True)
        raise typer.Exit(1) from None


def _tell_merged(summary: Mapping[str, Any]) -> None:
    for act in ("added", "changed", "deleted", "unchanged"):
        typer.echo(f"{act}: " + ", ".join(f"{count} {kind}" for kind, count in summary[act].items()))
    _tell_left_out(summary["left_out"])


def _report(graph: Graph | None, prepared: PreparedGraph) -> None:
    if graph is None:
        typer.echo("there is a project already: nothing was imported")
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in prepared.counts.items())
    typer.echo(f"{graph.id}  {graph.name}: {counts}")
    _tell_left_out(prepared.left_out)


def _tell_left_out(names: Sequence[str]) -> None:
    if names:
        typer.echo(f"left out, since they are no such table: {', '.join(names)}")
