"""What all websocket connections of this process share: settings, the hub, the heartbeat, the end."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from collab.doorkeeper import Doorkeeper
from collab.hub import Hub
from collab.rights import OpenRights
from collab.turns import Turns

BAD_MESSAGE = 4400
"""Close code: no correct client sends this."""
TOO_LARGE = 4413
"""Close code: more bytes than are taken."""
OVERLOADED = 4500
"""Close code: too much of something, come again."""
TOO_SLOW = 4508
"""Close code: the client does not read."""
TOO_MANY = 4529
"""Close code: the client sends more messages than are taken."""


class EdgeSettings(NamedTuple):
    """What bounds a connection."""

    message_bytes: int = 16 * 1024 * 1024
    """The largest message; a larger one closes its connection with 4413."""
    direct_bytes: int = 16 * 1024
    """Up to so many bytes of one read are processed as they arrive, each message counted with 64 more; the rest
    takes turns."""
    messages_per_s: float = 50_000.0
    """How many messages a client may send, over a tick; one that sends more is closed with 4529."""
    connections_per_address: int = 10_000
    """Sockets that one address may have open; a further one is answered 429."""
    write_buffer_bytes: int = 256 * 1024
    """From this many unsent bytes on a client is behind: nothing more is queued for it."""
    behind_timeout_s: float = 60.0
    """How long a client that is behind may read nothing before it is closed with 4508."""
    uncommitted_bytes: int = 2 * 1024 * 1024
    """From this many bytes of a client's large messages that wait for their commit on, it is not read from until half
    are committed, so that those who push much leave the log to the others."""
    acknowledgement_bytes: int = 256 * 1024
    """From this many bytes of outstanding acknowledgements on a client is not read from until half have left."""
    join_timeout_s: float = 40.0
    """How long admission and loading may take together."""
    authentication_timeout_s: float = 60.0
    """How long a Hocuspocus client may have no document open, and none denied or decided on; then it is closed with
    4504."""
    unopened_bytes: int = 4 * 1024 * 1024
    """Bytes that a Hocuspocus client may send for documents before they open. Over it, it is not read from while any
    is decided on, and closed with 4400 otherwise."""
    unopened_messages: int = 1_000
    """Messages that it may send for documents before they open, likewise."""
    socket_documents: int = 100
    """Documents of one Hocuspocus socket, open or not; one more closes it with 4400."""
    socket_decisions: int = 2
    """Tokens of one Hocuspocus socket that are decided on at a time, or wait for one of `decisions`; so a socket with
    many waits for its own."""
    decisions: int = 4
    """Tokens of all Hocuspocus sockets that are decided on at a time, first come first served: fewer than the database
    has connections for requests, so that everything else is let in meanwhile."""
    stateless_bytes: int = 64 * 1024
    """The largest Hocuspocus stateless message; a larger one closes its connection with 4413."""
    close_timeout_s: float = 5.0
    """How long a client may take to answer a close before its socket is cut."""
    tick_s: float = 5.0
    """How often connections are looked over."""
    silent_ticks: int = 4
    """After this many ticks without a message a client is sent an empty presence (it gives up after 30 s)."""
    deaf_ticks: int = 6
    """After this many ticks without a byte a client is pinged, after twice as many it is cut."""


@dataclass(slots=True)
class ConnectionReport:
    """What is known of a connection when it ends."""

    connection_id: str = ""
    peer: str = ""
    """The address at the other end of the socket."""
    address: str = ""
    """Where the client is: there, or behind a trusted proxy what that says."""
    graph_id: UUID | None = None
    user_id: UUID | None = None
    read_only: bool = False
    documents: int = 0
    """How many it opened in its time, if it is a Hocuspocus connection."""
    status: int = 101
    close_code: int | None = None
    close_reason: str = ""
    messages: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    times_behind: int = 0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What is known of a document on a Hocuspocus connection when it ends."""

    connection_id: str
    session_id: str
    graph_id: UUID
    user_id: UUID
    read_only: bool
    code: int | None
    reason: str
    duration_s: float


class Tended(Protocol):
    """A connection as the edge sees it."""

    @property
    def address(self) -> str:
        """Where the client is."""

    @property
    def behind_since(self) -> float | None:
        """Since when the client has been behind, by the loop's clock; None if it is not."""

    def tick(self) -> None:
        """Look after liveness."""

    def stop_reading(self) -> None:
        """Take in nothing more."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye."""

    def log_has_room(self) -> None:
        """The log takes more again."""

    def cut(self) -> None:
        """End the connection without a goodbye."""


@dataclass(slots=True)
class EdgeStatistics:
    """Counters since the start."""

    connections: int = 0
    refused: int = 0
    messages: int = 0
    malformed: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    times_behind: int = 0


@dataclass(slots=True)
class Edge:
    """The shared part of every connection.

    `ended` is told of each connection's end, once, and `left` of each document's on a Hocuspocus connection.
    """

    hub: Hub
    doorkeeper: Doorkeeper
    new_id: Callable[[], str]
    ended: Callable[[ConnectionReport], None]
    left: Callable[[DocumentReport], None]
    settings: EdgeSettings = field(default_factory=EdgeSettings)
    turns: Turns = field(default_factory=Turns)
    rights: OpenRights = field(default_factory=OpenRights)
    connections: set[Tended] = field(default_factory=set)
    documents: int = 0
    """Documents open on Hocuspocus connections."""
    statistics: EdgeStatistics = field(default_factory=EdgeStatistics)
    decisions: asyncio.Semaphore = field(init=False)
    """Held while a token of a Hocuspocus socket is decided on."""
    _addresses: Counter[str] = field(default_factory=Counter)
    _stalled: set[Tended] = field(default_factory=set)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._empty.set()
        self.decisions = asyncio.Semaphore(self.settings.decisions)

    async def run(self) -> None:
        """Look after liveness until cancelled."""
        while True:
            await asyncio.sleep(self.settings.tick_s)
            for connection in list(self.connections):
                connection.tick()

    async def stop(self, timeout_s: float) -> bool:
        """Take in nothing more, store all that came in, then close everyone with 1012.

        Returns False if not everything could be committed within `timeout_s`.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        for connection in list(self.connections):
            connection.stop_reading()
        is_stored = False
        try:
            async with asyncio.timeout_at(deadline):
                await self.turns.finish()
                self.hub.flush(asyncio.get_running_loop().time())
                is_stored = await self.hub.log.drain(deadline - asyncio.get_running_loop().time())
        except TimeoutError:
            pass
        for connection in list(self.connections):
            connection.close(1012, "the server is restarting")
        return is_stored

    def stall(self, connection: Tended) -> None:
        """Tell `connection` once the log has room again."""
        if not self._stalled:
            self.hub.log.when_there_is_room(self._tell_stalled)
        self._stalled.add(connection)

    def _tell_stalled(self) -> None:
        stalled, self._stalled = self._stalled, set()
        for connection in stalled:
            connection.log_has_room()

    def opened(self, connection: Tended) -> None:
        """Take `connection` into care."""
        self.connections.add(connection)
        self.statistics.connections += 1
        self._addresses[connection.address] += 1
        self._empty.clear()

    def moved(self, old_address: str, address: str) -> None:
        """Count a connection at the address where its request says that the client is."""
        self._leave(old_address)
        self._addresses[address] += 1

    def behind_s(self, now: float) -> list[float]:
        """Return for each client that is behind how long it has read nothing, in seconds."""
        return [now - one.behind_since for one in self.connections if one.behind_since is not None]

    def is_crowded(self, address: str) -> bool:
        """Return whether more connections come from `address` than may."""
        return self._addresses[address] > self.settings.connections_per_address

    def document_ended(self, report: DocumentReport) -> None:
        """Let go of a document on a Hocuspocus connection."""
        self.documents -= 1
        self.left(report)

    def gone(self, connection: Tended, report: ConnectionReport) -> None:
        """Let go of `connection`, which has ended."""
        self.connections.discard(connection)
        self._stalled.discard(connection)
        self._leave(connection.address)
        self.statistics.sent_bytes += report.sent_bytes
        if not self.connections:
            self._empty.set()
        self.ended(report)

    def _leave(self, address: str) -> None:
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    async def closed(self, timeout_s: float) -> None:
        """Wait until every connection has ended; those that have not after `timeout_s` are cut."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.cut()
            await asyncio.sleep(0)  # the loop tells them in its next turn
