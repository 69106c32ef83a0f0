"""What the commands about projects and graphs share: their options, and a catalogue on the store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from auth.policy import OPERATOR
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.groups import Groups
from persistence.projects import Projects
from server.commands.sentences import UsageError
from server.documents import Documents
from server.node import Node, running_node
from server.settings import Settings
from server.store import open_store
from server.workers import Workers
from workspace.catalogue import Catalogue
from workspace.ports import LiveEditor

DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded database.", show_default=".layercake")]
DatabaseUrl = Annotated[str | None, typer.Option(help="An external PostgreSQL instead of the embedded one.")]


GroupOption = Annotated[
    str | None,
    typer.Option("--group", help="Group of the project, by name or id.", show_default="Everyone"),
]


async def group_named(database: Database, name: str | None) -> UUID | None:
    """Return the id of the group of this name or id, None for None. Raises UsageError if it is none or several."""
    if name is None:
        return None
    found = [group for group in await Groups(database).list(OPERATOR.caller) if name in (group.name, str(group.id))]
    if len(found) != 1:
        which = ", ".join(str(group.id) for group in found)
        raise UsageError(
            f"several groups are called {name!r}; name one by its id: {which}"
            if found
            else f"there is no group {name!r}; `layercake group list` lists all"
        )
    return found[0].id


@asynccontextmanager
async def open_catalogue(settings: Settings, *, create: bool = False) -> AsyncIterator[Catalogue]:
    """Open the store for the length of the block, made if there is none and `create` says so. Raises StoreError."""
    async with open_store(settings, create=create) as database:
        yield Catalogue(Projects(database), Graphs(database), nothing_is_live)


@asynccontextmanager
async def open_editor(settings: Settings) -> AsyncIterator[LiveEditor]:
    """Open the store for changes of graphs that no server has open, for the length of the block. Raises StoreError."""
    async with open_node(settings) as (_, node):
        yield node.edits


@asynccontextmanager
async def open_documents(settings: Settings) -> AsyncIterator[tuple[Catalogue, Documents]]:
    """Open the store to read what is committed, for the length of the block. Raises StoreError."""
    async with open_node(settings) as (database, node):
        yield Catalogue(Projects(database), Graphs(database), nothing_is_live), node.whole


@asynccontextmanager
async def open_node(settings: Settings) -> AsyncIterator[tuple[Database, Node]]:
    """Open the store and what loads graphs from it, for the length of the block. Raises StoreError."""
    with closing(Workers()) as workers:
        async with open_store(settings) as database, running_node(settings, database, workers) as node:
            yield database, node


async def nothing_is_live(graph_id: UUID) -> None:
    """Be what `Catalogue` awaits after a deletion."""
