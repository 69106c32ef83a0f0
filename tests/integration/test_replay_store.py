"""REPLAY-20 to REPLAY-22: a replay in the real store, through the live editor of a node."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from uuid import UUID

import asyncpg
import orjson
import pytest

from collab.room import Room
from persistence.database import Database
from persistence.document import GraphContent, Node, build_updates, read_content
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.operations import write_flush
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Operation, Origin
from persistence.replay_records import REPLAY_SESSION_ID, GraphBase, ReplayRecord
from replay.applicability import signature
from replay.graph_state import GraphState
from replay.operations import Act, EditOperation
from replay.rebuilding import RebuildRequest, rebuild
from server import node as server_node
from server.node import running_node
from server.settings import Settings
from tests.integration.http_door import WORKERS

CALLER = Caller(ANONYMOUS_USER_ID, is_everywhere=True)
BASE = GraphContent(nodes=(Node("a", "A"), Node("b", "B", position={"x": 1, "y": 2})))
INSERT_EDIT = """
    INSERT INTO manual_edits (id, graph_id, number, operation_type, entity_id, operation_data, context_data,
        dag_state_hash, applicability_signature, first_operation_id, last_operation_id, created_by)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, '{}', repeat('0', 64), $7, 1, 1, $8)
"""
STORED = """
    SELECT b.version, convert_from(b.content, 'UTF8') AS content, b.xmin::text AS base_written_by,
        (SELECT count(*) FROM edit_replay_summaries s WHERE s.graph_id = b.graph_id) AS summaries,
        (SELECT count(*) FROM crdt_operations o WHERE o.graph_id = b.graph_id AND o.session_id = 'replay') AS operations
    FROM graph_bases b WHERE b.graph_id = $1
"""
WRITTEN_BY = """
    SELECT xmin::text FROM crdt_operations WHERE graph_id = $1 AND id = (
        SELECT max(id) FROM crdt_operations WHERE graph_id = $1
    )
    UNION ALL SELECT xmin::text FROM edit_replay_summaries WHERE graph_id = $1
"""
EDITS = "SELECT is_active, is_open_conflict, deactivation_reason FROM manual_edits WHERE graph_id = $1 ORDER BY number"


def base_of(content: GraphContent) -> GraphBase:
    return GraphBase(orjson.dumps(content), "0" * 64, "1" * 64, "n")


def renamed(label: str, **fields: Any) -> GraphContent:
    return replace(BASE, nodes=(replace(BASE.nodes[0], label=label, **fields), *BASE.nodes[1:]))


def relabel(old: str, new: str) -> EditOperation:
    return EditOperation("node", Act.UPDATE, "a", old_values={"label": old}, new_values={"label": new})


class Graph:
    """A computed graph in the store, with manual edits."""

    def __init__(self, id_: UUID, node: server_node.Node, owner: asyncpg.Connection) -> None:
        self.id = id_
        self.node = node
        self.owner = owner
        self.edits: list[dict[str, Any]] = []

    async def edited(self, operation: EditOperation) -> None:
        told = orjson.dumps(operation.to_json()).decode()
        state = GraphState.of(BASE)
        row = {"id": new_id(), "number": len(self.edits) + 1, "applicability_signature": signature(operation, state)}
        self.edits.append(row | {"operation_data": operation.to_json()})
        arguments = (operation.type, operation.entity_id, told, row["applicability_signature"], ANONYMOUS_USER_ID)
        await self.owner.execute(INSERT_EDIT, row["id"], self.id, row["number"], *arguments)

    def request(self, content: GraphContent, policy: Any = "mine") -> RebuildRequest:
        return RebuildRequest(
            replay_id=new_id(),
            graph_id=self.id,
            base=base_of(content),
            cause="request",
            execution_id=None,
            triggered_by=ANONYMOUS_USER_ID,
            through=10**9,
            edits=orjson.dumps(self.edits),
            policy=policy,
            removed=b"[]",
        )

    async def replay(self, content: GraphContent, policy: Any = "mine") -> Any:
        async def prepare() -> Any:
            return partial(rebuild, self.request(content, policy))

        return await self.node.edits.replay(CALLER, self.id, prepare)

    async def labels(self) -> dict[str, str]:
        room: Room = await self.node.hub.open(self.id)
        return {node.id: node.label for node in read_content(room.document.doc, self.id).nodes}

    async def stored(self) -> asyncpg.Record:
        row = await self.owner.fetchrow(STORED, self.id)
        assert row is not None
        return row


@pytest.fixture
async def graph(database: Database, owner: asyncpg.Connection) -> AsyncIterator[Graph]:
    project = await Projects(database).create(CALLER, EVERYONE_GROUP_ID, "p", None)
    origin = Origin("graph.computed", base=base_of(BASE))
    updates = tuple(build_updates(BASE, 1))
    made = await Graphs(database).create(CALLER, project.id, "g", "computed", None, updates, origin)
    async with running_node(Settings(), database, WORKERS) as node:
        yield Graph(made.id, node, owner)


async def test_REPLAY_20_base_summary_and_operations_are_stored_together_and_again_without_any(graph: Graph) -> None:
    """REPLAY-20: an edit is there after one rebuild and after the next; the second sends nothing."""
    await graph.edited(relabel("A", "Mine"))

    first = await graph.replay(renamed("A", comment="new"))

    assert (first.summary["applied"], first.summary["updates"], first.was_edited_meanwhile) == (1, 1, False)
    assert await graph.labels() == {"a": "Mine", "b": "B"}
    stored = await graph.stored()
    assert (stored["version"], stored["summaries"], stored["operations"]) == (2, 1, 2)
    assert orjson.loads(stored["content"])["nodes"][0]["comment"] == "new"
    together = {row["xmin"] for row in await graph.owner.fetch(WRITTEN_BY, graph.id)}
    assert together == {stored["base_written_by"]}

    again = await graph.replay(renamed("A", comment="new"))

    assert (again.summary["applied"], again.summary["updates"]) == (1, 0)
    stored = await graph.stored()
    assert (stored["version"], stored["summaries"], stored["operations"]) == (3, 2, 2)


@pytest.mark.parametrize(
    ("policy", "label", "expected"),
    [
        ("mine", "Mine", (True, False, None)),
        ("ask", "Mine", (True, True, None)),
        ("theirs", "Upstream", (False, False, "theirs")),
    ],
)
async def test_REPLAY_21_what_becomes_of_an_edit_in_conflict_is_stored(
    graph: Graph, policy: str, label: str, expected: tuple[bool, bool, str | None]
) -> None:
    """REPLAY-21: mine is rebased, theirs switched off, ask stays open."""
    await graph.edited(relabel("A", "Mine"))

    replayed = await graph.replay(renamed("Upstream"), policy)

    assert replayed.summary["conflicts"] == 1
    assert (await graph.labels())["a"] == label
    (edit,) = await graph.owner.fetch(EDITS, graph.id)
    assert (edit["is_active"], edit["is_open_conflict"], edit["deactivation_reason"]) == expected
    told = await graph.owner.fetchval("SELECT operation_data -> 'old_values' ->> 'label' FROM manual_edits")
    assert told == ("Upstream" if policy == "mine" else "A")


class _Cut(Exception):  # noqa: N818
    """The connection is lost."""


class _Failing:
    """A connection that is lost at its statement number `at`, from 0."""

    def __init__(self, connection: asyncpg.Connection, at: int) -> None:
        self._connection = connection
        self.left = at

    def transaction(self) -> Any:
        return self._connection.transaction()

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        if not self.left:
            raise _Cut
        self.left -= 1
        return await self._connection.execute(*arguments, **options)


def record_of(graph: Graph) -> tuple[Sequence[Operation], ReplayRecord]:
    """Return what a replay hands to the log."""
    (document,) = build_updates(BASE, 1)
    edit = rebuild(graph.request(renamed("Upstream")), document.data, 5)
    now = datetime.now(UTC)
    assert isinstance(edit.record, ReplayRecord)
    operations = [
        Operation(graph.id, one.data, one.vector_clock, ANONYMOUS_USER_ID, REPLAY_SESSION_ID, "5", now, now)
        for one in edit.updates
    ]
    return operations, edit.record


async def test_REPLAY_22_cut_off_at_any_statement_it_leaves_the_old_graph(graph: Graph, database: Database) -> None:
    """REPLAY-22: and at none, the new one with its summary."""
    await graph.edited(relabel("A", "Mine"))
    operations, record = record_of(graph)
    before = tuple(await graph.stored())
    connection = await database.connect_log()
    cuts = 0
    while True:
        failing = cast("asyncpg.Connection", _Failing(connection, cuts))
        try:
            await write_flush(failing, new_id(), operations, [record], forget_old=False, timeout_s=10)
        except _Cut:
            assert tuple(await graph.stored()) == before
            cuts += 1
        else:
            break
    await connection.close()
    assert cuts > 6, "the flush, its operations, and each statement of the record"
    stored = await graph.stored()
    assert (stored["version"], stored["summaries"], stored["operations"]) == (2, 1, 2)


async def test_REPLAY_22_of_a_graph_that_is_purged_meanwhile_nothing_is_stored(graph: Graph) -> None:
    """REPLAY-22: whoever asked is told."""
    purged = asyncio.Event()

    async def prepare() -> Any:
        await graph.owner.execute("DELETE FROM graphs WHERE id = $1", graph.id)
        purged.set()
        return partial(rebuild, graph.request(renamed("Upstream")))

    with pytest.raises(Exception, match="there is no graph"):
        await graph.node.edits.replay(CALLER, graph.id, prepare)
    assert purged.is_set()
    assert await graph.owner.fetchval("SELECT count(*) FROM edit_replay_summaries") == 0
