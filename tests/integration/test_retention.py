"""When graphs are compacted, and what of the log can go then: COMPACT-2, COMPACT-5 and COMPACT-8."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from collab.follower import Follower, FollowerSettings
from persistence.database import Database
from persistence.ports import Compaction
from persistence.projection import Projection
from persistence.retention import Pruned, Retention
from tests.integration.followed import BEGIN_CAPTURE, CURSORS, Clock, caught_up, labels, load, new_graph, nodes, store


async def test_compaction_takes_no_lock_that_a_flush_waits_for(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-2: while a compaction is being written, operations are committed."""
    graph_id = await new_graph(database)
    log = nodes("a", "b")
    await store(database, graph_id, log[:1])
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock()))
    through = (await owner.fetchrow(CURSORS, graph_id))["projected_through"]
    async with database.service() as writing:
        await writing.fetchval(Projection.COMPACT, graph_id, 0, through, b"\0\0", b"\0", [])
        await asyncio.wait_for(store(database, graph_id, log[1:]), 5)


LENGTHS = [len(operation.update) for operation in nodes("a", "b", "c", "d")]


@pytest.mark.parametrize(
    "settings",
    [FollowerSettings(compaction_operations=3), FollowerSettings(compaction_bytes=sum(LENGTHS[:3]))],
    ids=["operations", "bytes"],
)
async def test_a_graph_is_compacted_when_enough_came(
    settings: FollowerSettings, database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-5."""
    graph_id = await new_graph(database)
    follower = Follower(projection, BEGIN_CAPTURE, Clock(), settings)
    log = nodes("a", "b", "c", "d")
    for number, operation in enumerate(log, 1):
        await store(database, graph_id, [operation])
        await caught_up(follower)
        assert follower.statistics.compactions == (1 if number >= 3 else 0)
    assert await labels(owner, graph_id) == {"n0": "a", "n1": "b", "n2": "c", "n3": "d"}
    assert (await load(database, graph_id)).content.entities == 4


async def test_a_graph_is_compacted_when_its_operations_come_of_age(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-5: found by the survey, whether or not anybody edits it."""
    graph_id = await new_graph(database)
    clock = Clock()
    follower = Follower(projection, BEGIN_CAPTURE, clock)
    old = datetime.now(UTC) - timedelta(seconds=290)
    log = [operation._replace(created_at=old, applied_at=old) for operation in nodes("a")]
    await store(database, graph_id, log)
    await caught_up(follower)
    assert follower.statistics.compactions == 0
    await owner.execute("UPDATE crdt_operations SET created_at = created_at - interval '20 s'")
    clock.now += 31
    await caught_up(follower)
    assert follower.statistics.compactions == 1
    clock.now += 31
    await caught_up(follower)
    assert follower.statistics.compactions == 1, "nothing came since"


async def test_compactions_take_a_share_of_the_time(
    database: Database, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COMPACT-5: after one of a second a graph rests for 19."""
    graph_id = await new_graph(database)
    clock = Clock()
    follower = Follower(projection, BEGIN_CAPTURE, clock, FollowerSettings(compaction_operations=1))
    compact = projection.compact

    async def slowly(compaction: Compaction) -> bool:
        clock.now += 1
        return await compact(compaction)

    monkeypatch.setattr(projection, "compact", slowly)
    log = nodes("a", "b", "c")
    counts = []
    for operation, pause_s in zip(log, (0, 18, 2), strict=True):
        clock.now += pause_s
        await store(database, graph_id, [operation])
        await caught_up(follower)
        counts.append(follower.statistics.compactions)
    assert counts == [1, 1, 2]


async def test_nothing_that_loads_is_deleted(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-8: of old operations, neither those after the state nor those that wait; a dry run deletes nothing."""
    graph_id = await new_graph(database)
    old = datetime.now(UTC) - timedelta(days=40)
    log = [operation._replace(created_at=old, applied_at=old) for operation in nodes("a", "b", "c", "d", "e")]
    late = log[3]._replace(applied_at=None)
    follower = Follower(projection, BEGIN_CAPTURE, Clock(), FollowerSettings(compaction_operations=1))
    await store(database, graph_id, [log[0], late, log[1]._replace(created_at=datetime.now(UTC))])
    await caught_up(follower)
    await store(database, graph_id, [log[4]])
    retention = Retention(database)
    assert await retention.graphs() == [graph_id]
    before = await load(database, graph_id)
    expected = Pruned(1, len(log[0].update))
    assert await retention.count(graph_id, timedelta(days=30)) == expected
    assert await owner.fetchval("SELECT count(*) FROM crdt_operations") == 4
    pages = [page async for page in retention.prune(graph_id, timedelta(days=30))]
    assert [page for page in pages if page.operations] == [expected]
    assert await owner.fetchval("SELECT count(*) FROM crdt_operations") == 3
    assert await load(database, graph_id) == before
    await store(database, graph_id, [log[2]])
    assert {node.id for node in (await load(database, graph_id)).content.nodes} == {"n0", "n1", "n2", "n3", "n4"}


async def test_a_long_history_is_pruned_page_by_page(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-8."""
    graph_id = await new_graph(database)
    old = datetime.now(UTC) - timedelta(days=40)
    log = nodes(*(str(number) for number in range(4_500)))
    await store(database, graph_id, [operation._replace(created_at=old, applied_at=old) for operation in log[:4_400]])
    await store(database, graph_id, log[4_400:])
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock()))
    before = await load(database, graph_id)
    pages = [page.operations async for page in Retention(database).prune(graph_id, timedelta(days=30))]
    assert pages == [2_000, 2_000, 400, 0]
    assert await owner.fetchval("SELECT count(*) FROM crdt_operations") == 100
    assert await load(database, graph_id) == before
