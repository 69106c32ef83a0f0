"""The database a command works on: the folder's own, or one named by a URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from persistence.backup import back_up, check_backup, restore
from persistence.database import Database
from persistence.embedded import EmbeddedServer, attach
from persistence.errors import SchemaMismatchError
from persistence.events import Events
from persistence.migrate import migrate, pending
from server.settings import Settings

# Shares of `shutdown_timeout_s`; what comes before has most of the rest (`server.app`).
_CLOSE_SHARE = 0.1
_POSTGRES_SHARE = 0.3


@asynccontextmanager
async def open_store(settings: Settings, *, serve: bool = False) -> AsyncIterator[Database]:
    """Open the database of `settings`; close, and stop what was started for it, at the end.

    The folder's own database is started and brought to this version's schema. One that runs already
    (an external one, or that of a server on the folder if `serve` is False) is only checked:
    SchemaMismatchError.
    """
    async with _server_url(settings, serve=serve) as (url, is_started):
        if is_started:
            await migrate(url)
        else:
            await check_schema(url)
        async with _opened(url, settings) as database:
            if is_started:
                await Events(database).make_partitions()
            yield database


async def migrate_store(settings: Settings) -> tuple[str, ...]:
    """Bring the database of `settings` to this version's schema; return the migrations that it lacked.

    Afterwards the partitions of the coming months are there, too.
    """
    async with _server_url(settings, serve=False) as (url, _):
        applied = await migrate(url)
        async with _opened(url, settings) as database:
            await Events(database).make_partitions()
        return applied


async def back_up_store(settings: Settings, file: Path) -> None:
    """Write the whole database of `settings` to `file`, whether a server runs on it or not. Raises StoreError."""
    async with _server_url(settings, serve=False) as (url, _):
        await back_up(url, file)


async def restore_store(settings: Settings, file: Path) -> tuple[str, ...]:
    """Make the database of `settings`, which is empty, one with what is in `file`; return the migrations `file` lacked.

    Raises StoreError, DataDirectoryBusyError if a server runs on the folder.
    """
    dumped_from = await check_backup(file)
    async with _server_url(settings, serve=True) as (url, _):
        applied = await restore(url, file, dumped_from)
        async with _opened(url, settings) as database:
            await Events(database).make_partitions()
        return applied


@asynccontextmanager
async def _server_url(settings: Settings, *, serve: bool) -> AsyncIterator[tuple[str, bool]]:
    """Give the database's URL, and whether it was started for this block."""
    running = settings.database_url
    if running is None and not serve:
        running = await attach(settings.data_dir)
    if running is not None:
        yield running, False
        return
    server = await EmbeddedServer.start(
        settings.data_dir,
        start_timeout_s=settings.database_start_timeout_s,
        stop_timeout_s=settings.shutdown_timeout_s * _POSTGRES_SHARE,
    )
    try:
        yield server.url, True
    finally:
        await server.stop()


async def check_schema(url: str) -> None:
    """Return if the database has every migration of this version; raises SchemaMismatchError."""
    missing = await pending(url)
    if missing:
        raise SchemaMismatchError(missing)


@asynccontextmanager
async def _opened(url: str, settings: Settings) -> AsyncIterator[Database]:
    database = await Database.open(url, pool_size=settings.database_pool_size, timeout_s=settings.database_timeout_s)
    try:
        yield database
    finally:
        await database.close(timeout_s=settings.shutdown_timeout_s * _CLOSE_SHARE)
