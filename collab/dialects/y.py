"""The y-websocket dialect: one graph a socket, named by its address, and messages 102 to 104.

Source: y-websocket/src/y-websocket.js; messages 102 to 104 are ours.
"""

from collections.abc import Hashable, Iterator

from websockets.http11 import Request

from collab.dialects.channel import Channel
from collab.dialects.line import Line
from collab.dialects.tokens import Tokens
from collab.doorkeeper import Admission
from collab.edge import ConnectionReport, Edge
from collab.room import Room
from collab.session import Session
from collab.wire import sync
from collab.wire.frames import Outbound

_HEARTBEAT = sync.awareness(b"\x00").frame
_SHORT_BYTES = 64
_DENIED = sync.permission_denied("you may read this graph, not change it")


class YDialect:
    """One socket's graph. A `collab.dialects.line.Dialect`."""

    _channel: "YChannel"
    _tokens: Tokens
    _since: int

    def __init__(self, line: Line, edge: Edge, report: ConnectionReport) -> None:
        self._line = line
        self._edge = edge
        self._report = report

    async def admit(self, request: Request) -> None:
        """Ask the doorkeeper, and open the graph's room."""
        self._since = self._edge.rights.generation
        admission = await self._edge.doorkeeper.admit(request, self._report.peer)
        room = await self._edge.hub.open_for_session(admission.graph_id)
        self._channel = YChannel(self._line, self._edge, room, admission, self._report.connection_id)
        self._report.graph_id, self._report.user_id = admission.graph_id, admission.user_id
        self._report.read_only = admission.read_only

    def enter(self) -> None:
        """Join the room."""
        self._channel.enter(self._since)
        self._tokens = Tokens(self._channel, self._edge)

    def receive(self, message: bytes) -> Iterator[None] | None:
        """Take the first message of a frame, and return what takes the others, pausing after each."""
        position = self._take(message, 0) if message else 0
        return self._take_others(message, position) if position < len(message) else None

    def _take_others(self, message: bytes, position: int) -> Iterator[None]:
        while position < len(message):
            position = self._take(message, position)
            yield

    def _take(self, message: bytes, position: int) -> int:
        """Take the message at `position` and return where the next one begins."""
        one, end = sync.read(message, position)
        if isinstance(one, sync.Token):
            self._tokens.hear(one.token)
        elif isinstance(one, sync.HearNotices):
            self._channel.hears_notices = True
        elif one is not None:
            self._channel.receive(one)
        return end

    def topic(self, _message: bytes) -> Hashable:
        """Return the socket's graph."""
        return self._channel.room.graph_id

    def heartbeat(self) -> bytes | None:
        """Return an empty presence: clients give up after 30 s without a message."""
        return _HEARTBEAT

    def fall_behind(self) -> None:
        """Queue nothing more."""
        self._channel.fall_behind()

    def catch_up(self) -> None:
        """Send one difference."""
        self._channel.catch_up()

    def leave(self, now: float) -> None:
        """Leave the room."""
        self._tokens.end()
        self._channel.leave(now)


class YChannel(Channel):
    """The room behind one socket. `hears_notices` tells that the client asked for them, by an empty message 104."""

    def __init__(self, line: Line, edge: Edge, room: Room, admission: Admission, session_id: str) -> None:
        super().__init__(line, edge, room, admission)
        self._session = Session(session_id, admission.principal, admission.read_only, self)
        self._asked_while_refused: Outbound | None = None
        self._is_holding = False
        self.hears_notices = False

    @property
    def session(self) -> Session:
        """The only session of this socket."""
        return self._session

    def enter(self, since: int) -> None:
        """Join the room, ask for what the client has, then tell who is present.

        In this order: what comes straight after the client's own Step1 counts as its greeting, and it repeats at
        once what it is told of others.
        """
        super().enter(since)
        self.room.ask(self._session)
        self.room.announcements.tell_missed(self._session)

    def send(self, *messages: Outbound) -> None:
        """Write the frames that all clients of this dialect share."""
        self._line.write(messages[0].frame if len(messages) == 1 else b"".join([one.frame for one in messages]))
        self.after_sending()

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        self.end()
        self._line.close(code, reason)

    def tell(self, notice: bytes) -> None:
        """Send message 104, if that was asked for."""
        if self.hears_notices:
            self.send(sync.notice(notice))

    def expel(self, code: int, reason: str) -> None:
        """Close the socket."""
        self.close(code, reason)

    def ask_for_token(self) -> None:
        """Clients of this dialect bring a newer token by themselves."""

    def tell_rights(self) -> None:
        """Say nothing: clients of this dialect are told when an update is refused, and know no other word for it."""

    def take_update(self, message: sync.Update) -> None:
        """Apply an update, or tell that it was refused."""
        if not self.apply(message.update):
            self._refused += 1
            self.send(_DENIED)
        elif self._refused and message.is_answer and not self._session.read_only:
            self._hold()
            self._refused, self._is_holding = 0, False  # what was refused before came again
            self.room.let_acknowledgements_go(self._session)

    def acknowledge(self, answer: Outbound) -> None:
        """Echo a message 102; not while an update is refused, since it would tell that all is saved.

        Of those that came while one may only read, the last one is echoed once what was refused is taken after all.
        """
        if self._refused and self._session.read_only:
            self._asked_while_refused = answer if len(answer.frame) <= _SHORT_BYTES else None
            return
        if self._refused:
            self._hold()
        super().acknowledge(answer)

    def _hold(self) -> None:
        """Let no acknowledgement go before what was refused has come again."""
        if not self._is_holding:
            self._is_holding = True
            self.room.hold_acknowledgements(self._session)
        asked, self._asked_while_refused = self._asked_while_refused, None
        if asked is not None:
            super().acknowledge(asked)
