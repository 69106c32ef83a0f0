"""The log writer: takes operations at once, commits them in groups, tells when they are durable.

One flush is under way at a time, so operations are committed in the order they were appended.
A flush that fails is sent again until it is stored: nothing that was taken is dropped. Only operations of graphs
that this node holds the lease of are stored; the others are refused, and their clients bring them to who does.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg
import structlog

from persistence.database import Database
from persistence.leases import Leases
from persistence.log_connection import LogConnection
from persistence.operations import flush_exists, graphs_that_exist, write_flush
from persistence.ports import CommitListener, Refusal
from persistence.records import Operation, Record

_log = structlog.get_logger("layercake.log")


# What no further attempt cures: the first two come from PostgreSQL, the others from the driver, which cannot say it.
_UNSTORABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, TypeError, ValueError)


BUSY_ENTRIES = 8
"""Measured: a flush costs as much as these many of its operations."""


class LogSettings(NamedTuple):
    """What bounds the log writer."""

    window_s: float = 0.004
    """How long operations gather for a flush, once one was written a moment ago."""
    busy_window_s: float = 0.0125
    """How long they gather while many come: from BUSY_ENTRIES in the last flush on."""
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
    store_bytes_per_s: float = 1024 * 1024
    """The slowest store that is waited for: a flush has this much longer than one statement."""
    heartbeat_s: float = 2.0
    """How often a connection that holds leases is asked whether it lives, when nothing else is sent."""
    heartbeat_timeout_s: float = 3.0
    flushes_between_cleanups: int = 5_000
    """After how many flushes the ids of old ones are forgotten."""


def window_s(entries: int, settings: LogSettings) -> float:
    """Return how long operations gather for a flush that follows one of so many entries."""
    return settings.window_s if entries < BUSY_ENTRIES else max(settings.window_s, settings.busy_window_s)


class _Entry(NamedTuple):
    graph_id: UUID
    operations: Sequence[Operation]
    records: Sequence[Record]
    listener: CommitListener
    size_bytes: int
    taken_at: float
    """Seconds of the loop's clock, which does not jump."""


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
        self._new_id = new_id
        self._settings = settings
        self._queue: deque[_Entry] = deque()
        self._in_flight: Sequence[_Entry] = ()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_room: list[Callable[[], None]] = []
        self.leases = Leases(new_id(), self._wake.set)
        self._connection = LogConnection(database, self.leases, self._wake.set, timeout_s=settings.statement_timeout_s)

    def append(self, operation: Operation, listener: CommitListener) -> None:
        """Take `operation` for the next flush; `listener` hears of its commit, in order."""
        self._take_in((operation,), (), listener, len(operation.update))

    def append_together(
        self, operations: Sequence[Operation], records: Sequence[Record], listener: CommitListener
    ) -> None:
        """Take `operations` of one graph, at least one, to be stored with `records` in one transaction, or none."""
        self._take_in(operations, records, listener, sum(len(operation.update) for operation in operations))

    def _take_in(
        self, operations: Sequence[Operation], records: Sequence[Record], listener: CommitListener, size_bytes: int
    ) -> None:
        taken_at = asyncio.get_running_loop().time()
        self._queue.append(_Entry(operations[0].graph_id, operations, records, listener, size_bytes, taken_at))
        self._bytes += size_bytes
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

    def oldest_uncommitted_age_s(self) -> float:
        """Return how long the oldest operation that is not committed has waited, in seconds; 0 if none waits."""
        entries = self._in_flight or self._queue
        return asyncio.get_running_loop().time() - entries[0].taken_at if entries else 0.0

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything taken is committed; return False if that takes longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Write flushes and see to the leases until cancelled; what is not committed by then was never acknowledged."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await self._woken()
                started = clock()
                self._wake.clear()
                await self._see_to_leases()
                batch = self._take()
                await self._flush(batch)
                if self._queue:
                    self._wake.set()
                else:
                    self._idle.set()
                await asyncio.sleep(started + window_s(len(batch), self._settings) - clock())
        finally:
            self._connection.drop()

    async def _woken(self) -> None:
        """Wait for work; meanwhile notice if the connection dies silently, while others could take our leases."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.heartbeat_s if self.leases.held else None):
                    await self._wake.wait()
                return
            await self._connection.check(self._settings.heartbeat_timeout_s)

    async def _see_to_leases(self) -> None:
        """Serve what is asked for, and have the leases again if the connection was lost; later, if that fails."""
        if not (self.leases.has_requests or (self.leases.held and not self._connection.is_open)):
            return
        try:
            connection = await self._connection.ready()
            await self.leases.serve(connection, timeout_s=self._settings.statement_timeout_s)
        except Exception as error:  # noqa: BLE001 - as for a flush
            self._note_failure("leases could not be seen to, trying again", error, self._settings.retry_first_s)
            await asyncio.sleep(self._settings.retry_first_s)
            self._wake.set()

    def _take(self) -> list[_Entry]:
        batch: list[_Entry] = []
        operations = size_bytes = 0
        while self._queue and operations < self._settings.flush_operations and size_bytes < self._settings.flush_bytes:
            entry = self._queue.popleft()
            batch.append(entry)
            operations += len(entry.operations)
            size_bytes += entry.size_bytes
        self._in_flight = batch
        return batch

    async def _flush(self, batch: list[_Entry]) -> None:
        while refusals := await self._store(batch):
            for graph_id, reason in refusals.items():
                for listener, count in self._count_off([entry for entry in batch if entry.graph_id == graph_id]):
                    listener.refused(count, reason)
            batch = [entry for entry in batch if entry.graph_id not in refusals]
        for listener, count in self._count_off(batch):
            listener.committed(count)
        self._in_flight = ()
        if self._bytes <= self._settings.buffer_bytes // 2:
            callbacks, self._on_room = self._on_room, []
            for callback in callbacks:
                callback()

    def _count_off(self, entries: Sequence[_Entry]) -> Iterable[tuple[CommitListener, int]]:
        self._bytes -= sum(entry.size_bytes for entry in entries)
        counts: Counter[CommitListener] = Counter()
        for entry in entries:
            counts[entry.listener] += len(entry.operations)
        return counts.items()

    async def _store(self, entries: Sequence[_Entry]) -> dict[UUID, Refusal]:
        """Store `entries`; return the graphs whose entries cannot be, and store nothing then."""
        if not entries:
            return {}
        flush_id = self._new_id()
        wait_s = self._settings.retry_first_s
        is_first = True
        while True:
            try:
                return await self._attempt(flush_id, entries, is_first=is_first)
            except Exception as error:  # noqa: BLE001 - a driver whose server dies raises anything; edits must outlive it
                self._note_failure("flush failed, trying again", error, wait_s)
            is_first = False
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, self._settings.retry_most_s)

    async def _attempt(self, flush_id: UUID, entries: Sequence[_Entry], *, is_first: bool) -> dict[UUID, Refusal]:
        timeout_s = self._settings.statement_timeout_s
        connection = await self._connection.ready()
        if not is_first and await flush_exists(connection, flush_id, timeout_s=timeout_s):
            return {}
        wanted = {entry.graph_id for entry in entries}
        if not wanted <= self.leases.held:
            return dict.fromkeys(wanted - self.leases.held, Refusal.ELSEWHERE)
        try:
            await self._write(connection, flush_id, entries)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "pk_crdt_flushes":
                raise
            return {}  # an earlier attempt was committed after all
        except asyncpg.ForeignKeyViolationError:
            gone = wanted - await graphs_that_exist(connection, wanted, timeout_s=timeout_s)
            return dict.fromkeys(gone, Refusal.GONE) or await self._unstorable(connection, entries)
        except _UNSTORABLE:
            return await self._unstorable(connection, entries)
        self.statistics.flushes += 1
        self.statistics.operations += sum(len(entry.operations) for entry in entries)
        return {}

    async def _write(self, connection: asyncpg.Connection, flush_id: UUID, entries: Sequence[_Entry]) -> None:
        size_bytes = sum(entry.size_bytes for entry in entries)
        await write_flush(
            connection,
            flush_id,
            [operation for entry in entries for operation in entry.operations],
            [record for entry in entries for record in entry.records],
            forget_old=self.statistics.flushes % self._settings.flushes_between_cleanups == 0,
            timeout_s=self._settings.statement_timeout_s + size_bytes / self._settings.store_bytes_per_s,
        )

    async def _unstorable(self, connection: asyncpg.Connection, entries: Sequence[_Entry]) -> dict[UUID, Refusal]:
        """Return the graphs whose entries PostgreSQL does not take; raises what is being handled if there is none."""
        graph_ids = {entry.graph_id for entry in entries}
        found = [graph_id for graph_id in graph_ids if not await self._can_store(connection, graph_id, entries)]
        if not found:
            raise  # noqa: PLE0704 - called while an error is handled
        _log.exception("edits cannot be stored and are refused", graphs=list(map(str, found)))
        return dict.fromkeys(found, Refusal.UNSTORABLE)

    async def _can_store(self, connection: asyncpg.Connection, graph_id: UUID, entries: Sequence[_Entry]) -> bool:
        """Return whether PostgreSQL takes the entries of one graph; nothing is stored."""
        trial = connection.transaction()
        await trial.start()
        try:
            await self._write(connection, self._new_id(), [entry for entry in entries if entry.graph_id == graph_id])
        except _UNSTORABLE:
            return False
        finally:
            await trial.rollback()
        return True

    def _note_failure(self, what: str, error: Exception, wait_s: float) -> None:
        self._connection.drop()
        self.statistics.retries += 1
        _log.warning(what, error=f"{type(error).__name__}: {error}", wait_s=wait_s)
