"""What keeps the tables and compacted states up to date, in a process of its own: it reads whole documents.

`python -m server.maintenance` works until its standard input ends, which it does when the process that started it
ends, however. A line there says that somebody waits for the tables. Every second it writes a line of JSON (`Report`)
to standard output.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import BinaryIO

import orjson
import structlog
import uvloop

from collab.copies import CopiesSettings
from collab.follower import Follower, FollowerSettings
from persistence.audit import AuditLog
from persistence.database import Database
from persistence.errors import StoreError, StoreUnavailableError
from persistence.events import Events
from persistence.identifiers import new_id
from persistence.projection import Projection
from persistence.retention import Retention
from replay.capture import Capture
from server.logs import configure_logs
from server.settings import Settings

_log = structlog.get_logger("layercake.maintenance")

_REPORT_EVERY_S = 1.0
_HOUR_S = 3600.0
_POOL_SIZE = 2
_CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the process has done since it started, and how far behind the tables are."""

    lag_s: float = 0.0
    operations: int = 0
    steps: int = 0
    compactions: int = 0
    compactions_refused: int = 0
    failures: int = 0
    warnings: int = 0
    quarantined: int = 0
    pruned: int = 0


def _follower_settings(settings: Settings) -> FollowerSettings:
    """Return those of `settings` that the follower needs."""
    return FollowerSettings(
        compaction_operations=settings.compaction_operations,
        compaction_bytes=settings.compaction_bytes,
        compaction_age_s=settings.compaction_age_s,
        copies=CopiesSettings(memory_bytes=settings.follower_bytes, waiting_bytes=settings.pending_bytes),
    )


def follower(projection: Projection, settings: Settings) -> Follower:
    """Return the follower of a database's graphs, which captures manual edits."""
    clock = asyncio.get_running_loop().time
    return Follower(projection, partial(Capture.begin, new_id), clock, _follower_settings(settings))


class Maintenance:
    """The follower, the retention and the coming months' events of one database."""

    def __init__(self, settings: Settings, database: Database, reports: BinaryIO) -> None:
        self._settings = settings
        self._reports = reports
        self._retention = Retention(database)
        self._events = Events(database)
        self._audit = AuditLog(database)
        self._projection = Projection(database)
        self.wake = asyncio.Event()
        self._follower = follower(self._projection, settings)
        self._pruned = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; the step under way is finished."""
        async with asyncio.TaskGroup() as parts:
            others: Sequence[asyncio.Task[None]] = (
                parts.create_task(self._report(stop)),
                parts.create_task(self._hourly()),
            )
            await self._follower.run(stop, self.wake)
            for task in others:
                task.cancel()
        await self._projection.close()

    async def _report(self, stop: asyncio.Event) -> None:
        while True:
            report = Report(
                lag_s=round(self._follower.lag_s(), 3), pruned=self._pruned, **asdict(self._follower.statistics)
            )
            try:
                self._reports.write(orjson.dumps(report) + b"\n")
            except BrokenPipeError:
                stop.set()
                return
            await asyncio.sleep(_REPORT_EVERY_S)

    async def _hourly(self) -> None:
        while True:
            try:
                await self._events.make_partitions()
                await self._audit.prune(timedelta(days=self._settings.audit_retention_days))
                if self._settings.log_retention_days is not None:
                    await self._prune(timedelta(days=self._settings.log_retention_days))
            except StoreUnavailableError as error:
                _log.warning("the hourly work is done in an hour", error=str(error))
            await asyncio.sleep(_HOUR_S)

    async def _prune(self, older_than: timedelta) -> None:
        for graph_id in await self._retention.graphs():
            async with aclosing(self._retention.prune(graph_id, older_than)) as pages:
                async for page in pages:
                    self._pruned += page.operations


async def _work(settings: Settings, reports: BinaryIO) -> None:
    assert settings.database_url is not None, "set LAYERCAKE_DATABASE_URL"
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = await Database.open(settings.database_url, pool_size=_POOL_SIZE, timeout_s=settings.database_timeout_s)
    async with asyncio.TaskGroup() as parts:
        maintenance = Maintenance(settings, database, reports)
        parent = parts.create_task(_watch_input(stop, maintenance.wake))
        try:
            await maintenance.run(stop)
        finally:
            parent.cancel()
            await database.close(timeout_s=_CLOSE_S)


async def _watch_input(stop: asyncio.Event, wake: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        wake.set()
    stop.set()
    wake.set()


def _own_output() -> BinaryIO:
    """Return standard output for reports alone: what anybody else prints goes to standard error."""
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return reports


def main() -> None:
    """Work until standard input ends or SIGTERM comes; exit code 1 if the database cannot be opened."""
    settings = Settings.with_options()
    configure_logs(settings.log_format)
    reports = _own_output()
    try:
        uvloop.run(_work(settings, reports))
    except StoreError as error:
        _log.error("maintenance cannot begin", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
