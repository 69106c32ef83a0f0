"""One real server for all tests of this tier that only add graphs of their own."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from persistence.database import Database
from persistence.projection import Projection
from tests.clients.node import NodeClients
from tests.conftest import LoopThread
from tests.faults.harness import Server


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
