"""One graph's live room: a document, its sessions and its presence.

Synchronous and without sockets, clock or tasks: nothing is awaited while the document changes.
Times are seconds of the caller's monotonic clock. A change goes at once (once a window) to all
who may write, because they hold it and send it again after a crash; to read-only sessions, and
as an acknowledgement, only after its commit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from collab.document import Applied, LiveDocument
from collab.outbox import AfterCommit, Outbox
from collab.pending import PendingUpdates, Settled
from collab.presence import Presence
from collab.session import Behind, Live, Session
from collab.wire import sync
from collab.wire.frames import binary_frame
from collab.wire.state_vector import decode_state_vector, encode_state_vector
from collab.wire.update import walk
from persistence.ports import OperationLog
from persistence.records import Operation


class Limits(NamedTuple):
    """What bounds a room."""

    window_s: float = 0.005
    """How long changes gather before they are sent, once one was sent a moment ago."""
    window_per_session_s: float = 0.000_025
    """How much longer the window gets with every session, so that large rooms keep up."""
    presence_window_s: float = 0.05
    """How long presence gathers before it is sent."""
    pending_bytes: int = 4 * 1024 * 1024
    """Updates held that wait for one they depend on."""


_NOTHING_SETTLED = Settled((), ())


class Room:
    """The room of one graph.

    `schedule(delay_s, callback)` calls back once, on the same thread, with the time it is then.
    """

    def __init__(
        self,
        graph_id: UUID,
        document: LiveDocument,
        log: OperationLog,
        schedule: Callable[[float, Callable[[float], None]], None],
        limits: Limits = Limits(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.graph_id = graph_id
        self.document = document
        self.sessions: set[Session] = set()
        self.presence = Presence()
        self.is_gone = False
        """Whether the graph was deleted under the room."""
        self._log = log
        self._schedule = schedule
        self._limits = limits
        self._outbox = Outbox()
        self._after_commit = AfterCommit()
        self._pending = PendingUpdates(limits.pending_bytes)
        self._appended = 0
        self._committed = 0
        self._flushed_at = float("-inf")
        self._flush_due = False
        self._presence_due = False

    @property
    def is_settled(self) -> bool:
        """Whether everything the room took in is committed."""
        return self._committed == self._appended

    def hold_pending(self, update: bytes) -> None:
        """Take a stored update that waited for others when it came; keep it if it still does."""
        shape = walk(update)
        if not self.document.covers(shape):
            self._pending.hold(update, shape, None)
            self.document.is_waiting = True

    # -- sessions

    def join(self, session: Session) -> None:
        """Let `session` in: it is asked for what it has and told who is present."""
        self.sessions.add(session)
        frames = binary_frame(sync.step1(self.document.encoded_state_vector()))
        everyone = self.presence.everyone()
        if everyone is not None:
            frames += binary_frame(sync.awareness(everyone))
        session.peer.send(frames)

    def leave(self, session: Session, now: float) -> None:
        """Forget `session`; its presence goes at once."""
        self.sessions.discard(session)
        if self.presence.leave(session.id, now):
            self._send_presence(now)

    def answer_step1(self, session: Session, state_vector: bytes) -> None:
        """Send `session` what it lacks: at once, or after the commit of it all if it may only read."""
        known = decode_state_vector(state_vector)
        session.has_asked = True
        if isinstance(session.reading, Behind):
            session.reading = Behind(known)
            return
        difference = self.document.difference(known)
        frame = binary_frame(sync.step2(difference))
        if session.read_only:
            self._after_commit.add(self._appended, lambda: self._send(session, frame))
            self._release()
        else:
            self._send(session, frame)

    def fall_behind(self, session: Session) -> None:
        """Send `session` nothing more until it catches up."""
        if isinstance(session.reading, Live):
            known = self._outbox.known_without(self.document.state_vector) if session.has_asked else {}
            session.reading = Behind(known)

    def catch_up(self, session: Session) -> None:
        """Send `session` all it missed as one difference, and who is present now."""
        if isinstance(session.reading, Live) or session not in self.sessions:
            return
        known = session.reading.known
        session.reading = Live()
        self.answer_step1(session, encode_state_vector(known))
        self.tell_everyone(session)

    # -- updates

    def receive_update(self, session: Session, update: bytes, now: float, received_at: datetime) -> None:
        """Apply `update`, hand it to the log and let everyone have what it changed.

        Raises MalformedError if it was not taken (nothing changed), PendingFullError if it was
        but too many wait for others, and PoisonedDocumentError if the room's document is lost.
        """
        if session.read_only:
            self._refuse(session, update)
            return
        applied = self.document.apply(update)
        if applied.change is None and (applied.is_integrated or update in self._pending):
            return  # all of it was known
        if not applied.is_integrated:
            self._pending.hold(update, applied.shape, session)
            self._ask_for_the_rest(session)
        settled = self._settle()
        self._record(session, update, applied, settled.updates, received_at)
        if applied.change is not None:
            self._outbox.add(applied.change, None if settled.updates else session, applied.before)
            self._schedule_flush(now)
        for waiting in settled.sessions:
            self._promise_acknowledgements(waiting)
        self._pending.check()

    def acknowledge(self, session: Session, frame: bytes) -> None:
        """Echo `frame` to `session` once everything it sent before is committed.

        Never after an update of this session was refused, and not while one is unsettled.
        """
        if session.was_refused:
            return
        session.awaiting += 1
        session.acknowledgements.append(binary_frame(frame))
        if not session.unsettled:
            self._promise_acknowledgements(session)
            self._release()

    def flush(self, now: float) -> None:
        """Send the current window, if there is one."""
        self._flush_due = False
        if not self._outbox:
            return
        self._flushed_at = now
        window = self._outbox.take()
        frame = binary_frame(sync.update(window.update))
        for session in self.sessions:
            if session is not window.author and not session.read_only and isinstance(session.reading, Live):
                session.peer.send(frame)
        if any(session.read_only for session in self.sessions):
            self._after_commit.add(self._appended, lambda: self._send_to_readers(frame))
            self._release()

    # -- presence

    def receive_presence(self, session: Session, update: bytes, now: float) -> None:
        """Take what `session` shows of itself; others see it once a presence window."""
        if self.presence.announce(session.id, update, now) and not self._presence_due:
            self._presence_due = True
            self._schedule(self._limits.presence_window_s, self._send_presence)

    def tell_everyone(self, session: Session) -> None:
        """Send `session` who is present."""
        everyone = self.presence.everyone()
        if everyone is not None:
            self._send(session, binary_frame(sync.awareness(everyone)))

    # -- the log's answers

    def committed(self, operations: int) -> None:
        """The next `operations` are durable: release what waited for them."""
        self._committed += operations
        self._release()

    def refused(self, operations: int) -> None:
        """The graph is gone: nobody can edit it any more, and nothing more is acknowledged."""
        self.is_gone = True
        self.close(4404, "this graph was deleted")
        self._committed += operations

    def close(self, code: int, reason: str) -> None:
        """Say goodbye to every session."""
        for session in list(self.sessions):
            session.peer.close(code, reason)

    # -- inside

    def _record(
        self, session: Session, update: bytes, applied: Applied, settled: tuple[bytes, ...], at: datetime
    ) -> None:
        ends = applied.shape.struct_ends
        for client in ends:
            session.last_client = str(client)
            break
        clock = ",".join(f'"{client}":{end}' for client, end in ends.items())
        self._appended += 1
        operation = Operation(
            graph_id=self.graph_id,
            update=update,
            vector_clock=f"{{{clock}}}",
            user_id=session.user_id,
            session_id=session.id,
            client_id=session.last_client,
            created_at=at,
            applied_at=at if applied.is_integrated else None,
            settles=settled,
        )
        self._log.append(operation, self)

    def _settle(self) -> Settled:
        if not self._pending:
            return _NOTHING_SETTLED
        settled = self._pending.settle(self.document.covers)
        self.document.is_waiting = bool(self._pending)
        return settled

    def _ask_for_the_rest(self, session: Session) -> None:
        if not session.was_asked:
            session.was_asked = True
            self._send(session, binary_frame(sync.step1(self.document.encoded_state_vector())))

    def _refuse(self, session: Session, update: bytes) -> None:
        """Clients answer every Step1, so an update that holds nothing new is no attempt to write."""
        if self.document.covers(walk(update)):
            return
        session.was_refused = True
        self._send(session, binary_frame(sync.permission_denied("you may read this graph, not change it")))

    def _promise_acknowledgements(self, session: Session) -> None:
        frames = b"".join(session.acknowledgements)
        count = len(session.acknowledgements)
        session.acknowledgements.clear()

        def send() -> None:
            session.awaiting -= count
            if session in self.sessions:
                session.peer.send(frames)

        self._after_commit.add(self._appended, send)

    def _release(self) -> None:
        for send in self._after_commit.due(self._committed):
            send()

    def _schedule_flush(self, now: float) -> None:
        if self._flush_due:
            return
        window_s = self._limits.window_s + self._limits.window_per_session_s * len(self.sessions)
        left_s = self._flushed_at + window_s - now
        if left_s <= 0:
            self.flush(now)
            return
        self._flush_due = True
        self._schedule(left_s, self.flush)

    def _send_presence(self, _now: float) -> None:
        self._presence_due = False
        changes = self.presence.take_changes()
        if changes is not None:
            frame = binary_frame(sync.awareness(changes))
            for session in self.sessions:
                self._send(session, frame)

    def _send_to_readers(self, frame: bytes) -> None:
        for session in self.sessions:
            if session.read_only:
                self._send(session, frame)

    def _send(self, session: Session, frame: bytes) -> None:
        if isinstance(session.reading, Live) and session in self.sessions:
            session.peer.send(frame)
