"""A room with a log, a clock and clients that are all plain objects, so that time is what a test says."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pycrdt import Doc

from auth.policy import Credential, Principal
from collab.loading import Loading
from collab.room import Limits, Room
from collab.session import Session
from collab.wire import sync
from collab.wire.frames import Outbound
from persistence.errors import GraphServedElsewhereError
from persistence.ports import CommitListener
from persistence.records import Operation, Record
from tests.clients.messages import messages

GRAPH = UUID(int=1)
USER = UUID(int=2)
PERSON = Principal(USER, "Ann", "person", Credential("session"))
START = datetime(2026, 1, 1, tzinfo=UTC)


class HeldLog:
    """A log that commits when told to."""

    def __init__(self) -> None:
        self.held: deque[tuple[Operation, CommitListener]] = deque()
        self.stored: list[Operation] = []
        self.records: list[Record] = []
        self.is_full = False

    def append(self, operation: Operation, listener: CommitListener) -> None:
        self.held.append((operation, listener))

    def append_together(
        self, operations: Sequence[Operation], records: Sequence[Record], listener: CommitListener
    ) -> None:
        self.records += records
        for operation in operations:
            self.append(operation, listener)

    def commit(self, operations: int | None = None) -> None:
        for _ in range(len(self.held) if operations is None else operations):
            operation, listener = self.held.popleft()
            self.stored.append(operation)
            listener.committed(1)

    def when_there_is_room(self, callback: Callable[[], None]) -> None:
        callback()

    async def drain(self, timeout_s: float) -> bool:
        self.commit()
        return True


class OneNode:
    """Leases of a node, all of which it can have but those of `elsewhere`."""

    def __init__(self) -> None:
        self.held: list[UUID] = []
        self.elsewhere: set[UUID] = set()
        self._on_lost: list[Callable[[UUID], None]] = []

    async def acquire(self, graph_id: UUID) -> None:
        if graph_id in self.elsewhere:
            raise GraphServedElsewhereError(graph_id)
        self.held.append(graph_id)

    def release(self, graph_id: UUID) -> None:
        if graph_id in self.held:
            self.held.remove(graph_id)

    def holds(self, graph_id: UUID) -> bool:
        return graph_id in self.held

    def when_lost(self, callback: Callable[[UUID], None]) -> None:
        self._on_lost.append(callback)

    def lose(self, graph_id: UUID) -> None:
        self.elsewhere.add(graph_id)
        self.release(graph_id)
        for callback in self._on_lost:
            callback(graph_id)


class Clock:
    """Callbacks in the order of their time, run when a test lets time pass."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()

    def schedule(self, delay_s: float, callback: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (self.now + delay_s, next(self._numbers), callback))

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, callback = heapq.heappop(self._due)
            callback(self.now)
        self.now = until


@dataclass
class Client:
    """A client with its own document, on a line that holds what was sent until it is read."""

    number: int
    room: Room
    clock: Clock
    read_only: bool = False
    user: Principal = PERSON
    doc: Doc[Any] = field(init=False)
    inbox: list[bytes] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    echoes: list[bytes] = field(default_factory=list)
    presence: list[bytes] = field(default_factory=list)
    notices: list[bytes] = field(default_factory=list)
    denials: int = 0
    is_paused: bool = False
    _outgoing: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.doc = Doc(client_id=1000 + self.number)
        self.doc.observe(lambda event: self._outgoing.append(event.update))
        self.session = Session(f"session-{self.number}", self.user, self.read_only, self)

    # the room's view: a Peer

    def send(self, *messages: Outbound) -> None:
        self.inbox.extend(message.payload for message in messages)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def tell(self, notice: bytes) -> None:
        self.notices.append(notice)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    # the test's view

    def join(self) -> "Client":
        self.room.join(self.session)
        self.room.ask(self.session)
        self.room.announcements.tell_missed(self.session)
        self.room.answer_step1(self.session, self.doc.get_state())
        return self

    def leave(self) -> None:
        self.room.leave(self.session, self.clock.now)

    def take_edits(self) -> list[bytes]:
        """Return the updates made since the last call, unsent."""
        updates, self._outgoing = self._outgoing, []
        return updates

    def push(self, *updates: bytes) -> None:
        """Send `updates`, or all edits made since the last time."""
        for update in updates or self.take_edits():
            at = START + timedelta(seconds=self.clock.now)
            self.denials += not self.room.receive_update(self.session, update, self.clock.now, at)

    def ask_saved(self, token: bytes) -> None:
        self.room.acknowledge(self.session, Outbound(b"\x66" + token))

    def read(self) -> list[sync.Message | sync.Token]:
        """Read all that arrived, answer Step1 and return the messages."""
        frames, self.inbox = self.inbox, []
        read: list[sync.Message | sync.Token] = []
        for frame in frames:
            for message in messages(frame):
                self._take(message)
                read.append(message)
        return read

    def _take(self, message: sync.Message | sync.Token) -> None:
        if isinstance(message, sync.Update):
            self.doc.apply_update(message.update)
            self._outgoing.clear()
        elif isinstance(message, sync.Step1):
            self.push(self.doc.get_update(message.state_vector))
        elif isinstance(message, sync.Acknowledge):
            self.echoes.append(message.frame[1:])
        elif isinstance(message, sync.Awareness):
            self.presence.append(message.update)


class Stage:
    """A room, its log, its clock and its clients."""

    def __init__(self, limits: Limits | None = None, stored: tuple[bytes, ...] = ()) -> None:
        self.log = HeldLog()
        self.clock = Clock()
        limits = limits or Limits()
        loading = Loading(limits.waiting_bytes)
        loading.take_rows(enumerate(stored, 1))
        self.room = Room(GRAPH, loading.document, loading.arrivals, self.log, self.clock.schedule, limits)
        self._numbers = itertools.count(1)

    def client(self, *, read_only: bool = False, user: Principal = PERSON) -> Client:
        return Client(next(self._numbers), self.room, self.clock, read_only, user).join()

    def calm(self, *clients: Client) -> None:
        """Let everything that is under way arrive."""
        for _ in range(3):
            self.clock.pass_time(1.0)
            self.log.commit()
            for client in clients:
                client.read()
