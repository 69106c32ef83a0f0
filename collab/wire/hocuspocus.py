"""The Hocuspocus dialect: every frame is an address and one message, for many documents on one socket.

An address is a document's name, or the name, NUL and the id of a session; what is sent to a client carries its
address exactly. Ping and Pong alone are one bare byte. Source: @hocuspocus/provider 2.15.3, 3.4.4 and 4.8.0
(`OutgoingMessages`, `MessageReceiver.ts`, `HocuspocusProviderWebsocket.ts`), @hocuspocus/common `auth.ts`.
"""

from dataclasses import dataclass

from collab.wire import sync
from collab.wire.errors import MalformedError
from collab.wire.frames import Outbound, binary_frame
from collab.wire.varuint import prefixed, read_bytes, read_varuint

AUTH, STATELESS, CLOSE, SYNC_STATUS = 2, 5, 7, 8
TOKEN, PERMISSION_DENIED, AUTHENTICATED = 0, 1, 2
MAX_ADDRESS_BYTES = 4096
"""The longest address; names of graphs are much shorter."""
MAX_TOKEN_BYTES = 64 * 1024
"""The longest token, with the version after it."""

PING = binary_frame(b"\x09")
"""The frame that a client which sent a version answers with PONG."""
PONG = b"\x0a"

ASK_TOKEN = Outbound(bytes((AUTH, TOKEN)))
"""Ask for a newer token, as Hocuspocus's own server does; providers before 3 take no notice (`readAuthMessage`)."""

SAVED = Outbound(bytes((SYNC_STATUS, 1)))
"""Tell that a change is committed. As lib0's `readVarInt` reads it, though it is written by `writeVarUint`."""
NOT_SAVED = Outbound(bytes((SYNC_STATUS, 0)))
"""Tell that a change was refused."""


@dataclass(frozen=True, slots=True)
class Auth:
    """A token for one document. Providers before 4 send no version of theirs."""

    token: str
    has_version: bool


@dataclass(frozen=True, slots=True)
class Stateless:
    """Something for the others that is stored nowhere."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The client leaves one document."""


Message = sync.Step1 | sync.Update | sync.Awareness | sync.QueryAwareness | Auth | Stateless | Close


def read(frame: bytes) -> tuple[bytes, Message]:
    """Return the address and the message of an inbound frame.

    Raises MalformedError for anything but exactly one message of a kind that clients send.
    """
    try:
        address, position = read_bytes(frame, 0)
        kind, position = read_varuint(frame, position)
        message, position = _message(kind, frame, position)
    except IndexError:
        raise MalformedError("the message ends early") from None
    if position != len(frame):
        raise MalformedError(f"{len(frame) - position} bytes follow the message: one frame is one message")
    if len(address) > MAX_ADDRESS_BYTES:
        raise MalformedError(f"an address has at most {MAX_ADDRESS_BYTES} bytes")
    return address, message


def address_of(frame: bytes) -> bytes:
    """Return the address of an inbound frame, empty if it has none."""
    try:
        return read_bytes(frame, 0)[0]
    except (IndexError, MalformedError):
        return b""


def document_name(address: bytes) -> str:
    """Return the name of the document, without the session's id that may follow. Raises MalformedError."""
    return _text(address).partition("\0")[0]


def authenticated(*, read_only: bool) -> Outbound:
    """Tell that a document is open."""
    return Outbound(bytes((AUTH, AUTHENTICATED)) + prefixed(b"readonly" if read_only else b"read-write"))


def permission_denied(reason: str) -> Outbound:
    """Tell that a document does not open."""
    return Outbound(bytes((AUTH, PERMISSION_DENIED)) + prefixed(reason.encode()))


def stateless(payload: bytes) -> Outbound:
    """Pass on what another client said, or tell something of the graph."""
    return Outbound(bytes((STATELESS,)) + prefixed(payload))


def close(reason: str) -> Outbound:
    """Tell that a document is closed, to a client that sent a version: 2.15 cannot read it."""
    return Outbound(bytes((CLOSE,)) + prefixed(reason.encode()))


def _message(kind: int, frame: bytes, position: int) -> tuple[Message, int]:
    if kind == sync.SYNC:
        content, end = read_bytes(frame, position + 1)
        return sync.sync_message(frame[position], content), end
    if kind == sync.AWARENESS:
        content, end = read_bytes(frame, position)
        return sync.Awareness(content), end
    if kind == AUTH:
        return _auth(frame, position)
    if kind == sync.QUERY_AWARENESS:
        return sync.QueryAwareness(), position
    if kind == STATELESS:
        content, end = read_bytes(frame, position)
        _text(content)
        return Stateless(content), end
    if kind == CLOSE:
        return Close(), position
    raise MalformedError(f"clients send no message of type {kind}")


def _auth(frame: bytes, position: int) -> tuple[Auth, int]:
    step, position = read_varuint(frame, position)
    if step != TOKEN:
        raise MalformedError(f"clients send no authentication message {step}")
    if len(frame) - position > MAX_TOKEN_BYTES:
        raise MalformedError(f"a token has at most {MAX_TOKEN_BYTES} bytes")
    token, position = read_bytes(frame, position)
    has_version = position < len(frame)
    if has_version:
        _, position = read_bytes(frame, position)
    return Auth(_text(token), has_version), position


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise MalformedError("text in the message is not UTF-8") from None
