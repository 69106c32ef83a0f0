"""One graph's room as a socket has joined it: messages of a dialect become calls of the room, and back."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime

from collab.dialects.line import Line
from collab.document import PoisonedDocumentError
from collab.edge import BAD_MESSAGE, OVERLOADED, Edge
from collab.reading import Hold
from collab.room import Room
from collab.session import Session
from collab.wire import sync
from collab.wire.frames import Outbound


class Channel(ABC):
    """The part that all dialects share. It is the `collab.session.Peer` of its session."""

    def __init__(self, line: Line, edge: Edge, room: Room) -> None:
        self.room = room
        self._line = line
        self._edge = edge
        self._loop = asyncio.get_running_loop()

    @property
    @abstractmethod
    def session(self) -> Session:
        """The session in the room, whose peer this is."""

    @abstractmethod
    def send(self, *messages: Outbound) -> None:
        """Send messages, in order (`collab.session.Peer`)."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """End (`collab.session.Peer`)."""

    @abstractmethod
    def take_update(self, message: sync.Update) -> None:
        """Hand an update to the room and answer it as the dialect does."""

    @property
    def line_sessions(self) -> Iterable[Session]:
        """The sessions of all channels on this socket."""
        return (self.session,)

    def enter(self) -> None:
        """Join the room."""
        self._edge.hub.join(self.room, self.session)

    def leave(self, now: float) -> None:
        """Leave the room."""
        self._edge.hub.leave(self.room, self.session, now)

    def receive(self, frame: bytes, messages: Iterable[sync.Message]) -> None:
        """Take the messages of one frame. Raises MalformedError and WaitingFullError."""
        try:
            for message in messages:
                self._dispatch(message)
        except PoisonedDocumentError as error:
            # Only whoever sent what it failed on is at fault; it may have waited here for this update.
            is_author = error.update is not None and error.update in frame
            self._line.close(BAD_MESSAGE if is_author else OVERLOADED, str(error))
            self._edge.hub.poisoned(self.room, error)

    def fall_behind(self) -> None:
        """The client reads too slowly."""
        self.room.fall_behind(self.session)

    def catch_up(self) -> None:
        """The client has read what was under way to it."""
        try:
            self.room.catch_up(self.session)
        except PoisonedDocumentError as error:
            self._edge.hub.poisoned(self.room, error)

    def _dispatch(self, message: sync.Message) -> None:
        if isinstance(message, sync.Update):
            self.take_update(message)
        elif isinstance(message, sync.Acknowledge):
            self.acknowledge(Outbound(message.frame))
        elif isinstance(message, sync.Awareness):
            self.room.receive_presence(self.session, message.update, self._loop.time())
        elif isinstance(message, sync.Step1):
            self.take_step1(message)
        else:
            self.room.tell_everyone(self.session)

    def take_step1(self, message: sync.Step1) -> None:
        """Answer what the client asks for."""
        self.room.answer_step1(self.session, message.state_vector)

    def apply(self, update: bytes) -> bool:
        """Hand an update to the room; return False if this session may not change what it would change."""
        return self.room.receive_update(self.session, update, self._loop.time(), datetime.now(UTC))

    def acknowledge(self, answer: Outbound) -> None:
        """Send `answer` once everything that was sent here before is committed."""
        self.room.acknowledge(self.session, answer)
        if self._awaiting_bytes < self._edge.settings.acknowledgement_bytes:
            return
        if any(session.unsettled for session in self.line_sessions):
            # What they wait for would have to come from this client, so it cannot be left unread.
            self._line.close(OVERLOADED, "too many acknowledgements wait for updates that never came")
        else:
            self._line.reading.hold(Hold.ACKNOWLEDGEMENTS)

    def after_sending(self) -> None:
        """Read again if enough acknowledgements have left."""
        reading, limit_bytes = self._line.reading, self._edge.settings.acknowledgement_bytes
        if Hold.ACKNOWLEDGEMENTS in reading.holds and self._awaiting_bytes <= limit_bytes // 2:
            reading.release(Hold.ACKNOWLEDGEMENTS)

    @property
    def _awaiting_bytes(self) -> int:
        return sum([session.awaiting_bytes for session in self.line_sessions])
