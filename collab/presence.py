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
"""Clients in one awareness message, and client ids remembered for one room."""

MAX_STATE_BYTES = 64 * 1024
"""The largest presence of one client."""

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
        self._changed: set[int] = set()

    def announce(self, owner: Hashable, update: bytes, now: float) -> bool:
        """Take what the session `owner` says of its clients; return whether there is news.

        Raises MalformedError for bytes that are no presence, and takes none of them then.
        """
        news = [entry for entry in decode_awareness(update, MAX_ENTRIES) if self._is_news(owner, entry)]
        for entry in news:
            _check_state(entry.state)
        for entry in news:
            self._take(owner, entry, now)
        return bool(news)

    def leave(self, owner: Hashable, now: float) -> bool:
        """Mark every client of `owner` as gone; return whether there was one."""
        gone = [client for client, known in self._clients.items() if known.owner == owner]
        for client in gone:
            self._take(owner, Entry(client, self._clients[client].clock + 1, GONE), now)
        return bool(gone)

    def forget(self, now: float) -> None:
        """Drop the clocks of clients that left more than REMEMBER_GONE_S ago."""
        old = [c for c, known in self._clients.items() if known.owner is None and now - known.seen_at > REMEMBER_GONE_S]
        for client in old:
            del self._clients[client]

    def everyone(self) -> bytes | None:
        """Return all who are present as one awareness update, None if nobody is."""
        present = [Entry(c, known.clock, known.state) for c, known in self._clients.items() if known.owner is not None]
        return encode_awareness(present) if present else None

    def take_changes(self) -> bytes | None:
        """Return what changed since the last call as one awareness update, None if nothing did."""
        if not self._changed:
            return None
        clients = ((client, self._clients[client]) for client in sorted(self._changed) if client in self._clients)
        update = encode_awareness(Entry(client, known.clock, known.state) for client, known in clients)
        self._changed.clear()
        return update

    def _is_news(self, owner: Hashable, entry: Entry) -> bool:
        known = self._clients.get(entry.client)
        if known is None:
            return entry.state != GONE and len(self._clients) < MAX_ENTRIES
        if known.owner is not None and known.owner != owner:
            return False
        return entry.clock > known.clock or (entry.clock == known.clock and entry.state == GONE != known.state)

    def _take(self, owner: Hashable, entry: Entry, now: float) -> None:
        owner_now = None if entry.state == GONE else owner
        self._clients[entry.client] = _Client(entry.clock, entry.state, owner_now, now)
        self._changed.add(entry.client)


def _check_state(state: bytes) -> None:
    if len(state) > MAX_STATE_BYTES:
        raise MalformedError(f"a presence has {len(state)} bytes, at most {MAX_STATE_BYTES} are taken")
    try:
        json.loads(state)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"a presence is not JSON: {error}") from None
