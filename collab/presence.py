"""Who is present in a room, by Yjs client id.

A client id belongs to the session that announced it first: stock clients repeat all presence
they hear, and taking the repetition for ownership would leave ghosts. What is not newer than
the last known clock is dropped; a clock stays known for a while after its client left, so that
late repetitions do not bring it back.
"""

import json
from collections.abc import Hashable
from dataclasses import dataclass

from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness
from collab.wire.errors import MalformedError

MAX_ENTRIES = 2_000
"""Client ids in one awareness message, and remembered for one room."""

MAX_OWN_CLIENTS = 16
"""Client ids that one session may announce; stock clients announce one."""

MAX_STATE_BYTES = 16 * 1024
"""The largest presence of one client."""

MAX_ROOM_BYTES = 4 * 1024 * 1024
"""The presence of all clients of one room together."""

MAX_CLOCK = 2**31 - 1
"""The highest presence clock; clients count by one every 15 s."""

REMEMBER_GONE_S = 60.0
"""How long the clock of a client that left is known."""


@dataclass(slots=True)
class _Client:
    clock: int
    state: bytes
    owner: Hashable | None
    seen_at: float


class Presence:
    """The presence of one room: last state per client id, collapsed until it is taken."""

    def __init__(self) -> None:
        self._clients: dict[int, _Client] = {}
        self._own: dict[Hashable, set[int]] = {}
        self._changed: set[int] = set()
        self._bytes = 0
        self._everyone: bytes | None = None

    def announce(self, owner: Hashable, update: bytes, now: float) -> bool:
        """Take what the session `owner` says of its clients; return whether there is news.

        What is beyond the bounds of a session or a room is left out. Raises MalformedError for
        bytes that are no presence, and takes none of them then.
        """
        news = [entry for entry in decode_awareness(update, MAX_ENTRIES) if self._is_news(owner, entry)]
        for entry in news:
            _check_entry(entry)
        has_news = False
        for entry in news:
            if self._fits(owner, entry):
                self._take(owner, entry, now)
                has_news = True
        return has_news

    def leave(self, owner: Hashable, now: float) -> bool:
        """Mark every client of `owner` as gone; return whether there was one."""
        gone = tuple(self._own.get(owner, ()))
        for client in gone:
            self._take(owner, Entry(client, self._clients[client].clock + 1, GONE), now)
        return bool(gone)

    def forget(self, now: float) -> None:
        """Drop the clocks of clients that left more than REMEMBER_GONE_S ago."""
        old = [c for c, known in self._clients.items() if known.owner is None and now - known.seen_at > REMEMBER_GONE_S]
        for client in old:
            self._bytes -= len(self._clients.pop(client).state)

    def everyone(self) -> bytes | None:
        """Return all who are present as one awareness update, None if nobody is."""
        if not self._own:
            return None
        if self._everyone is None:
            present = (c for own in self._own.values() for c in own)
            self._everyone = encode_awareness(self._entry(client) for client in present)
        return self._everyone

    def take_changes(self) -> bytes | None:
        """Return what changed since the last call as one awareness update, None if nothing did."""
        if not self._changed:
            return None
        update = encode_awareness(self._entry(client) for client in sorted(self._changed) if client in self._clients)
        self._changed.clear()
        return update

    def _entry(self, client: int) -> Entry:
        known = self._clients[client]
        return Entry(client, known.clock, known.state)

    def _is_news(self, owner: Hashable, entry: Entry) -> bool:
        known = self._clients.get(entry.client)
        if known is None:
            return entry.state != GONE and len(self._clients) < MAX_ENTRIES
        if known.owner is not None and known.owner != owner:
            return False
        return entry.clock > known.clock or (entry.clock == known.clock and entry.state == GONE != known.state)

    def _fits(self, owner: Hashable, entry: Entry) -> bool:
        own = self._own.get(owner, ())
        more_bytes = len(entry.state) - self._state_bytes(entry.client)
        return entry.state == GONE or (
            (entry.client in own or len(own) < MAX_OWN_CLIENTS) and self._bytes + more_bytes <= MAX_ROOM_BYTES
        )

    def _state_bytes(self, client: int) -> int:
        known = self._clients.get(client)
        return 0 if known is None else len(known.state)

    def _take(self, owner: Hashable, entry: Entry, now: float) -> None:
        self._bytes += len(entry.state) - self._state_bytes(entry.client)
        is_gone = entry.state == GONE
        self._clients[entry.client] = _Client(entry.clock, entry.state, None if is_gone else owner, now)
        self._changed.add(entry.client)
        self._everyone = None
        own = self._own.setdefault(owner, set())
        own.discard(entry.client) if is_gone else own.add(entry.client)
        if not own:
            del self._own[owner]


def _check_entry(entry: Entry) -> None:
    if entry.clock > MAX_CLOCK:
        raise MalformedError(f"a presence clock passes {MAX_CLOCK}")
    if len(entry.state) > MAX_STATE_BYTES:
        raise MalformedError(f"a presence has {len(entry.state)} bytes, at most {MAX_STATE_BYTES} are taken")
    try:
        json.loads(entry.state.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"a presence is not JSON: {error}") from None


def _no_constant(name: str) -> None:
    # Python reads NaN and Infinity; the clients that would get them do not (RFC 8259 section 6).
    raise ValueError(f"{name} is no JSON")
