"""`layercake project`: what is done to whole projects and their graphs."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress

from collab.follower import Advance, Follower
from persistence.projection import Projection
from persistence.rebuilding import Projected, Rebuilding
from server.commands.catalogue import DatabaseUrl, DataDir
from server.commands.sentences import explained
from server.maintenance import follower
from server.settings import Settings
from server.store import open_store

_ASK_EVERY_S = 0.25

GraphIds = Annotated[list[UUID] | None, typer.Argument(help="Ids of graphs.", show_default="all graphs")]


app = typer.Typer(help="Work on whole projects and their graphs.", no_args_is_help=True)


@app.command()
def rebuild(graph_ids: GraphIds = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Remake the tables of nodes, edges and layers from the documents, also while a server runs.

    Documents are not touched. Rows keep their keys.
    """
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        rebuilt = asyncio.run(_rebuild(settings, graph_ids))
    typer.echo(
        f"rebuilt {len(rebuilt)} graph(s): {sum(graph.nodes for graph in rebuilt)} nodes, "
        f"{sum(graph.edges for graph in rebuilt)} edges, {sum(graph.layers for graph in rebuilt)} layers; "
        f"{sum(graph.warnings for graph in rebuilt)} warning(s): values that are no valid ones, shown as defaults"
    )


async def _rebuild(settings: Settings, graph_ids: Sequence[UUID] | None) -> list[Projected]:
    async with open_store(settings) as database:
        rebuilding, projection = Rebuilding(database), Projection(database)
        rows_follower = follower(projection, settings)
        graph_ids = graph_ids or await rebuilding.graphs()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            rebuilt = [
                await _rebuild_graph(rebuilding, rows_follower, graph_id)
                for graph_id in progress.track(graph_ids, description="Rebuilding")
            ]
        await projection.close()
        return rebuilt


async def _rebuild_graph(rebuilding: Rebuilding, follower: Follower, graph_id: UUID) -> Projected:
    through = await rebuilding.reset(graph_id)
    while (advance := await follower.advance(graph_id)) is not Advance.DONE:
        if advance is Advance.ELSEWHERE:  # a server follows it, and finds the cursor as reset as we do
            projected = await rebuilding.read(graph_id)
            if projected.through >= through:
                return projected
            await asyncio.sleep(_ASK_EVERY_S)
    await follower.release(graph_id)
    return await rebuilding.read(graph_id)
