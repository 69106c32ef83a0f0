"""FOLLOW and COMPACT on a real PostgreSQL: cursors, claims, due compactions, failures that stay where they are."""

import asyncio
from collections.abc import AsyncIterator
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
from persistence.ports import Changes, Compaction, ProjectionStep
from persistence.projection import Projection
from persistence.rebuilding import Rebuilding
from persistence.records import ANONYMOUS_USER_ID, Operation
from persistence.retention import Pruned, Retention
from tests.integration.followed import load, new_graph, store
from tests.unit.documents import recorded

NO_CHANGES: Changes[Any] = Changes([], [], 0)
CURSORS = "SELECT projected_through, crdt_through, crdt_state, crdt_pending_ids FROM graphs WHERE id = $1"
INSERT = """
    INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)
    VALUES ($1, $2, '{}', $3, 's', '')
"""
LABELS = "SELECT node_id, label FROM nodes WHERE graph_id = $1 ORDER BY node_id"
BREAK_LABELS = "ALTER TABLE nodes ADD CONSTRAINT ck_broken CHECK (label <> 'broken')"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def projection(database: Database) -> AsyncIterator[Projection]:
    opened = Projection(database)
    yield opened
    await opened.close()


def nodes(*labels: str, client: int = 7) -> list[Operation]:
    """One operation for each label: node n0 has the first, n1 the second."""
    doc, updates = recorded(client)
    for number, label in enumerate(labels):
        doc.get("nodes", type=Map)[f"n{number}"] = Map({"label": label})
    now = datetime.now(UTC)
    return [Operation(UUID(int=0), update, "{}", ANONYMOUS_USER_ID, "s", str(client), now, now) for update in updates]


async def labels(owner: asyncpg.Connection, graph_id: UUID) -> dict[str, str]:
    return {row["node_id"]: row["label"] for row in await owner.fetch(LABELS, graph_id)}


async def caught_up(follower: Follower, stop: asyncio.Event | None = None) -> None:
    await follower.look()
    while await follower.work(stop or asyncio.Event()):
        pass


async def test_news_and_surveys_find_what_is_behind(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-1."""
    old, new = await new_graph(database), await new_graph(database)
    await store(database, old, nodes("a"))
    follower = Follower(projection, Clock())
    await caught_up(follower)
    assert await labels(owner, old) == {"n0": "a"}
    await store(database, new, nodes("b", "c"))
    await follower.look()
    assert follower.lag_s() > 0
    await caught_up(follower)
    assert await labels(owner, new) == {"n0": "b", "n1": "c"}
    assert follower.lag_s() == 0
    assert follower.statistics.operations == 3


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
    follower = Follower(projection, Clock(), FollowerSettings(compaction_operations=1))
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
    follower = Follower(projection, Clock())
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
    await caught_up(Follower(projection, Clock(), FollowerSettings(compaction_operations=1)))
    before = await owner.fetchrow(CURSORS, graph_id)
    through = before["projected_through"]
    step = ProjectionStep(graph_id, 0, through, True, NO_CHANGES, NO_CHANGES, NO_CHANGES, 0)
    assert not await projection.project(step)
    compaction = Compaction(graph_id, 0, through, b"\0\0", b"\0", [])
    assert not await projection.compact(compaction)
    assert not await projection.compact(replace(compaction, since=through, through=through + 1))
    assert await owner.fetchrow(CURSORS, graph_id) == before
    assert await labels(owner, graph_id) == {"n0": "a"}


async def test_compaction_takes_no_lock_that_a_flush_waits_for(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-2: while a compaction is being written, operations are committed."""
    graph_id = await new_graph(database)
    log = nodes("a", "b")
    await store(database, graph_id, log[:1])
    await caught_up(Follower(projection, Clock()))
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
    follower = Follower(projection, Clock(), settings)
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
    follower = Follower(projection, clock)
    old = datetime.now(UTC) - timedelta(seconds=290)
    log = [replace(operation, created_at=old, applied_at=old) for operation in nodes("a")]
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
    follower = Follower(projection, clock, FollowerSettings(compaction_operations=1))
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


async def test_a_graph_that_fails_is_tried_again_and_holds_up_no_other(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-7."""
    broken, fine = await new_graph(database), await new_graph(database)
    await owner.execute(BREAK_LABELS)
    clock = Clock()
    follower = Follower(projection, clock)
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


async def test_an_operation_that_fails_inside_is_left_out(
    database: Database, projection: Projection, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOLLOW-7, COMPACT-6: the others are shown, it counts as a warning, and the graph is not compacted."""
    import collab.document as module

    graph_id = await new_graph(database)
    log = [*nodes("a", "b"), *nodes("bad", client=8)]
    bad, apply = log[2].update, module.Doc.apply_update

    def fail_on_bad(doc: Any, update: bytes) -> None:
        if update == bad:
            raise BaseException("a panic")  # noqa: TRY002 - as those of Rust are
        apply(doc, update)

    monkeypatch.setattr(module.Doc, "apply_update", fail_on_bad)
    await store(database, graph_id, log)
    follower = Follower(projection, Clock(), FollowerSettings(compaction_operations=1))
    await caught_up(follower)
    assert await labels(owner, graph_id) == {"n0": "a", "n1": "b"}
    projected = await Rebuilding(database).read(graph_id)
    assert (projected.warnings, projected.nodes) == (1, 2)
    assert follower.statistics.compactions == 0
    assert follower.statistics.compactions_refused == 1


async def test_a_follower_waits_for_a_database_that_is_away(database: Database, projection: Projection) -> None:
    """FOLLOW-7."""
    follower = Follower(projection, asyncio.get_running_loop().time, FollowerSettings(poll_s=0.01))
    stop = asyncio.Event()
    running = asyncio.create_task(follower.run(stop))
    await database.close()
    with pytest.raises(StoreUnavailableError):
        await follower.look()
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_copies_are_held_within_their_bound(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """FOLLOW-10: the least recently used goes first, and others may follow its graph then."""
    graphs = [await new_graph(database) for _ in range(3)]
    follower = Follower(projection, Clock(), FollowerSettings(copies=CopiesSettings(memory_bytes=17 * 450)))
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
        await caught_up(Follower(projection, Clock()))
    for table in ("node", "edge", "layer"):
        source = await owner.fetchval(
            f"SELECT p.{table}_id FROM {table}s c JOIN {table}s p ON p.id = c.source_{table}_id"
            f" AND p.graph_id = $2 WHERE c.graph_id = $1",
            child,
            parent,
        )
        assert source == "old"


async def test_nothing_that_loads_is_deleted(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-8: of old operations, neither those after the state nor those that wait; a dry run deletes nothing."""
    graph_id = await new_graph(database)
    old = datetime.now(UTC) - timedelta(days=40)
    log = [replace(operation, created_at=old, applied_at=old) for operation in nodes("a", "b", "c", "d", "e")]
    late = replace(log[3], applied_at=None)
    follower = Follower(projection, Clock(), FollowerSettings(compaction_operations=1))
    await store(database, graph_id, [log[0], late, replace(log[1], created_at=datetime.now(UTC))])
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
    await store(database, graph_id, [replace(operation, created_at=old, applied_at=old) for operation in log[:4_400]])
    await store(database, graph_id, log[4_400:])
    await caught_up(Follower(projection, Clock()))
    before = await load(database, graph_id)
    pages = [page.operations async for page in Retention(database).prune(graph_id, timedelta(days=30))]
    assert pages == [2_000, 2_000, 400, 0]
    assert await owner.fetchval("SELECT count(*) FROM crdt_operations") == 100
    assert await load(database, graph_id) == before
