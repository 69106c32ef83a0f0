"""PLANS: what is stored of plans and of their data."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from uuid import UUID

import asyncpg
import orjson
import pytest

from persistence import inputs as stored_inputs
from persistence.database import Database
from persistence.errors import InputInUseError, InputsFullError, InvalidValueError, NotFoundError, RowRefusedError
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.inputs import Inputs
from persistence.plans import PlanPosition, Plans
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, SYSTEM_USER_ID, Caller
from persistence.replay_records import InputContent

ME = Caller(ANONYMOUS_USER_ID)
PLAN = b'{"version":"1.0","nodes":[{"id":"in","config":{"source":"nodes.csv"}}],"edges":[],"metadata":{}}'
INSERT_OPERATION = """
    INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)
    VALUES ($1, '\\x0000', '{}', $2, 's', '1') RETURNING id
"""
SHOW = "UPDATE graphs SET projected_through = $2 WHERE id = $1"


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the test's database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def new_project(database: Database) -> UUID:
    return (await Projects(database).create(ME, EVERYONE_GROUP_ID, f"p {new_id()}", None)).id


async def new_plan_graph(database: Database, project_id: UUID) -> UUID:
    return (await Graphs(database).create(ME, project_id, "Plan", "plan", None)).id


def table(name: str, content: bytes = b"id,label\na,A\n") -> InputContent:
    return InputContent(name, "csv", sha256(content).hexdigest(), 1, content)


async def position(plans: Plans, graph_id: UUID) -> PlanPosition:
    found = await plans.position(graph_id)
    assert found is not None
    return found


async def test_PLANS_6_the_oldest_plan_graph_outside_of_the_bin_counts(database: Database) -> None:
    project_id, plans, graphs = await new_project(database), Plans(database), Graphs(database)
    await graphs.create(ME, project_id, "Deck", "data", None)
    assert (await plans.read(project_id)).plan_graph_id is None
    first, second = [await new_plan_graph(database, project_id) for _ in range(2)]

    assert (await plans.read(project_id)).plan_graph_id == first
    assert await plans.position(second) is None
    await graphs.delete(ME, first)
    assert (await plans.read(project_id)).plan_graph_id == second
    assert await plans.position(first) is None
    await Projects(database).delete(ME, project_id)
    assert await plans.position(second) is None
    with pytest.raises(NotFoundError):
        await plans.read(project_id)


async def test_PLANS_6_a_document_becomes_the_plan_only_if_that_is_as_it_was(
    database: Database, owner: asyncpg.Connection
) -> None:
    project_id, plans = await new_project(database), Plans(database)
    graph_id = await new_plan_graph(database, project_id)
    through = await owner.fetchval(INSERT_OPERATION, graph_id, ANONYMOUS_USER_ID)
    assert await plans.behind(10) == ()
    await owner.execute(SHOW, graph_id, through)
    assert await plans.behind(10) == (graph_id,)
    seen = await position(plans, graph_id)
    assert (seen.through, seen.user_id) == (through, ANONYMOUS_USER_ID)

    assert await plans.project(seen, PLAN, "1.0")
    assert not await plans.project(seen, b'{"version":"2"}', "2"), "somebody wrote a newer plan meanwhile"
    assert (await plans.read(project_id)).plan_dag == orjson.loads(PLAN)
    assert await plans.behind(10) == ()


async def test_PLANS_6_what_was_looked_at_in_vain_is_not_behind(database: Database, owner: asyncpg.Connection) -> None:
    """Whoever changed it is unknown once the log was pruned: the system did."""
    project_id, plans = await new_project(database), Plans(database)
    graph_id = await new_plan_graph(database, project_id)
    await owner.execute(SHOW, graph_id, 7)
    seen = await position(plans, graph_id)
    assert seen.user_id == SYSTEM_USER_ID

    await plans.pass_to(seen)

    assert await plans.behind(10) == ()
    assert (await plans.read(project_id)).plan_dag["nodes"] == []


async def test_PLANS_6_a_change_of_a_plan_graph_is_told_and_of_no_other(
    database: Database, owner: asyncpg.Connection
) -> None:
    told: list[str] = []
    await owner.add_listener("layercake_plans", lambda *arguments: told.append(arguments[-1]))
    project_id = await new_project(database)
    plan_id = await new_plan_graph(database, project_id)
    other = await Graphs(database).create(ME, project_id, "Deck", "data", None)
    for graph_id, through in ((other.id, 5), (plan_id, 5), (plan_id, 0), (plan_id, 6)):
        await owner.execute(SHOW, graph_id, through)
    assert await owner.fetchval("SELECT 1") == 1  # notices come before the answer

    assert told == [str(plan_id)] * 2


async def test_PLANS_11_one_at_a_time_holds_a_project(database: Database) -> None:
    project_id, plans, order = await new_project(database), Plans(database), []
    is_held = asyncio.Event()

    async def wait() -> None:
        await is_held.wait()
        async with plans.held(project_id):
            order.append("second")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(wait())
        async with plans.held(project_id):
            is_held.set()
            # What is made meanwhile refers to the project.
            await new_plan_graph(database, project_id)
            order.append("first")
    assert order == ["first", "second"]
    with pytest.raises(NotFoundError):
        async with plans.held(new_id()):
            pass


async def test_PLANS_7_an_input_is_kept_as_it_came_and_replaced_by_its_name(database: Database) -> None:
    project_id, inputs, plans = await new_project(database), Inputs(database), Plans(database)
    await inputs.write(ME, project_id, table("b.csv"))
    await inputs.write(ME, project_id, table("a.csv"))
    await inputs.write(ME, project_id, table("b.csv", b"id\nb\n"))

    listed = await inputs.of_project(ME, project_id)
    assert [(one.name, one.size_bytes, one.rows) for one in listed] == [("a.csv", 13, 1), ("b.csv", 5, 1)]
    assert await inputs.read(ME, project_id, "b.csv") == table("b.csv", b"id\nb\n")
    assert await plans.inputs(project_id) == listed
    assert await plans.content(project_id, "a.csv") == table("a.csv")
    for read in (inputs.read(ME, project_id, "c.csv"), plans.content(project_id, "c.csv")):
        with pytest.raises(NotFoundError, match=r"c\.csv"):
            await read
    with pytest.raises(InvalidValueError):
        await inputs.write(ME, project_id, table("a\nb"))


async def test_PLANS_7_there_is_a_bound_on_inputs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is replaced does not count."""
    monkeypatch.setattr(stored_inputs, "MAX_INPUTS", 2)
    monkeypatch.setattr(stored_inputs, "MAX_INPUTS_BYTES", 30)
    project_id, inputs = await new_project(database), Inputs(database)
    for name in ("a.csv", "b.csv", "b.csv"):
        await inputs.write(ME, project_id, table(name))
    with pytest.raises(InputsFullError, match="2 inputs"):
        await inputs.write(ME, project_id, table("c.csv"))
    with pytest.raises(InputsFullError, match="30 bytes"):
        await inputs.write(ME, project_id, table("b.csv", b"x" * 18))


async def test_PLANS_7_an_input_that_the_plan_names_stays(database: Database, owner: asyncpg.Connection) -> None:
    project_id, inputs = await new_project(database), Inputs(database)
    await inputs.write(ME, project_id, table("nodes.csv"))
    await owner.execute("UPDATE projects SET plan_dag = $2::text::jsonb WHERE id = $1", project_id, PLAN.decode())
    with pytest.raises(InputInUseError, match="in") as raised:
        await inputs.delete(ME, project_id, "nodes.csv")
    assert raised.value.node_ids == ("in",)
    assert await inputs.of_project(ME, project_id)

    await owner.execute("UPDATE projects SET plan_dag = '{}' WHERE id = $1", project_id)
    await inputs.delete(ME, project_id, "nodes.csv")
    assert await inputs.of_project(ME, project_id) == ()
    with pytest.raises(NotFoundError):
        await inputs.delete(ME, project_id, "nodes.csv")


async def test_PLANS_8_only_editors_change_inputs_and_strangers_see_none(
    database: Database, owner: asyncpg.Connection
) -> None:
    project_id, inputs = await new_project(database), Inputs(database)
    await inputs.write(ME, project_id, table("a.csv"))
    viewer, stranger = Caller(new_id()), Caller(new_id())
    for name, caller in (("viewer", viewer), ("stranger", stranger)):
        await owner.execute("INSERT INTO users (id, username) VALUES ($1, $2)", caller.user_id, name)
    await owner.execute(
        "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, 'viewer')",
        EVERYONE_GROUP_ID,
        viewer.user_id,
    )

    assert len(await inputs.of_project(viewer, project_id)) == 1
    with pytest.raises(NotFoundError):
        await inputs.delete(viewer, project_id, "a.csv")
    assert await inputs.of_project(stranger, project_id) == ()
    for caller in (viewer, stranger):
        with pytest.raises(RowRefusedError):
            await inputs.write(caller, project_id, table("b.csv"))
