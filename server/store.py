"""The database a command works on: the folder's own, or one named by a URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from persistence.database import Database
from persistence.embedded import EmbeddedServer, attach
from persistence.errors import SchemaMismatchError
from persistence.migrate import migrate, pending
from server.settings import Settings

# Shares of `shutdown_timeout_s`; what comes before has most of the rest (`server.app`).
_CLOSE_SHARE = 0.1
_POSTGRES_SHARE = 0.3


@asynccontextmanager
async def open_store(settings: Settings, *, serve: bool = False) -> AsyncIterator[Database]:
    """Open the database of `settings`; close, and stop what was started for it, at the end.

    The folder's own database is started (or joined, if a server runs it and `serve` is False) and
    brought to this version's schema. An external one is only checked: SchemaMismatchError.
    """
    if settings.database_url is not None:
        await check_schema(settings.database_url)
        async with _opened(settings.database_url, settings) as database:
            yield database
        return
    running = None if serve else await attach(settings.data_dir)
    if running is not None:
        async with _opened(running, settings) as database:
            yield database
        return
    server = await EmbeddedServer.start(
        settings.data_dir,
        start_timeout_s=settings.database_start_timeout_s,
        stop_timeout_s=settings.shutdown_timeout_s * _POSTGRES_SHARE,
    )
    try:
        await migrate(server.url)
        async with _opened(server.url, settings) as database:
            yield database
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
