"""The event log on a real PostgreSQL: rules EVENT-1 to EVENT-5 of SPEC.md."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.bin import BinnedRows
from persistence.database import Database
from persistence.errors import InvalidValueError, NotFoundError, StoreUnavailableError
from persistence.events import MONTHS_AHEAD, Events, append_event
from persistence.graphs import Graphs
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, NewEvent, Origin, Retitle

ME = Caller(ANONYMOUS_USER_ID)
OPERATOR = Caller(ANONYMOUS_USER_ID, is_everywhere=True)
APPENDERS = 8
EACH = 25
PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1"


def event(stream_id: UUID, number: int = 0, project_id: UUID | None = None) -> NewEvent:
    return NewEvent(stream_id, "graph.edited", {"number": number}, ME.user_id, project_id)


async def graphs_made(database: Database, count: int) -> list[UUID]:
    """Make a project and return the ids of so many graphs in it, each a stream with one event."""
    project = await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", None)
    return [(await Graphs(database).create(ME, project.id, "Deck", "data", None)).id for _ in range(count)]


async def types(database: Database, project_id: UUID) -> list[str]:
    """The types of a project's events, oldest first."""
    found = await Events(database).of_project(ME, project_id, None, 200)
    return [one.event_type for one in reversed(found)]


async def test_every_act_on_a_graph_is_an_event(database: Database) -> None:
    """EVENT-1."""
    projects, graphs, binned = Projects(database), Graphs(database), BinnedRows(database)
    project = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", "steel")
    graph = await graphs.create(ME, project.id, "Deck", "plan", None)
    origin = Origin("graph.copied", {"parent_graph_id": str(graph.id)}, graph.id)
    copy = await graphs.create(ME, project.id, "Copy", "plan", None, (), origin)
    await graphs.change(ME, graph.id, Retitle("Rail", "planks", keep_description=False))
    await graphs.delete(ME, graph.id)
    await binned.restore_graph(ME, graph.id)
    await graphs.delete(ME, graph.id)
    await binned.purge_graph(ME, graph.id)

    found = await Events(database).of_stream(ME, graph.id, None, 200)
    assert [(one.version, one.event_type, one.payload) for one in reversed(found)] == [
        (1, "graph.created", {"name": "Deck", "description": None, "graph_type": "plan"}),
        (2, "graph.renamed", {"old": "Deck", "new": "Rail"}),
        (3, "graph.described", {"old": None, "new": "planks"}),
        (4, "graph.binned", {"name": "Rail"}),
        (5, "graph.restored", {"name": "Rail"}),
        (6, "graph.binned", {"name": "Rail"}),
        (7, "graph.purged", {"name": "Rail", "description": "planks"}),
    ]
    assert {(one.stream_id, one.user_id, one.project_id) for one in found} == {(graph.id, ME.user_id, project.id)}
    (copied,) = await Events(database).of_stream(ME, copy.id, None, 200)
    assert (copied.event_type, copied.payload["parent_graph_id"]) == ("graph.copied", str(graph.id))


async def test_every_act_on_a_project_is_an_event(database: Database) -> None:
    """EVENT-1."""
    projects, binned = Projects(database), BinnedRows(database)
    project = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", "steel")
    graph = await Graphs(database).create(ME, project.id, "Deck", "data", None)
    await projects.change(ME, project.id, Retitle("Ferry", None, keep_description=False))
    await projects.delete(ME, project.id)
    await binned.restore_project(ME, project.id)
    await projects.delete(ME, project.id)
    await binned.purge_project(ME, project.id)

    found = await Events(database).of_stream(OPERATOR, project.id, None, 200)
    assert [(one.version, one.event_type, one.payload) for one in reversed(found)] == [
        (1, "project.created", {"name": "Bridge", "description": "steel"}),
        (2, "project.renamed", {"old": "Bridge", "new": "Ferry"}),
        (3, "project.described", {"old": "steel", "new": None}),
        (4, "project.binned", {"name": "Ferry"}),
        (5, "project.restored", {"name": "Ferry"}),
        (6, "project.binned", {"name": "Ferry"}),
        (
            7,
            "project.purged",
            {"name": "Ferry", "description": None, "graphs": [{"id": str(graph.id), "name": "Deck"}]},
        ),
    ]
    assert {one.project_id for one in found} == {project.id}


async def test_an_act_that_changes_nothing_or_fails_is_no_event(database: Database) -> None:
    """EVENT-1."""
    projects, graphs, binned = Projects(database), Graphs(database), BinnedRows(database)
    project = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", None)
    graph = await graphs.create(ME, project.id, "Deck", "data", None)
    before = await types(database, project.id)

    await graphs.change(ME, graph.id, Retitle("Deck", None, keep_description=False))
    await projects.change(ME, project.id, Retitle(None, None, keep_description=True))
    with pytest.raises(InvalidValueError):
        await graphs.change(ME, graph.id, Retitle("\t", "new", keep_description=False))
    for attempt in (
        binned.restore_graph(ME, graph.id),
        binned.purge_graph(ME, graph.id),
        binned.restore_project(ME, project.id),
        binned.purge_project(ME, project.id),
        graphs.delete(ME, uuid4()),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert await types(database, project.id) == before


@pytest.mark.parametrize("role", ["request", "service"])
async def test_concurrent_appends_wait_and_leave_no_gap(database_url: str, role: str) -> None:
    """EVENT-2: eight connections on one stream, each transaction with an append to a stream of its own too."""
    database = await Database.open(database_url, pool_size=APPENDERS, timeout_s=30)
    stream_id, *own = await graphs_made(database, 1 + APPENDERS)
    project_id = (await Graphs(database).read(ME, stream_id)).project_id
    versions: list[int] = [1]

    async def append_many(own_id: UUID) -> None:
        for number in range(EACH):
            async with database.request(ME) if role == "request" else database.service() as connection:
                versions.append(await append_event(connection, event(stream_id, number, project_id)))
                await append_event(connection, event(own_id, number, project_id))

    await asyncio.gather(*map(append_many, own))

    assert sorted(versions) == list(range(1, APPENDERS * EACH + 2))
    async with database.service() as connection:
        rows = await connection.fetch("SELECT version FROM events WHERE stream_id = $1 ORDER BY id", stream_id)
    assert [row["version"] for row in rows] == sorted(versions)
    await database.close()


async def test_an_append_that_is_rolled_back_leaves_no_gap(database: Database) -> None:
    """EVENT-2."""
    stream_id = uuid4()

    async def append(*, fail: bool) -> int:
        async with database.service() as connection:
            version = await append_event(connection, event(stream_id))
            if fail:
                raise NotFoundError("graph", stream_id)
        return version

    assert await append(fail=False) == 1
    with pytest.raises(NotFoundError):
        await append(fail=True)
    assert await append(fail=False) == 2


@pytest.mark.parametrize("role", ["layercake_app", "layercake_log"])
async def test_neither_role_changes_what_is_written(database: Database, database_url: str, role: str) -> None:
    """EVENT-3: not in the table, not in a partition, not by way of the streams."""
    await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", None)
    connection = await asyncpg.connect(database_url)
    await connection.execute("SELECT set_config('app.user_id', $1, false)", str(ME.user_id))
    partitions = [row["name"] for row in await connection.fetch(PARTITIONS)]
    await connection.execute(f"SET ROLE {role}")
    assert await connection.fetchval("SELECT count(*) FROM events") == 1
    statements = [f"{verb} {table}" for table in ("events", *partitions) for verb in ("DELETE FROM", "TRUNCATE")]
    statements += ["UPDATE events SET payload = '{}'", "DELETE FROM event_streams", "TRUNCATE event_streams"]
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_the_coming_months_have_partitions(database: Database, database_url: str) -> None:
    """EVENT-4: made once, whoever asks how often."""
    owner = await asyncpg.connect(database_url)
    before = [row["name"] for row in await owner.fetch(PARTITIONS)]
    assert "events_default" in before
    assert len(before) == MONTHS_AHEAD + 2
    assert f"events_{datetime.now(UTC):%Y_%m}" in before
    assert await Events(database).make_partitions() == 0

    await owner.execute(f"DROP TABLE {before[0]}; DROP TABLE {before[1]}")
    made = await asyncio.gather(*(Events(database).make_partitions() for _ in range(3)))
    assert sum(made) == 2
    assert [row["name"] for row in await owner.fetch(PARTITIONS)] == before
    await owner.close()


async def test_an_event_without_a_month_is_kept_and_read(database: Database, database_url: str) -> None:
    """EVENT-4: what the default partition took, no later partition is made over."""
    owner = await asyncpg.connect(database_url)
    this_month = f"events_{datetime.now(UTC):%Y_%m}"
    await owner.execute(f"DROP TABLE {this_month}")
    project = await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", None)

    assert await owner.fetchval("SELECT count(*) FROM events_default") == 1
    assert await Events(database).make_partitions() == 0
    async with database.service() as connection:
        assert await append_event(connection, event(project.id, 0, project.id)) == 2
    assert len(await Events(database).of_stream(ME, project.id, None, 200)) == 2
    await owner.close()


async def test_making_a_partition_gives_way_to_a_long_reader(database: Database, database_url: str) -> None:
    """EVENT-4: everybody who appends would wait behind it."""
    owner = await asyncpg.connect(database_url)
    await owner.execute(f"DROP TABLE events_{datetime.now(UTC):%Y_%m}")
    async with owner.transaction():
        await owner.fetchval("SELECT count(*) FROM events")
        with pytest.raises(StoreUnavailableError):
            await Events(database).make_partitions()
    assert await Events(database).make_partitions() == 1
    await owner.close()


async def test_events_are_read_newest_first_page_by_page(database: Database) -> None:
    """EVENT-5."""
    stream_id, other_id = await graphs_made(database, 2)
    project_id = (await Graphs(database).read(ME, stream_id)).project_id
    async with database.service() as connection:
        for number in range(4):
            await append_event(connection, event(stream_id, number, project_id))
            await append_event(connection, event(other_id, number, project_id))
    events = Events(database)

    first = await events.of_stream(ME, stream_id, None, 3)
    second = await events.of_stream(ME, stream_id, first[-1].id, 3)
    assert [one.version for one in first + second] == [5, 4, 3, 2, 1]
    assert await events.of_stream(ME, stream_id, second[-1].id, 3) == ()


@pytest.mark.parametrize(
    ("constraint", "broken"),
    [
        ("ck_events_event_type", NewEvent(uuid4(), "Graph created", {}, ME.user_id, None)),
        ("ck_events_payload", NewEvent(uuid4(), "graph.created", [], ME.user_id, None)),  # type: ignore[arg-type]
        ("fk_events_user_id", NewEvent(uuid4(), "graph.created", {}, uuid4(), None)),
    ],
)
async def test_an_event_refuses_what_it_cannot_mean(database: Database, constraint: str, broken: NewEvent) -> None:
    """SCHEMA-7."""
    with pytest.raises(InvalidValueError) as raised:
        async with database.service() as connection:
            await append_event(connection, broken)
    assert raised.value.constraint.endswith(constraint)
