"""The database a command works on: the folder's own, or one named by a URL."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from persistence.backup import back_up, check_backup, restore
from persistence.database import Database
from persistence.embedded import DATABASE_FOLDER, EmbeddedServer, attach
from persistence.errors import SchemaMismatchError, StoreError
from persistence.events import Events
from persistence.migrate import is_migrated, migrate, pending
from server.settings import Settings

# Shares of `shutdown_timeout_s`; what comes before has most of the rest (`server.app`).
_CLOSE_SHARE = 0.1
_POSTGRES_SHARE = 0.3


@asynccontextmanager
async def open_store(settings: Settings, *, serve: bool = False, create: bool = False) -> AsyncIterator[Database]:
    """Open the database of `settings`; close, and stop what was started for it, at the end.

    The folder's own database is started and brought to this version's schema; with `serve` or `create` it is
    made if there is none, else that is a StoreError. One that runs already (an external one, or that of a
    server on the folder if `serve` is False) is only checked: SchemaMismatchError.
    """
    if not (serve or create):
        _check_there(settings)
    async with _server_url(settings, serve=serve) as (url, is_started):
        if is_started:
            await migrate(url)
        else:
            await _check_running(settings, url)
        async with _opened(url, settings) as database:
            if is_started:
                await Events(database).make_partitions()
            yield database


async def migrate_store(settings: Settings) -> tuple[str, ...]:
    """Bring the database of `settings` to this version's schema; return the migrations that it lacked.

    Afterwards the partitions of the coming months are there, too.
    """
    async with _server_url(settings, serve=False) as (url, is_started):
        if settings.database_url is None and not is_started:
            await _check_running(settings, url)
        applied = await migrate(url)
        async with _opened(url, settings) as database:
            await Events(database).make_partitions()
        return applied


async def back_up_store(settings: Settings, file: Path) -> None:
    """Write the whole database of `settings` to `file`, whether a server runs on it or not. Raises StoreError."""
    _check_there(settings)
    async with _server_url(settings, serve=False) as (url, _):
        if not await is_migrated(url):
            raise StoreError("there is nothing of Layercake's in this database; correct --database-url or --data-dir")
        await back_up(url, file)


async def restore_store(settings: Settings, file: Path) -> tuple[str, ...]:
    """Make the database of `settings`, which is empty, one with what is in `file`; return the migrations `file` lacked.

    A folder that had none before has none if this raises or is cancelled. Raises StoreError,
    DataDirectoryBusyError if a server runs on the folder.
    """
    dumped_from = await check_backup(file)
    had_database = settings.database_url is not None or _has_database(settings)
    try:
        async with _server_url(settings, serve=True) as (url, _):
            applied = await restore(url, file, dumped_from)
            async with _opened(url, settings) as database:
                await Events(database).make_partitions()
            return applied
    except BaseException:
        if not had_database:
            shutil.rmtree(settings.data_dir / DATABASE_FOLDER, ignore_errors=True)
        raise


def _has_database(settings: Settings) -> bool:
    return (settings.data_dir / DATABASE_FOLDER).exists()


def _check_there(settings: Settings) -> None:
    if settings.database_url is None and not _has_database(settings):
        raise StoreError(f"there is no database in {settings.data_dir}; name its folder with --data-dir")


async def _check_running(settings: Settings, url: str) -> None:
    """Return if the database has this version's schema; it is not changed under a server that runs."""
    try:
        await check_schema(url)
    except SchemaMismatchError as error:
        if settings.database_url is not None:
            raise
        raise StoreError(
            f"the server on {settings.data_dir} is of an older version than this command; restart it first"
        ) from error


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
