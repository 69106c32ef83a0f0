"""Who is present in a room, by Yjs client id.

Pure. A client id belongs to the session that announced it: stock clients repeat all presence they hear, and
taking the repetition for ownership would leave ghosts. What is not newer than the last known clock is dropped;
a clock stays known for a while after its client left, so that late repetitions do not bring it back.

The exception is a greeting, the presence straight after a session's first Step1. A client that reconnects shows
itself with a clock that others have already seen, and would drop; it is taken with a later one, of which the
client is told. What it says until it has heard of that counts on from what it said before.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import orjson

from auth.policy import Principal
from collab.echoes import Echoes
from collab.session import Session
from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness, encode_entry
from collab.wire.errors import MalformedError

MAX_ENTRIES = 10_000
"""Client ids in one awareness message, and in one room together with those it remembers: twice its sessions."""

MAX_OWN_CLIENTS = 16
"""Client ids that one session may announce; stock clients announce one."""

MAX_STATE_BYTES = 16 * 1024
"""The largest presence of one client, as it sends it."""

MAX_OWN_BYTES = 32 * 1024
"""The presence of all clients of one session together, so that a few sessions cannot fill a room."""

MAX_ROOM_BYTES = 8 * 1024 * 1024
"""The presence of all clients of one room together, as they send it; with its principals it fits into one message."""

MAX_CLOCK = 2**31 - 1
"""The highest presence clock that is taken; clients count by one every 15 s."""

REMEMBER_GONE_S = 60.0
"""How long the clock of a client that left is known."""

_JSON_SPACE = b" \t\n\r"  # RFC 8259 section 2


@dataclass(slots=True)
class _Present:
    owner: Session
    clock: int
    said_clock: int
    """The last clock that its owner sent; it has not heard of `clock` yet if that is higher."""
    size_bytes: int
    encoded: bytes


@dataclass(slots=True)
class _Gone:
    clock: int
    left_at: float
    encoded: bytes


class Presence:
    """The presence of one room: the last state of each client id, collapsed until it is taken."""

    def __init__(self) -> None:
        self._present: dict[int, _Present] = {}
        self._gone: dict[int, _Gone] = {}  # in the order in which they left
        self._own: dict[Session, set[int]] = {}
        self._moved: set[int] = set()
        self._updated: set[int] = set()
        self._has_returned = False
        self._bytes = 0
        self._everyone: bytes | None = None
        self._echoes = Echoes()

    @property
    def has_moved(self) -> bool:
        """Whether somebody came or left and `take_moved` has not told yet."""
        return bool(self._moved)

    @property
    def has_updates(self) -> bool:
        """Whether somebody who was there shows something else, and `take_updated` has not told yet."""
        return bool(self._updated)

    def announce(self, session: Session, update: bytes, now: float, *, is_greeting: bool = False) -> list[Entry]:
        """Take what `session` says of its clients; return what it must hear, as its own, to go on from there.

        What is beyond the bounds of a session or a room is left out. Raises MalformedError for
        bytes that are no presence, and takes none of them then.
        """
        read = decode_awareness if is_greeting else self._echoes.strange
        entries = read(update, MAX_ENTRIES)
        for entry in entries:
            if self._settled(session, entry, is_greeting=is_greeting) is not None:
                _check(entry)
        corrections = []
        for entry in entries:
            taken = self._settled(session, entry, is_greeting=is_greeting)
            if taken is not None and self._fits(session, taken):
                self._take(session, entry, taken.clock, now, is_greeting=is_greeting)
                if taken.clock != entry.clock:
                    corrections.append(taken)
        return corrections

    def leave(self, session: Session, now: float) -> None:
        """Mark every client of `session` as gone."""
        for client in tuple(self._own.get(session, ())):
            self._remove(client, self._present[client].clock + 1, now)

    def forget(self, now: float) -> None:
        """Drop the clocks of clients that left more than REMEMBER_GONE_S ago."""
        while self._gone and now - next(iter(self._gone.values())).left_at > REMEMBER_GONE_S:
            self._forget_oldest()

    def everyone(self) -> bytes | None:
        """Return all who are present as one awareness update, None if nobody is."""
        if self._everyone is None and self._present:
            self._everyone = self._encode(sorted(self._present))
        return self._everyone

    def everyone_and_gone(self) -> bytes | None:
        """Return all who are present, and all who are known to have left, None if there are none."""
        return self._encode([*self._present, *self._gone])

    def take_returned(self) -> bool:
        """Return whether somebody came back on a new session since the last call.

        Such a client took everyone for gone when its connection broke, and it takes nobody with a clock it knows.
        """
        returned, self._has_returned = self._has_returned, False
        return returned

    def question(self, session: Session) -> bytes | None:
        """Return an awareness update at which `session` announces itself anew, None if it shows nothing.

        Told that it has left, a client of y-protocols says with its next clock that it has not (awareness.js
        `applyAwarenessUpdate`).
        """
        own = [Entry(client, self._present[client].clock, GONE) for client in self._own.get(session, ())]
        return encode_awareness(own) if own else None

    def take_moved(self) -> bytes | None:
        """Return who came and then who left since the last call as one awareness update, None if nobody did."""
        moved, self._moved = self._moved, set()
        return self._encode(sorted(moved, key=self._gone.__contains__))

    def take_updated(self) -> bytes | None:
        """Return who shows something else since the last call as one awareness update, None if nobody does."""
        updated, self._updated = self._updated, set()
        return self._encode(sorted(updated))

    def _encode(self, clients: Iterable[int]) -> bytes | None:
        known = ((client, self._present.get(client) or self._gone.get(client)) for client in clients)
        entries = {client: found.encoded for client, found in known if found is not None}
        return self._echoes.remember(entries) if entries else None

    def _settled(self, session: Session, entry: Entry, *, is_greeting: bool) -> Entry | None:
        """Return `entry` as it is taken from `session`, None if it is no news."""
        known = self._present.get(entry.client)
        if known is None:
            return self._settled_absent(entry, is_greeting=is_greeting)
        if known.owner is session:
            return self._settled_own(known, entry)
        if not is_greeting or entry.state == GONE or known.owner.user_id != session.user_id:
            return None
        if entry.clock > known.clock or known.encoded == _encoded(session, entry):
            return entry
        return entry._replace(clock=known.clock + 1)

    def _settled_own(self, known: _Present, entry: Entry) -> Entry | None:
        if entry.state == GONE:
            return entry._replace(clock=max(entry.clock, known.clock)) if entry.clock >= known.said_clock else None
        if entry.clock <= known.said_clock:
            return None
        if entry.clock > known.clock or known.encoded == _encoded(known.owner, entry):
            return entry
        return entry._replace(clock=known.clock + 1)

    def _settled_absent(self, entry: Entry, *, is_greeting: bool) -> Entry | None:
        if entry.state == GONE:
            return None
        gone = self._gone.get(entry.client)
        if gone is None:
            # Known to nobody here, but maybe to those who were here before: after a restart all come back.
            return entry._replace(clock=entry.clock + 1) if is_greeting else entry
        if entry.clock > gone.clock:
            return entry
        return entry._replace(clock=gone.clock + 1) if is_greeting else None

    def _fits(self, session: Session, entry: Entry) -> bool:
        if entry.state == GONE:
            return True
        if not _is_object(entry.state):  # it could not say whose it is
            return False
        known, own = self._present.get(entry.client), self._own.get(session, ())
        more_bytes = len(entry.state) - (0 if known is None else known.size_bytes)
        other_bytes = sum(self._present[client].size_bytes for client in own if client != entry.client)
        return (
            (known is not None or len(self._present) < MAX_ENTRIES)
            and (entry.client in own or len(own) < MAX_OWN_CLIENTS)
            and other_bytes + len(entry.state) <= MAX_OWN_BYTES
            and self._bytes + more_bytes <= MAX_ROOM_BYTES
        )

    def _take(self, session: Session, entry: Entry, clock: int, now: float, *, is_greeting: bool) -> None:
        """Take `entry` of `session`, shown to others with `clock`."""
        if entry.state == GONE:
            self._remove(entry.client, clock, now)
            return
        known, gone = self._present.get(entry.client), self._gone.pop(entry.client, None)
        if known is None:
            self._make_room()
        else:
            self._disown(entry.client, known)
        self._has_returned |= is_greeting and (known is not None or gone is not None)
        encoded = _encoded(session, entry._replace(clock=clock))
        self._present[entry.client] = _Present(session, clock, entry.clock, len(entry.state), encoded)
        self._own.setdefault(session, set()).add(entry.client)
        self._bytes += len(entry.state)
        if known is None or known.encoded != encoded:
            self._mark(entry.client, has_moved=is_greeting or known is None)

    def _remove(self, client: int, clock: int, now: float) -> None:
        self._disown(client, self._present.pop(client))
        self._gone[client] = _Gone(clock, now, encode_entry(Entry(client, clock, GONE)))
        self._mark(client, has_moved=True)

    def _disown(self, client: int, known: _Present) -> None:
        self._bytes -= known.size_bytes
        own = self._own[known.owner]
        own.remove(client)
        if not own:
            del self._own[known.owner]

    def _mark(self, client: int, *, has_moved: bool) -> None:
        self._everyone = None
        if has_moved:
            self._moved.add(client)
            self._updated.discard(client)
        elif client not in self._moved:
            self._updated.add(client)

    def _make_room(self) -> None:
        while self._gone and len(self._present) + len(self._gone) >= MAX_ENTRIES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        del self._gone[next(iter(self._gone))]


def _is_object(state: bytes) -> bool:
    return state.lstrip(_JSON_SPACE).startswith(b"{")


def with_principal(state: bytes, principal: Principal) -> bytes:
    """Return the JSON object `state` with the member `principal` at its end.

    The last of several members of one name wins (ECMA-262 `JSON.parse`), so whatever the client claims is void.
    """
    inside = state.strip(_JSON_SPACE)[:-1]
    comma = b"" if inside.rstrip(_JSON_SPACE) == b"{" else b","
    return inside + comma + _member(principal) + b"}"


@lru_cache(maxsize=1_024)
def _member(principal: Principal) -> bytes:
    # Spelt as JSON.stringify spells it, so that what clients repeat has the same bytes.
    told = {"id": str(principal.id), "name": principal.name, "kind": principal.kind}
    return b'"principal":' + json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _encoded(session: Session, entry: Entry) -> bytes:
    return encode_entry(entry._replace(state=with_principal(entry.state, session.principal)))


def _check(entry: Entry) -> None:
    if entry.clock > MAX_CLOCK:
        raise MalformedError(f"a presence clock passes {MAX_CLOCK}")
    if len(entry.state) > MAX_STATE_BYTES:
        raise MalformedError(f"a presence has {len(entry.state)} bytes, at most {MAX_STATE_BYTES} are taken")
    try:
        orjson.loads(entry.state)
    except orjson.JSONDecodeError:
        _check_leniently(entry.state)


def _check_leniently(state: bytes) -> None:
    """Take what orjson refuses and JSON allows: half a surrogate pair, as JSON.stringify writes it."""
    try:
        json.loads(state.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"a presence is not JSON: {error}") from None


def _no_constant(name: str) -> None:
    # Python reads NaN and Infinity; the clients that would get them do not (RFC 8259 section 6).
    raise ValueError(f"{name} is no JSON")
