"""LEASE-1 to LEASE-7 on a real PostgreSQL, and what the log writer makes of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import cast
from uuid import UUID

import asyncpg
import pytest

from persistence.database import Database
from persistence.errors import GraphServedElsewhereError, StoreUnavailableError
from persistence.identifiers import new_id
from persistence.leases import Leases
from persistence.locks import LockKind, graph_lock
from persistence.log_writer import LogSettings, LogWriter
from tests.clients.eventually import eventually
from tests.integration.test_log_writer import WAIT_S, Listener, new_graph, operation, stored, writing

END_HOLDERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
"""
HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def waiting_for_locks(watcher: asyncpg.Connection) -> int:
    count: int = await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return count


async def until_waiting(watcher: asyncpg.Connection, others: int) -> None:
    """Return once so many wait for a lock."""

    await eventually(lambda: waiting_for_locks(watcher), lambda count: count == others, WAIT_S)


async def until_held(leases: Leases, graph_id: UUID) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await leases.acquire(graph_id)
            except GraphServedElsewhereError:
                continue


async def test_LEASE_1_a_graph_is_served_by_one_node_at_a_time(database: Database) -> None:
    graph_id, other_id = await new_graph(database), await new_graph(database)
    async with writing(database, graph_id), writing(database, other_id) as second:
        with pytest.raises(GraphServedElsewhereError):
            await second.leases.acquire(graph_id)
        assert second.leases.holds(other_id)
        assert not second.leases.holds(graph_id)


async def test_LEASE_2_a_graph_that_is_let_go_is_free_for_others(database: Database) -> None:
    graph_id = await new_graph(database)
    async with writing(database, graph_id) as first, writing(database) as second:
        waiting = asyncio.create_task(until_held(second.leases, graph_id))
        first.leases.release(graph_id)
        await waiting
        assert not first.leases.holds(graph_id)


async def test_LEASE_2_a_graph_is_free_once_the_connection_of_its_node_is_gone(database: Database) -> None:
    graph_id = await new_graph(database)
    async with writing(database) as second:
        async with writing(database, graph_id):
            waiting = asyncio.create_task(until_held(second.leases, graph_id))
            await asyncio.sleep(0)
        await waiting


async def test_LEASE_2_one_who_gave_up_waiting_does_not_keep_the_graph(database: Database, database_url: str) -> None:
    graph_id, other_id = await new_graph(database), await new_graph(database)
    async with writing(database) as log, owner(database_url) as watcher:
        waiting = asyncio.create_task(log.leases.acquire(graph_id))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await log.leases.acquire(other_id)
        log.leases.release(other_id)
        await log.leases.acquire(new_id())  # by then the one before is given back
        key = graph_lock(graph_id, LockKind.LEASE)
        assert await watcher.fetchval("SELECT pg_try_advisory_lock($1)", key)


async def test_LEASE_3_an_operation_of_a_graph_that_is_not_held_is_refused(
    database: Database, database_url: str
) -> None:
    graph_id, other_id, listener, other = await new_graph(database), await new_graph(database), Listener(), Listener()
    async with writing(database, graph_id) as log:
        log.append(operation(other_id), other)
        log.append(operation(graph_id), listener)
        await listener.reaches(1)
        await other.reaches(1)
    assert (listener.heard, other.heard) == ([("committed", 1)], [("refused", 1)])
    assert [row["graph_id"] for row in await stored(database_url)] == [graph_id]


async def test_LEASE_4_a_node_whose_connection_broke_has_its_leases_again(
    database: Database, database_url: str
) -> None:
    graph_id, listener, lost = await new_graph(database), Listener(), []
    async with writing(database, graph_id) as log, owner(database_url) as killer:
        log.leases.when_lost(lost.append)
        before = await killer.fetchval(HOLDERS)
        await killer.execute(END_HOLDERS)
        log.append(operation(graph_id), listener)
        await listener.reaches(1)
        after = await killer.fetchval(HOLDERS)
    assert listener.heard == [("committed", 1)]
    assert lost == []
    assert before != after


async def test_LEASE_4_a_backend_that_has_not_noticed_that_its_client_is_gone_is_ended(
    database: Database, database_url: str
) -> None:
    """It would keep the leases until some keep-alive, and could commit late what is sent again."""
    graph_id, listener, lost = await new_graph(database), Listener(), []
    async with writing(database, graph_id) as log, owner(database_url) as watcher:
        log.leases.when_lost(lost.append)
        before = await watcher.fetchval(HOLDERS)
        half_open, log._connection._connection = log._connection._connection, None  # nobody tells PostgreSQL
        log.append(operation(graph_id), listener)
        await listener.reaches(1)
        assert await watcher.fetch("SELECT pid FROM pg_stat_activity WHERE pid = $1", before) == []
        assert half_open is not None
        half_open.terminate()
    assert (listener.heard, lost) == ([("committed", 1)], [])


async def test_LEASE_5_a_lease_that_another_node_took_meanwhile_is_lost_and_so_is_what_was_not_committed(
    database: Database, database_url: str
) -> None:
    graph_id, listener, lost = await new_graph(database), Listener(), []
    async with writing(database, graph_id) as log, owner(database_url) as other, owner(database_url) as blocker:
        log.leases.when_lost(lost.append)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
            log.append(operation(graph_id), listener)
            await until_waiting(blocker, 1)
            taking = asyncio.create_task(
                other.execute("SELECT pg_advisory_lock($1)", graph_lock(graph_id, LockKind.LEASE))
            )
            await asyncio.sleep(0.05)  # it waits in line before the node's own next try
            await blocker.execute(END_HOLDERS)
        await taking
        await listener.reaches(1)
    assert listener.heard == [("refused", 1)]
    assert lost == [graph_id]
    assert await stored(database_url) == []


async def test_LEASE_5_a_lease_that_another_node_had_meanwhile_is_lost_though_it_is_free_again(
    database: Database,
) -> None:
    """What was written there is not in the rooms here."""
    graph_id, kept_id, lost = await new_graph(database), await new_graph(database), []
    async with writing(database, graph_id, kept_id) as log, writing(database) as other:
        log.leases.when_lost(lost.append)
        with no_connections(log):
            await until_held(other.leases, graph_id)
            other.leases.release(graph_id)
            await other.leases.acquire(new_id())  # by then the one before is given back
        await asyncio.wait_for(log.leases.acquire(await new_graph(database)), WAIT_S)
        assert lost == [graph_id]
        assert log.leases.holds(kept_id)
        assert not log.leases.holds(graph_id)
        await until_held(other.leases, graph_id)


@contextmanager
def no_connections(log: LogWriter) -> Iterator[None]:
    """Cut the log's connection and let it have no other one for the length of the block."""
    connection = log._connection
    database, connection._database = connection._database, cast("Database", Unreachable())
    connection.drop()
    yield
    connection._database = database


class Unreachable:
    async def connect_log(self) -> asyncpg.Connection:
        raise OSError("no route to the database")


async def test_LEASE_5_a_node_with_nothing_to_write_notices_that_its_connection_died_silently(
    database: Database,
) -> None:
    graph_id = await new_graph(database)
    async with writing(database, graph_id, settings=LogSettings(heartbeat_s=0.05, heartbeat_timeout_s=0.2)) as log:
        opened = asyncio.Event()
        silent = log._connection._connection
        assert silent is not None

        async def no_answer(*_: object, timeout: float) -> str:  # noqa: ASYNC109 - the driver's
            await asyncio.sleep(timeout)
            opened.set()
            raise TimeoutError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(silent), "execute", no_answer)
            await asyncio.wait_for(opened.wait(), WAIT_S)

        async def connection() -> asyncpg.Connection | None:
            return log._connection._connection

        await eventually(connection, lambda now: now is not None and now is not silent, WAIT_S)
        await asyncio.wait_for(log.leases.acquire(await new_graph(database)), WAIT_S)
        assert log.leases.holds(graph_id)


async def test_LEASE_5_an_idle_node_notices_too(database: Database, database_url: str) -> None:
    graph_id = await new_graph(database)
    is_lost = asyncio.Event()
    async with writing(database, graph_id) as log, owner(database_url) as other:
        log.leases.when_lost(lambda _: is_lost.set())
        taking = asyncio.create_task(other.execute("SELECT pg_advisory_lock($1)", graph_lock(graph_id, LockKind.LEASE)))
        async with owner(database_url) as killer:
            await until_waiting(killer, 1)
            await killer.execute(END_HOLDERS)
        await taking
        async with asyncio.timeout(WAIT_S):
            await is_lost.wait()


async def test_LEASE_6_a_lock_table_that_is_full_is_said(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    full = "DO $$ BEGIN RAISE out_of_memory; END $$"
    graph_id, other_id = await new_graph(database), await new_graph(database)
    async with writing(database, graph_id) as log:
        real = log.leases._take

        async def too_many(connection: asyncpg.Connection, graph_ids: Sequence[UUID], timeout_s: float) -> set[UUID]:
            got = await real(connection, graph_ids, timeout_s)
            await connection.execute(full)
            return got

        monkeypatch.setattr(log.leases, "_take", too_many)
        with pytest.raises(StoreUnavailableError, match="max_locks_per_transaction"):
            await log.leases.acquire(other_id)
        assert log.leases.held == {graph_id}
        async with writing(database) as other:
            await until_held(other.leases, other_id)


async def test_LEASE_7_the_locks_of_one_graph_differ_and_fit_a_bigint() -> None:
    graph_id = UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")
    keys = {graph_lock(graph_id, kind) for kind in LockKind}
    assert len(keys) == len(LockKind)
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert graph_lock(UUID(int=graph_id.int - 1), LockKind.LEASE) not in keys
