"""`layercake backup` and `layercake restore`: the whole database as one file."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server.commands.catalogue import DatabaseUrl, DataDir
from server.commands.new_file import new_file
from server.commands.sentences import explained
from server.settings import Settings
from server.store import back_up_store, restore_store

Out = Annotated[Path | None, typer.Option(help="The file to write.", show_default="layercake-<time>.dump")]
Backup = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file that `layercake backup` wrote.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("backup")(back_up)
    app.command("restore")(restore)


def back_up(out: Out = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Write the whole database to a new file, as it is at this moment; a server may go on serving.

    Only you can read the file: it holds everything, the hashes of passwords included.
    """
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        out = out or Path(f"layercake-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump")
        with new_file(out) as unfinished:
            asyncio.run(back_up_store(settings, unfinished))
        typer.echo(f"{out}: {out.stat().st_size} bytes")


def restore(file: Backup, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Restore a backup into a new data folder or an empty database; nothing is ever overwritten."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        applied = asyncio.run(restore_store(settings, file.absolute()))
        newer = f"; applied {len(applied)} migration(s) that it lacked" if applied else ""
        typer.echo(f"restored {file} into {'the database' if settings.database_url else settings.data_dir}{newer}")
