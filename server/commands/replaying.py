"""`layercake replay`: a graph is rebuilt of what it is made of, with all manual edits that fit."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer

from auth.policy import OPERATOR
from persistence.database import Database
from persistence.errors import GraphServedElsewhereError
from persistence.graphs import Graphs
from persistence.projection import Projection
from persistence.projects import Projects
from persistence.replay_rules import StoredReplayRules
from persistence.replays import Replays as ReplayRows
from replay.service import Rebuilds
from server.capture import FollowedCapture, OwnCapture
from server.commands.catalogue import DatabaseUrl, DataDir, nothing_is_live, open_node
from server.commands.remote import replay_remotely
from server.commands.sentences import explained
from server.http.replays import MadeCounts, PreviewBody, ReplayBody
from server.maintenance import follower
from server.node import Node
from server.rebuilding import build_rebuilds
from server.settings import Settings
from workspace.catalogue import Catalogue
from workspace.replays import Replays

GraphId = Annotated[UUID, typer.Argument(help="Id of a graph that a plan computes, or of a copy.")]
Preview = Annotated[bool, typer.Option("--preview", help="Only tell what would be done.")]
ServerAddress = Annotated[
    str | None, typer.Option(help="The server that has the graph open.", show_default="that of the data folder")
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("replay")(replay)


def replay(
    graph_id: GraphId,
    *,
    preview: Preview = False,
    server: ServerAddress = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Rebuild a graph of its base, or a copy of what its parent is now, with all manual edits that fit."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url, server=server)
        told = asyncio.run(_told(settings, graph_id, preview=preview))
    for line in told:
        typer.echo(line)


async def _told(settings: Settings, graph_id: UUID, *, preview: bool) -> list[str]:
    if preview:
        return list(_lines(await _preview(settings, graph_id)))
    return list(_lines(await _replay(settings, graph_id)))


async def _preview(settings: Settings, graph_id: UUID) -> PreviewBody:
    async with _open_replays(settings) as (replays, _):
        return PreviewBody.model_validate_json(await replays.preview(OPERATOR, graph_id))


async def _replay(settings: Settings, graph_id: UUID) -> ReplayBody:
    try:
        async with _open_replays(settings) as (replays, rebuilds):
            done = ReplayBody.model_validate_json(await replays.rebuild(OPERATOR, graph_id))
            await rebuilds.finish()
            return done
    except GraphServedElsewhereError:
        return await replay_remotely(settings, graph_id)


@asynccontextmanager
async def _open_replays(settings: Settings) -> AsyncIterator[tuple[Replays, Rebuilds]]:
    async with open_node(settings) as (database, node), open_rebuilds(settings, database, node) as rebuilds:
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        yield Replays(catalogue, ReplayRows(database), StoredReplayRules(database), rebuilds), rebuilds


@asynccontextmanager
async def open_rebuilds(settings: Settings, database: Database, node: Node) -> AsyncIterator[Rebuilds]:
    """Have what rebuilds graphs that no server follows, for the length of the block."""
    projection = Projection(database)
    followed = FollowedCapture(ReplayRows(database), lambda: None, settings.capture_timeout_s)
    try:
        yield build_rebuilds(database, node, OwnCapture(follower(projection, settings), followed))
    finally:
        await projection.close()


def _lines(done: ReplayBody | PreviewBody) -> Iterator[str]:
    """Yield what became of the edits: how many, then each that is not simply there."""
    counts = {name: getattr(done.counts, name) for name in MadeCounts.model_fields}
    yield ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count is not None)
    for kind in ("conflicts", "failed", "inapplicable", "warnings"):
        yield from (f"{kind:12}  {told.edit_id or '-'}  {told.reason}: {told.message}" for told in getattr(done, kind))
