"""The rows of graphs on a real PostgreSQL: what `persistence.graphs.Graphs` promises, DOOR-24 to DOOR-26, IMPORT-10."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.database import Database
from persistence.document import DocumentUpdate
from persistence.errors import InvalidValueError, NotFoundError
from persistence.graphs import Graphs
from persistence.operations import StoredDocuments
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, SYSTEM_USER_ID, Caller, Retitle

ME = Caller(ANONYMOUS_USER_ID)
UPDATES = tuple(DocumentUpdate(b"%d" % number, 1, f'{{"1":{number + 1}}}', 1) for number in range(50))


@pytest.fixture
def graphs(database: Database) -> Graphs:
    return Graphs(database)


@pytest.fixture
async def project_id(database: Database) -> UUID:
    return (await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", None)).id


async def stored_updates(database: Database, graph_id: UUID) -> tuple[bytes, ...]:
    async with StoredDocuments(database).open(graph_id) as chunks:
        return tuple([update async for chunk in chunks for update in chunk.updates])


async def test_a_created_graph_is_read_as_it_was_answered(graphs: Graphs, project_id: UUID) -> None:
    created = await graphs.create(ME, project_id, "Deck", "reference", "planks")

    assert (created.project_id, created.name, created.graph_type) == (project_id, "Deck", "reference")
    assert created.description == "planks"
    assert created.id.version == 7
    assert await graphs.read(ME, created.id) == created


async def test_a_graph_starts_with_its_operations_in_order(
    graphs: Graphs, project_id: UUID, database: Database
) -> None:
    """IMPORT-10: each row says whose it is, and that it waits for nothing."""
    graph = await graphs.create(ME, project_id, "Deck", "data", None, UPDATES)
    rows = """
        SELECT user_id, session_id, client_id, vector_clock, created_at, applied_at
        FROM crdt_operations WHERE graph_id = $1 ORDER BY id
    """
    async with database.request(ME, graph.id) as connection:
        stored = await connection.fetch(rows, graph.id)

    assert await stored_updates(database, graph.id) == tuple(update.data for update in UPDATES)
    assert [tuple(row)[:4] for row in stored] == [
        (ME.user_id, "import", str(update.client_id), update.vector_clock) for update in UPDATES
    ]
    assert {row["applied_at"] for row in stored} == {row["created_at"] for row in stored} == {graph.created_at}


async def test_a_graph_that_cannot_have_its_operations_is_not_there(graphs: Graphs, project_id: UUID) -> None:
    """IMPORT-10: all or nothing."""
    empty = DocumentUpdate(b"", 1, "{}", 1)  # the schema refuses an operation without bytes
    with pytest.raises(InvalidValueError):
        await graphs.create(ME, project_id, "Deck", "data", None, (*UPDATES, empty))

    assert await graphs.of_project(ME, project_id) == ()


async def test_a_bad_name_is_refused(graphs: Graphs, project_id: UUID) -> None:
    with pytest.raises(InvalidValueError) as raised:
        await graphs.create(ME, project_id, "\t", "data", None)

    assert raised.value.constraint == "ck_graphs_name"


async def test_a_graph_needs_a_project(graphs: Graphs) -> None:
    with pytest.raises(NotFoundError):
        await graphs.create(ME, uuid4(), "Deck", "data", None)


async def test_a_project_lists_its_graphs_oldest_first(graphs: Graphs, project_id: UUID, database: Database) -> None:
    """DOOR-24."""
    other = await Projects(database).create(ME, EVERYONE_GROUP_ID, "Other", None)
    mine = [await graphs.create(ME, project_id, name, "data", None) for name in ("c", "a", "b")]
    await graphs.create(ME, other.id, "elsewhere", "data", None)

    assert await graphs.of_project(ME, project_id) == tuple(mine)


async def test_the_role_in_a_graph_is_the_one_in_its_group(graphs: Graphs, project_id: UUID) -> None:
    graph = await graphs.create(ME, project_id, "Deck", "data", None)

    assert await graphs.role_in_graph(ME, graph.id) == "admin"
    assert await graphs.role_in_graph(Caller(SYSTEM_USER_ID), graph.id) is None
    assert await graphs.role_in_graph(ME, uuid4()) is None


@pytest.mark.parametrize("in_group", ["admin", "member", "viewer"])
async def test_a_list_says_the_same_role_as_each_graph(
    graphs: Graphs, project_id: UUID, database_url: str, in_group: str
) -> None:
    """ISO-2: also where a graph has a role of its own for the caller."""
    made = [await graphs.create(ME, project_id, str(number), "data", None) for number in range(5)]
    caller = Caller(uuid4())
    owner = await asyncpg.connect(database_url)
    await owner.execute("INSERT INTO users (id, username) VALUES ($1, 'x')", caller.user_id)
    add = "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, $3)"
    await owner.execute(add, EVERYONE_GROUP_ID, caller.user_id, in_group)
    grant = "INSERT INTO graph_roles (graph_id, user_id, role, granted_by) VALUES ($1, $2, $3, $2)"
    for graph, role in zip(made, ("admin", "member", "viewer", "none"), strict=False):
        await owner.execute(grant, graph.id, caller.user_id, role)
    await owner.close()

    listed = {graph.id: graph.role for graph in await graphs.of_project(caller, project_id)}
    asked = {graph.id: await graphs.role_in_graph(caller, graph.id) for graph in made}
    assert listed == {graph_id: role for graph_id, role in asked.items() if role is not None}
    assert len(listed) == (5 if in_group == "admin" else 4)


async def test_a_change_touches_only_what_it_names(graphs: Graphs, project_id: UUID) -> None:
    """DOOR-25."""
    graph = await graphs.create(ME, project_id, "Deck", "data", "planks")

    described = await graphs.change(ME, graph.id, Retitle(None, "steel", keep_description=False))
    assert (described.name, described.description) == ("Deck", "steel")
    renamed = await graphs.change(ME, graph.id, Retitle("Rail", None, keep_description=True))
    assert (renamed.name, renamed.description) == ("Rail", "steel")
    assert await graphs.read(ME, graph.id) == renamed


async def test_a_deleted_graph_is_absent_and_its_log_is_kept(
    graphs: Graphs, project_id: UUID, database: Database
) -> None:
    """DOOR-26."""
    graph = await graphs.create(ME, project_id, "Deck", "data", None, UPDATES)
    await graphs.delete(ME, graph.id)

    assert await graphs.of_project(ME, project_id) == ()
    assert await graphs.role_in_graph(ME, graph.id) is None
    for attempt in (
        graphs.read(ME, graph.id),
        graphs.delete(ME, graph.id),
        graphs.change(ME, graph.id, Retitle("x", None, keep_description=True)),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    async with database.service() as connection:
        kept = await connection.fetchval("SELECT count(*) FROM crdt_operations WHERE graph_id = $1", graph.id)
    assert kept == len(UPDATES)


async def test_graphs_go_to_the_bin_with_their_project(graphs: Graphs, project_id: UUID, database: Database) -> None:
    """DOOR-26."""
    graph = await graphs.create(ME, project_id, "Deck", "data", None)
    await Projects(database).delete(ME, project_id)

    assert await graphs.role_in_graph(ME, graph.id) is None
    assert await graphs.of_project(ME, project_id) == ()
    for attempt in (graphs.read(ME, graph.id), graphs.create(ME, project_id, "late", "data", None)):
        with pytest.raises(NotFoundError):
            await attempt
