"""docs/operations.md says what the server is: rules OPS-4 to OPS-6 of SPEC.md."""

import re
import runpy
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from served import serving

from persistence.database import Database
from persistence.document import Edge, GraphContent, Layer, Node
from persistence.operations import write_flush
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Operation
from tests.projected import project_rows

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text()
STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
GRAPH = UUID("01994f3c-5d2a-7b1e-8c4f-6a7b8c9d0e1f")
CONTENT = GraphContent(
    nodes=(
        Node("quay", "Quay", "place", properties={"owner": "Port authority"}),
        Node("booth", "Ticket booth", "place", belongs_to="quay"),
        Node("clerk", "Clerk", "person", belongs_to="booth"),
    ),
    edges=(Edge("e1", "clerk", "booth", "works at"), Edge("e2", "clerk", "gone", "waits for")),
    layers=(Layer("place", "Places"),),
)


def section(heading: str) -> str:
    """The text under a heading of the second level."""
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_setting_is_in_the_table() -> None:
    """OPS-4: `python scripts/settings_table.py` writes it anew."""
    made = runpy.run_path(str(ROOT / "scripts" / "settings_table.py"))
    start, end = made["START"], made["END"]

    assert TEXT.split(start)[1].split(end)[0] == made["table"]()


async def test_every_metric_is_in_the_table(database: Database, database_url: str) -> None:
    """OPS-5."""
    async with serving(database, database_url) as server, server.http() as http:
        exposition = (await http.get("/metrics")).text
    served = set(re.findall(r"^# TYPE (layercake_\w+?)(?:_total)? (?:gauge|counter)$", exposition, re.MULTILINE))
    described = re.findall(r"^\| `(layercake_\w+)` \|", section("Metrics and alarms"), re.MULTILINE)

    assert sorted(described) == sorted(served)


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner to a database with the graph of the page: rows, and edits of which one waits."""
    project = await Projects(database).create(Caller(ANONYMOUS_USER_ID), EVERYONE_GROUP_ID, "p", None)
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO graphs (id, project_id, name) VALUES ($1, $2, 'Ferry')", GRAPH, project.id)
    now = datetime.now(UTC)
    edits = [Operation(GRAPH, b"x", "{}", ANONYMOUS_USER_ID, "s", "", now, applied) for applied in (now, now, None)]
    log = await database.connect_log()
    await write_flush(log, uuid4(), edits, [], forget_old=False, timeout_s=10)
    await project_rows(database, GRAPH, CONTENT)
    await log.close()
    yield connection
    await connection.close()


async def test_every_example_of_sql_runs_and_finds_something(owner: asyncpg.Connection) -> None:
    """OPS-6."""
    assert len(STATEMENTS) > 10
    rolled_back = owner.transaction()
    await rolled_back.start()
    for statement in STATEMENTS:
        rows = await owner.fetch(statement)
        assert rows or statement.startswith(("CREATE", "GRANT")), statement
    views = await owner.fetch("SELECT * FROM ferry_nodes"), await owner.fetch("SELECT * FROM ferry_edges")
    await owner.execute("SET ROLE ferry_reader")
    assert [len(view) for view in views] == [3, 2]
    assert len(await owner.fetch("SELECT * FROM ferry_layers")) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.fetch("SELECT FROM nodes")
    await rolled_back.rollback()
