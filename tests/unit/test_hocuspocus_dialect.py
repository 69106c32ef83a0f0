"""HOC-2 to HOC-15: what a socket's documents are sent, and when, on a line that a test reads as slowly as it likes."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast
from uuid import UUID

from pycrdt import Text
from websockets.http11 import Request

from collab.dialects.hocuspocus import HocuspocusDialect
from collab.doorkeeper import Admission, RefusedError, Visitor
from collab.edge import BAD_MESSAGE, TOO_LARGE, ConnectionReport, Edge, EdgeSettings
from collab.hub import Hub, HubSettings
from collab.reading import Reading
from collab.wire.awareness import Entry, encode_awareness
from collab.wire.errors import MalformedError, TooLargeError
from persistence.records import Operation
from tests.clients import hclient
from tests.clients.eventually import eventually
from tests.clients.hclient import AUTHENTICATED, SAVED, STEP1, STEP2, UPDATE, auth, sync
from tests.unit.documents import recorded
from tests.unit.rooms import PERSON, HeldLog, OneNode
from tests.unit.test_hub import SlowStore

EMPTY = b"\x00"


class EagerLog(HeldLog):
    """A log that commits at once."""

    def append(self, operation: Operation, listener: Any) -> None:
        super().append(operation, listener)
        asyncio.get_running_loop().call_soon(self.commit)

    def commit(self, operations: int | None = None) -> None:
        super().commit(len(self.held))


class Doors:
    """Admits everyone to graphs named by a UUID, once `answer` is set; nobody with the token "wrong"."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.answer.set()
        self.asked: list[str] = []
        self.asking = self.most_asking = 0

    async def check(self, request: Request, peer: str) -> Visitor:
        return Visitor()

    async def admit(self, request: Request, peer: str) -> Admission:
        raise NotImplementedError

    async def admit_again(self, admission: Admission, token: str) -> Admission:
        raise NotImplementedError

    async def admit_document(self, visitor: Visitor, name: str, token: str) -> Admission:
        self.asked.append(name)
        self.asking += 1
        self.most_asking = max(self.most_asking, self.asking)
        try:
            await self.answer.wait()
        finally:
            self.asking -= 1
        if token == "wrong":
            raise RefusedError(404, "there is no such graph")
        return Admission(UUID(name), PERSON, read_only=False)


class Pipe:
    """A socket: over `limit_bytes` unread its dialect is behind, until it is read."""

    def __init__(self, edge: Edge, limit_bytes: int = 2**30) -> None:
        self.dialect = HocuspocusDialect(self, edge, ConnectionReport())
        self.reading = Reading(cast("asyncio.Transport", self))
        self.is_read_from = True
        self.unread: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self._limit_bytes = limit_bytes
        self._is_behind = False

    async def enter(self) -> "Pipe":
        await self.dialect.admit(cast("Request", None))
        self.dialect.enter()
        return self

    # a Line

    def write(self, frames: bytes) -> None:
        self.unread.append(frames)
        if not self._is_behind and self.unread_bytes > self._limit_bytes:
            self._is_behind = True
            self.dialect.fall_behind()

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def attempt(self, take: Callable[[], None]) -> None:
        try:
            take()
        except MalformedError as error:
            self.close(BAD_MESSAGE, str(error))
        except TooLargeError as error:
            self.close(TOO_LARGE, str(error))

    def take_again(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.attempt(partial(self._receive, message))

    def _receive(self, message: bytes) -> None:
        for _ in self.dialect.receive(message) or ():
            pass

    # a Transport

    def is_closing(self) -> bool:
        return self.closed is not None

    def pause_reading(self) -> None:
        self.is_read_from = False

    def resume_reading(self) -> None:
        self.is_read_from = True

    # the client

    @property
    def unread_bytes(self) -> int:
        return sum(map(len, self.unread))

    def says(self, address: str, *messages: bytes) -> None:
        for message in messages:
            self.attempt(partial(self._receive, hclient.string(address) + message))

    def reads(self) -> list[bytes]:
        """Read all that was written; what it missed follows."""
        frames, self.unread = self.unread, []
        if self._is_behind:
            self._is_behind = False
            self.dialect.catch_up()
        return frames

    async def hears(self, *parts: bytes) -> None:
        """Wait until all `parts` were written and not read."""

        async def written() -> bytes:
            return b"".join(self.unread)

        await eventually(written, lambda text: all(part in text for part in parts))


def edge_of(
    doors: Doors,
    hub: HubSettings = HubSettings(),  # noqa: B008 - immutable
    log: HeldLog | None = None,
    **settings: Any,
) -> Edge:
    store = SlowStore()
    store.answer.set()
    rooms = Hub(store, log or EagerLog(), OneNode(), hub)
    return Edge(rooms, doors, lambda: "id", lambda _: None, lambda _: None, EdgeSettings(**settings))


def graph(number: int) -> str:
    return str(UUID(int=number))


def written(size: int) -> bytes:
    """An update that writes so many characters."""
    doc, updates = recorded(7)
    text = doc.get("text", type=Text)
    text += "x" * size
    return updates[0]


async def test_HOC_15_a_socket_that_is_behind_is_sent_one_document_after_another() -> None:
    size, edge = 100_000, edge_of(Doors())
    author, slow = await Pipe(edge).enter(), await Pipe(edge, limit_bytes=1_000).enter()
    for number in range(10):
        author.says(graph(number), auth("any"), sync(UPDATE, written(size)))
        await author.hears(hclient.string(graph(number)) + SAVED)
        slow.says(graph(number), auth("any"))
        await slow.hears(hclient.string(graph(number)) + AUTHENTICATED)
        slow.reads()
    slow.write(b"-" * 2_000)
    for number in range(10):
        slow.says(graph(number), sync(STEP1, EMPTY))
    slow.reads()
    told: list[str] = []
    for _ in range(10):
        assert slow.unread_bytes < 2 * size
        told += [
            graph(number)
            for frame in slow.reads()
            for number in range(10)
            if hclient.string(graph(number)) + bytes((0, STEP2)) in frame
        ]
    assert sorted(told) == [graph(number) for number in range(10)]


async def test_HOC_15_documents_that_are_sound_again_are_brought_up_to_date_one_after_another_too() -> None:
    size, edge = 100_000, edge_of(Doors())
    author, slow = await Pipe(edge).enter(), await Pipe(edge, limit_bytes=1_000).enter()
    addresses = [f"{graph(1)}\0{number}" for number in range(5)]
    for address in addresses:
        slow.says(address, auth("any"), sync(STEP1, EMPTY))
        await slow.hears(hclient.string(address) + bytes((0, STEP2)))
        slow.reads()
    slow.write(b"-" * 2_000)
    author.says(graph(1), auth("any"), sync(UPDATE, written(size)))
    await author.hears(SAVED)
    peers = [session.peer for session in slow.dialect.sessions]
    for peer in peers:
        peer.pause()
    slow.reads()
    for peer in peers:
        peer.resume()
    told = b""
    for _ in addresses:
        assert slow.unread_bytes < 2 * size
        told += b"".join(slow.reads())
    assert all(hclient.string(address) + bytes((0, STEP2)) in told for address in addresses)


async def test_HOC_15_a_document_that_opens_on_a_socket_that_is_behind_waits_for_its_turn() -> None:
    edge = edge_of(Doors())
    author, slow = await Pipe(edge).enter(), await Pipe(edge, limit_bytes=1_000).enter()
    presence = encode_awareness([Entry(5, 1, b'{"a":"' + b"x" * 5_000 + b'"}')])
    author.says(graph(1), auth("any"), hclient.awareness(presence))
    await author.hears(AUTHENTICATED)
    slow.write(b"-" * 2_000)
    slow.says(graph(1), auth("any"))
    await slow.hears(AUTHENTICATED)
    assert slow.unread_bytes < 3_000
    slow.reads()
    await slow.hears(b"x" * 5_000)


async def test_HOC_4_a_denied_socket_stays_while_one_without_a_token_has_to_come_again() -> None:
    edge = edge_of(Doors(), authentication_timeout_s=0.01)
    denied = await Pipe(edge).enter()
    denied.says(graph(1), auth("wrong"))
    await denied.hears(hclient.denied("there is no such graph"))

    async def end(pipe: Pipe) -> tuple[int, str] | None:
        return pipe.closed

    for _ in range(2):
        silent = await Pipe(edge).enter()
        silent.says(graph(1), sync(STEP1, EMPTY))
        assert (await eventually(lambda pipe=silent: end(pipe), bool))[0] == 4504
    assert denied.closed is None
    denied.says(graph(1), auth("right"))
    await denied.hears(AUTHENTICATED)


async def test_HOC_5_a_full_graph_is_denied_for_the_sake_of_the_others_and_alone_closes_its_socket() -> None:
    edge = edge_of(Doors(), HubSettings(sessions_per_graph=1))
    first, both, alone = [await Pipe(edge).enter() for _ in range(3)]
    first.says(graph(1), auth("any"))
    await first.hears(AUTHENTICATED)
    both.says(graph(2), auth("any"))
    await both.hears(hclient.string(graph(2)) + AUTHENTICATED)
    both.says(graph(1), auth("any"))
    await both.hears(hclient.string(graph(1)) + bytes((2, 1)), b"no more may be")
    both.says(graph(2), sync(UPDATE, written(1)))
    await both.hears(hclient.string(graph(2)) + SAVED)
    assert both.closed is None
    alone.says(graph(1), auth("any"))

    async def end() -> tuple[int, str] | None:
        return alone.closed

    assert (await eventually(end, bool))[0] == 1013


async def test_HOC_11_a_second_token_for_an_open_document_of_a_full_graph_is_taken() -> None:
    doors = Doors()
    pipe = await Pipe(edge_of(doors, HubSettings(sessions_per_graph=1))).enter()
    pipe.says(graph(1), auth("any"))
    await pipe.hears(AUTHENTICATED)
    pipe.says(graph(1), auth("another"), auth("wrong"))
    await pipe.hears(hclient.denied("there is no such graph"))
    assert (pipe.closed, len(doors.asked)) == (None, 3)


async def test_HOC_16_a_socket_with_many_tokens_keeps_no_other_waiting() -> None:
    doors = Doors()
    edge = edge_of(doors, decisions=3, socket_decisions=2)
    greedy, modest = await Pipe(edge).enter(), await Pipe(edge).enter()
    doors.answer.clear()
    for number in range(1, 51):
        greedy.says(graph(number), auth("any"))
    modest.says(graph(99), auth("any"))

    async def asked() -> list[str]:
        return doors.asked

    assert graph(99) in await eventually(asked, lambda names: len(names) == 3)
    doors.answer.set()
    await greedy.hears(*[hclient.string(graph(number)) + AUTHENTICATED for number in range(1, 51)])
    await modest.hears(AUTHENTICATED)
    assert doors.most_asking <= 3


async def test_HOC_7_an_answer_that_comes_after_a_further_token_has_its_status() -> None:
    pipe = await Pipe(edge_of(Doors())).enter()
    pipe.says(graph(1), auth("any"))
    await pipe.hears(AUTHENTICATED)
    pipe.says(graph(1), sync(STEP1, EMPTY), auth("newer"), sync(STEP2, written(1)))
    await pipe.hears(SAVED)


async def test_LIMIT_5_a_document_that_is_committed_releases_no_other_of_its_socket() -> None:
    log = HeldLog()
    pipe = await Pipe(edge_of(Doors(), log=log, uncommitted_bytes=50_000)).enter()
    for number in (1, 2):
        pipe.says(graph(number), auth("any"))
        await pipe.hears(hclient.string(graph(number)) + AUTHENTICATED)
        pipe.says(graph(number), sync(UPDATE, written(60_000)))
    log.commit(1)
    await pipe.hears(hclient.string(graph(1)) + SAVED)
    assert not pipe.is_read_from
    log.commit(1)
    assert pipe.is_read_from


async def test_HOC_6_what_a_client_asks_while_it_is_behind_is_answered_once() -> None:
    edge = edge_of(Doors())
    author, slow = await Pipe(edge).enter(), await Pipe(edge, limit_bytes=1_000).enter()
    for pipe in (author, slow):
        pipe.says(graph(1), auth("any"))
        await pipe.hears(AUTHENTICATED)
    author.says(graph(1), sync(UPDATE, written(100)))
    await author.hears(SAVED)
    slow.write(b"-" * 2_000)
    slow.says(graph(1), *[sync(STEP1, EMPTY)] * 500)
    assert slow.unread_bytes < 3_000
    slow.reads()
    kinds = [frame.partition(hclient.string(graph(1)))[2][:2] for frame in slow.unread]
    assert kinds == [bytes((0, STEP1)), bytes((0, STEP2))]
    slow.says(graph(1), sync(STEP2, b"\x00\x00"))
    await slow.hears(SAVED)
