"""ROOM-11, QUAR-8 to QUAR-10: a live document that failed is made anew under its sessions."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from pycrdt import Map

from collab.document import Applied, LiveDocument, PoisonedDocumentError
from collab.hub import SERVED_ELSEWHERE, Hub, HubSettings
from collab.outbox import Outbox
from collab.room import Room
from collab.wire.frames import Outbound
from collab.wire.update import Shape, walk
from persistence.errors import NotFoundError, StoreUnavailableError
from persistence.ports import DocumentChunk
from persistence.records import Operation
from tests.unit.documents import KILLERS, SETS_FREE, panic_on, recorded
from tests.unit.rooms import GRAPH, START, USER, Client, Clock, HeldLog, OneNode

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class LogStore:
    """A store whose rows are what `log` committed, numbered from 1."""

    def __init__(self, log: HeldLog) -> None:
        self.log = log
        self.answer = asyncio.Event()
        self.answer.set()
        self.failure: Exception | None = None
        self.quarantined: dict[int, str] = {}

    @asynccontextmanager
    async def open(self, graph_id: UUID) -> AsyncIterator[AsyncIterator[DocumentChunk]]:
        yield self._read()

    async def _read(self) -> AsyncIterator[DocumentChunk]:
        rows = [row for row in enumerate(self.log.stored, 1) if row[0] not in self.quarantined]
        await self.answer.wait()
        if self.failure is not None:
            raise self.failure
        if rows:
            yield DocumentChunk(tuple(operation.update for _, operation in rows), tuple(id_ for id_, _ in rows))

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        self.quarantined |= reasons
        return [self.log.stored[id_ - 1].session_id for id_ in reasons]

    def open_rows(self, graph_id: UUID) -> Any:
        raise NotImplementedError

    async def drop_state(self, graph_id: UUID) -> None:
        raise NotImplementedError

    async def gone(self, graph_ids: Sequence[UUID]) -> Sequence[UUID]:
        return ()


@dataclass
class Visitor(Client):
    """A client whose line holds what it sends while the room's document is made anew."""

    hub: Hub = field(kw_only=True)
    held: list[bytes] = field(default_factory=list)
    sent_after_close: list[bytes] = field(default_factory=list)

    def send(self, *messages: Outbound) -> None:
        super().send(*messages)
        if self.closed is not None:
            self.sent_after_close += [message.payload for message in messages]

    def push(self, *updates: bytes) -> None:
        if self.closed:
            return
        outgoing = list(updates or self.take_edits())
        while outgoing and not self.is_paused:
            update = outgoing.pop(0)
            try:
                super().push(update)
            except PoisonedDocumentError as error:
                self.hub.poisoned(self.room, error, self.session)
                outgoing.insert(0, update)
        self.held += outgoing

    def resume(self) -> None:
        super().resume()
        held, self.held = self.held, []
        if held:
            self.push(*held)


@dataclass
class Scene:
    """A hub with one room, three clients in it."""

    log: HeldLog = field(default_factory=HeldLog)
    leases: OneNode = field(default_factory=OneNode)
    clock: Clock = field(default_factory=Clock)
    load_timeout_s: float = 10.0

    async def begin(self) -> "Scene":
        self.clock.now = asyncio.get_running_loop().time()  # as the hub's own
        self.store = LogStore(self.log)
        self.hub = Hub(self.store, self.log, self.leases, HubSettings(load_timeout_s=self.load_timeout_s))
        self.room = await self.hub.open(GRAPH)
        self.author, self.writer, self.reader = (self.visitor(1), self.visitor(2), self.visitor(3, read_only=True))
        return self

    def visitor(self, number: int, *, read_only: bool = False) -> Visitor:
        visitor = Visitor(number, self.room, self.clock, read_only, hub=self.hub)
        self.hub.join(self.room, visitor.session)
        self.room.answer_step1(visitor.session, visitor.doc.get_state())
        return visitor

    async def calm(self) -> None:
        for _ in range(5):
            self.log.commit()
            for _ in range(20):
                await asyncio.sleep(0)
        self.clock.now = asyncio.get_running_loop().time()
        self.hub.flush(self.clock.now)
        self.log.commit()
        for visitor in (self.author, self.writer, self.reader):
            if visitor.closed is None:
                visitor.read()

    def live(self) -> dict[str, Any]:
        return dict(self.room.document.doc.get("map", type=Map).to_py() or {})


def write(visitor: Client, key: str, value: str = "x") -> bytes:
    visitor.doc.get("map", type=Map)[key] = value
    (update,) = visitor.take_edits()
    return update


def content(visitor: Client) -> dict[str, Any]:
    return dict(visitor.doc.get("map", type=Map).to_py() or {})


async def test_ROOM_11_the_author_alone_is_cut_and_all_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "before"))
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.author.push(bad)
    assert scene.author.closed is not None
    assert (scene.author.closed[0], "yrs" in scene.author.closed[1]) == (4400, True)
    assert scene.writer.is_paused
    assert scene.reader.is_paused
    await scene.calm()
    assert (scene.writer.closed, scene.reader.closed) == (None, None)
    assert not scene.writer.is_paused
    scene.writer.push(write(scene.writer, "after"))
    await scene.calm()
    expected = {"before": "x", "after": "x"}
    assert [scene.live(), content(scene.writer), content(scene.reader)] == [expected] * 3
    assert (scene.hub.statistics.poisoned, scene.hub.statistics.healed) == (1, 1)
    assert bad not in [operation.update for operation in scene.log.stored]


async def test_QUAR_8_what_others_send_meanwhile_is_neither_lost_nor_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "uncommitted"))
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.author.push(bad)
    sent = [write(scene.writer, f"meanwhile {number}") for number in range(3)]
    scene.writer.push(*sent)
    assert scene.log.stored == []
    await scene.calm()
    expected = {"uncommitted": "x", **{f"meanwhile {number}": "x" for number in range(3)}}
    assert [scene.live(), content(scene.reader)] == [expected] * 2
    stored = [operation.update for operation in scene.log.stored]
    assert [stored.count(update) for update in sent] == [1, 1, 1]


async def test_QUAR_8_one_whose_update_set_the_bad_one_free_is_no_author(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    first, second = write(scene.author, "first"), write(scene.author, "second")
    scene.author.push(second)
    panic_on(monkeypatch, second)
    scene.log.commit()
    scene.writer.push(first)
    assert scene.writer.closed is None
    assert scene.author.closed is not None
    await scene.calm()
    assert scene.live() == {"first": "x"}
    await scene.hub.reload(GRAPH, b"")
    assert list(scene.store.quarantined) == [1], "it had been stored as one that waits"
    assert scene.live() == {"first": "x"}
    assert [operation.update for operation in scene.log.stored] == [second, first]


async def test_QUAR_8_whoever_joins_meanwhile_waits_and_finds_the_same_room(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    joining = asyncio.create_task(scene.hub.open(GRAPH))
    await asyncio.sleep(0.01)
    assert scene.hub.live(GRAPH) is None
    assert not joining.done()
    scene.store.answer.set()
    assert await joining is scene.room
    assert scene.leases.held == [GRAPH], "the lease was never given back"


async def test_QUAR_8_a_server_edit_committed_meanwhile_reaches_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    doc, updates = recorded(9)
    doc.get("map", type=Map)["by the server"] = "x"
    operation = Operation(GRAPH, updates[0], "{}", USER, "server", "9", START, START)
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    await asyncio.sleep(0.01)
    scene.room.record_server_edit([operation], None, lambda: scene.room.apply_committed(updates[0], 0.0))
    scene.log.commit()
    scene.store.answer.set()
    await scene.calm()
    expected = {"by the server": "x"}
    assert [scene.live(), content(scene.writer), content(scene.reader)] == [expected] * 3


async def test_QUAR_8_presence_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    scene.room.announcements.receive(scene.writer.session, b"\x01\x05\x01\x02{}", 0.0)

    def told() -> list[bytes]:
        scene.reader.inbox.clear()
        scene.room.announcements.tell_everyone(scene.reader.session)
        return scene.reader.inbox

    [everyone] = told()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.author.push(bad)
    await scene.calm()
    assert told() == [everyone]


async def test_QUAR_9_a_document_that_cannot_be_loaded_again_is_given_up_with_4500(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene(load_timeout_s=0.02).begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    with pytest.raises(StoreUnavailableError):
        await scene.hub.open(GRAPH)
    assert scene.writer.closed is not None
    assert scene.writer.closed[0] == 4500
    assert scene.leases.held == []
    scene.store.answer.set()
    assert isinstance(await scene.hub.open(GRAPH), Room)


async def test_QUAR_10_a_graph_deleted_while_it_heals_is_closed_with_4404(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    joining = asyncio.create_task(scene.hub.open(GRAPH))
    await asyncio.sleep(0.01)
    scene.hub.forget_graph(GRAPH)
    scene.store.failure = NotFoundError("graph", GRAPH)
    scene.store.answer.set()
    with pytest.raises(NotFoundError):
        await joining
    assert scene.writer.closed is not None
    assert scene.writer.closed[0] == 4404
    assert scene.leases.held == []


async def test_QUAR_10_a_lease_lost_while_it_heals_closes_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    await asyncio.sleep(0.01)
    scene.leases.lose(GRAPH)
    scene.store.answer.set()
    await scene.calm()
    assert scene.writer.closed is not None
    assert scene.writer.closed[0] == SERVED_ELSEWHERE
    assert scene.hub.rooms == ()
    assert scene.leases.held == []


async def test_QUAR_10_a_stop_while_it_heals_leaves_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(1):
        await scene.hub.close()
    assert asyncio.all_tasks() == before


async def test_QUAR_4_what_fails_only_when_it_is_read_is_found_and_its_author_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The update is taken and stored; the next who asks for the whole document brings it to light."""
    import collab.document as module

    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "good"))
    bad = write(scene.author, "bad")
    ((client, _),) = walk(bad).struct_ends.items()
    read = module.LiveDocument.difference

    def fail_with_bad(document: Any, known: Any) -> bytes:
        if client in document.state_vector:
            raise module.PoisonedDocumentError(None, "a panic")
        return read(document, known)

    scene.author.push(bad)
    scene.writer.push(write(scene.writer, "later"))
    scene.log.commit()
    monkeypatch.setattr(module.LiveDocument, "difference", fail_with_bad)
    with pytest.raises(module.PoisonedDocumentError) as caught:
        scene.room.answer_step1(scene.writer.session, b"\x00")
    scene.hub.poisoned(scene.room, caught.value, scene.writer.session)
    await scene.calm()
    assert list(scene.store.quarantined) == [2]
    assert scene.live() == {"good": "x", "later": "x"}
    assert scene.writer.closed is None
    assert scene.author.closed is not None
    assert scene.author.closed[0] == 4400


async def test_QUAR_4_one_that_came_early_and_is_refused_at_its_turn_takes_nobody_elses_edit_with_it() -> None:
    scene = await Scene().begin()
    scene.author.push(KILLERS["bomb that waits"])
    scene.writer.push(SETS_FREE)
    await scene.calm()
    assert scene.writer.closed is None
    assert [operation.update for operation in scene.log.stored] == [KILLERS["bomb that waits"], SETS_FREE]
    assert scene.room.document.state_vector == {16: 30}


async def test_QUAR_8_nothing_is_applied_and_not_stored_whatever_fails_at_one_that_was_set_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene().begin()
    first, second = write(scene.author, "first"), write(scene.author, "second")
    scene.author.push(second)
    scene.log.commit()
    apply = LiveDocument.apply

    def fail(document: LiveDocument, update: bytes, shape: Shape) -> Applied:
        if update == second:
            raise KeyError(second)
        return apply(document, update, shape)

    monkeypatch.setattr(LiveDocument, "apply", fail)
    scene.writer.push(first)
    assert (scene.author.closed is None, scene.writer.closed) == (False, None)
    await scene.calm()
    assert scene.live() == {"first": "x"}
    assert [operation.update for operation in scene.log.stored] == [second, first]


async def test_QUAR_12_what_brought_down_one_document_is_taken_in_that_of_another_graph() -> None:
    scene = await Scene().begin()
    update = write(scene.writer, "key")
    other = await scene.hub.open(UUID(int=7))
    scene.hub.poisoned(other, PoisonedDocumentError(update, "test"))
    scene.writer.push(update)
    await scene.calm()
    assert scene.live() == {"key": "x"}


async def test_QUAR_12_a_row_is_left_out_only_if_the_document_of_its_graph_fails_on_it() -> None:
    scene = await Scene().begin()
    update = write(scene.writer, "key")
    scene.writer.push(update)
    scene.log.commit()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(update, "test"))
    await scene.calm()
    assert (scene.live(), scene.store.quarantined) == ({"key": "x"}, {})


async def test_QUAR_4_a_row_in_pieces_of_which_one_is_refused_late_does_not_bring_down_a_live_document() -> None:
    """Such rows are of older versions; what set the piece free is stored, and the next load leaves the row out."""
    scene = await Scene().begin()
    letter = b"\x04\x01\x01t\x01a"
    with_gap = b"\x02" + b"\x03\x12\x00" + letter + b"\x0a\x01" + letter + KILLERS["bomb that waits"][1:]
    scene.log.stored.append(Operation(GRAPH, with_gap, "{}", USER, "of old", "", START, None))
    await scene.hub.reload(GRAPH, b"")
    scene.writer.push(SETS_FREE)
    await scene.calm()
    assert scene.hub.statistics.poisoned == 0
    assert [operation.update for operation in scene.log.stored] == [with_gap, SETS_FREE]


async def test_ROOM_5_what_healing_leaves_out_is_never_acknowledged() -> None:
    scene = await Scene().begin()
    second = scene.visitor(4)
    for visitor in (scene.author, second):  # whose row it is, and one who sent the same
        visitor.push(KILLERS["bomb that waits"])
        visitor.ask_saved(b"token")
    scene.writer.push(SETS_FREE)
    scene.log.commit()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    await scene.calm()
    assert list(scene.store.quarantined) == [1]
    for visitor in (scene.author, second):
        visitor.read()
        assert visitor.echoes == []
    assert scene.author.closed is not None
    assert [payload for payload in scene.author.sent_after_close if payload[0] == 0x66] == []


async def test_QUAR_8_one_who_falls_behind_meanwhile_gets_what_was_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene().begin()
    slow = scene.visitor(4)
    first, second = write(scene.author, "first"), write(scene.author, "second")
    scene.author.push(second)
    panic_on(monkeypatch, second)
    scene.log.commit()
    scene.writer.push(first)
    scene.room.fall_behind(slow.session)
    await scene.calm()
    slow.read()
    scene.room.catch_up(slow.session)
    slow.read()
    assert content(slow) == {"first": "x"}


async def test_QUAR_8_nobody_is_sent_anything_if_nobody_lacks_anything() -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "key"))
    await scene.calm()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    for _ in range(100):
        await asyncio.sleep(0)
    scene.hub.flush(scene.clock.now)
    assert scene.hub.statistics.healed == 1
    assert [visitor.inbox for visitor in (scene.author, scene.writer, scene.reader)] == [[], [], []]


def test_ROOM_8_one_who_falls_behind_is_said_to_know_the_least_that_a_window_began_with() -> None:
    outbox = Outbox()
    outbox.add(b"later", None, {1: 5, 2: 1})
    outbox.add(b"all of it, after healing", None, {1: 3, 2: 4})
    assert outbox.known_without({1: 9, 2: 9, 3: 9}) == {1: 3, 2: 1, 3: 9}
