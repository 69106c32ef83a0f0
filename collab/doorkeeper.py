"""What the websocket edge asks before it lets a client in."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from websockets.http11 import Request

from auth.policy import Principal


@dataclass(frozen=True, slots=True)
class Admission:
    """A client may come in: to which graph, as whom, and whether only to read."""

    graph_id: UUID
    principal: Principal
    read_only: bool

    @property
    def user_id(self) -> UUID:
        """Who comes in."""
        return self.principal.id


class RefusedError(Exception):
    """A client may not come in; `status` is the answer to its handshake."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Doorkeeper(Protocol):
    """Decides on a handshake."""

    async def admit(self, request: Request) -> Admission:
        """Return who comes in where; raises RefusedError, or StoreUnavailableError if it cannot be known."""
