"""One graph's live room: a document, its sessions and what they announce.

Synchronous and without sockets, clock or tasks: nothing is awaited while the document changes.
Times are seconds of the caller's monotonic clock. A change goes at once (once a window) to all
who may write, because they hold it and send it again after a crash; to read-only sessions, and
as an acknowledgement, only after its commit.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from collab.announcements import Announcements
from collab.answers import Answers
from collab.arrivals import Arrival, Arrivals
from collab.document import NOTHING, LiveDocument
from collab.outbox import AfterCommit, Outbox
from collab.session import Awaiting, Behind, Live, Session
from collab.wire import sync
from collab.wire.errors import TooLargeError
from collab.wire.frames import Outbound
from collab.wire.state_vector import StateVector
from collab.wire.update import Shape, few_pieces, walk
from persistence.ports import OperationLog, Refusal
from persistence.records import Operation, Record

_GOODBYES = {
    Refusal.GONE: (4404, "this graph was deleted"),
    Refusal.ELSEWHERE: (4503, "another server serves this graph now; come again"),
    Refusal.UNSTORABLE: (4500, "an edit could not be stored; come again"),
}

BUSY_UPDATES = 8
"""So many updates in one window make the next one longer: people who type are fewer, so it is nobody's echo."""


class Limits(NamedTuple):
    """What bounds a room."""

    window_s: float = 0.004
    """How long changes gather before they are sent, once one was sent a moment ago."""
    busy_window_s: float = 0.0125
    """How long they gather while many come: from BUSY_UPDATES in the last window on."""
    window_per_session_s: float = 0.000_025
    """How much longer a window gets with every session, so that large rooms keep up."""
    presence_window_s: float = 0.05
    """How long presence gathers in a small room before it is sent."""
    waiting_bytes: int = 4 * 1024 * 1024
    """Updates held that wait for one they depend on."""
    update_bytes: int = 12 * 1024 * 1024
    """The largest update taken from a client: it is walked and applied in one go."""
    document_bytes: int = 512 * 1024 * 1024
    """From this size of the encoded document on, nothing is added to it any more."""


class Room:
    """The room of one graph.

    `schedule(delay_s, callback)` calls back once, on the same thread, with the time it is then.
    """

    def __init__(
        self,
        graph_id: UUID,
        document: LiveDocument,
        arrivals: Arrivals,
        log: OperationLog,
        schedule: Callable[[float, Callable[[float], None]], None],
        limits: Limits = Limits(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.graph_id = graph_id
        self.document = document
        self.sessions: set[Session] = set()
        self.announcements = Announcements(self.sessions, self._send, schedule, limits.presence_window_s)
        self.close_code: int | None = None
        """With what the room was given up; from then on it takes in nothing more."""
        self.is_healing = False
        """Whether the document failed and is loaded again; nobody may touch it until `go_on`."""
        self.refusal: Refusal | None = None
        """Why the log stores nothing more of this room."""
        self._log = log
        self._schedule = schedule
        self._limits = limits
        self._outbox, self._answers = Outbox(), Answers(schedule)
        self._after_commit = AfterCommit()
        self._arrivals = arrivals
        self._waiters: dict[bytes, set[Session]] = {}
        self._readers_know: StateVector = {}
        self.appended = 0  # operations handed to the log so far
        self._committed = 0
        self._flushed_at = float("-inf")
        self._window_s = limits.window_s
        self._flush_due = False

    @property
    def is_settled(self) -> bool:
        """Whether everything the room took in is committed."""
        return self._committed == self.appended

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Call back once everything the room took in so far is committed."""
        self._after_commit.add(self.appended, callback)
        self._release()

    # -- sessions

    def join(self, session: Session) -> None:
        """Let `session` in. It is told nothing yet."""
        self.sessions.add(session)

    def ask(self, session: Session) -> None:
        """Ask `session` for what it has and the room lacks, by a Step1."""
        self._send(session, sync.step1(self.document.encoded_state_vector()))

    def leave(self, session: Session, now: float) -> None:
        """Forget `session`, and let the others know."""
        self.sessions.discard(session)
        self.announcements.leave(session, now)

    def answer_step1(self, session: Session, state_vector: bytes, first: Callable[[], None] = lambda: None) -> None:
        """Send `session` what it lacks: at once, or after the commit of it all if it may only read.

        `first` is called before anything is sent. Raises MalformedError, or PoisonedDocumentError if the document is
        lost; nothing was done then.
        """
        known = self.document.known_of(state_vector)
        messages = () if isinstance(session.reading, Behind) else self._answers.answer(self.document, known)
        first()
        session.has_asked = True
        if isinstance(session.reading, Behind):
            session.reading = Behind(known)
        elif session.read_only:
            self._answer_after_commit(session, known, messages)
        else:
            self._send(session, *messages)

    def fall_behind(self, session: Session) -> None:
        """Send `session` nothing more until it catches up."""
        if isinstance(session.reading, Awaiting):
            session.reading = Behind(session.reading.known)
        elif isinstance(session.reading, Live):
            session.reading = Behind(self._known_to(session))

    def catch_up(self, session: Session) -> None:
        """Send `session` all it missed as one difference, who is present now, and who left."""
        if not isinstance(session.reading, Behind) or session not in self.sessions:
            return
        known = session.reading.known
        messages = self._answers.answer(self.document, known)  # if the document fails, it is behind as before
        if session.read_only:
            self._answer_after_commit(session, known, messages)
            return
        session.reading = Live()
        self._send(session, *messages)
        self.announcements.tell_missed(session)

    # -- updates

    def receive_update(self, session: Session, update: bytes, now: float, received_at: datetime) -> bool:
        """Apply `update`, hand it to the log and let everyone have what it changed.

        Return False if it would change something and `session` may only read: nothing is changed then.
        Clients answer every Step1, so an update that holds nothing new is no attempt to write.
        Raises MalformedError, TooLargeError or WaitingFullError if it was not taken (nothing changed), and
        PoisonedDocumentError if the room's document is lost.
        """
        if self.close_code is not None:
            return True
        if len(update) > self._limits.update_bytes:
            raise TooLargeError("an update", len(update), self._limits.update_bytes)
        shape = walk(update)
        if session.read_only:
            return self.document.contains(update, shape)
        self.document.check_clients(shape)
        self.document.check_size(update, shape, self._limits.document_bytes)
        if shape.has_gaps:
            for piece in few_pieces(update):
                self._receive(session, piece, walk(piece), now, received_at)
        else:
            self._receive(session, update, shape, now, received_at)
        return True

    def record_server_edit(
        self, operations: Sequence[Operation], records: Sequence[Record], then: Callable[[], None]
    ) -> None:
        """Hand the server's own edit to the log, all or nothing; `then` is called once it is committed, or refused.

        It becomes part of the document afterwards, by `apply_committed`.
        """
        self.appended += len(operations)
        self._log.append_together(operations, records, self)
        self._after_commit.add(self.appended, then)

    def apply_committed(self, update: bytes, now: float) -> None:
        """Apply an update of the server's own, which is committed, and let everyone have it.

        Raises PoisonedDocumentError if the room's document is lost, and MalformedError if it may not touch that.
        """
        if self.close_code is not None or self.is_healing:  # what is committed is in what is loaded
            return
        self._put_out(None, self._arrivals.take(update, walk(update), is_stored=True))
        self._schedule_flush(now)

    def acknowledge(self, session: Session, answer: Outbound) -> None:
        """Send `answer` to `session` once everything it sent before is committed, and nothing of it is unsettled."""
        session.awaiting_bytes += answer.cost_bytes
        session.acknowledgements.append(answer)
        if not session.unsettled:
            self._promise_acknowledgements(session)
            self._release()

    def hold_acknowledgements(self, session: Session) -> None:
        """Let no acknowledgement go to `session` until `let_acknowledgements_go`, which must follow."""
        session.unsettled += 1

    def let_acknowledgements_go(self, session: Session) -> None:
        """Undo one `hold_acknowledgements`."""
        session.unsettled -= 1
        if not session.unsettled and session.acknowledgements:
            self._promise_acknowledgements(session)
            self._release()

    def go_on(self, document: LiveDocument, arrivals: Arrivals, now: float) -> None:
        """Go on with the document as it was loaded again; everybody is sent what may be missing of it."""
        known = self.document.state_vector
        self.document, self._arrivals = document, arrivals
        self._answers.forget()
        difference = document.difference(known)
        if difference != NOTHING:
            before = {one: min(known.get(one, 0), clock) for one, clock in document.state_vector.items()}
            self._outbox.add(difference, None, before)
        came = (update for update in self._waiters if update not in arrivals and not document.lacks(walk(update)))
        self._settle(tuple(came))  # what was left out, now or before, is never acknowledged
        self._schedule_flush(now)

    def authors(self, update: bytes | None, sender: Session | None) -> set[Session]:
        """Return who sent `update`: whoever waits for it, or else `sender`, who sent what was processed last."""
        return self._waiters.get(update or b"") or ({sender} if update is not None and sender is not None else set())

    def flush(self, now: float) -> None:
        """Send the current window, if there is one."""
        self._flush_due = False
        if not self._outbox:
            return
        self._flushed_at = now
        window = self._outbox.take()
        is_busy = window.updates >= BUSY_UPDATES
        self._window_s = max(self._limits.window_s, self._limits.busy_window_s) if is_busy else self._limits.window_s
        message = sync.update(window.update)
        has_readers = False
        for session in self.sessions:
            if session.read_only:
                has_readers = True
            elif session is not window.author and isinstance(session.reading, Live):
                session.peer.send(message)
        if has_readers:
            position, known = self.appended, dict(self.document.state_vector)
            self._after_commit.add(position, lambda: self._send_to_readers(message, known))
            self._release()

    # -- the log's answers

    def committed(self, operations: int) -> None:
        """The next `operations` are durable: release what waited for them."""
        self._committed += operations
        self._release()

    def refused(self, operations: int, reason: Refusal) -> None:
        """Nothing more of this room is stored or acknowledged."""
        self.refusal = reason
        self.close(*_GOODBYES[reason])
        self._committed += operations
        self._release()  # to closed peers it does nothing, and whoever waits for the room goes on

    def close(self, code: int, reason: str) -> None:
        """Take in nothing more and say goodbye to every session."""
        if self.close_code is None:
            self.close_code = code
        for session in list(self.sessions):
            session.peer.close(code, reason)

    # -- inside

    def _receive(self, session: Session, update: bytes, shape: Shape, now: float, at: datetime) -> None:
        if update in self._arrivals:
            self._wait_for(session, update)
            return
        arrivals = self._arrivals.take(update, shape)
        if not arrivals:
            self._record(session, update, shape, at, settles=None)
            self._wait_for(session, update)
            return
        if [arrival for arrival in arrivals if arrival.applied.change is not None]:
            settled = tuple([arrival.update for arrival in arrivals[1:]])
            self._record(session, update, shape, at, settles=settled)
            self._put_out(session, arrivals)
            self._schedule_flush(now)
            self._settle(settled)

    def _put_out(self, author: Session | None, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            if arrival.applied.change is not None:
                self._outbox.add(arrival.applied.change, author, arrival.applied.before)
                self._answers.changed(arrival.applied.change)
            author = None  # what waited came from whoever sent it

    def _record(
        self, session: Session, update: bytes, shape: Shape, at: datetime, settles: tuple[bytes, ...] | None
    ) -> None:
        """Hand `update` to the log; `settles` is None while it waits for another one."""
        ends = shape.struct_ends
        for client in ends:
            session.last_client = str(client)
            break
        clock = ",".join([f'"{client}":{end}' for client, end in ends.items()])
        self.appended += 1
        operation = Operation(
            graph_id=self.graph_id,
            update=update,
            vector_clock=f"{{{clock}}}",
            user_id=session.user_id,
            session_id=session.id,
            client_id=session.last_client,
            created_at=at,
            applied_at=None if settles is None else at,
            settles=settles or (),
        )
        self._log.append(operation, self)

    def _wait_for(self, session: Session, update: bytes) -> None:
        """Let no acknowledgement go to `session` before `update` is applied, and ask for what it needs."""
        waiters = self._waiters.setdefault(update, set())
        if session not in waiters:
            waiters.add(session)
            session.unsettled += 1
        if not session.was_asked:
            session.was_asked = True
            self.ask(session)

    def _settle(self, updates: tuple[bytes, ...]) -> None:
        for update in updates:
            for session in self._waiters.pop(update, ()):
                session.was_asked = False
                self.let_acknowledgements_go(session)

    def _known_to(self, session: Session) -> StateVector:
        """Return what a live session has been sent, or less."""
        if not session.has_asked:
            return {}
        if session.read_only and not (self.is_settled and not self._outbox):
            return self._readers_know
        return self._outbox.known_without(self.document.state_vector)

    def _answer_after_commit(self, session: Session, known: StateVector, messages: Sequence[Outbound]) -> None:
        answer = session.reading = Awaiting(known, self.appended, messages)
        self._after_commit.add(answer.position, lambda: self._let_read(session, answer.position))
        self._release()

    def _let_read(self, session: Session, position: int) -> None:
        # A newer answer, or falling behind, makes an older one void.
        if isinstance(session.reading, Awaiting) and session.reading.position == position:
            messages, session.reading = session.reading.difference, Live()
            self._send(session, *messages)
            self.announcements.tell_missed(session)

    def _promise_acknowledgements(self, session: Session) -> None:
        answers, session.acknowledgements = session.acknowledgements, []
        cost_bytes = sum(answer.cost_bytes for answer in answers)

        def send() -> None:
            session.awaiting_bytes -= cost_bytes
            if session in self.sessions:
                session.peer.send(*answers)

        self._after_commit.add(self.appended, send)

    def _release(self) -> None:
        for send in self._after_commit.due(self._committed):
            send()

    def _schedule_flush(self, now: float) -> None:
        if self._flush_due:
            return
        left_s = self._flushed_at + self._window_s + self._limits.window_per_session_s * len(self.sessions) - now
        if left_s <= 0:
            self.flush(now)
            return
        self._flush_due = True
        self._schedule(left_s, self.flush)

    def _send_to_readers(self, message: Outbound, known: StateVector) -> None:
        self._readers_know = known
        for session in self.sessions:
            if session.read_only:
                self._send(session, message)

    def _send(self, session: Session, *messages: Outbound) -> None:
        if isinstance(session.reading, Live) and session in self.sessions:
            session.peer.send(*messages)
