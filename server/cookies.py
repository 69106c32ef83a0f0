"""The cookies of the browser page, and which requests may use them.

A browser sends cookies along whoever made the page that asks. So they are SameSite=Strict, a request that changes
something carries a header that a page of another origin cannot set without being allowed to (OWASP's Cross-Site Request
Forgery Prevention Cheat Sheet, "Custom Request Headers"), and an Origin, if there is one, is our own.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Response
from starlette.requests import cookie_parser

from auth.policy import Principal
from auth.sign_in import DEVICE_LIFETIME, IssuedTokens

ACCESS_COOKIE = "layercake_access"
REFRESH_COOKIE = "layercake_refresh"
DEVICE_COOKIE = "layercake_device"
PAGE_HEADER, PAGE = "X-Layercake", "page"

_AUTH_PATH = "/api/auth"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1


class CrossSiteError(Exception):
    """A request uses a cookie, or asks for one, and may have been made by a page of somebody else."""

    def __init__(self) -> None:
        super().__init__(
            f"a request with cookies comes from our own page, with the header {PAGE_HEADER}: {PAGE}; "
            "programs send a token in the Authorization header"
        )


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """Return whether a page of `origin` was served under the name `host`."""
    try:
        return bool(host) and bool(origin) and urlsplit(origin).netloc == host
    except ValueError:
        return False


def is_by_cookie(principal: Principal, token: str | None) -> bool:
    """Return whether it is the cookie that says who the principal is, where `token` is what else was sent."""
    return token is None and principal.credential.kind == "session"


def check_page(headers: Mapping[str, str]) -> None:
    """Return if a request was made by our own page. Raises CrossSiteError."""
    origin = headers.get("origin")
    if headers.get(PAGE_HEADER) != PAGE or (origin is not None and not is_own_origin(origin, headers.get("host"))):
        raise CrossSiteError


def is_safe(method: str) -> bool:
    """Return whether a request of this method changes nothing."""
    return method in _SAFE_METHODS


def access_cookie(header: str) -> str | None:
    """Return the access token in a Cookie header."""
    return cookie_parser(header).get(ACCESS_COOKIE) or None


def set_page_cookies(response: Response, tokens: IssuedTokens, *, is_secure: bool) -> None:
    """Let the page go on with `tokens`, which its scripts do not see."""
    _set(response, ACCESS_COOKIE, tokens.access_token, "/", tokens.expires_in_s, is_secure=is_secure)
    _set(response, REFRESH_COOKIE, tokens.refresh_token, _AUTH_PATH, tokens.refresh_expires_in_s, is_secure=is_secure)


def set_device_cookie(response: Response, device_token: str, *, is_secure: bool) -> None:
    """Let the client be known as a device on which somebody has signed in."""
    lifetime_s = round(DEVICE_LIFETIME.total_seconds())
    _set(response, DEVICE_COOKIE, device_token, _AUTH_PATH, lifetime_s, is_secure=is_secure)


def clear_page_cookies(response: Response) -> None:
    """Sign the page out. The device stays known."""
    response.delete_cookie(ACCESS_COOKIE, path="/", httponly=True, samesite="strict")
    response.delete_cookie(REFRESH_COOKIE, path=_AUTH_PATH, httponly=True, samesite="strict")


def _set(response: Response, name: str, value: str, path: str, lifetime_s: int, *, is_secure: bool) -> None:
    response.set_cookie(name, value, max_age=lifetime_s, path=path, secure=is_secure, httponly=True, samesite="strict")
