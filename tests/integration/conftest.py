"""One real server for all tests of this tier that only add graphs of their own."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio

from persistence.database import Database
from persistence.projection import Projection
from tests.clients.node import NodeClients
from tests.conftest import LoopThread
from tests.faults.harness import Server
from tests.integration.people import Town, town_at


@pytest.fixture(scope="session")
def live_server(session_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`layercake serve --open` in a process of its own; `base_url`, `ws_url`, `create_graph()`."""
    server = Server(tmp_path_factory.mktemp("live"))
    session_loop.run(server.start())
    yield server
    session_loop.run(server.destroy())


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the test's database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


# The lock: a refusal of the test before, which is written up to half a second later, would keep its person from going.
BEGIN_ANEW = """
    LOCK TABLE audit_log IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM projects;
    DELETE FROM events;
    DELETE FROM event_streams;
    DELETE FROM audit_log;
    DELETE FROM invitations;
    DELETE FROM sign_in_throttles;
    DELETE FROM groups WHERE id <> '00000000-0000-7000-8000-000000000003';
    DELETE FROM users WHERE username NOT IN ('system', 'anonymous');
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(module_database_url: str) -> AsyncIterator[Town]:
    """One server with accounts for all tests of a module."""
    async with town_at(module_database_url) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def empty_town(shared_town: Town) -> Town:
    """The same with nobody and nothing in it."""
    await shared_town.owner.execute(BEGIN_ANEW)
    return shared_town


@pytest_asyncio.fixture(loop_scope="module")
async def adas_town(shared_town: Town) -> Town:
    """The same, as if Ada alone had an account."""
    await shared_town.empty()
    await shared_town.add("Ada")
    return shared_town


@pytest.fixture
async def projection(database: Database) -> AsyncIterator[Projection]:
    """The follower's store; its claims end with the test."""
    opened = Projection(database)
    yield opened
    await opened.close()


@pytest.fixture
async def node() -> AsyncIterator[NodeClients]:
    """A Node process for published providers, which may complain of nothing they are sent."""
    async with NodeClients.started() as node:
        yield node
        assert node.complaints == [], "a provider was sent a message that it does not understand"
