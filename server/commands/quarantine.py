"""`layercake quarantine`: operations that are left out of their graphs, because those failed on them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from auth.policy import OPERATOR
from persistence.errors import GraphServedElsewhereError
from persistence.graphs import Graphs
from persistence.projects import Projects
from persistence.quarantine import Quarantine as QuarantineRows
from persistence.records import QuarantinedOperation
from server.commands.catalogue import DatabaseUrl, DataDir, nothing_is_live, open_node
from server.commands.new_file import new_file
from server.commands.remote import release_remotely
from server.commands.sentences import explained
from server.http.quarantine import MAX_ID
from server.settings import Settings
from workspace.catalogue import Catalogue
from workspace.quarantine import Quarantine

_HEAD_BYTES = 64
_MINUTE, _SECOND = "%Y-%m-%d %H:%M UTC", "%Y-%m-%d %H:%M:%S UTC"

GraphId = Annotated[UUID | None, typer.Option("--graph", help="Only those of the graph with this id.")]
OperationId = Annotated[int, typer.Argument(min=1, max=MAX_ID, help="Id of an operation, as listed.")]
OperationIds = Annotated[list[int], typer.Argument(min=1, max=MAX_ID, help="Ids of operations, as listed.")]
Out = Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write the raw update to this file.")]
ServerAddress = Annotated[
    str | None,
    typer.Option(help="The server that has the graph open.", show_default="that of the data folder"),
]

app = typer.Typer(help="Work on operations that are left out of their graphs.", no_args_is_help=True)


@app.command("list")
def list_operations(graph_id: GraphId = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the operations that are left out of graphs, newest first."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        found = asyncio.run(_list(settings, graph_id))
    for one in found:
        typer.echo(f"{one.operation_id}  {one.graph_id}  {one.quarantined_at:{_MINUTE}}  {one.reason}")


@app.command()
def show(
    operation_id: OperationId, out: Out = None, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Show an operation that is left out: its graph, when and by whom it came, why it is left out, its first bytes."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        found = asyncio.run(_show(settings, operation_id))
        if out is not None:
            with new_file(out) as unfinished:
                unfinished.write_bytes(found.data)
    typer.echo(f"operation   {found.operation_id}")
    typer.echo(f"graph       {found.graph_id}")
    typer.echo(f"came        {found.created_at:{_SECOND}}")
    session = found.session_id.encode("unicode_escape").decode()  # an older version may have stored anything
    typer.echo(f"by          user {found.user_id}, session {session}, client {found.client_id or 'unknown'}")
    typer.echo(f"left out    {found.quarantined_at:{_SECOND}}")
    typer.echo(f"reason      {found.reason}")
    typer.echo(f"size        {found.size_bytes} bytes")
    typer.echo(f"begins      {found.data[:_HEAD_BYTES].hex()}")


@app.command()
def release(
    operation_ids: OperationIds,
    server: ServerAddress = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Load graphs again with operations that were left out. Exit code 1 if one had to be left out again."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url, server=server)
        are_released = [_release_one(settings, operation_id) for operation_id in operation_ids]
    if not all(are_released):
        raise typer.Exit(1)


def _release_one(settings: Settings, operation_id: int) -> bool:
    reason = asyncio.run(_release(settings, operation_id))
    if reason is None:
        typer.echo(f"{operation_id} is part of its graph again")
    else:
        typer.echo(f"{operation_id} is left out again: {reason}", err=True)
    return reason is None


async def _list(settings: Settings, graph_id: UUID | None) -> Sequence[QuarantinedOperation]:
    async with _open(settings) as quarantine:
        return await quarantine.list(OPERATOR, graph_id)


async def _show(settings: Settings, operation_id: int) -> QuarantinedOperation:
    async with _open(settings) as quarantine:
        return await quarantine.show(OPERATOR, operation_id)


async def _release(settings: Settings, operation_id: int) -> str | None:
    """Release an operation, through the server that has its graph open if one has; return why it was in vain."""
    try:
        async with _open(settings) as quarantine:
            again = await quarantine.release(OPERATOR, operation_id)
            return None if again is None else again.reason
    except GraphServedElsewhereError:
        return (await release_remotely(settings, operation_id)).reason


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Quarantine]:
    async with open_node(settings) as (database, node):
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        yield Quarantine(catalogue, QuarantineRows(database), node.hub.open, node.hub.reload)
