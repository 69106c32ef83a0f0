"""What every route asks of a request: who sends it, and that its body has a bound."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from starlette.types import Message, Receive

from auth.audit import Actor
from auth.errors import OpenServerError
from auth.names import is_seen, normal
from auth.policy import Principal
from server.http.clients import client_of

MAX_BODY_BYTES = 64 * 1024
MAX_DESCRIPTION_CHARACTERS = 10_000
MAX_TOKEN_CHARACTERS = 200
MAX_DAYS = 3_650

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Finds out who sends a request, also as `request.state.principal`; raises HTTPException 401 if nobody it knows."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$"),
]


def _normal(value: object) -> object:
    return normal(value) if isinstance(value, str) else value


def _seen(name: str) -> str:
    if not is_seen(name):
        raise ValueError("a character of it is invisible or not assigned; leave it out")
    return name


NORMAL = BeforeValidator(_normal)
"""Turns a username, however it was typed, into the one way in which it is stored."""
PersonName = Annotated[Name, AfterValidator(_seen)]
Username = Annotated[PersonName, NORMAL]
Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN_CHARACTERS)]
Days = Annotated[float, Field(gt=0, le=MAX_DAYS, allow_inf_nan=False)]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION_CHARACTERS, pattern=r"^[^\x00]*$")]


async def authenticated(request: Request) -> Principal:
    """Return who sends a request; raises HTTPException 401 if nobody the server knows."""
    authenticate: Authenticate = request.app.state.authenticate
    return await authenticate(request)


Caller = Annotated[Principal, Depends(authenticated)]
"""The principal at the door, as `app.state.authenticate` (an `Authenticate`) finds."""


async def _acting(request: Request, principal: Caller) -> Actor:
    return Actor(principal, client_of(request))


Acting = Annotated[Actor, Depends(_acting)]
"""The principal at the door, and from where they come."""


async def _managing(actor: Acting) -> Actor:
    if actor.principal.credential.kind == "open":
        raise OpenServerError
    return actor


Managing = Annotated[Actor, Depends(_managing)]
"""The same for what changes people's rights: nobody whom a server that is open takes for its operator."""


class BoundedRoute(APIRoute):
    """A route that answers 413 to a body of more than MAX_BODY_BYTES, having read no more than that."""

    max_body_bytes = MAX_BODY_BYTES

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Wrap the handler so that it receives through the bound."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            receive = _bounded(request.receive, self.max_body_bytes)
            return await handler(Request(request.scope, receive))

        return bounded


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    received_bytes = 0

    async def receive_bounded() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > max_bytes:
            raise HTTPException(413, f"the body is larger than {max_bytes} bytes; send less at a time")
        return message

    return receive_bounded
