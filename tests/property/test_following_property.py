"""COMPACT and FOLLOW: whatever the history, and wherever it is cut off, what loads stays and the rows tell it."""

import os
import random
from collections.abc import AsyncIterator
from typing import cast
from uuid import UUID

import asyncpg
import orjson
import pytest

from collab.follower import Advance, Follower, FollowerSettings
from persistence.database import Database
from persistence.projection import Projection
from persistence.rebuilding import Rebuilding
from tests.integration.followed import (
    BEGIN_CAPTURE,
    CURSORS,
    CrashingDatabase,
    CutError,
    load,
    made_of,
    new_graph,
    rows,
    rows_of,
    store,
)
from tests.unit.histories import a_history

ROUNDS = max(int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60")) // 4, 1)
FAILED_BEFORE: list[int] = []
"""Seeds that once found a fault; they are run first."""
SEEDS = [pytest.param(seed, id=f"again-{seed}") for seed in FAILED_BEFORE] + [
    pytest.param(None, id=str(number)) for number in range(ROUNDS)
]
ALWAYS = FollowerSettings(compaction_operations=1, compaction_share=1.0)
NEVER = FollowerSettings(compaction_operations=10**9, compaction_bytes=10**12)


DAMAGE = """
    UPDATE nodes SET label = 'wrong', lineage_id = gen_random_uuid() WHERE graph_id = '{0}';
    DELETE FROM edges WHERE graph_id = '{0}';
    INSERT INTO layers (graph_id, layer_id, lineage_id) VALUES ('{0}', 'left over', gen_random_uuid());
    UPDATE graphs SET node_count = 77, projection_warnings = 77 WHERE id = '{0}';
"""


class Followed:
    """A graph that is followed by one follower after another: whenever one fails it is replaced."""

    def __init__(
        self, database: Database, owner: asyncpg.Connection, graph_id: UUID, settings: FollowerSettings
    ) -> None:
        self.database = CrashingDatabase(database)
        self.owner = owner
        self.graph_id = graph_id
        self.crashes = 0
        self._settings = settings
        self._start()

    def _start(self) -> None:
        self.projection = Projection(cast("Database", self.database))
        self.follower = Follower(self.projection, BEGIN_CAPTURE, lambda: 0.0, self._settings)

    async def catch_up(self, crash_at: int | None = None) -> None:
        """Advance to the end; a follower that fails is replaced by one that knows nothing."""
        self.database.statements_left = crash_at
        advance = Advance.MORE
        while advance is Advance.MORE:
            try:
                advance = await self.follower.advance(self.graph_id)
            except CutError:
                self.crashes += 1
                await self.replace()
        self.database.statements_left = None
        assert advance is Advance.DONE

    async def replace(self) -> None:
        await self.projection.close()
        self._start()


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)
    yield connection
    await connection.close()


def seeded(seed: int | None) -> random.Random:
    seed = random.randrange(2**32) if seed is None else seed
    print(f"seed={seed}")
    return random.Random(seed)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_loads_is_the_same_before_and_after_every_compaction(
    seed: int | None, database: Database, owner: asyncpg.Connection
) -> None:
    """COMPACT-1, COMPACT-2, COMPACT-4: with gaps and early deletes, whichever statement it is cut off at."""
    chance = seeded(seed)
    graph_id = await new_graph(database)
    followed = Followed(database, owner, graph_id, ALWAYS)
    left = list(a_history(chance))
    stored = []
    while left:
        batch = [left.pop(0) for _ in range(min(len(left), chance.randrange(1, 12)))]
        await store(database, graph_id, batch)
        stored += batch
        await followed.catch_up(crash_at=chance.choice([None, *range(20)]))
        cursors = await owner.fetchrow(CURSORS, graph_id)
        assert cursors["crdt_through"] == cursors["projected_through"]
        expected = made_of(graph_id, stored)
        assert len(cursors["crdt_pending_ids"]) == len(expected.waiting)
        assert await load(database, graph_id) == expected
    await followed.projection.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_rows_tell_what_the_document_says(
    seed: int | None, database: Database, owner: asyncpg.Connection
) -> None:
    """FOLLOW-1, FOLLOW-2, FOLLOW-3, FOLLOW-6: field by field, wherever it is cut off; so are all when remade."""
    chance = seeded(seed)
    graph_id = await new_graph(database)
    followed = Followed(database, owner, graph_id, chance.choice([ALWAYS, NEVER]))
    left = list(a_history(chance))
    while left:
        batch = [left.pop(0) for _ in range(min(len(left), chance.randrange(1, 12)))]
        await store(database, graph_id, batch)
        await followed.catch_up(crash_at=chance.choice([None, *range(20)]))
        if chance.random() < 0.2:
            await followed.replace()
        await expect_rows(followed)
    before = await rows_with_keys(owner, graph_id)
    cursors = await owner.fetchrow(CURSORS, graph_id)
    is_damaged = chance.random() < 0.5
    if is_damaged:
        await owner.execute(DAMAGE.format(graph_id))
    through = await Rebuilding(database).reset(graph_id)
    await followed.catch_up(crash_at=chance.choice([None, *range(20)]))
    await expect_rows(followed)
    assert is_damaged or await rows_with_keys(owner, graph_id) == before, "rows that were right are not touched"
    projected = await Rebuilding(database).read(graph_id)
    assert (projected.through, projected.warnings) == (through, cursors["projection_warnings"])
    await followed.projection.close()


async def expect_rows(followed: Followed) -> None:
    loaded = await load(followed.database._database, followed.graph_id)
    found = await rows(followed.owner, followed.graph_id)
    assert found == rows_of(followed.graph_id, loaded.content)
    cursors = await followed.owner.fetchrow(CURSORS, followed.graph_id)
    assert [cursors[f"{table[:-1]}_count"] for table in found] == [len(table) for table in found.values()]


async def rows_with_keys(owner: asyncpg.Connection, graph_id: UUID) -> list[list[tuple[object, ...]]]:
    statement = "SELECT id, updated_at FROM {} WHERE graph_id = $1 ORDER BY id"
    return [
        [tuple(row) for row in await owner.fetch(statement.format(table), graph_id)]
        for table in ("nodes", "edges", "layers")
    ]
