"""`layercake plan`: plans as files, and those of projects."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from auth.policy import OPERATOR
from persistence.errors import GraphServedElsewhereError
from persistence.graphs import Graphs
from persistence.plans import Plans
from persistence.projects import Projects
from replay.hashing import SHOWN_DIGITS, hashes
from replay.plan import PlanErrors
from replay.plan_document import read_document
from replay.plan_edits import put
from replay.plan_reading import parse_json, read_plan
from server.commands.catalogue import DatabaseUrl, DataDir, nothing_is_live, open_node
from server.commands.remote import put_plan_remotely
from server.commands.sentences import UsageError, explained
from server.planning import build_planning
from server.settings import Settings
from server.store import open_store
from workspace.catalogue import Catalogue

PlanFile = Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="A plan as JSON.")]
NewPlan = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A plan as JSON.")]
OfProject = Annotated[
    UUID | None, typer.Option("--project", metavar="ID", help="The plan of the project with this id, not a file.")
]
IntoProject = Annotated[UUID, typer.Option("--project", metavar="ID", help="The project, by its id.")]
Target = Annotated[str | None, typer.Option(metavar="NODE", help="Only the hash of this node.")]
ServerAddress = Annotated[
    str | None,
    typer.Option(help="The server that has the plan open.", show_default="that of the data folder"),
]

app = typer.Typer(help="Work on plans, which say what graphs are computed from what data.", no_args_is_help=True)


@app.command()
def validate(
    file: PlanFile = None, project_id: OfProject = None, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Tell all that is wrong with a plan: a file, or what people made of a project's. Exit code 1 if anything is."""
    with explained(), _complaining():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        plan = read_plan(_told(file, project_id, partial(_edited, settings)))
    typer.echo(f"the plan is sound: {len(plan.nodes)} node(s), {len(plan.edges)} edge(s)")


@app.command("hash")
def show_hashes(
    file: PlanFile = None,
    project_id: OfProject = None,
    target: Target = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the hash of each node: another one means that the plan computes something else up to there."""
    with explained(), _complaining():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        plan = read_plan(_told(file, project_id, partial(_stored, settings)))
        found = {node_id: hash_[:SHOWN_DIGITS] for node_id, hash_ in hashes(plan).items()}
        if target is not None and target not in found:
            raise UsageError(f"the plan has no node {target!r}; it has {', '.join(found) or 'none'}")
    for node_id, hash_ in found.items():
        if target in (None, node_id):
            typer.echo(f"{hash_}  {node_id}")


@app.command("import")
def import_plan(
    file: NewPlan,
    project_id: IntoProject,
    server: ServerAddress = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a file the plan of a project, as one edit of the plan that people may have open."""
    with explained(), _complaining():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url, server=server)
        asyncio.run(_import(settings, project_id, file.read_bytes()))
    typer.echo("the plan is that of the file now")


def _told(
    file: Path | None, project_id: UUID | None, of_project: Callable[[UUID], Coroutine[Any, Any, Mapping[str, Any]]]
) -> Any:
    """Return what a file or a project says of a plan, whichever is named. Raises UsageError if not just one is."""
    if file is not None and project_id is None:
        return parse_json(file.read_bytes())
    if project_id is not None and file is None:
        return asyncio.run(of_project(project_id))
    raise UsageError("name a file, or a project with --project")


async def _stored(settings: Settings, project_id: UUID) -> Mapping[str, Any]:
    async with open_store(settings) as database:
        return (await Plans(database).read(project_id)).plan_dag


async def _edited(settings: Settings, project_id: UUID) -> Mapping[str, Any]:
    """Return what the committed document of a plan says; what is stored if there is none."""
    async with open_node(settings) as (database, node):
        stored = await Plans(database).read(project_id)
        if stored.plan_graph_id is None:
            return stored.plan_dag
        return read_document(await node.whole(stored.plan_graph_id))


async def _import(settings: Settings, project_id: UUID, body: bytes) -> None:
    try:
        async with open_node(settings) as (database, node):
            catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
            planning = build_planning(database, node, catalogue, _nothing_follows)
            await planning.plans.change(OPERATOR, project_id, put(body), None)
    except GraphServedElsewhereError:
        await put_plan_remotely(settings, project_id, body)


def _nothing_follows(project_id: UUID, user_id: UUID) -> None:
    """Be what hears of changed plans where nothing runs them."""


@contextmanager
def _complaining() -> Iterator[None]:
    """End the command with exit code 1 and every problem of the plan, each on its line."""
    try:
        yield
    except PlanErrors as errors:
        for problem in errors.problems:
            typer.echo(f"{problem.code}: {problem.message}", err=True)
        more = errors.count - len(errors.problems)
        typer.echo(f"{errors.count} problem(s)" + (f", {more} of them not shown" if more else ""), err=True)
        raise typer.Exit(1) from None
