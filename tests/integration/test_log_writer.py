"""LOG-1 to LOG-10 on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import asyncpg
import pytest

from persistence.database import Database
from persistence.errors import NotFoundError, StoreUnavailableError
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.locks import LockKind, graph_lock
from persistence.log_writer import LogSettings, LogWriter
from persistence.operations import StoredDocuments
from persistence.ports import Refusal
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, NewEvent, Operation
from persistence.small_documents import SMALL_BYTES, SMALL_ROWS
from tests.clients.eventually import eventually

STORED = "SELECT graph_id, operation_data, vector_clock, client_id, applied_at FROM crdt_operations ORDER BY id"
WAIT_S = 20


class Listener:
    """Counts what it hears, and can be waited for."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.count = 0
        self.reasons: set[Refusal] = set()
        self._changed = asyncio.Event()

    def committed(self, operations: int) -> None:
        self._hear("committed", operations)

    def refused(self, operations: int, reason: Refusal) -> None:
        self.reasons.add(reason)
        self._hear("refused", operations)

    def _hear(self, what: str, operations: int) -> None:
        self.heard.append((what, operations))
        self.count += operations
        self._changed.set()

    async def reaches(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while self.count < count:
                self._changed.clear()
                await self._changed.wait()


async def new_graph(database: Database) -> UUID:
    project = await Projects(database).create(Caller(ANONYMOUS_USER_ID), EVERYONE_GROUP_ID, f"p {new_id()}", None)
    return (await Graphs(database).create(Caller(ANONYMOUS_USER_ID), project.id, "g", "data", None)).id


def operation(graph_id: UUID, update: bytes = b"\x00\x00", *, pending: bool = False) -> Operation:
    now = datetime.now(UTC)
    return Operation(graph_id, update, '{"1":2}', ANONYMOUS_USER_ID, "s", "1", now, None if pending else now)


@asynccontextmanager
async def writing(
    database: Database, *graph_ids: UUID, settings: LogSettings | None = None
) -> AsyncIterator[LogWriter]:
    """A log writer that runs and holds the leases of these graphs."""
    log = LogWriter(database, new_id, settings or LogSettings())
    task = asyncio.create_task(log.run())
    try:
        for graph_id in graph_ids:
            await asyncio.wait_for(log.leases.acquire(graph_id), WAIT_S)
        yield log
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stored(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(STORED)
    finally:
        await connection.close()


async def test_LOG_1_what_is_reported_is_in_the_database_and_in_order(database: Database, database_url: str) -> None:
    graph_id, listener = await new_graph(database), Listener()
    async with writing(database, graph_id) as log:
        for number in range(300):
            log.append(operation(graph_id, b"%d" % number), listener)
        await listener.reaches(300)
        rows = await stored(database_url)
    assert [row["operation_data"] for row in rows] == [b"%d" % number for number in range(300)]
    assert rows[0]["vector_clock"] == '{"1":2}'
    assert rows[0]["applied_at"] is not None


async def test_LOG_1_nothing_is_reported_while_the_commit_waits(database: Database, database_url: str) -> None:
    graph_id, listener = await new_graph(database), Listener()
    blocker = await asyncpg.connect(database_url)
    async with writing(database, graph_id) as log:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
            log.append(operation(graph_id), listener)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await listener.reaches(1)
            assert log.oldest_uncommitted_age_s() > 0.2
            assert not await log.drain(0.01)
        await listener.reaches(1)
        assert await log.drain(WAIT_S)
        assert log.oldest_uncommitted_age_s() == 0
    await blocker.close()


async def test_LOG_2_what_arrives_together_is_committed_together(database: Database) -> None:
    first, second, listener = await new_graph(database), await new_graph(database), Listener()
    async with writing(database, first, second) as log:
        for _ in range(100):
            log.append(operation(first), listener)
            log.append(operation(second), listener)
        await listener.reaches(200)
        assert log.statistics.flushes == 1


_A_FLUSH_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


async def test_LOG_3_a_lost_connection_delays_and_loses_nothing(database: Database, database_url: str) -> None:
    graph_id, listener = await new_graph(database), Listener()
    killer = await asyncpg.connect(database_url)
    async with writing(database, graph_id) as log:
        for number in range(200):
            log.append(operation(graph_id, b"%d" % number), listener)
            await asyncio.sleep(0)
            if number % 20 == 10:
                async with killer.transaction():
                    await killer.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
                    await eventually(
                        lambda: killer.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"), bool
                    )
                    await killer.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
        await listener.reaches(200)
        assert log.statistics.retries > 0
    await killer.close()
    assert [row["operation_data"] for row in await stored(database_url)] == [b"%d" % number for number in range(200)]


async def test_LOG_4_a_commit_whose_answer_was_lost_is_not_stored_twice(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import persistence.log_writer as module

    graph_id, listener = await new_graph(database), Listener()
    real, answers_lost = module.write_flush, 0

    async def lose_the_answer(*args: object, **options: object) -> None:
        nonlocal answers_lost
        await real(*args, **options)  # type: ignore[arg-type]
        if answers_lost < 3:
            answers_lost += 1
            raise ConnectionResetError("the answer was lost")

    monkeypatch.setattr(module, "write_flush", lose_the_answer)
    async with writing(database, graph_id) as log:
        for number in range(5):
            log.append(operation(graph_id, b"%d" % number), listener)
            await listener.reaches(number + 1)
    assert answers_lost == 3
    assert [row["operation_data"] for row in await stored(database_url)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_LOG_5_the_log_is_full_from_its_bound_until_half_of_it(database: Database, database_url: str) -> None:
    graph_id, listener = await new_graph(database), Listener()
    blocker = await asyncpg.connect(database_url)
    room = asyncio.Event()
    async with writing(database, graph_id, settings=LogSettings(buffer_bytes=1000)) as log:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
            for _ in range(9):
                log.append(operation(graph_id, b"x" * 100), listener)
            assert not log.is_full
            log.append(operation(graph_id, b"x" * 100), listener)
            assert log.is_full
            log.when_there_is_room(room.set)
        async with asyncio.timeout(WAIT_S):
            await room.wait()
        assert not log.is_full
    await blocker.close()


async def test_LOG_6_a_graph_that_is_gone_does_not_hold_up_the_others(database: Database, database_url: str) -> None:
    graph_id, unknown, here, gone = await new_graph(database), new_id(), Listener(), Listener()
    async with writing(database, graph_id, unknown) as log:
        for _ in range(3):
            log.append(operation(graph_id), here)
            log.append(operation(unknown), gone)
        await here.reaches(3)
    assert here.heard == [("committed", 3)]
    assert gone.heard == [("refused", 3)]
    assert len(await stored(database_url)) == 3


async def read(database: Database, graph_id: UUID) -> tuple[list[bytes], list[bytes]]:
    """Return the updates of a graph, and those of them that are rows."""
    updates: list[bytes] = []
    rows: list[bytes] = []
    async with StoredDocuments(database).open(graph_id) as chunks:
        async for chunk in chunks:
            updates.extend(chunk.updates)
            rows.extend(chunk.updates if chunk.ids else ())
    return updates, rows


@pytest.mark.parametrize(("rows", "size_bytes"), [(SMALL_ROWS, 1), (SMALL_ROWS + 1, 1), (2, SMALL_BYTES), (0, 0)])
async def test_LOG_7_a_document_is_read_whole_whether_it_counts_as_small_or_not(
    database: Database, rows: int, size_bytes: int
) -> None:
    graph_id, listener = await new_graph(database), Listener()
    updates = [b"%d " % number * size_bytes for number in range(rows)]
    async with writing(database, graph_id) as log:
        for update in updates:
            log.append(operation(graph_id, update), listener)
        await listener.reaches(rows)
    assert (await read(database, graph_id))[0] == updates


async def test_LOG_7_a_document_is_its_state_and_the_rows_after_it(database: Database, database_url: str) -> None:
    graph_id, listener = await new_graph(database), Listener()
    async with writing(database, graph_id) as log:
        for number in range(2500):
            log.append(operation(graph_id, b"%d" % number), listener)
        await listener.reaches(2500)
    assert (await read(database, graph_id))[0] == [b"%d" % number for number in range(2500)]
    owner = await asyncpg.connect(database_url)
    through = await owner.fetchval("SELECT id FROM crdt_operations WHERE operation_data = $1", b"2000")
    waits = await owner.fetchval("SELECT id FROM crdt_operations WHERE operation_data = $1", b"7")
    await owner.execute(
        "UPDATE graphs SET crdt_state = $2, crdt_vector = $2, crdt_through = $3, crdt_pending_ids = $4 WHERE id = $1",
        *(graph_id, b"state", through, [waits]),
    )
    await owner.close()
    updates, rows = await read(database, graph_id)
    assert updates == [b"state", b"7"] + [b"%d" % number for number in range(2001, 2500)]
    assert rows == updates[1:]


async def test_LOG_8_an_unknown_graph_and_a_database_that_is_away_are_no_empty_document(database: Database) -> None:
    graph_id = await new_graph(database)
    assert await read(database, graph_id) == ([], [])
    with pytest.raises(NotFoundError):
        await read(database, new_id())
    await database.close()
    with pytest.raises(StoreUnavailableError):
        await read(database, graph_id)


async def test_LOG_9_an_update_that_waits_is_marked_until_its_turn_comes(database: Database, database_url: str) -> None:
    graph_id, listener = await new_graph(database), Listener()
    async with writing(database, graph_id) as log:
        log.append(operation(graph_id, b"waits", pending=True), listener)
        await listener.reaches(1)
        assert await read(database, graph_id) == ([b"waits"], [b"waits"])
        assert (await stored(database_url))[0]["applied_at"] is None
        log.append(operation(graph_id, b"needed")._replace(settles=(b"waits",)), listener)
        await listener.reaches(2)
    assert (await stored(database_url))[0]["applied_at"] is not None
    assert await read(database, graph_id) == ([b"waits", b"needed"], [b"waits", b"needed"]), "still not in its turn"


async def test_LOG_10_a_flush_waits_for_whoever_holds_its_graph_exclusively(
    database: Database, database_url: str
) -> None:
    graph_id, listener = await new_graph(database), Listener()
    compaction = await asyncpg.connect(database_url)
    async with writing(database, graph_id) as log:
        async with compaction.transaction():
            await compaction.execute("SELECT pg_advisory_xact_lock($1)", graph_lock(graph_id, LockKind.FLUSH))
            log.append(operation(graph_id), listener)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await listener.reaches(1)
            assert await compaction.fetchval("SELECT count(*) FROM crdt_operations") == 0
        await listener.reaches(1)
    await compaction.close()


async def test_LOG_10_no_operation_has_its_id_before_its_flush_has_every_lock(
    database: Database, database_url: str
) -> None:
    """Whoever holds a graph's lock sees no id of it that is not committed, whichever of the others is waited for."""
    graph_ids, listener = [await new_graph(database) for _ in range(3)], Listener()
    compaction = await asyncpg.connect(database_url)
    last = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('crdt_operations', 'id')), 0)"
    waits = """
        SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()
    """
    async with writing(database, *graph_ids) as log:
        for times, held in enumerate(graph_ids, start=1):
            before = await compaction.fetchval(last)
            async with compaction.transaction():
                await compaction.execute("SELECT pg_advisory_xact_lock($1)", graph_lock(held, LockKind.FLUSH))
                for graph_id in graph_ids:
                    log.append(operation(graph_id), listener)
                await eventually(partial(compaction.fetchval, waits), lambda waiting: waiting == 1)
                assert await compaction.fetchval(last) == before
            await listener.reaches(times * len(graph_ids))
    await compaction.close()


async def test_LOG_11_what_is_appended_together_is_stored_together_with_its_event(database: Database) -> None:
    """Also when it is more than a flush holds."""
    graph_id, listener = await new_graph(database), Listener()
    event = NewEvent(graph_id, "graph.edited", {"added": 3}, ANONYMOUS_USER_ID, None)
    settings = LogSettings(flush_operations=2, flush_bytes=10)
    async with writing(database, graph_id, settings=settings) as log:
        log.append_together([operation(graph_id, b"%d" % number * 20) for number in range(5)], [event], listener)
        log.append(operation(graph_id, b"after"), listener)
        await listener.reaches(6)
        assert log.statistics.flushes == 2
    async with database.service() as connection:
        rows = await connection.fetch(
            "SELECT event_type, payload, xmin::text FROM events WHERE stream_id = $1", graph_id
        )
        transactions = await connection.fetch("SELECT xmin::text FROM crdt_operations WHERE graph_id = $1", graph_id)
    assert [(row["event_type"], row["payload"]) for row in rows][-1] == ("graph.edited", {"added": 3})
    assert [row["xmin"] for row in transactions].count(rows[-1]["xmin"]) == 5


async def test_LOG_12_what_the_database_never_takes_is_refused_and_holds_up_nobody(
    database: Database, database_url: str
) -> None:
    bad_id, good_id, bad, good = await new_graph(database), await new_graph(database), Listener(), Listener()
    nul = NewEvent(bad_id, "graph.edited", {"left_out": ["a\0b"]}, ANONYMOUS_USER_ID, None)
    surrogate = NewEvent(bad_id, "graph.edited", {"left_out": ["\udc80"]}, ANONYMOUS_USER_ID, None)
    async with writing(database, bad_id, good_id) as log:
        for event in (nul, surrogate):
            log.append_together([operation(bad_id)], [event], bad)
            log.append(operation(good_id), good)
            await good.reaches(good.count + 1)
        await bad.reaches(2)
    assert (bad.heard, bad.reasons) == ([("refused", 1), ("refused", 1)], {Refusal.UNSTORABLE})
    assert good.heard == [("committed", 1), ("committed", 1)]
    assert {row["graph_id"] for row in await stored(database_url)} == {good_id}


async def test_LOG_3_a_large_flush_has_the_time_that_a_slow_store_takes(database: Database) -> None:
    """It would be cut short and begun again for ever, and everything behind it would wait."""
    graph_id, listener = await new_graph(database), Listener()
    settings = LogSettings(statement_timeout_s=0.3, store_bytes_per_s=500_000)
    async with writing(database, graph_id, settings=settings) as log:
        log.append_together([operation(graph_id, b"x" * 1_000_000) for _ in range(40)], [], listener)
        await listener.reaches(40)
        assert log.statistics.retries == 0
