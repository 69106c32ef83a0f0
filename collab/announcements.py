"""What a room tells its sessions of who is present, and when.

Synchronous; times are seconds of the caller's monotonic clock. Who comes or leaves is told at once. What those
who are there show gathers for a window, which grows with the room: a stock client repeats all it hears, so that
each frame costs the square of the sessions. No edit waits behind the presence of a large room, since a frame
goes to a part of the sessions in each turn of the loop.
"""

from collections import deque
from collections.abc import Callable, Set

from collab.presence import Presence
from collab.session import Live, Session
from collab.wire import sync
from collab.wire.awareness import encode_awareness
from collab.wire.frames import Outbound

WINDOW_PER_SESSION_S = 0.000_5
"""How much longer what people show gathers with every session."""

MAX_WINDOW_S = 0.25
"""The longest it gathers: with the way to the client it stays younger than a second."""

PAUSE_PER_SESSION_S = 0.000_5
"""The time between two frames that tell who came or left, for every session."""

MAX_PAUSE_S = 0.2
"""The longest time between them: someone who comes back is seen within 0.3 s."""

QUESTION_PAUSE_S = 1.0
"""The time between two rounds of asking everyone to announce themselves anew."""

TURN_BYTES = 512 * 1024
"""From this size on, all its copies together, a frame is sent in several turns of the loop."""


class Announcements:
    """The presence of a room, and its way to the sessions.

    `send` sends a message to a session unless it is behind. `schedule(delay_s, callback)` calls back once, on the
    same thread, with the time it is then.
    """

    def __init__(
        self,
        sessions: Set[Session],
        send: Callable[[Session, Outbound], None],
        schedule: Callable[[float, Callable[[float], None]], None],
        window_s: float,
    ) -> None:
        self._sessions = sessions
        self._send = send
        self._schedule = schedule
        self._window_s = window_s
        self._presence = Presence()
        self._due: deque[Callable[[], bytes | None]] = deque()
        self._message = sync.awareness(b"\x00")
        self._recipients: deque[Session] = deque()
        self._unasked: set[Session] = set()
        self._moved_at = self._asked_at = float("-inf")
        self._is_moved_planned = self._is_updated_planned = self._is_question_planned = False

    def receive(self, session: Session, update: bytes, now: float, *, is_greeting: bool = False) -> None:
        """Take what `session` shows of itself. Raises MalformedError for bytes that are no presence.

        `is_greeting` says that it came straight after the first Step1 of `session`.
        """
        corrections = self._presence.announce(session, update, now, is_greeting=is_greeting)
        if corrections:
            # What it said itself, so that it does not take the principal for a part of its own state.
            self._send(session, sync.awareness(encode_awareness(corrections)))
        self._plan(now)

    def leave(self, session: Session, now: float) -> None:
        """Let the others know that `session` has left."""
        self._unasked.discard(session)
        self._presence.leave(session, now)
        self._plan(now)

    def tell_everyone(self, session: Session) -> None:
        """Send `session` who is present."""
        self._tell(session, self._presence.everyone())

    def tell_missed(self, session: Session) -> None:
        """Send `session`, which was sent nothing for a while, who is present and who left.

        It may be one of those who left itself, and does not know with which clock.
        """
        self._tell(session, self._presence.everyone_and_gone())
        if session in self._unasked:
            self._unasked.remove(session)
            self._tell(session, self._presence.question(session))

    def forget(self, now: float) -> None:
        """Forget those who left some time ago."""
        self._presence.forget(now)

    def _tell(self, session: Session, update: bytes | None) -> None:
        if update is not None:
            self._send(session, sync.awareness(update))

    def _plan(self, now: float) -> None:
        if self._presence.has_moved and not self._is_moved_planned:
            self._is_moved_planned = True
            pause_s = min(PAUSE_PER_SESSION_S * len(self._sessions), MAX_PAUSE_S)
            self._schedule(max(0.0, self._moved_at + pause_s - now), self._send_moved)
        if self._presence.has_updates and not self._is_updated_planned:
            self._is_updated_planned = True
            window_s = self._window_s + WINDOW_PER_SESSION_S * len(self._sessions)
            self._schedule(max(self._window_s, min(window_s, MAX_WINDOW_S)), self._send_updated)
        if self._presence.take_returned() and not self._is_question_planned:
            self._is_question_planned = True
            self._schedule(max(0.0, self._asked_at + QUESTION_PAUSE_S - now), self._ask)

    def _ask(self, now: float) -> None:
        self._asked_at = now
        self._is_question_planned = False
        for session in self._sessions:
            if isinstance(session.reading, Live):
                self._tell(session, self._presence.question(session))
            else:
                self._unasked.add(session)

    def _send_moved(self, now: float) -> None:
        self._moved_at = now
        self._begin(self._take_moved, now)

    def _send_updated(self, now: float) -> None:
        self._begin(self._take_updated, now)

    def _take_moved(self) -> bytes | None:
        self._is_moved_planned = False
        return self._presence.take_moved()

    def _take_updated(self) -> bytes | None:
        self._is_updated_planned = False
        return self._presence.take_updated()

    def _begin(self, take: Callable[[], bytes | None], now: float) -> None:
        """Send what `take` returns once what is on its way has left: then it is the newest."""
        self._due.append(take)
        if len(self._due) == 1 and not self._recipients:
            self._deliver(now)

    def _deliver(self, _now: float) -> None:
        while not self._recipients and self._due:
            update = self._due.popleft()()
            if update is not None:
                self._message = sync.awareness(update)
                self._recipients.extend(self._sessions)
        for _ in range(min(1 + TURN_BYTES // len(self._message.payload), len(self._recipients))):
            self._send(self._recipients.popleft(), self._message)
        if self._recipients or self._due:
            self._schedule(0.0, self._deliver)
