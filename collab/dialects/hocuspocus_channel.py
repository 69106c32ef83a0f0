"""One document of a Hocuspocus socket: what its provider counts on, and what it hears.

Source: @hocuspocus/provider `HocuspocusProvider.ts` (`unsyncedChanges`, `startSync`, `forceSync`).
"""

from collections.abc import Iterable
from typing import Protocol

from collab.dialects.channel import Channel
from collab.dialects.line import Line
from collab.dialects.questions import MAX_OPEN, Questions
from collab.doorkeeper import Admission
from collab.edge import OVERLOADED, TOO_LARGE, Edge
from collab.room import Room
from collab.session import Behind, Session
from collab.wire import hocuspocus, sync
from collab.wire.frames import Outbound
from collab.wire.varuint import prefixed

_PERMANENT = range(4400, 4500)
_STEP1 = sync.step1(b"").payload[:2]
_STEP2 = sync.step2(b"").payload[:2]


class Documents(Protocol):
    """The dialect as its channels see it."""

    is_behind: bool
    """Whether the client reads too slowly, and all documents are brought up to date later."""

    @property
    def sessions(self) -> Iterable[Session]:
        """The sessions of all documents that are open on the socket."""

    def give_up(self, address: bytes, code: int, reason: str) -> None:
        """End one document, which the room closed for good."""

    def deny(self, address: bytes, code: int, reason: str) -> None:
        """End one document, which its client may not read any more."""


class HocuspocusChannel(Channel):
    """The room behind one address. `has_version` tells that its provider reads Close."""

    def __init__(
        self,
        line: Line,
        edge: Edge,
        documents: Documents,
        room: Room,
        address: bytes,
        admission: Admission,
        *,
        has_version: bool,
    ) -> None:
        super().__init__(line, edge, room, admission)
        self.address = address
        self.has_version = has_version
        self.opened_at = self._loop.time()
        self._documents = documents
        self._prefix = prefixed(address)
        self._questions = Questions()
        self._owes_question = False
        self._session = Session(edge.new_id(), admission.principal, admission.read_only, self)

    @property
    def session(self) -> Session:
        """The session of this address."""
        return self._session

    @property
    def line_sessions(self) -> Iterable[Session]:
        """The sessions of all documents on this socket."""
        return self._documents.sessions

    def send(self, *messages: Outbound) -> None:
        """Write frames with the address."""
        for message in messages:
            if message.payload.startswith(_STEP1):
                self._ask(is_counted_on=False)
            elif self._owes_question and message.payload.startswith(_STEP2):
                self._ask_back()
        self._write(*messages)
        self.after_sending()

    def close(self, code: int, reason: str) -> None:
        """Close this document if it is for good and its provider can hear so, otherwise the socket.

        No provider comes back to one document by itself, and all do to a socket that was closed.
        """
        self.end()
        if self.has_version and code in _PERMANENT:
            self._documents.give_up(self.address, code, reason)
        else:
            self._line.close(code, reason)

    def tell(self, notice: bytes) -> None:
        """Send a stateless message."""
        self._write(hocuspocus.stateless(notice))

    def expel(self, code: int, reason: str) -> None:
        """End this document; others on the socket go on, and a further token may be tried."""
        self.end()
        if self._leaves_at is None:
            self._documents.deny(self.address, code, reason)

    def ask_for_token(self) -> None:
        """Ask for a newer token, which providers from 3 on send at once."""
        self._write(hocuspocus.ASK_TOKEN)

    def tell_rights(self) -> None:
        """Tell the scope anew, which providers keep as `authorizedScope`."""
        self._write(hocuspocus.authenticated(read_only=self._session.read_only))

    def enter(self, since: int) -> None:
        """Say that the document is open, and join its room."""
        self.tell_rights()
        super().enter(since)
        self.room.announcements.tell_missed(self._session)

    def take_step1(self, message: sync.Step1) -> None:
        """Ask the same of the client, whose answer it counts on, then answer; all at once later if it is behind."""
        self.room.answer_step1(self._session, message.state_vector, self._ask_back_in_time)
        self._refused = 0  # it counts anew

    def _ask_back_in_time(self) -> None:
        if isinstance(self._session.reading, Behind):
            self._owes_question = True
        else:
            self._ask_back()

    def take_update(self, message: sync.Update) -> None:
        """Apply an update, and give it the one status that the provider counts on, if it does."""
        is_counted_on = not message.is_answer or self._questions.is_counted_on
        is_allowed = self.apply(message.update)  # if the document fails at it, it comes again
        if message.is_answer:
            self._questions.answer()
        if is_counted_on and is_allowed:
            self.acknowledge(hocuspocus.SAVED)
            self._make_up_for_refused(message)
        elif is_counted_on:
            self._refused += 1
            self._write(hocuspocus.NOT_SAVED)

    def _make_up_for_refused(self, message: sync.Update) -> None:
        """Give what was refused, and came again in an answer, the statuses that the provider still counts on."""
        if message.is_answer and not self._session.read_only:
            refused, self._refused = min(self._refused, MAX_OPEN), 0
            for _ in range(refused):
                self.acknowledge(hocuspocus.SAVED)

    def relay(self, message: hocuspocus.Stateless) -> None:
        """Tell all other sessions of this dialect; people who may only read tell nothing."""
        limit_bytes = self._edge.settings.stateless_bytes
        if len(message.payload) > limit_bytes:
            self._line.close(TOO_LARGE, f"a stateless message has at most {limit_bytes} bytes")
        elif not self._session.read_only:
            outbound = hocuspocus.stateless(message.payload)
            for session in self.room.sessions:
                if session is not self._session and isinstance(session.peer, HocuspocusChannel):
                    session.peer.hear(outbound)

    def hear(self, message: Outbound) -> None:
        """Pass on what another client said, unless this one reads too slowly."""
        if not isinstance(self._session.reading, Behind):
            self._write(message)

    def hear_token(self) -> None:
        """Expect no answer to what was asked before a further token if a Step1 follows; the token is decided on.

        So 2.15 comes back to a document that it left without a word; it did not hear what was asked meanwhile. Without
        a Step1 it is just a newer token, and the answers are under way.
        """
        if not self.has_version:
            self._questions.doubt()

    def _catch_up(self) -> None:
        if not self._documents.is_behind:  # as it may be again by the time the document is sound
            super()._catch_up()

    def _ask_back(self) -> None:
        self._owes_question = False
        self._ask(is_counted_on=True)
        self._write(sync.step1(self.room.document.encoded_state_vector()))

    def _ask(self, *, is_counted_on: bool) -> None:
        self._questions.ask(is_counted_on=is_counted_on)
        if self._questions.are_too_many:
            self._line.close(OVERLOADED, "too many Step1 of the server are unanswered")

    def _write(self, *messages: Outbound) -> None:
        if not self.is_over:
            self._line.write(b"".join([message.addressed(self._prefix) for message in messages]))
