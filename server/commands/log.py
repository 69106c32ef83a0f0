"""`layercake log`: the operations that graphs were made of."""

import asyncio
import math
from datetime import timedelta
from typing import Annotated

import typer

from persistence.retention import Pruned, Retention
from server.commands.catalogue import DatabaseUrl, DataDir
from server.commands.sentences import explained
from server.settings import MAX_RETENTION_DAYS, Settings
from server.store import open_store

OlderThan = Annotated[
    float, typer.Option(min=0, max=MAX_RETENTION_DAYS, help="Age in days from which on operations are deleted.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Delete nothing, only say what would be.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    log = typer.Typer(help="Work on the log of edits.", no_args_is_help=True)
    log.command("prune")(prune)
    app.add_typer(log, name="log")


def prune(
    *, older_than: OlderThan, dry_run: DryRun = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Delete old edits that are part of their graph's compacted state: graphs stay as they are, without history."""
    if math.isnan(older_than):
        raise typer.BadParameter("expected a number of days", param_hint="--older-than")
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        pruned = asyncio.run(_prune(settings, timedelta(days=older_than), dry_run=dry_run))
    verb = "would delete" if dry_run else "deleted"
    typer.echo(f"{verb} {pruned.operations} operation(s) of {pruned.bytes} bytes, older than {older_than:g} day(s)")


async def _prune(settings: Settings, older_than: timedelta, *, dry_run: bool) -> Pruned:
    pruned: list[Pruned] = []
    async with open_store(settings) as database:
        retention = Retention(database)
        for graph_id in await retention.graphs():
            if dry_run:
                pruned.append(await retention.count(graph_id, older_than))
            else:
                pruned += [page async for page in retention.prune(graph_id, older_than)]
    return Pruned(sum(part.operations for part in pruned), sum(part.bytes for part in pruned))
