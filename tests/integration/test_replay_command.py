"""`layercake replay`, with and without a server that has the graph open."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner

from persistence.database import Database
from persistence.document import Node, build_updates
from persistence.records import ANONYMOUS_USER_ID
from server.commands import app
from tests.clients.yclient import YClient
from tests.integration.captured import Person, sets
from tests.integration.rebuilt import (
    CONTENT,
    NEW_BASE,
    SERVER_CLIENT_ID,
    Rebuilt,
    base_of,
    new_computed_graph,
    rebuilding,
    with_node,
    without_node,
)

UPSTREAM = with_node(without_node(CONTENT, "c"), Node("x", "new"))


@pytest.fixture
async def rebuilt(database: Database, database_url: str) -> AsyncIterator[Rebuilt]:
    async with rebuilding(database, database_url) as rebuilt:
        yield rebuilt


async def run(database_url: str, *arguments: str) -> tuple[int, str]:
    environment = {"LAYERCAKE_DATABASE_URL": database_url, "LAYERCAKE_TOKEN": "admin"}
    done = await asyncio.to_thread(partial(CliRunner().invoke, app, ["replay", *arguments], env=environment))
    return done.exit_code, done.output


async def test_REBUILD_13_the_command_captures_and_rebuilds_without_a_server(
    database: Database, database_url: str
) -> None:
    """REBUILD-13: a preview first, which changes nothing."""
    graph = await new_computed_graph(database)
    person = Person(database, graph, ANONYMOUS_USER_ID, 77)
    for update in build_updates(CONTENT, SERVER_CLIENT_ID):
        person.doc.apply_update(update.data)
    person.updates.clear()
    await person.does(sets("nodes", "a", label="Pylon"), sets("nodes", "c", label="Railing"))
    owner = await asyncpg.connect(database_url)
    await owner.execute(NEW_BASE, graph, base_of(UPSTREAM).content, base_of(UPSTREAM).data_digest)

    for arguments in ((str(graph), "--preview"), (str(graph),)):
        code, said = await run(database_url, *arguments)
        assert code == 0, said
        assert said.startswith("1 applied, 0 already applied, 0 conflicts, 0 failed, 1 inapplicable")
        assert "entity_missing" in said
        replays = await owner.fetchval("SELECT count(*) FROM edit_replay_summaries")
        assert replays == (0 if "--preview" in arguments else 1)
    await owner.close()


async def test_REBUILD_13_the_command_asks_the_server_that_has_the_graph_open(
    rebuilt: Rebuilt, database_url: str
) -> None:
    """REBUILD-13: and says what is wrong with a graph without a base."""
    graph = await rebuilt.computed()
    await rebuilt.operate(graph, {"type": "node_update", "node_id": "a", "new_values": {"label": "Pylon"}})
    await rebuilt.rebase(graph, UPSTREAM)
    async with YClient(rebuilt.served.url(graph)):
        code, said = await run(database_url, graph, "--server", str(rebuilt.http.base_url))
    assert (code, said.startswith("1 applied")) == (0, True), said
    assert (await rebuilt.labels(graph))["x"] == "new"

    project = (await rebuilt.get(f"/api/graphs/{graph}"))["project_id"]
    plain = await rebuilt.post(f"/api/projects/{project}/graphs", name="drawn")
    code, said = await run(database_url, str(UUID(plain["id"])))
    assert (code, "base" in said) == (1, True), said
