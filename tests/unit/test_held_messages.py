"""QUAR-8, HOC-10, RIGHTS-10: what a channel holds while its room's document is made anew, and what becomes of it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from collab.dialects.hocuspocus_channel import HocuspocusChannel
from collab.document import LiveDocument, PoisonedDocumentError
from collab.doorkeeper import Admission
from collab.edge import Edge, EdgeSettings
from collab.reading import Reading
from collab.rights import OpenRights
from collab.session import Behind, Session
from collab.wire import hocuspocus, sync
from collab.wire.errors import MalformedError
from collab.wire.state_vector import StateVector
from tests.unit.documents import panic_on
from tests.unit.rooms import GRAPH, PERSON
from tests.unit.scenes import Scene, content, write

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PRESENCE = b"\x01\x05\x01\x02{}"
ADDRESS = b"graph"


class Transport(asyncio.Transport):
    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


@dataclass
class Socket:
    """A line, and the dialect whose only document is on it."""

    reading: Reading = field(default_factory=lambda: Reading(Transport()))
    written: list[bytes] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    given_up: list[int] = field(default_factory=list)
    is_behind: bool = False
    channel: HocuspocusChannel = field(init=False)

    def write(self, frames: bytes) -> None:
        self.written.append(frames)

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def attempt(self, take: Callable[[], None]) -> None:
        try:
            take()
        except MalformedError as error:
            self.close(1003, str(error))

    @property
    def sessions(self) -> Iterable[Session]:
        return [self.channel.session]

    def deny(self, address: bytes, code: int, reason: str) -> None:
        self.give_up(address, code, reason)

    def give_up(self, address: bytes, code: int, reason: str) -> None:
        self.given_up.append(code)
        self.written.clear()
        self.channel.leave(0.0)

    def step1s(self) -> int:
        return sum(frame.count(b"\x00\x00\x01\x00") for frame in self.written)


def open_document(scene: Scene, *, read_only: bool = False) -> Socket:
    socket = Socket()
    edge = cast(
        "Edge",
        SimpleNamespace(hub=scene.hub, settings=EdgeSettings(), new_id=lambda: "on a socket", rights=OpenRights()),
    )
    admission = Admission(GRAPH, PERSON, read_only=read_only)
    socket.channel = HocuspocusChannel(socket, edge, socket, scene.room, ADDRESS, admission, has_version=True)
    socket.channel.enter(since=0)
    return socket


def present(scene: Scene) -> bool:
    scene.reader.inbox.clear()
    scene.room.announcements.tell_everyone(scene.reader.session)
    return any(PERSON.name.encode() in frame for frame in scene.reader.inbox)


async def test_HOC_10_one_document_that_was_poisoned_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    frame = (sync.Update(bad), sync.Awareness(PRESENCE), sync.Update(write(scene.author, "after")))
    for message in frame:
        socket.channel.receive(message)
    assert (socket.given_up, socket.closed) == ([4400], None)
    assert socket.channel.session not in scene.room.sessions
    socket.channel.receive(sync.Awareness(PRESENCE))
    await scene.calm()
    assert (socket.closed, socket.written, socket.reading.holds) == (None, [], set())
    assert (scene.live(), present(scene)) == ({}, False)


async def test_QUAR_8_nothing_held_is_taken_after_one_that_ends_the_socket() -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    socket.channel.receive(sync.Update(b"no update"))
    socket.channel.receive(sync.Awareness(PRESENCE))
    assert socket.closed is None
    await scene.calm()
    assert socket.closed is not None
    assert not present(scene)


async def test_QUAR_8_what_was_sent_before_leaving_is_taken_and_nothing_more_is_told() -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    socket.channel.receive(sync.Update(write(scene.author, "last")))
    socket.channel.leave(0.0)
    socket.written.clear()
    scene.room.ask(socket.channel.session)
    socket.channel.hear(hocuspocus.SAVED)
    await scene.calm()
    assert scene.live() == content(scene.writer) == {"last": "x"}
    assert socket.channel.session not in scene.room.sessions
    assert socket.written == []


def fail(monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Have yrs fail the next times that a document is read."""
    read, failures = LiveDocument.difference, [PoisonedDocumentError(None, "test")] * times

    def difference(document: LiveDocument, known: StateVector) -> bytes:
        if failures:
            raise failures.pop()
        return read(document, known)

    monkeypatch.setattr(LiveDocument, "difference", difference)


async def test_HOC_6_a_step1_at_which_the_document_failed_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collab.answers.MOST_KEPT", 0)  # so that the answer has to be made
    scene = await Scene().begin()
    socket = open_document(scene)
    fail(monkeypatch)
    for message in (sync.Step1(b"\x00"), sync.Awareness(PRESENCE)):
        socket.channel.receive(message)
    assert scene.room.is_healing
    assert (socket.step1s(), socket.channel.session.has_asked) == (0, False)
    await scene.calm()
    assert (socket.step1s(), socket.channel.session.has_asked, present(scene)) == (1, True, True)


async def test_ROOM_8_one_at_whose_catching_up_the_document_failed_still_catches_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    socket.channel.receive(sync.Step1(b"\x00"))
    socket.channel.fall_behind()
    update = write(scene.writer, "missed")
    scene.writer.push(update)
    await scene.calm()
    assert not any(update in frame for frame in socket.written)
    fail(monkeypatch)
    socket.channel.catch_up()
    assert isinstance(socket.channel.session.reading, Behind)
    await scene.calm()
    assert any(update[3:-1] in frame for frame in socket.written)


async def test_ROOM_8_nobody_catches_up_with_a_document_that_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    socket.channel.fall_behind()
    scene.room.close(4500, "test")
    socket.written.clear()
    fail(monkeypatch, times=100_000)
    socket.channel.catch_up()
    assert socket.written == []


async def test_RIGHTS_10_what_is_held_is_refused_if_its_author_may_only_read_by_then() -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    socket.channel.receive(sync.Update(write(scene.author, "taken")))
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    socket.channel.receive(sync.Update(write(scene.author, "held")))
    socket.channel.admit_again(Admission(GRAPH, PERSON, read_only=True), since=0)
    await scene.calm()
    assert scene.live() == {"taken": "x"}
    assert any(frame.endswith(hocuspocus.NOT_SAVED.payload) for frame in socket.written)
    socket.channel.admit_again(Admission(GRAPH, PERSON, read_only=False), since=0)
    assert b"graph\x00\x00" in socket.written[-1], "asked for what was refused"


async def test_RIGHTS_10_nothing_that_is_held_is_taken_of_one_whose_rights_are_gone() -> None:
    scene = await Scene().begin()
    socket, gone = open_document(scene), open_document(scene)
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    for one in (socket, gone):
        one.channel.receive(sync.Update(write(scene.author, "held")))
    gone.channel.leave(0.0)
    for one in (socket, gone):
        one.channel.expel(4403, "test")
    await scene.calm()
    assert (socket.given_up, gone.given_up) == ([4403], [])
    assert scene.live() == {}
    assert scene.room.sessions.isdisjoint({socket.channel.session, gone.channel.session})


async def test_RIGHTS_10_one_that_is_behind_gets_all_it_missed_whatever_it_may_by_then() -> None:
    scene = await Scene().begin()
    socket = open_document(scene)
    socket.channel.receive(sync.Step1(b"\x00"))
    socket.channel.fall_behind()
    update = write(scene.writer, "missed")
    scene.writer.push(update)
    socket.channel.admit_again(Admission(GRAPH, PERSON, read_only=True), since=0)
    await scene.calm()
    assert isinstance(socket.channel.session.reading, Behind)
    socket.channel.catch_up()
    await scene.calm()
    assert any(update[3:-1] in frame for frame in socket.written)


async def test_RIGHTS_2_who_may_write_from_now_on_is_sent_nothing_again_while_all_is_calm() -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "early"))
    socket = open_document(scene, read_only=True)
    socket.channel.receive(sync.Step1(b"\x00"))
    await scene.calm()
    assert any(b"early" in frame for frame in socket.written)
    socket.written.clear()
    socket.channel.admit_again(Admission(GRAPH, PERSON, read_only=False), since=0)
    assert [frame for frame in socket.written if b"early" in frame] == []
    update = write(scene.writer, "late")
    scene.writer.push(update)
    scene.hub.flush(scene.clock.now)
    assert any(b"late" in frame for frame in socket.written), "before its commit"
