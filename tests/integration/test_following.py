"""FOLLOW and COMPACT on a real PostgreSQL: cursors, claims, copies, failures that stay where they are."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pycrdt import Map

from collab.copies import CopiesSettings
from collab.follower import Advance, Follower, FollowerSettings
from persistence.database import Database
from persistence.errors import StoreUnavailableError
from persistence.locks import LockKind, graph_lock
from persistence.ports import Backlog, Changes, Compaction, ProjectionStep
from persistence.projection import Projection
from persistence.records import ANONYMOUS_USER_ID, Operation
from tests.clients.eventually import eventually
from tests.integration.followed import BEGIN_CAPTURE, Clock, caught_up, labels, load, new_graph, nodes, store
from tests.unit.documents import recorded

NO_CHANGES: Changes[Any] = Changes([], [], 0)
CURSORS = "SELECT projected_through, crdt_through, crdt_state, crdt_pending_ids FROM graphs WHERE id = $1"
INSERT = """
    INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)
    VALUES ($1, $2, '{}', $3, 's', '')
"""
BREAK_LABELS = "ALTER TABLE nodes ADD CONSTRAINT ck_broken CHECK (label <> 'broken')"


async def test_news_and_surveys_find_what_is_behind(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-1."""
    old, new = await new_graph(database), await new_graph(database)
    await store(database, old, nodes("a"))
    follower = Follower(projection, BEGIN_CAPTURE, Clock())
    await caught_up(follower)
    assert await labels(owner, old) == {"n0": "a"}
    await store(database, new, nodes("b", "c"))
    await follower.look()
    assert follower.lag_s() > 0
    await caught_up(follower)
    assert await labels(owner, new) == {"n0": "b", "n1": "c"}
    assert follower.lag_s() == 0
    assert follower.statistics.operations == 3


@pytest.mark.parametrize("ahead_s", [3600, -3600])
async def test_FAULT_10_a_clock_that_is_not_postgresqls_makes_no_lag(database: Database, ahead_s: int) -> None:
    """FAULT-10: the clock that stamps operations also tells how old they are."""
    ahead = timedelta(seconds=ahead_s)
    projection = Projection(database, lambda: datetime.now(UTC) + ahead)
    assert await projection.news(()) == []
    graph_id = await new_graph(database)
    (operation,) = nodes("a")
    await store(database, graph_id, [operation._replace(created_at=operation.created_at + ahead)])
    (news,) = await projection.news(())
    (surveyed,) = (await projection.survey(300)).behind
    assert max(news.behind_s, surveyed.behind_s) < 60


async def test_a_commit_out_of_order_is_found_by_the_next_call(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-4: an id below one that was seen commits later, in another graph."""
    slow, fast = await new_graph(database), await new_graph(database)
    assert await projection.news(()) == []
    (operation,) = nodes("slow")
    async with owner.transaction():
        await owner.execute(INSERT, slow, operation.update, ANONYMOUS_USER_ID)
        await store(database, fast, nodes("fast"))
        assert [graph_id for graph_id, _ in await projection.news(())] == [fast]
    assert {graph_id for graph_id, _ in await projection.news(())} == {fast, slow}


async def test_the_cursor_waits_for_a_flush_under_way(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-4: two writers, of whom the first commits after the second; neither waits for the follower."""
    graph_id = await new_graph(database)
    follower = Follower(projection, BEGIN_CAPTURE, Clock(), FollowerSettings(compaction_operations=1))
    async with owner.transaction():
        await owner.execute("SELECT pg_advisory_xact_lock_shared($1)", graph_lock(graph_id, LockKind.FLUSH))
        await owner.execute(INSERT, graph_id, nodes("slow")[0].update, ANONYMOUS_USER_ID)
        await store(database, graph_id, [nodes("", "fast", client=8)[1]])
        advancing = asyncio.create_task(follower.advance(graph_id))
        await asyncio.wait_for(store(database, graph_id, [nodes("", "", "faster", client=9)[2]]), 5)
        assert await advancing is Advance.MORE
        assert await labels(owner, graph_id) == {}
    while await follower.advance(graph_id) is not Advance.DONE:
        pass
    assert await labels(owner, graph_id) == {"n0": "slow"}
    await store(database, graph_id, [nodes("", "fast", client=8)[0], *nodes("", "", "faster", client=9)[:2]])
    await caught_up(follower)
    assert set(await labels(owner, graph_id)) == {"n0", "n1", "n2"}
    assert len((await load(database, graph_id)).waiting) == 0


async def test_a_graph_has_one_follower(database: Database, projection: Projection) -> None:
    """FOLLOW-5: another one gets it when the first releases it, or when its connection ends."""
    graph_id = await new_graph(database)
    other = Projection(database)
    assert await projection.claim(graph_id)
    assert not await other.claim(graph_id)
    await projection.release(graph_id)
    assert await other.claim(graph_id)
    assert not projection.has_lost_claims()
    assert other._claims is not None
    other._claims.terminate()
    assert other.has_lost_claims()
    for _ in range(100):
        if await projection.claim(graph_id):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the claim did not end with its connection")


async def test_a_follower_that_lost_its_claims_reads_again(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-5."""
    graph_id = await new_graph(database)
    follower = Follower(projection, BEGIN_CAPTURE, Clock())
    log = nodes("a", "b", "c")
    await store(database, graph_id, log[:1])
    await caught_up(follower)
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )
    await store(database, graph_id, log[1:2])
    await caught_up(follower)
    await store(database, graph_id, log[2:])
    await caught_up(follower)
    assert await labels(owner, graph_id) == {"n0": "a", "n1": "b", "n2": "c"}


async def test_one_that_is_late_writes_nothing(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-5, COMPACT-2: neither rows nor a state, if the cursor is not where it thinks."""
    graph_id = await new_graph(database)
    await store(database, graph_id, nodes("a"))
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock(), FollowerSettings(compaction_operations=1)))
    before = await owner.fetchrow(CURSORS, graph_id)
    through = before["projected_through"]
    step = ProjectionStep(graph_id, 0, through, True, NO_CHANGES, NO_CHANGES, NO_CHANGES, 0)
    assert not await projection.project(step)
    compaction = Compaction(graph_id, 0, through, b"\0\0", b"\0", [])
    assert not await projection.compact(compaction)
    assert not await projection.compact(replace(compaction, since=through, through=through + 1))
    assert await owner.fetchrow(CURSORS, graph_id) == before
    assert await labels(owner, graph_id) == {"n0": "a"}


async def test_a_graph_that_fails_is_tried_again_and_holds_up_no_other(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-7."""
    broken, fine = await new_graph(database), await new_graph(database)
    await owner.execute(BREAK_LABELS)
    clock = Clock()
    follower = Follower(projection, BEGIN_CAPTURE, clock)
    await store(database, broken, nodes("broken"))
    await store(database, fine, nodes("fine"))
    await caught_up(follower)
    assert await labels(owner, fine) == {"n0": "fine"}
    assert follower.statistics.failures == 1
    for wait_s, failures in ((0.5, 1), (0.6, 2), (1.5, 2), (0.6, 3)):
        clock.now += wait_s
        await follower.work(asyncio.Event())
        assert follower.statistics.failures == failures
    assert follower.lag_s() > 3
    await owner.execute("ALTER TABLE nodes DROP CONSTRAINT ck_broken")
    clock.now += 300
    await follower.work(asyncio.Event())
    assert await labels(owner, broken) == {"n0": "broken"}
    assert follower.lag_s() == 0


async def test_a_follower_waits_for_a_database_that_is_away(database: Database, projection: Projection) -> None:
    """FOLLOW-7."""
    follower = Follower(projection, BEGIN_CAPTURE, asyncio.get_running_loop().time, FollowerSettings(poll_s=0.01))
    stop = asyncio.Event()
    running = asyncio.create_task(follower.run(stop, asyncio.Event()))
    await database.close()
    with pytest.raises(StoreUnavailableError):
        await follower.look()
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 5)


class _Looked(Projection):
    """Tells when it was asked for news."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looks = 0

    async def news(self, projected: Sequence[UUID]) -> Sequence[Backlog]:
        self.looks += 1
        return await super().news(projected)


async def test_a_follower_that_is_woken_looks_at_the_log_at_once(database: Database, owner: asyncpg.Connection) -> None:
    """FOLLOW-13."""
    graph_id, stop, wake, projection = await new_graph(database), asyncio.Event(), asyncio.Event(), _Looked(database)
    follower = Follower(projection, BEGIN_CAPTURE, asyncio.get_running_loop().time, FollowerSettings(poll_s=600))
    running = asyncio.create_task(follower.run(stop, wake))

    async def looks() -> int:
        return projection.looks

    await eventually(looks, lambda count: count == 1)
    await store(database, graph_id, nodes("x"))
    assert await looks() == 1
    wake.set()
    await eventually(lambda: labels(owner, graph_id), lambda found: found == {"n0": "x"})
    stop.set()
    wake.set()
    await asyncio.wait_for(running, 5)
    await projection.close()


async def test_copies_are_held_within_their_bound(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-10: the least recently used goes first, and others may follow its graph then."""
    graphs = [await new_graph(database) for _ in range(3)]
    follower = Follower(
        projection, BEGIN_CAPTURE, Clock(), FollowerSettings(copies=CopiesSettings(memory_bytes=17 * 450))
    )
    log = nodes("x" * 180, "y" * 180)
    for graph_id in graphs:
        await store(database, graph_id, log[:1])
        await caught_up(follower)
    other = Projection(database)
    assert [await other.claim(graph_id) for graph_id in graphs] == [True, False, False]
    await other.close()
    for graph_id in graphs:
        await store(database, graph_id, log[1:])
        while await follower.advance(graph_id) is not Advance.DONE:
            pass
        assert len(await labels(owner, graph_id)) == 2


async def test_rows_of_a_copy_name_those_they_were_copied_from(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-11: by lineage; layers, which have none in the document, by their key."""
    doc, updates = recorded(7)
    for root in ("nodes", "edges", "layers"):
        doc.get(root, type=Map)["old"] = Map({"lineage_id": str(UUID(int=10 + len(root)))})
    now = datetime.now(UTC)
    log = [Operation(UUID(int=0), update, "{}", ANONYMOUS_USER_ID, "s", "7", now, now) for update in updates]
    parent = await new_graph(database)
    child = await new_graph(database, parent)
    for graph_id in (parent, child):
        await store(database, graph_id, log)
        await caught_up(Follower(projection, BEGIN_CAPTURE, Clock()))
    for table in ("node", "edge", "layer"):
        source = await owner.fetchval(
            f"SELECT p.{table}_id FROM {table}s c JOIN {table}s p ON p.id = c.source_{table}_id"
            f" AND p.graph_id = $2 WHERE c.graph_id = $1",
            child,
            parent,
        )
        assert source == "old"
