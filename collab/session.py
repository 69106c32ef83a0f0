"""One client's part in a room: who it is, what it may, what it still waits for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from auth.policy import Principal
from collab.wire.frames import Outbound
from collab.wire.state_vector import StateVector


class Peer(Protocol):
    """The client's end of the line. None of its methods waits."""

    def send(self, *messages: Outbound) -> None:
        """Send messages, in order."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye with a close code; nothing is sent afterwards."""

    def tell(self, notice: bytes) -> None:
        """Tell the client's program something of the graph, a JSON object, if it can hear such."""

    def pause(self) -> None:
        """Hand nothing more to the room, and keep what comes, until `resume`: its document is made anew."""

    def resume(self) -> None:
        """Hand over what was kept, and go on."""


@dataclass(frozen=True, slots=True)
class Live:
    """The client reads as fast as the room writes."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The client reads too slowly: nothing is queued for it, it knows the document up to here."""

    known: StateVector


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A client that may only read waits for the commit of what it is to be sent next.

    `difference` are the messages for it, on top of `known`, due once `position` is committed.
    """

    known: StateVector
    position: int
    difference: Sequence[Outbound]


@dataclass(eq=False, slots=True)
class Session:
    """A client that joined a room."""

    id: str
    principal: Principal
    read_only: bool
    peer: Peer
    reading: Live | Behind | Awaiting = field(default_factory=Live)
    has_asked: bool = False
    """Whether its first Step1 came: before, it knows nothing of the document."""
    last_client: str = ""
    """The Yjs client id it wrote with last, as text."""
    unsettled: int = 0
    """Updates of this session that wait for one they depend on."""
    acknowledgements: list[Outbound] = field(default_factory=list)
    """What to answer once nothing is unsettled, in order."""
    awaiting_bytes: int = 0
    """Size of the acknowledgements it asked for and has not got, each counted with 64 bytes more."""
    was_asked: bool = False
    """Whether it was asked for what its waiting updates depend on."""

    @property
    def user_id(self) -> UUID:
        """Who is on the other end."""
        return self.principal.id
