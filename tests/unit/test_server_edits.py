"""EDIT-1 to EDIT-5: what the server changes for somebody, while others edit."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from pycrdt import Doc, Map, TransactionEvent

from collab.document import Applied, LiveDocument
from collab.hub import Hub
from collab.server_edits import Build, ServerEdits
from collab.wire.errors import MalformedError
from collab.wire.update import Shape
from persistence.document import DocumentUpdate
from persistence.errors import GraphServedElsewhereError, InvalidValueError, NotFoundError, StoreUnavailableError
from persistence.ports import DocumentChunk, Refusal
from persistence.records import Caller, Record, ServerEdit
from persistence.replay_records import REPLAY_SESSION_ID, PlanRecord
from tests.clients.eventually import eventually
from tests.unit.rooms import GRAPH, USER, Client, Clock, HeldLog, OneNode
from tests.unit.test_hub import SlowStore

PROJECT = uuid4()
WAIT_S = 10


def put(document: bytes, client_id: int, *, keys: tuple[str, ...]) -> ServerEdit:
    """Set each of `keys` to the name of the server's client, one update each."""
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.apply_update(document)
    updates: list[DocumentUpdate] = []

    def take(event: TransactionEvent) -> None:
        updates.append(DocumentUpdate(event.update, client_id, f'{{"{client_id}":{len(updates) + 1}}}', 1))

    doc.observe(take)
    for key in keys:
        doc.get("m", type=Map)[key] = "server"
    return ServerEdit(tuple(updates), {"set": len(updates)})


class Node:
    """A hub whose log commits when told to, and its live editor."""

    def __init__(self) -> None:
        self.store = SlowStore(DocumentChunk(()))
        self.store.answer.set()
        self.log, self.leases = HeldLog(), OneNode()
        self.hub = Hub(self.store, self.log, self.leases)
        self.client_ids: Iterator[int] = iter([7, 7, 8, 9])
        self.edits = ServerEdits(
            self.hub, self._run, self._project_of, self._store, lambda: next(self.client_ids), WAIT_S
        )
        self.built: list[int] = []

    async def _run(self, build: Build, document: bytes, client_id: int) -> ServerEdit:
        await asyncio.sleep(0)
        self.built.append(client_id)
        return build(document, client_id)

    async def _store(self, records: Sequence[Record]) -> None:
        self.log.records += records

    async def _project_of(self, caller: Caller, graph_id: UUID) -> UUID:
        assert (caller, graph_id) == (Caller(USER), GRAPH)
        return PROJECT

    async def client(self, number: int, *, read_only: bool = False) -> Client:
        room = await self.hub.open(GRAPH)
        client = Client(number, room, Clock(), read_only)
        self.hub.join(room, client.session)
        client.room.answer_step1(client.session, client.doc.get_state())
        client.read()
        return client

    def edit(self, *keys: str) -> "asyncio.Task[Any]":
        return asyncio.create_task(self.edits.edit(Caller(USER), GRAPH, "graph.edited", partial(put, keys=keys)))

    async def until_held(self, operations: int = 1) -> None:
        async def held() -> int:
            return len(self.log.held)

        await eventually(held, lambda count: count == operations, WAIT_S)


def values(doc: Doc[Any]) -> dict[str, Any]:
    read: dict[str, Any] = doc.get("m", type=Map).to_py() or {}
    return read


async def test_EDIT_1_nobody_sees_it_before_it_is_committed_and_everybody_after() -> None:
    node = Node()
    writer, reader = await node.client(1), await node.client(2, read_only=True)
    editing = node.edit("a", "b")
    await node.until_held(2)
    writer.read()
    assert (values(writer.doc), editing.done()) == ({}, False)
    node.log.commit()
    assert await editing == {"set": 2}
    for client in (writer, reader):
        client.room.flush(0.0)
        node.log.commit()
        client.read()
        assert values(client.doc) == {"a": "server", "b": "server"}
    (event,) = node.log.records
    assert (event.stream_id, event.event_type, event.payload) == (GRAPH, "graph.edited", {"set": 2})
    assert (event.user_id, event.project_id) == (USER, PROJECT)


async def test_EDIT_1_one_that_changes_nothing_is_not_stored() -> None:
    node = Node()
    assert await node.edit() == {"set": 0}
    assert (list(node.log.held), node.log.records) == ([], [])


async def test_EDIT_2_in_a_true_conflict_the_persons_edit_wins() -> None:
    node = Node()
    writer = await node.client(1)
    editing = node.edit("a")
    await node.until_held()
    writer.doc.get("m", type=Map)["a"] = "person"
    writer.push()
    node.log.commit()
    await editing
    writer.room.flush(0.0)
    writer.read()
    assert values(writer.doc) == {"a": "person"}
    assert values(writer.room.document.doc) == {"a": "person"}


async def test_REPLAY_23_edits_are_looked_for_once_all_that_is_replayed_upon_is_committed() -> None:
    """REPLAY-23: and what a person does meanwhile wins, and is told."""
    node = Node()
    writer = await node.client(1)
    writer.doc.get("m", type=Map)["before"] = "person"
    writer.push()
    prepared: list[int] = []

    async def prepare() -> Build:
        prepared.append(len(node.log.stored))
        writer.doc.get("m", type=Map)["a"] = "person"
        writer.push()
        return partial(put, keys=("a",))

    replaying = asyncio.create_task(node.edits.replay(Caller(USER), GRAPH, prepare))
    await asyncio.sleep(0)
    assert (prepared, replaying.done()) == ([], False)
    node.log.commit()
    await node.until_held(2)
    node.log.commit()
    assert await replaying == ({"set": 1}, True)
    assert prepared == [1]
    assert node.log.stored[-1].session_id == REPLAY_SESSION_ID
    assert values(writer.room.document.doc) == {"before": "person", "a": "person"}


async def test_REPLAY_20_what_changes_nothing_is_stored_without_operations() -> None:
    """REPLAY-20."""
    node = Node()
    record = PlanRecord(PROJECT, b"{}", "1.0")

    async def prepare() -> Build:
        return lambda _document, _client_id: ServerEdit((), {"updates": 0}, record)

    assert await node.edits.replay(Caller(USER), GRAPH, prepare) == ({"updates": 0}, False)
    assert (list(node.log.held), node.log.records) == ([], [record])


async def test_EDIT_2_each_edit_is_made_by_a_client_nobody_was_before() -> None:
    node = Node()
    first, second = node.edit("a"), node.edit("b")
    await node.until_held()
    assert node.built == [7], "one at a time"
    node.log.commit()
    await first
    await node.until_held()
    node.log.commit()
    await second
    assert node.built == [7, 8]


async def test_EDIT_3_one_that_is_refused_by_the_log_leaves_nothing() -> None:
    node = Node()
    editing = node.edit("a")
    await node.until_held()
    _, listener = node.log.held.popleft()
    listener.refused(1, Refusal.GONE)
    with pytest.raises(NotFoundError):
        await editing


async def test_EDIT_3_one_whose_graph_moved_to_another_node_says_so() -> None:
    node = Node()
    await node.client(1)
    editing = node.edit("a")
    await node.until_held()
    node.leases.lose(GRAPH)
    _, listener = node.log.held.popleft()
    listener.refused(1, Refusal.ELSEWHERE)
    with pytest.raises(GraphServedElsewhereError):
        await editing
    with pytest.raises(GraphServedElsewhereError):
        await node.edit("b")


async def test_EDIT_4_one_that_was_handed_to_the_log_follows_even_if_nobody_waits_for_it() -> None:
    node = Node()
    room = await node.hub.open(GRAPH)
    editing = node.edit("a")
    await node.until_held()
    editing.cancel()
    await asyncio.gather(editing, return_exceptions=True)
    node.hub.look_over(1e9)
    assert node.hub.live(GRAPH) is room, "a graph with an edit under way stays"
    node.log.commit()
    assert values(room.document.doc) == {"a": "server"}
    await asyncio.sleep(0)
    node.hub.look_over(1e12)
    assert node.hub.live(GRAPH) is None


async def test_EDIT_4_one_that_takes_too_long_is_not_called_done() -> None:
    node = Node()
    node.edits.timeout_s = 0.05
    with pytest.raises(StoreUnavailableError, match=r"0\.05 s"):
        await node.edit("a")


async def test_EDIT_3_one_that_the_database_does_not_take_is_told_apart() -> None:
    node = Node()
    editing = node.edit("a")
    await node.until_held()
    _, listener = node.log.held.popleft()
    listener.refused(1, Refusal.UNSTORABLE)
    with pytest.raises(InvalidValueError):
        await editing
    room = await node.hub.open(GRAPH)
    assert room.close_code is None, "whoever comes next finds the graph loaded anew"


async def test_EDIT_2_a_graph_in_which_every_low_id_is_used_still_changes() -> None:
    node = Node()
    room = await node.hub.open(GRAPH)
    node.client_ids = itertools.repeat(7)
    room.document.state_vector.update(dict.fromkeys(range(1, 2**16), 1))
    editing = node.edit("a")
    await node.until_held()
    node.log.commit()
    await editing
    assert node.built == [2**16]


async def test_EDIT_4_one_that_the_live_document_refuses_ends_and_is_loaded_from_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node()
    client = await node.client(1)
    editing = node.edit("a")
    await node.until_held()

    def refuse(_document: LiveDocument, _update: bytes, _shape: Shape) -> Applied:
        raise MalformedError("test")

    monkeypatch.setattr(LiveDocument, "apply", refuse)
    node.log.commit()
    async with asyncio.timeout(WAIT_S):
        assert await editing == {"set": 1}
        assert await node.hub.open(GRAPH) is client.room
    assert (node.hub.statistics.healed, client.closed) == (1, None)
    node.hub.leave(client.room, client.session, 0.0)
    node.hub.look_over(1e9)
    assert node.hub.rooms == ()
