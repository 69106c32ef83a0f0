"""Which indexes the statements of `persistence.tables` use on a large graph (SPEC.md, TABLE-9)."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.database import Database
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller
from persistence.tables import EDGE_TABLE, NODE_TABLE, GraphTable, GraphTables, TableQuery

GRAPHS = [uuid4() for _ in range(3)]
LARGE = GRAPHS[1]
FILL = """
    INSERT INTO nodes (graph_id, node_id, label, layer_id, belongs_to, weight, lineage_id)
    SELECT $1, 'n' || i, 'Node ' || md5(i::text), 'layer ' || i % 5, 'n' || i / 50, i % 100, gen_random_uuid()
    FROM generate_series(1, 10000) AS i;
"""
FILL_EDGES = """
    INSERT INTO edges (graph_id, edge_id, source_node_id, target_node_id, label, layer_id, weight, lineage_id)
    SELECT $1, 'e' || i, 'n' || i % 10000, 'n' || i * 7 % 10000, md5(i::text), 'flow', i % 100, gen_random_uuid()
    FROM generate_series(1, 20000) AS i;
"""
LINEAGE = UUID(int=1)
SLOWEST_S = 0.5


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner to a database with three graphs of 10,000 nodes and 20,000 edges."""
    project = await Projects(database).create(Caller(ANONYMOUS_USER_ID), EVERYONE_GROUP_ID, "p", None)
    connection = await asyncpg.connect(database_url)
    for graph in GRAPHS:
        await connection.execute("INSERT INTO graphs (id, project_id, name) VALUES ($1, $2, 'g')", graph, project.id)
        await connection.execute(FILL, graph)
        await connection.execute(FILL_EDGES, graph)
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()


async def plan(owner: asyncpg.Connection, table: GraphTable[Any], sort: str, **filters: object) -> str:
    """Return how PostgreSQL reads a page of 100 rows."""
    values = (filters.get(name) for name in table.filters)
    after = filters.get("after", (None, None))
    await owner.execute("SET plan_cache_mode = force_custom_plan")
    rows = await owner.fetch(f"EXPLAIN {table.statements[sort]}", LARGE, 101, *after, *values)
    return "\n".join(row[0] for row in rows)


async def test_the_usual_questions_use_an_index(owner: asyncpg.Connection) -> None:
    """TABLE-9."""
    for table, sort, filters, index in (
        (NODE_TABLE, "id", {}, "uq_nodes_graph_id_node_id"),
        (NODE_TABLE, "-id", {}, "uq_nodes_graph_id_node_id"),
        (NODE_TABLE, "id", {"after": ("n5", "n5")}, "uq_nodes_graph_id_node_id"),
        (NODE_TABLE, "id", {"id": "n17"}, "uq_nodes_graph_id_node_id"),
        (NODE_TABLE, "id", {"lineage_id": LINEAGE}, "idx_nodes_lineage"),
        (EDGE_TABLE, "id", {}, "uq_edges_graph_id_edge_id"),
        (EDGE_TABLE, "label", {"source": "n17"}, "idx_edges_source_target"),
        (EDGE_TABLE, "id", {"source": "n17", "target": "n119"}, "idx_edges_"),
        (EDGE_TABLE, "id", {"target": "n119"}, "idx_edges_target"),
    ):
        found = await plan(owner, table, sort, **filters)
        assert index in found, (sort, filters, found)
        assert "Seq Scan" not in found


async def test_every_question_is_answered_in_time(owner: asyncpg.Connection, database: Database) -> None:
    """TABLE-9: also those that read the whole graph to sort or to search it; the figures are printed."""
    tables = GraphTables(database)
    for table, shared in ((NODE_TABLE, {"belongs_to": "n3"}), (EDGE_TABLE, {"source": "n3"})):
        questions = [(sort, {}) for sort in table.statements]
        questions += [
            ("id", filters) for filters in ({"layer": "layer 3"}, {"q": "c0ffee"}, {"min_weight": 99}, shared)
        ]
        for sort, filters in questions:
            started = time.perf_counter()
            await tables.page(Caller(ANONYMOUS_USER_ID), LARGE, table, TableQuery(sort, 100, filters))
            took_s = time.perf_counter() - started
            print(f"{1000 * took_s:6.1f} ms  sort {sort} {filters}")
            assert took_s < SLOWEST_S
