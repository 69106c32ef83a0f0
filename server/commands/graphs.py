"""`layercake graphs`: which graphs there are."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from auth.policy import OPERATOR
from persistence.records import Graph, Project
from server.commands.catalogue import DatabaseUrl, DataDir, open_catalogue
from server.commands.sentences import explained
from server.settings import Settings

_PIPE_COLUMNS = 2_000
"""Of what is no terminal: more than any row has, so that each is one line."""

ProjectName = Annotated[str | None, typer.Option("--project", help="Only the graphs of this project.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("graphs")(list_graphs)


def list_graphs(project_name: ProjectName = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the graphs, oldest first."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        found = asyncio.run(_graphs(settings, project_name))
    # A narrow terminal folds names, but an id is only of use whole.
    whole = Column("id", min_width=36, no_wrap=True)
    folded = [Column(name, overflow="fold") for name in ("project", "name", "type", "created")]
    table = Table(whole, *folded, box=None)
    for project, graph in found:
        cells = (str(graph.id), project.name, graph.name, graph.graph_type, f"{graph.created_at:%Y-%m-%d %H:%M}")
        table.add_row(*map(Text, cells))  # not markup, whatever it looks like
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    console.print(table)


async def _graphs(settings: Settings, project_name: str | None) -> list[tuple[Project, Graph]]:
    async with open_catalogue(settings) as catalogue:
        return [
            (project, graph)
            for project in await catalogue.projects(OPERATOR)
            if project_name in (None, project.name)
            for graph in await catalogue.graphs(OPERATOR, project.id)
        ]
