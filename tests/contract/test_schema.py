"""The tables, checks and grants of the migrations (SPEC.md, SCHEMA-3 to SCHEMA-18)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from persistence.operations import FORGET_OLD_FLUSHES, MARK_APPLIED, READ_OPERATIONS, READ_PENDING
from persistence.projection import Projection
from persistence.retention import Retention

SYSTEM = UUID("00000000-0000-7000-8000-000000000001")
ANONYMOUS = UUID("00000000-0000-7000-8000-000000000002")
EVERYONE = UUID("00000000-0000-7000-8000-000000000003")
PROJECT = UUID("00000000-0000-7000-8000-0000000000a0")
GRAPH = UUID("00000000-0000-7000-8000-0000000000b0")
COPY = UUID("00000000-0000-7000-8000-0000000000b1")


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner to a migrated database with one project, a graph, its copy and two operations."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        f"""
        INSERT INTO projects (id, name, group_id, created_by) VALUES ('{PROJECT}', 'p', '{EVERYONE}', '{SYSTEM}');
        INSERT INTO graphs (id, project_id, name) VALUES ('{GRAPH}', '{PROJECT}', 'g');
        INSERT INTO graphs (id, project_id, name, parent_graph_id) VALUES ('{COPY}', '{PROJECT}', 'c', '{GRAPH}');
        INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)
        SELECT id, '\\x0000', '{{}}', '{ANONYMOUS}', 's', '' FROM graphs;
        """
    )
    yield connection
    await connection.close()


async def refused(connection: asyncpg.Connection, statement: str, *arguments: object) -> str:
    """Run `statement`, which a constraint must refuse; return the constraint's name."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        async with connection.transaction():
            await connection.execute(statement, *arguments)
    return str(caught.value.constraint_name)


BAD_NAMES = ("", "   ", "\u00a0\u2003\u3000", "a\nb", "tab\t", "\x7f", "\x85", "x" * 201)
GOOD_NAMES = (" a ", "x" * 200, "日本語", "👩‍👩‍👧", "constructor", "'; DROP TABLE graphs; --")
NAMED = {
    "ck_groups_name": "UPDATE groups SET name = $1",
    "ck_users_username": f"UPDATE users SET username = $1 WHERE id = '{ANONYMOUS}'",
    "ck_projects_name": "UPDATE projects SET name = $1",
    "ck_graphs_name": "UPDATE graphs SET name = $1",
    "ck_graph_checkpoints_label": f"""
        INSERT INTO graph_checkpoints (id, graph_id, through_id, state, vector, label, created_by)
        VALUES (gen_random_uuid(), '{GRAPH}', 0, '', '', $1, '{SYSTEM}')
    """,
}


@pytest.mark.parametrize("constraint", NAMED)
async def test_a_name_can_be_seen_and_has_200_characters_at_most(owner: asyncpg.Connection, constraint: str) -> None:
    """SCHEMA-6."""
    for name in BAD_NAMES:
        assert await refused(owner, NAMED[constraint], name) == constraint, repr(name)
    for name in GOOD_NAMES:
        await owner.execute(NAMED[constraint], name)


async def test_usernames_and_addresses_are_unique_without_regard_to_case(owner: asyncpg.Connection) -> None:
    """SCHEMA-3: the names code turns into errors are those of the unique indexes."""
    insert = "INSERT INTO users (id, username, email) VALUES (gen_random_uuid(), $1, $2)"
    await owner.execute(insert, "Ada", "Ada@example.org")
    assert await refused(owner, insert, "aDA", None) == "uq_users_username"
    assert await refused(owner, insert, "other", "ada@EXAMPLE.org") == "uq_users_email"


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("ck_graphs_graph_type", "UPDATE graphs SET graph_type = 'picture'"),
        ("ck_group_memberships_role", "UPDATE group_memberships SET role = 'owner'"),
        ("ck_users_role", "UPDATE users SET role = 'root'"),
        ("ck_groups_settings", "UPDATE groups SET settings = '[]'"),
        ("ck_users_settings", "UPDATE users SET settings = '1'"),
        ("ck_users_metadata", "UPDATE users SET metadata = 'null'"),
        ("ck_projects_plan_dag", "UPDATE projects SET plan_dag = '[]'"),
        ("ck_projects_rules", "UPDATE projects SET rules = '[]'"),
        ("ck_graphs_metadata", "UPDATE graphs SET metadata = '[]'"),
        ("ck_graphs_crdt_state", "UPDATE graphs SET crdt_state = '\\x0000'"),
        ("ck_graphs_crdt_through", "UPDATE graphs SET crdt_through = -1"),
        ("ck_graphs_counts", "UPDATE graphs SET node_count = -1"),
        ("ck_graphs_parent_graph_id", "UPDATE graphs SET parent_graph_id = id"),
        ("ck_crdt_operations_operation_data", "UPDATE crdt_operations SET operation_data = ''"),
    ],
)
async def test_a_column_refuses_what_it_cannot_mean(owner: asyncpg.Connection, constraint: str, statement: str) -> None:
    """SCHEMA-7."""
    assert await refused(owner, statement) == constraint


@pytest.mark.parametrize("graph_type", ["data", "reference", "computed", "plan", "chain"])
async def test_every_graph_type_of_the_design_is_taken(owner: asyncpg.Connection, graph_type: str) -> None:
    """SCHEMA-7."""
    await owner.execute("UPDATE graphs SET graph_type = $1", graph_type)


async def test_a_projected_weight_is_finite_and_a_projected_key_can_be_indexed(owner: asyncpg.Connection) -> None:
    """SCHEMA-18: the longest keys, incompressible, fit into every index of nodes and edges."""
    node = "INSERT INTO nodes (graph_id, node_id, weight, lineage_id) VALUES ($1, $2, $3, gen_random_uuid())"
    for weight in (float("nan"), float("inf"), float("-inf")):
        assert await refused(owner, node, GRAPH, "n", weight) == "ck_nodes_weight"
    assert await refused(owner, node, GRAPH, "k" * 1025, 1.0) == "ck_nodes_node_id"
    longest = await owner.fetchval("SELECT string_agg(md5(i::text), '') FROM generate_series(1, 32) AS i")
    await owner.execute(node, GRAPH, longest, 0.5)
    await owner.execute(
        "INSERT INTO edges (graph_id, edge_id, source_node_id, target_node_id, lineage_id)"
        " VALUES ($1, $2, $2, reverse($2), gen_random_uuid())",
        GRAPH,
        longest,
    )


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        (
            "ck_sessions_refresh_token_hash",
            """
            INSERT INTO sessions (id, user_id, refresh_token_hash, expires_at, access_expires_at)
            VALUES (gen_random_uuid(), $1, $2, now() + interval '1 day', now())
            """,
        ),
        (
            "ck_oauth_tokens_access_token_hash",
            """
            INSERT INTO oauth_tokens (id, user_id, access_token_hash, expires_at, client_id)
            VALUES (gen_random_uuid(), $1, $2, now(), 'c')
            """,
        ),
        ("ck_users_verification_token_hash", "UPDATE users SET verification_token_hash = $2 WHERE id = $1"),
    ],
)
async def test_a_token_in_plain_does_not_fit(owner: asyncpg.Connection, constraint: str, statement: str) -> None:
    """SCHEMA-15."""
    assert await refused(owner, statement, ANONYMOUS, b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln") == constraint
    await owner.execute(statement, ANONYMOUS, bytes(32))


async def test_who_is_in_the_log_cannot_be_deleted(owner: asyncpg.Connection) -> None:
    """SCHEMA-8."""
    delete = "DELETE FROM users WHERE id = $1"
    assert await refused(owner, delete, ANONYMOUS) == "fk_crdt_operations_user_id"
    assert await refused(owner, delete, SYSTEM) == "fk_projects_created_by"


async def test_the_built_in_users_and_group_are_there(owner: asyncpg.Connection) -> None:
    """SCHEMA-9."""
    users = await owner.fetch("SELECT id, username, password_hash FROM users ORDER BY id")
    assert [tuple(row) for row in users] == [(SYSTEM, "system", None), (ANONYMOUS, "anonymous", None)]
    members = await owner.fetch(
        "SELECT g.id, g.name, m.user_id, m.role FROM groups g JOIN group_memberships m ON m.group_id = g.id"
    )
    assert [tuple(row) for row in members] == [(EVERYONE, "Everyone", ANONYMOUS, "admin")]


async def test_deleting_a_graph_takes_its_log_along_and_leaves_its_copy(owner: asyncpg.Connection) -> None:
    """SCHEMA-17."""
    await owner.execute("DELETE FROM graphs WHERE id = $1", GRAPH)
    assert await owner.fetchval("SELECT array_agg(graph_id) FROM crdt_operations") == [COPY]
    assert await owner.fetchval("SELECT parent_graph_id FROM graphs WHERE id = $1", COPY) is None


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ("name = 'new'", True),
        ("deleted_at = now()", True),
        ("projected_through = 1, node_count = 1", True),
        ("crdt_state = '\\x0000', crdt_vector = '\\x00', crdt_through = 1, crdt_pending_ids = '{1}'", False),
    ],
)
async def test_compaction_does_not_move_updated_at(owner: asyncpg.Connection, change: str, moves: bool) -> None:
    """SCHEMA-11."""
    before = await owner.fetchval("SELECT updated_at FROM graphs WHERE id = $1", GRAPH)
    after = await owner.fetchval(f"UPDATE graphs SET {change} WHERE id = $1 RETURNING updated_at", GRAPH)
    assert (after > before) is moves


FORBIDDEN_TO_REQUESTS = (
    "UPDATE crdt_operations SET applied_at = now()",
    "DELETE FROM crdt_operations",
    "TRUNCATE crdt_operations",
    "UPDATE graphs SET crdt_state = NULL",
    "DELETE FROM nodes",
    "DELETE FROM users",
    "SELECT FROM purge_graph(gen_random_uuid())",
    "SELECT FROM purge_project(gen_random_uuid())",
    "SELECT create_event_partitions(0)",
)


async def test_requests_extend_the_log_and_never_change_it(owner: asyncpg.Connection) -> None:
    """SCHEMA-5."""
    await owner.execute("SET ROLE layercake_app")
    for name, value in (("app.user_id", ANONYMOUS), ("app.graph_id", GRAPH)):
        await owner.execute("SELECT set_config($1, $2, false)", name, str(value))
    added = await owner.execute(
        "INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)"
        " SELECT graph_id, operation_data, vector_clock, user_id, session_id, client_id FROM crdt_operations"
    )
    assert added == "INSERT 0 1"
    for statement in FORBIDDEN_TO_REQUESTS:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)


# What falls with a row of the log's owners: every table from which ON DELETE CASCADE leads to the log.
CASCADING_INTO_THE_LOG = """
    WITH RECURSIVE above (oid) AS (
        SELECT 'crdt_operations'::regclass::oid
        UNION SELECT confrelid FROM pg_constraint JOIN above ON conrelid = above.oid WHERE confdeltype = 'c'
    )
    SELECT oid::regclass::text AS name, has_table_privilege('layercake_app', oid, 'DELETE, TRUNCATE') AS deletes
    FROM above ORDER BY name
"""


async def test_requests_delete_nothing_that_the_log_falls_with(owner: asyncpg.Connection) -> None:
    """SCHEMA-5."""
    rows = await owner.fetch(CASCADING_INTO_THE_LOG)
    deletes = dict.fromkeys(("crdt_operations", "graphs", "groups", "projects"), False)
    assert {row["name"]: row["deletes"] for row in rows} == deletes


async def test_the_server_does_its_own_work_and_changes_nothing_that_people_do(owner: asyncpg.Connection) -> None:
    """SCHEMA-12."""
    await owner.execute("SET ROLE layercake_log")
    operation = "crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)"
    await owner.execute(f"INSERT INTO {operation} VALUES ($1, '\\x00', '{{}}', $2, '', '')", GRAPH, ANONYMOUS)
    await owner.execute(MARK_APPLIED, GRAPH, [b"\x00"])
    await owner.execute("INSERT INTO crdt_flushes (flush_id) VALUES (gen_random_uuid())")
    await owner.execute(FORGET_OLD_FLUSHES)
    await owner.execute("UPDATE graphs SET crdt_through = 1, projected_through = 1, node_count = 0")
    await owner.execute("DELETE FROM crdt_operations WHERE id = 1")
    for statement in (
        "SELECT description FROM projects",
        "UPDATE projects SET name = 'x'",
        "UPDATE graphs SET name = 'x'",
        "DELETE FROM graphs",
        "DELETE FROM users",
        "DELETE FROM groups",
        "UPDATE audit_log SET reason = 'x'",
        "INSERT INTO graph_roles DEFAULT VALUES",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)


async def test_the_log_role_purges_what_is_in_the_bin_and_nothing_else(owner: asyncpg.Connection) -> None:
    """SCHEMA-5, LIFE-4: a graph whose project is in the bin goes with that only."""
    purge_graph, purge_project = "SELECT count(*) FROM purge_graph($1)", "SELECT count(*) FROM purge_project($1)"

    async def purged(statement: str, purged_id: UUID) -> int:
        async with owner.transaction():
            await owner.execute("SET LOCAL ROLE layercake_log")
            count: int = await owner.fetchval(statement, purged_id)
        return count

    assert await purged(purge_graph, GRAPH) == await purged(purge_project, PROJECT) == 0
    await owner.execute("UPDATE graphs SET deleted_at = now() WHERE id = $1", GRAPH)
    await owner.execute("UPDATE projects SET deleted_at = now()")
    assert await purged(purge_graph, GRAPH) == 0
    await owner.execute("UPDATE projects SET deleted_at = NULL")
    assert await purged(purge_graph, GRAPH) == 1
    assert await owner.fetchval("SELECT array_agg(id) FROM graphs") == [COPY]
    await owner.execute("UPDATE projects SET deleted_at = now()")
    assert await purged(purge_project, PROJECT) == 1
    assert await owner.fetchval("SELECT count(*) FROM crdt_operations") == 0


FILL_THE_LOG = f"""
    INSERT INTO graphs (id, project_id, name) SELECT gen_random_uuid(), '{PROJECT}', 'g' FROM generate_series(1, 200);
    INSERT INTO crdt_operations
        (graph_id, operation_data, vector_clock, user_id, session_id, client_id, applied_at)
    SELECT g.id, decode(repeat(md5(i::text), 4), 'hex'), '{{"1":1}}', '{SYSTEM}', 's', '1', now()
    FROM generate_series(1, 100) AS i, graphs AS g;
    INSERT INTO crdt_flushes (flush_id, flushed_at)
    SELECT gen_random_uuid(), now() - i * interval '1 second' FROM generate_series(1, 3700) AS i;
    ANALYZE;
"""
HOT = (
    (READ_OPERATIONS, (GRAPH, 19_000), "idx_crdt_operations_graph"),
    (READ_OPERATIONS, (GRAPH, 0), "idx_crdt_operations_graph"),
    (READ_PENDING, (GRAPH, [17, 4711]), "_crdt_operations"),
    (MARK_APPLIED, (GRAPH, [b"\x00"]), "idx_crdt_operations_pending"),
    (FORGET_OLD_FLUSHES, (), "idx_crdt_flushes_flushed_at"),
    (Projection.NEWS, (19_990, datetime.now(UTC)), "pk_crdt_operations"),
    (Projection.SURVEY, (300.0, 1_000, datetime.now(UTC)), "idx_crdt_operations_graph"),
    (Projection.READ_POSITION, (GRAPH,), "idx_crdt_operations_graph"),
    (Projection.READ_PAGE, (GRAPH, 19_000, 20_000, 1_000, 1_000_000), "idx_crdt_operations_graph"),
    (Retention.DELETE, (GRAPH, timedelta(days=1), 0, 2_000), "idx_crdt_operations_graph"),
)


async def test_the_hot_statements_use_their_index(owner: asyncpg.Connection) -> None:
    """SCHEMA-10."""
    await owner.execute(FILL_THE_LOG)
    for statement, arguments, index in HOT:
        rows = await owner.fetch(f"EXPLAIN {statement}", *arguments)
        plan = "\n".join(row[0] for row in rows)
        assert index in plan, plan
        assert "Seq Scan on crdt_" not in plan, plan
