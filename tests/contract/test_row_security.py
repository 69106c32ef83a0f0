"""What row level security lets through, table by table from the catalogue (SPEC.md, ISO-1 to ISO-7)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.database import SET_CALLER
from persistence.records import ANONYMOUS_USER_ID, SYSTEM_USER_ID, Caller, Grant
from tests.conftest import LoopThread
from tests.contract.two_groups import PEOPLE, Group, TwoGroups, fill, key_of, unique

NOBODY = Caller(UUID(int=0))
EVERYBODY = (*PEOPLE, "guest")
PER_GRAPH = {
    "nodes", "edges", "layers", "crdt_operations", "quarantined_operations", "graph_checkpoints", "manual_edits",
    "edit_replay_summaries",
}  # fmt: skip
"""Tables that show one graph alone in a transaction that is about one."""

TABLES = """
    SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname <> 'schema_migrations' ORDER BY relname
"""
# A verb that layercake_app may use on something without a policy for it; views show what their owner sees.
UNPROTECTED = """
    SELECT DISTINCT c.relname FROM pg_class c, (
        VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')
    ) AS verb (name, letter)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND c.relname <> 'schema_migrations' AND NOT c.relispartition AND (
            NOT c.relrowsecurity
            OR (
                CASE verb.name WHEN 'DELETE' THEN has_table_privilege('layercake_app', c.oid, 'DELETE, TRUNCATE')
                ELSE has_any_column_privilege('layercake_app', c.oid, verb.name) END
                AND NOT EXISTS (
                    SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd::text IN (verb.letter, '*')
                        AND 'layercake_app'::regrole = ANY (p.polroles)
                )
            )
        )
    ORDER BY c.relname
"""
OPEN_PARTITIONS = """
    SELECT c.relname, r.rolname FROM pg_class c, pg_roles r
    WHERE c.relispartition AND c.relkind = 'r' AND r.rolname IN ('layercake_app', 'layercake_log')
        AND has_any_column_privilege(r.rolname, c.oid, 'SELECT, INSERT, UPDATE')
"""
PARTITIONS = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
DEFINERS = """
    SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY proname
"""
WRITABLE = """
    SELECT a.attname AS name FROM pg_attribute a
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
        AND has_column_privilege('layercake_app', a.attrelid, a.attnum, $2) ORDER BY a.attnum
"""


@pytest.fixture(scope="module")
def there(session_loop: LoopThread, module_database_url: str) -> TwoGroups:
    return session_loop.run(fill(module_database_url))


@pytest.fixture
async def owner(module_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the database; tests undo what they do."""
    connection = await asyncpg.connect(module_database_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def acting(connection: asyncpg.Connection, caller: Caller, graph_id: UUID | None = None) -> AsyncIterator[None]:
    """Be a request on behalf of `caller` for the block, after which nothing is left of it."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL ROLE layercake_app")
    grant = "" if caller.grant is None else f"{caller.grant.graph_id}:{caller.grant.role}"
    everywhere = "on" if caller.is_everywhere else ""
    await connection.execute(SET_CALLER, str(caller.user_id), grant, everywhere, str(graph_id or ""))
    try:
        yield
    finally:
        await transaction.rollback()


async def tables(connection: asyncpg.Connection) -> list[str]:
    return [row["name"] for row in await connection.fetch(TABLES)]


async def seen(connection: asyncpg.Connection) -> dict[str, set[str]]:
    """Return the keys of all rows that the connection sees, by table; nothing for what it may not look into."""
    found: dict[str, set[str]] = {}
    for table in await tables(connection):
        try:
            async with connection.transaction():
                rows = await connection.fetch(f"SELECT {await key_of(connection, table)} FROM {table}")
        except asyncpg.InsufficientPrivilegeError:
            rows = []
        found[table] = {row[0] for row in rows}
    return found


def expected(group: Group, name: str, names: list[str], graph_id: UUID | None = None) -> dict[str, set[str]]:
    """Return the keys of all rows that somebody of a group should see, in a transaction about `graph_id` or none."""
    visible = {table: group.seen_by(name, table) for table in names}
    if name != "disabled":
        visible["users"] |= {str(SYSTEM_USER_ID), str(ANONYMOUS_USER_ID)}
    if graph_id is not None:
        about = {group.graph: (0,), group.second_graph: (1,)}.get(graph_id, ())
        for table in PER_GRAPH:
            keys = list(group.rows[table])
            visible[table] &= {keys[number] for number in about}
    return visible


async def test_ISO_1_every_table_has_policies_and_a_new_one_without_is_found(owner: asyncpg.Connection) -> None:
    """ISO-1: without row level security, with a privilege but no policy, and as a view around both."""
    assert await owner.fetch(UNPROTECTED) == []
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("CREATE TABLE loose (id int); CREATE TABLE half (id int); CREATE VIEW around AS TABLE users")
    await owner.execute("ALTER TABLE half ENABLE ROW LEVEL SECURITY; GRANT INSERT ON half TO layercake_app")
    assert [row["relname"] for row in await owner.fetch(UNPROTECTED)] == ["around", "half", "loose"]
    await transaction.rollback()


async def test_ISO_1_partitions_are_not_read_around_their_table(owner: asyncpg.Connection) -> None:
    """ISO-1."""
    assert len(await owner.fetch(PARTITIONS)) > 3
    assert await owner.fetch(OPEN_PARTITIONS) == []


async def test_ISO_2_what_runs_as_the_owner_has_a_fixed_search_path(owner: asyncpg.Connection) -> None:
    """ISO-2: else whoever calls it brings tables of their own."""
    found = await owner.fetch(DEFINERS)
    assert {"role_in_graph", "caller_is_admin", "purge_graph"} <= {row["proname"] for row in found}
    for row in found:
        paths = [one.split("=", 1)[1] for one in row["proconfig"] or () if one.startswith("search_path=")]
        assert [path.split(", ")[-1] for path in paths] == ["pg_temp"], row["proname"]


async def test_ISO_3_there_are_rows_of_both_groups_in_every_table(owner: asyncpg.Connection, there: TwoGroups) -> None:
    """ISO-3: a new table must be filled in `two_groups.py`."""
    for group in (there.mine, there.theirs):
        assert sorted(group.rows) == await tables(owner)


@pytest.mark.parametrize("name", EVERYBODY)
@pytest.mark.parametrize("about", ["nothing", "mine", "second", "theirs", "unknown"])
async def test_ISO_3_one_sees_exactly_ones_own_rows(
    owner: asyncpg.Connection, there: TwoGroups, name: str, about: str
) -> None:
    """ISO-3, ISO-5, ISO-6: of every table, in a transaction about a graph or none, also when it is another group's."""
    graphs = {"mine": there.mine.graph, "second": there.mine.second_graph, "theirs": there.theirs.graph}
    graph_id = None if about == "nothing" else graphs.get(about, uuid4())
    async with acting(owner, there.mine.caller(name), graph_id):
        found = await seen(owner)
    assert found == expected(there.mine, name, list(found), graph_id)


async def test_ISO_3_the_other_group_sees_exactly_its_own(owner: asyncpg.Connection, there: TwoGroups) -> None:
    """ISO-3: so that the groups are no different."""
    async with acting(owner, there.theirs.caller("member")):
        found = await seen(owner)
    assert found == expected(there.theirs, "member", list(found))


async def test_ISO_3_the_operator_sees_both_groups(owner: asyncpg.Connection, there: TwoGroups) -> None:
    """ISO-3: an open server and the command line."""
    async with acting(owner, Caller(ANONYMOUS_USER_ID, is_everywhere=True)):
        found = await seen(owner)
    for table in ("groups", "projects", "graphs", "nodes", "crdt_operations", "events", "share_links", "audit_log"):
        assert there.mine.rows[table].keys() | there.theirs.rows[table].keys() <= found[table], table


@pytest.mark.parametrize("name", EVERYBODY)
async def test_ISO_4_no_row_of_another_group_is_changed_or_deleted(
    owner: asyncpg.Connection, there: TwoGroups, name: str
) -> None:
    """ISO-4: by statements without a condition, on every column that requests may write."""
    caller = there.mine.caller(name)
    for table in await tables(owner):
        key, columns = await key_of(owner, table), await owner.fetch(WRITABLE, table, "UPDATE")
        statements = [f"UPDATE {table} SET {row['name']} = {row['name']}" for row in columns]
        for statement in (*statements, f"DELETE FROM {table}"):
            for graph_id in (None, there.mine.graph, there.theirs.graph):
                async with acting(owner, caller, graph_id):
                    touched = await written(owner, f"{statement} RETURNING {key}")
                assert touched <= there.mine.rows[table].keys(), (statement, graph_id)


async def written(connection: asyncpg.Connection, statement: str, *arguments: Any) -> set[str]:
    """Return the keys of the rows that a statement returns; none if requests may not run it at all."""
    try:
        async with connection.transaction():
            return {row[0] for row in await connection.fetch(statement, *arguments)}
    except asyncpg.InsufficientPrivilegeError:
        return set()


async def test_ISO_4_the_same_statements_do_reach_rows_of_ones_own(owner: asyncpg.Connection, there: TwoGroups) -> None:
    """ISO-4: else the test above would prove nothing."""
    changed = set()
    for table in await tables(owner):
        for row in await owner.fetch(WRITABLE, table, "UPDATE"):
            column = row["name"]
            async with acting(owner, there.mine.caller("admin"), there.mine.graph):
                statement = f"UPDATE {table} SET {column} = {column} RETURNING {await key_of(owner, table)}"
                changed |= {table} if await written(owner, statement) else set()
    assert changed == {
        "event_streams", "graph_bases", "graph_checkpoints", "graph_roles", "graphs", "group_memberships", "groups",
        "invitations", "manual_edits", "oauth_tokens", "personal_access_tokens", "project_inputs", "projects",
        "sessions", "share_links", "users",
    }  # fmt: skip


OWNERS = {"user_id", "created_by", "granted_by", "uploaded_by"}
PERSONAL = {"sessions", "oauth_tokens", "personal_access_tokens"}
HASHES = {"token_hash", "refresh_token_hash", "access_token_hash", "key", "secret"}


def forged(table: str, row: asyncpg.Record, columns: set[str], caller: Caller) -> dict[str, Any]:
    """Return the values of a row of another group with a key of its own, as if the caller had made it."""
    values = {name: value for name, value in row.items() if name in columns}
    for name in values:
        if name == "id" or (name == "stream_id" and table == "event_streams"):
            values[name] = uuid4() if name == "id" else values[name]
        elif name in HASHES:
            values[name] = unique()
        elif name in OWNERS and table not in PERSONAL:
            values[name] = caller.user_id
    return values


@pytest.mark.parametrize("name", EVERYBODY)
async def test_ISO_4_no_row_is_added_to_another_group(owner: asyncpg.Connection, there: TwoGroups, name: str) -> None:
    """ISO-4: copies of each row of theirs, in the caller's own name where a row names who made it."""
    caller, tried = there.mine.caller(name), set()
    for table in set(await tables(owner)) - {"users", "groups"}:  # these belong to nobody yet when they are made
        columns = {row["name"] for row in await owner.fetch(WRITABLE, table, "INSERT")}
        key = await key_of(owner, table)
        rows = await owner.fetch(f"SELECT * FROM {table} WHERE {key} = ANY($1)", list(there.theirs.rows[table]))
        for row in rows if columns else ():
            values = forged(table, row, columns, caller)
            places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
            statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"
            for graph_id in (None, there.mine.graph, there.theirs.graph):
                tried.add(table)
                async with acting(owner, caller, graph_id):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await owner.execute(statement, *values.values())
    assert {
        "projects", "graphs", "crdt_operations", "events", "audit_log", "share_links", "sessions", "graph_bases",
        "project_inputs",
    } <= tried  # fmt: skip


@pytest.mark.parametrize("name", EVERYBODY)
async def test_ISO_4_no_row_of_ones_own_is_moved_to_another_group(
    owner: asyncpg.Connection, there: TwoGroups, name: str
) -> None:
    """ISO-4."""
    targets = {"group_id": there.theirs.id, "project_id": there.theirs.project, "graph_id": there.theirs.graph}
    targets |= {"user_id": there.theirs.people["admin"]}
    tried = set()
    for table in await tables(owner):
        for column in (row["name"] for row in await owner.fetch(WRITABLE, table, "UPDATE")):
            if column not in targets or (table, column) == ("group_memberships", "user_id"):
                continue
            tried.add((table, column))
            statement = f"UPDATE {table} SET {column} = $1 RETURNING {await key_of(owner, table)}"
            async with acting(owner, there.mine.caller(name)):
                assert await written(owner, statement, targets[column]) == set(), (table, column)
    assert {("projects", "group_id"), ("group_memberships", "group_id"), ("sessions", "user_id")} <= tried


ADD_EVENT = """
    INSERT INTO events (stream_id, version, event_type, payload, user_id, project_id)
    VALUES ($1, 9, 'graph.edited', '{}', $2, $3)
"""
ADD_ENTRY = "INSERT INTO audit_log (action, outcome, user_id, group_id, graph_id) VALUES ('a.b', 'done', $1, $2, $3)"
ADD_INVITATION = """
    INSERT INTO invitations (id, group_id, role, makes_admin, token_hash, created_by, expires_at)
    VALUES ($1, $2, 'admin', $3, $4, $5, now() + interval '1 day')
"""


async def test_ISO_4_history_and_audit_are_added_where_they_belong_alone(
    owner: asyncpg.Connection, there: TwoGroups
) -> None:
    """ISO-4: an event of my graph in their project, an entry of my graph in their group, either in another's name."""
    mine, theirs = there.mine, there.theirs
    me, other = mine.people["admin"], mine.people["member"]
    for statement, right, wrongs in (
        (ADD_EVENT, (mine.graph, me, mine.project), [
            (mine.graph, me, theirs.project), (theirs.graph, me, mine.project), (mine.graph, other, mine.project),
            (mine.graph, me, None),
        ]),
        (ADD_ENTRY, (me, mine.id, mine.graph), [
            (me, theirs.id, mine.graph), (me, theirs.id, theirs.graph), (other, mine.id, mine.graph),
        ]),
    ):  # fmt: skip
        async with acting(owner, mine.caller("admin")):
            await owner.execute(statement, *right)
        for wrong in wrongs:
            async with acting(owner, mine.caller("admin")):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await owner.execute(statement, *wrong)


async def test_ISO_4_an_admin_of_a_group_makes_no_admins_of_the_installation(
    owner: asyncpg.Connection, there: TwoGroups
) -> None:
    """ISO-4."""
    for makes_admin in (False, True):
        arguments = (uuid4(), there.mine.id, makes_admin, unique(), there.mine.people["admin"])
        async with acting(owner, there.mine.caller("admin")):
            if makes_admin:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await owner.execute(ADD_INVITATION, *arguments)
            else:
                await owner.execute(ADD_INVITATION, *arguments)


@pytest.mark.parametrize("caller", ["nobody", "no setting", "made up"])
async def test_ISO_6_nobody_sees_anything(owner: asyncpg.Connection, there: TwoGroups, caller: str) -> None:
    """ISO-6: also with a grant for a graph that is there, and none of the settings set."""
    grant = Grant(there.mine.graph, "admin") if caller == "made up" else None
    async with acting(owner, Caller(NOBODY.user_id, grant)):
        if caller == "no setting":
            await owner.execute(SET_CALLER, "", "", "", "")
        assert not any((await seen(owner)).values())


async def test_ISO_6_an_admin_of_the_installation_sees_people_and_no_graphs(
    owner: asyncpg.Connection, there: TwoGroups
) -> None:
    """ISO-6: of groups they are in no more than anybody."""
    async with acting(owner, Caller(there.chief)):
        found = await seen(owner)
    own = {str(there.chief), str(SYSTEM_USER_ID), str(ANONYMOUS_USER_ID)}
    for table in set(found) - {"groups", "group_memberships"}:
        extra = own if table == "users" else set()
        assert found[table] == there.mine.seen_by("chief", table) | there.theirs.seen_by("chief", table) | extra, table
    assert there.theirs.rows["groups"].keys() <= found["groups"]


async def test_ISO_6_a_graph_is_shown_and_hidden_again_by_its_role(owner: asyncpg.Connection, there: TwoGroups) -> None:
    """ISO-6: the role in the graph comes before that in the group, but admins of the group stay what they are."""
    graph, people = there.mine.graph, there.mine.people
    for name, role, found in (
        ("viewer", "admin", "admin"),
        ("viewer", "none", None),
        ("member", "viewer", "viewer"),
        ("admin", "none", "admin"),
        ("disabled", "admin", None),
    ):
        transaction = owner.transaction()
        await transaction.start()
        statement = "INSERT INTO graph_roles (graph_id, user_id, role, granted_by) VALUES ($1, $2, $3, $4)"
        await owner.execute(statement, graph, people[name], role, people["admin"])
        async with acting(owner, there.mine.caller(name)):
            assert await owner.fetchval("SELECT role_in_graph($1)", graph) == found
            visible = await owner.fetchval("SELECT count(*) FROM graphs WHERE id = $1", graph)
            assert visible == (found is not None)
        await transaction.rollback()


@pytest.mark.parametrize("column", ["password_hash", "verification_token_hash", "metadata", "*"])
async def test_ISO_7_hashes_of_passwords_are_not_read(owner: asyncpg.Connection, there: TwoGroups, column: str) -> None:
    """ISO-7: not one's own either."""
    for caller in (there.mine.caller("admin"), Caller(there.chief), Caller(ANONYMOUS_USER_ID, is_everywhere=True)):
        async with acting(owner, caller):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.fetch(f"SELECT {column} FROM users")
