"""DOOR-1 and ISO-2: the door says of people at once what a request of each says, whoever they are."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from auth.policy import OPERATOR
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.roles import RolesAtTheDoor
from tests.conftest import LoopThread
from tests.contract.two_groups import PEOPLE, TwoGroups, fill


@pytest.fixture(scope="module")
def there(session_loop: LoopThread, module_database_url: str) -> TwoGroups:
    return session_loop.run(fill(module_database_url))


@pytest.fixture
async def here(module_database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(module_database_url, pool_size=2, timeout_s=10)
    yield database
    await database.close()


async def test_everybody_has_the_same_role_at_the_door_as_in_a_request(there: TwoGroups, here: Database) -> None:
    door, rows = RolesAtTheDoor(here), Graphs(here)
    groups = (there.mine, there.theirs)
    graphs = [graph for group in groups for graph in (group.graph, group.second_graph)] + [new_id()]
    callers = [group.caller(name) for group in groups for name in (*PEOPLE, "guest")] + [OPERATOR.caller]
    questions = [(caller, graph_id) for caller in callers for graph_id in graphs]

    answers = await asyncio.gather(*(door.role_in_graph(*question) for question in questions))

    assert answers == [await rows.role_in_graph(*question) for question in questions]
    assert set(answers) == {"admin", "member", "viewer", None}


async def test_nobody_has_a_role_in_a_graph_in_the_bin(there: TwoGroups, here: Database) -> None:
    graph = there.mine.second_graph
    await Graphs(here).delete(OPERATOR.caller, graph)
    assert await RolesAtTheDoor(here).role_in_graph(OPERATOR.caller, graph) is None
