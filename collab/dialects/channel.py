"""One graph's room as a socket has joined it: messages of a dialect become calls of the room, and back."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from collab.dialects.line import Line
from collab.document import PoisonedDocumentError
from collab.doorkeeper import Admission
from collab.edge import OVERLOADED, Edge
from collab.reading import Hold
from collab.room import Room
from collab.session import Behind, Session
from collab.wire import sync
from collab.wire.frames import Outbound


class Channel(ABC):
    """The part that all dialects share. It is the `collab.session.Peer` of its session, and holds its rights."""

    def __init__(self, line: Line, edge: Edge, room: Room, admission: Admission) -> None:
        self.room = room
        self.admission = admission
        self._line = line
        self._edge = edge
        self._loop = asyncio.get_running_loop()
        self._uncommitted_bytes = 0
        self._greets_next = False
        self._refused = 0  # updates that came while their author might only read, and are not made up for
        self._held: deque[Callable[[], None]] | None = None
        self._leaves_at: float | None = None
        self._has_ended = False

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
    def tell(self, notice: bytes) -> None:
        """Tell the client's program something (`collab.session.Peer`)."""

    @abstractmethod
    def take_update(self, message: sync.Update) -> None:
        """Hand an update to the room and answer it as the dialect does."""

    @property
    def is_over(self) -> bool:
        """Whether the client is told nothing more, though it may still be in the room."""
        return self._has_ended or self._leaves_at is not None

    @property
    def line_sessions(self) -> Iterable[Session]:
        """The sessions of all channels on this socket."""
        return (self.session,)

    @abstractmethod
    def expel(self, code: int, reason: str) -> None:
        """End, since no rights are left (`collab.rights.Holder`)."""

    @abstractmethod
    def ask_for_token(self) -> None:
        """Ask for a newer token if the dialect can (`collab.rights.Holder`)."""

    @abstractmethod
    def tell_rights(self) -> None:
        """Tell whether one may only read, if the dialect can."""

    def enter(self, since: int) -> None:
        """Join the room, with rights that were asked for at the generation `since` (`collab.rights.OpenRights`)."""
        self._edge.hub.join(self.room, self.session)
        self._edge.rights.watch(self, since)

    def admit_again(self, admission: Admission, since: int) -> None:
        """Go on with other rights (`collab.rights.Holder`); what was taken in stays."""
        if self._has_ended:
            return
        self.admission, session = admission, self.session
        self._edge.rights.watch(self, since)
        session.principal = admission.principal
        if session.read_only != admission.read_only:
            # Readers and writers are sent changes at different times; one difference leaves no gap between the two.
            was_behind = isinstance(session.reading, Behind)
            self.fall_behind()
            session.read_only = admission.read_only
            self.tell_rights()
            if not was_behind:
                self.catch_up()

    def leave(self, now: float) -> None:
        """Leave the room, once all that came before is handed over."""
        if self._held is None:
            self._depart(now)
        else:
            self._leaves_at = now

    def end(self) -> None:
        """Neither take nor send anything more, also of what is held; `leave` must follow."""
        self._has_ended = True
        self._held = None
        self._line.reading.release(self)
        self._edge.rights.forget(self)

    def receive(self, message: sync.Message) -> None:
        """Take a message. Raises MalformedError, TooLargeError and WaitingFullError."""
        if self._held is None:
            self._take(message)
        else:
            self._held.append(partial(self._take, message))
        if isinstance(message, sync.Update) and len(message.update) > self._edge.settings.direct_bytes:
            self._bound_uncommitted(len(message.update))

    def pause(self) -> None:
        """Hold what comes, and read no more (`collab.session.Peer`)."""
        if self._held is None:
            self._held = deque()
        self._line.reading.hold(self)

    def resume(self) -> None:
        """Go on, as far as the document holds (`collab.session.Peer`)."""
        held, self._held = self._held or deque(), None
        self._line.reading.release(self)
        self._line.attempt(partial(self._go_on, held))
        if self._held is not None:
            self._held += held
        elif self._leaves_at is not None:
            self._depart(self._leaves_at)

    def _depart(self, now: float) -> None:
        self._edge.rights.forget(self)
        self._edge.hub.leave(self.room, self.session, now)

    def _go_on(self, held: deque[Callable[[], None]]) -> None:
        while held and self._held is None and not self._has_ended:
            held.popleft()()

    def _bound_uncommitted(self, size_bytes: int) -> None:
        reading, limit_bytes = self._line.reading, self._edge.settings.uncommitted_bytes
        self._uncommitted_bytes += size_bytes
        if self._uncommitted_bytes > limit_bytes:
            reading.hold((Hold.UNCOMMITTED, self))

        def committed() -> None:
            self._uncommitted_bytes -= size_bytes
            if self._uncommitted_bytes <= limit_bytes // 2:
                reading.release((Hold.UNCOMMITTED, self))

        self.room.when_settled(committed)

    def fall_behind(self) -> None:
        """The client reads too slowly."""
        self.room.fall_behind(self.session)

    def catch_up(self) -> None:
        """The client has read what was under way to it."""
        self._when_going(self._catch_up)

    def _when_going(self, act: Callable[[], None]) -> None:
        if self._held is None:
            act()
        else:
            self._held.append(act)

    def _take(self, message: sync.Message) -> None:
        if self.room.close_code is not None or self._has_ended:
            return
        try:
            if isinstance(message, sync.Update):
                self._greets_next = False
                self.take_update(message)
            else:
                self._dispatch(message)
        except PoisonedDocumentError as error:
            # Whoever is not the author has it taken again, once the document is sound.
            self._edge.hub.poisoned(self.room, error, self.session)
            self._when_going(partial(self._take, message))

    def _catch_up(self) -> None:
        if self.room.close_code is not None or self._has_ended:
            return
        try:
            self.room.catch_up(self.session)
            if self._refused and not self.session.read_only:
                self.room.ask(self.session)
        except PoisonedDocumentError as error:
            self._edge.hub.poisoned(self.room, error)
            self._when_going(self._catch_up)

    def _dispatch(self, message: sync.Step1 | sync.Awareness | sync.QueryAwareness | sync.Acknowledge) -> None:
        greets, self._greets_next = self._greets_next, False
        if isinstance(message, sync.Acknowledge):
            self.acknowledge(Outbound(message.frame))
        elif isinstance(message, sync.Awareness):
            now = self._loop.time()
            self.room.announcements.receive(self.session, message.update, now, is_greeting=greets)
        elif isinstance(message, sync.Step1):
            self._greets_next = not self.session.has_asked
            self.take_step1(message)
        else:
            self.room.announcements.tell_everyone(self.session)

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
        if not reading.holds:  # as nearly always; this is called for each message to each client
            return
        if Hold.ACKNOWLEDGEMENTS in reading.holds and self._awaiting_bytes <= limit_bytes // 2:
            reading.release(Hold.ACKNOWLEDGEMENTS)

    @property
    def _awaiting_bytes(self) -> int:
        return sum([session.awaiting_bytes for session in self.line_sessions])
