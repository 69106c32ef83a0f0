"""What the websocket edge asks before it lets a client in."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from websockets.http11 import Request

from auth.policy import Principal

NO_SUCH_GRAPH = "there is no such graph"
"""What is said of a graph that does not exist, and of one that may not be read: the same."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a request tells of where it comes from, before anybody knows who sends it."""

    host: str | None = None
    origin: str | None = None
    address: str = ""
    """Where the client is; behind a trusted proxy, as that says."""
    is_secure: bool = False
    """Whether it came by TLS, to us or to a trusted proxy."""
    user_agent: str | None = None
    cookie: str | None = None
    """The access token in a page's cookie."""
    is_foreign: bool = False
    """Whether a page of another origin sends it, which has nothing but tokens."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A client may come in: to which graph, as whom, and whether only to read."""

    graph_id: UUID
    principal: Principal
    read_only: bool
    visitor: Visitor = Visitor()
    """Where the client is."""
    key: bytes = b""
    """What stands for its token and its graph at the door; empty if it brought none."""

    @property
    def user_id(self) -> UUID:
        """Who comes in."""
        return self.principal.id


class RefusedError(Exception):
    """A client may not come in; `status` is the answer to its handshake, if that is what was refused."""

    def __init__(self, status: int, detail: str, *, is_passing: bool = False) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.is_passing = is_passing
        """Whether time alone may change the answer."""


class Doorkeeper(Protocol):
    """Decides on a handshake, and on the documents named after it."""

    async def admit(self, request: Request, peer: str) -> Admission:
        """Return who comes in where; raises RefusedError, or StoreUnavailableError if it cannot be known.

        `peer` is the address at the other end of the socket.
        """

    def address_of(self, request: Request, peer: str) -> str:
        """Return where the client is: `peer`, or behind a trusted proxy what that says."""

    async def admit_again(self, admission: Admission, token: str) -> Admission:
        """Return what a client that is in goes on with by a further token; raises what `admit` does.

        The token has to be the same person's.
        """

    async def check(self, request: Request, peer: str) -> Visitor:
        """Return where a client comes from that names graphs later; raises RefusedError."""

    async def admit_document(self, visitor: Visitor, name: str, token: str) -> Admission:
        """Return who comes in where, as `admit` does; a graph that cannot be read is refused whatever its name."""
