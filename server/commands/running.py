"""`layercake plan run`: a project's plan is run, by the server that is there or here."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

import typer

from auth.policy import OPERATOR
from persistence.graphs import Graphs
from persistence.projects import Projects
from server.commands.catalogue import DatabaseUrl, DataDir, nothing_is_live, open_node
from server.commands.remote import knows_a_server, run_remotely
from server.commands.replaying import open_rebuilds
from server.commands.sentences import explained
from server.executions import PlanRuns, build_plan_runs
from server.http.executions import ExecutionBody
from server.settings import Settings
from workspace.catalogue import Catalogue

OfProject = Annotated[UUID, typer.Option("--project", metavar="ID", help="The project, by its id.")]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="NODE", help="A node that makes a graph or a file.", show_default="all of them"),
]
ServerAddress = Annotated[
    str | None, typer.Option(help="The server that runs the plan.", show_default="that of the data folder, else none")
]

_STOP_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("run")(run)


def run(
    project_id: OfProject,
    targets: Targets = None,
    server: ServerAddress = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the plan of a project, and tell what became of each node. Exit code 1 if it was not completed."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url, server=server)
        execution = asyncio.run(_run(settings, project_id, targets or ()))
    for line in _lines(execution):
        typer.echo(line)
    if execution.status != "completed":
        typer.echo(f"{execution.status}: {execution.error}", err=True)
        raise typer.Exit(1)


async def _run(settings: Settings, project_id: UUID, targets: Sequence[str]) -> ExecutionBody:
    if knows_a_server(settings):
        return await run_remotely(settings, project_id, targets)
    async with open_node(settings) as (database, node), open_rebuilds(settings, database, node) as rebuilds:
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        runs = build_plan_runs(settings, database, node, catalogue, rebuilds)
        async with asyncio.TaskGroup() as parts:
            holding = parts.create_task(runs.executions.run())
            try:
                return await _ended(runs, project_id, targets)
            finally:
                await runs.executions.stop(_STOP_S)
                holding.cancel()


async def _ended(runs: PlanRuns, project_id: UUID, targets: Sequence[str]) -> ExecutionBody:
    await asyncio.sleep(0)  # what holds the runs begins
    execution = await runs.executions.start(OPERATOR, project_id, targets)
    async for state in runs.views.watch(OPERATOR, execution.id):
        execution = state
    return ExecutionBody.of(execution)


def _lines(execution: ExecutionBody) -> Iterator[str]:
    for node in execution.nodes:
        graph = execution.graphs.get(node.id)
        yield (
            f"{node.status:10} {node.id}"
            + (f"  graph {graph}" if graph else "")
            + (f"  {node.error}" if node.error else "")
        )
