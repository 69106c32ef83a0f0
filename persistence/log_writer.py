"""The log writer: takes operations at once, commits them in groups, tells when they are durable.

One flush is under way at a time, so operations are committed in the order they were appended.
A flush that fails is sent again until it is stored: nothing that was taken is dropped.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import structlog

from persistence.database import Database
from persistence.operations import flush_exists, graphs_that_exist, write_flush
from persistence.ports import CommitListener
from persistence.records import Operation

_log = structlog.get_logger("layercake.log")


class LogSettings(NamedTuple):
    """What bounds the log writer."""

    window_s: float = 0.004
    """How long operations gather for a flush, once one was written a moment ago."""
    flush_operations: int = 5_000
    """The most operations of one flush."""
    flush_bytes: int = 8 * 1024 * 1024
    """Once a flush has this many bytes it takes no further operation."""
    buffer_bytes: int = 64 * 1024 * 1024
    """From this many uncommitted bytes on the log is full: nobody who writes is read from."""
    statement_timeout_s: float = 10.0
    """How long one statement may take before the connection counts as broken."""
    retry_first_s: float = 0.05
    """The wait before a failed flush is sent again; it doubles up to `retry_most_s`."""
    retry_most_s: float = 0.5
    flushes_between_cleanups: int = 5_000
    """After how many flushes the ids of old ones are forgotten."""


class _Entry(NamedTuple):
    operation: Operation
    listener: CommitListener


@dataclass(slots=True)
class LogStatistics:
    """Counters since the start."""

    flushes: int = 0
    operations: int = 0
    retries: int = 0


class LogWriter:
    """The `persistence.ports.OperationLog` on PostgreSQL. `run` must be running for anything to be stored."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], settings: LogSettings = LogSettings()) -> None:  # noqa: B008 - an immutable tuple
        self.statistics = LogStatistics()
        self._database = database
        self._new_id = new_id
        self._settings = settings
        self._queue: deque[_Entry] = deque()
        self._in_flight: Sequence[_Entry] = ()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_room: list[Callable[[], None]] = []
        self._connection: asyncpg.Connection | None = None

    def append(self, operation: Operation, listener: CommitListener) -> None:
        """Take `operation` for the next flush; `listener` hears of its commit, in order."""
        self._queue.append(_Entry(operation, listener))
        self._bytes += len(operation.update)
        self._wake.set()
        self._idle.clear()

    @property
    def is_full(self) -> bool:
        """Whether more bytes wait for their commit than the log should hold."""
        return self._bytes >= self._settings.buffer_bytes

    @property
    def uncommitted_bytes(self) -> int:
        """The bytes of updates taken but not committed."""
        return self._bytes

    def when_there_is_room(self, callback: Callable[[], None]) -> None:
        """Call back once, as soon as a commit has left the log at most half full."""
        self._on_room.append(callback)

    def oldest_uncommitted_at(self) -> datetime | None:
        """Return when the oldest operation that is not committed was accepted."""
        entries = self._in_flight or self._queue
        return entries[0].operation.created_at if entries else None

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything taken is committed; return False if that takes longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Write flushes until cancelled; what is not committed by then was never acknowledged."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await self._wake.wait()
                started = clock()
                await self._flush(self._take())
                if not self._queue:
                    self._wake.clear()
                    self._idle.set()
                await asyncio.sleep(started + self._settings.window_s - clock())
        finally:
            self._drop_connection()

    def _take(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size_bytes = 0
        while self._queue and len(batch) < self._settings.flush_operations and size_bytes < self._settings.flush_bytes:
            entry = self._queue.popleft()
            batch.append(entry)
            size_bytes += len(entry.operation.update)
        self._in_flight = batch
        return batch

    async def _flush(self, batch: list[_Entry]) -> None:
        while gone := await self._store([entry.operation for entry in batch]):
            refused = [entry for entry in batch if entry.operation.graph_id in gone]
            batch = [entry for entry in batch if entry.operation.graph_id not in gone]
            for listener, count in self._count_off(refused):
                listener.refused(count)
        for listener, count in self._count_off(batch):
            listener.committed(count)
        self._in_flight = ()
        if self._bytes <= self._settings.buffer_bytes // 2:
            callbacks, self._on_room = self._on_room, []
            for callback in callbacks:
                callback()

    def _count_off(self, entries: Sequence[_Entry]) -> Iterable[tuple[CommitListener, int]]:
        self._bytes -= sum(len(entry.operation.update) for entry in entries)
        return Counter(entry.listener for entry in entries).items()

    async def _store(self, operations: Sequence[Operation]) -> set[UUID]:
        """Store `operations`; return the graphs that are gone, and store nothing then."""
        if not operations:
            return set()
        flush_id = self._new_id()
        wait_s = self._settings.retry_first_s
        while True:
            try:
                return await self._attempt(flush_id, operations)
            except Exception as error:  # noqa: BLE001 - a driver whose server dies raises anything; edits must outlive it
                self._drop_connection()
                self.statistics.retries += 1
                _log.warning("flush failed, trying again", error=f"{type(error).__name__}: {error}", wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, self._settings.retry_most_s)

    async def _attempt(self, flush_id: UUID, operations: Sequence[Operation]) -> set[UUID]:
        timeout_s = self._settings.statement_timeout_s
        connection = self._connection
        if connection is None:
            connection = self._connection = await self._database.connect_log()
            if await flush_exists(connection, flush_id, timeout_s=timeout_s):
                return set()
        forget_old = self.statistics.flushes % self._settings.flushes_between_cleanups == 0
        try:
            await write_flush(connection, flush_id, operations, forget_old=forget_old, timeout_s=timeout_s)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "pk_crdt_flushes":
                raise
            return set()  # an earlier attempt was committed after all
        except asyncpg.ForeignKeyViolationError:
            wanted = {operation.graph_id for operation in operations}
            gone = wanted - await graphs_that_exist(connection, wanted, timeout_s=timeout_s)
            if not gone:
                raise
            return gone
        self.statistics.flushes += 1
        self.statistics.operations += len(operations)
        return set()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
