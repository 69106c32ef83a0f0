"""The y-websocket dialect: messages of y-protocols, and messages 102 to 104 of ours.

One frame is one message, as clients before y-websocket 4 read it; several messages in one
inbound frame are accepted. Source: y-protocols/sync.js, awareness.js, auth.js,
y-websocket/src/y-websocket.js.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from collab.wire.errors import MalformedError
from collab.wire.frames import Outbound
from collab.wire.varuint import prefixed, read_bytes, read_varuint

SYNC, AWARENESS, AUTH, QUERY_AWARENESS, ACKNOWLEDGE, TOKEN, NOTICE = 0, 1, 2, 3, 102, 103, 104
STEP1, STEP2, UPDATE = 0, 1, 2
MAX_TOKEN_BYTES = 64 * 1024
"""The longest token."""
_ACKNOWLEDGE_PREFIX = bytes((ACKNOWLEDGE,))


@dataclass(frozen=True, slots=True)
class Step1:
    """What the client knows; it asks for the rest."""

    state_vector: bytes


class Update(NamedTuple):
    """A change, or (as the answer to a Step1 of ours) all that we lack."""

    update: bytes
    is_answer: bool = False
    """Whether it is a Step2, which answers a Step1."""


@dataclass(frozen=True, slots=True)
class Awareness:
    """Presence of one or more clients."""

    update: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """The client asks for all presence."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The client asks to hear `frame` again once all it sent before is committed."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """The client goes on with this token."""

    token: str


@dataclass(frozen=True, slots=True)
class HearNotices:
    """The client understands notices: others print an error for a message that they do not know."""


Message = Step1 | Update | Awareness | QueryAwareness | Acknowledge


def read(frame: bytes, position: int) -> tuple[Message | Token | HearNotices | None, int]:
    """Return the message at `position` of a frame, and where the next one begins.

    A type that is not known is None, and skipped with the rest of the frame, as the reference server does.
    Raises MalformedError.
    """
    try:
        kind, position = read_varuint(frame, position)
        if kind == SYNC:
            content, end = read_bytes(frame, position + 1)
            return sync_message(frame[position], content), end
        if kind == QUERY_AWARENESS:
            return QueryAwareness(), position
        if kind in _WITH_CONTENT:
            content, end = read_bytes(frame, position)
            return _WITH_CONTENT[kind](content), end
    except IndexError:
        raise MalformedError("the message ends early") from None
    return _last(kind, frame[position:]), len(frame)


def _last(kind: int, content: bytes) -> Acknowledge | HearNotices | None:
    """Return a message that goes up to the end of its frame."""
    if kind == ACKNOWLEDGE:
        return Acknowledge(_ACKNOWLEDGE_PREFIX + content)
    return HearNotices() if kind == NOTICE else None


def _token(content: bytes) -> Token:
    if len(content) > MAX_TOKEN_BYTES:
        raise MalformedError(f"a token has at most {MAX_TOKEN_BYTES} bytes")
    try:
        return Token(content.decode())
    except UnicodeDecodeError:
        raise MalformedError("a token is text in UTF-8") from None


def sync_message(step: int, content: bytes) -> Step1 | Update:
    """Return the message of one step of the sync protocol. Raises MalformedError if there is no such step."""
    if step == STEP1:
        return Step1(content)
    if step in (STEP2, UPDATE):
        return Update(content, is_answer=step == STEP2)
    raise MalformedError(f"sync step {step} is unknown")


_WITH_CONTENT: dict[int, Callable[[bytes], Awareness | Token]] = {AWARENESS: Awareness, TOKEN: _token}


def step1(state_vector: bytes) -> Outbound:
    """Ask for everything beyond `state_vector`."""
    return Outbound(b"\x00\x00" + prefixed(state_vector))


def step2(update: bytes) -> Outbound:
    """Answer a Step1."""
    return Outbound(b"\x00\x01" + prefixed(update))


def update(content: bytes) -> Outbound:
    """Tell a change."""
    return Outbound(b"\x00\x02" + prefixed(content))


def awareness(content: bytes) -> Outbound:
    """Tell presence."""
    return Outbound(b"\x01" + prefixed(content))


def permission_denied(reason: str) -> Outbound:
    """Tell that a change was refused (y-protocols/auth.js `writePermissionDenied`)."""
    return Outbound(b"\x02\x00" + prefixed(reason.encode()))


def notice(content: bytes) -> Outbound:
    """Tell something of the graph, a JSON object."""
    return Outbound(bytes((NOTICE,)) + prefixed(content))


def token_answer(refusal: str) -> Outbound:
    """Answer a token: with nothing if it was taken, else with why not."""
    return Outbound(bytes((TOKEN,)) + prefixed(refusal.encode()))
