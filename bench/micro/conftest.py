"""A real PostgreSQL with one graph, for what stores."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from persistence.database import Database
from persistence.embedded import EmbeddedServer
from persistence.migrate import migrate
from tests.integration.followed import new_graph


@dataclass(frozen=True, slots=True)
class Store:
    """A database, a graph in it, and the loop that its connections belong to."""

    runner: asyncio.Runner
    database: Database
    graph_id: UUID


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An embedded PostgreSQL as the server starts it."""
    with asyncio.Runner() as runner:
        server = runner.run(EmbeddedServer.start(tmp_path_factory.mktemp("store")))
        database, graph_id = runner.run(_prepared(server.url))
        yield Store(runner, database, graph_id)
        runner.run(database.close())
        runner.run(server.stop())


async def _prepared(url: str) -> tuple[Database, UUID]:
    await migrate(url)
    database = await Database.open(url, pool_size=2, timeout_s=10)
    return database, await new_graph(database)
