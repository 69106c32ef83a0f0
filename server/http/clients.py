"""What routes of accounts take from a request: where it comes from, and passwords."""

from typing import Annotated

from fastapi import Request
from pydantic import StringConstraints

from auth.clients import Client
from collab.doorkeeper import Visitor
from server.cookies import ACCESS_COOKIE, DEVICE_COOKIE

MIN_PASSWORD_CHARACTERS = 12
MAX_PASSWORD_CHARACTERS = 1_024

AnyPassword = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD_CHARACTERS)]
NewPassword = Annotated[str, StringConstraints(min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_CHARACTERS)]


def visitor_of(request: Request) -> Visitor:
    """Return what a request tells of where it comes from."""
    headers = request.headers
    return Visitor(
        host=headers.get("host"),
        origin=headers.get("origin"),
        address=request.client.host if request.client else "",
        is_secure=request.url.scheme == "https",
        user_agent=headers.get("user-agent"),
        cookie=request.cookies.get(ACCESS_COOKIE) or None,
    )


def client_of(request: Request) -> Client:
    """Return where somebody signs in from, and the device they were known by there."""
    visitor = visitor_of(request)
    return Client.of(visitor.address, visitor.user_agent, request.cookies.get(DEVICE_COOKIE))


def is_secure(request: Request) -> bool:
    """Return whether cookies may be kept to TLS."""
    return visitor_of(request).is_secure
