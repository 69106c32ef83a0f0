"""Which requests a server takes, by the name they ask for and the page they come from."""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from collab.doorkeeper import Visitor

_PORTS = {"http": 80, "https": 443}


class ForeignRequestError(Exception):
    """A request for a name that is not ours, or from a page that may not send it."""


class Origin(NamedTuple):
    """Where a page is from (RFC 6454), its port spelled out."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Return the origin of `url`; raises ForeignRequestError if it is malformed."""
        parts = _split(url)
        try:
            port = parts.port
        except ValueError:
            raise _malformed() from None
        return cls(parts.scheme, parts.hostname or "", port or _PORTS.get(parts.scheme))


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """What both doors ask of a request before anybody is known.

    `public` is the address that people use; `pages` are the origins elsewhere whose pages may use tokens. Without
    `hosts` a request for any name is taken.
    """

    is_open: bool = False
    public: Origin | None = None
    hosts: frozenset[str] = frozenset()
    pages: frozenset[Origin] = frozenset()

    def check(self, visitor: Visitor, *, is_harmless: bool = False) -> Visitor:
        """Return who may go on: a page elsewhere does so without its cookie, so that it needs a token.

        A harmless request changes nothing and brings no credentials: any page may send it, except to an open
        server. Raises ForeignRequestError.
        """
        if self.is_open:
            check_open(visitor.host, visitor.origin)
            return visitor
        self._check_host(visitor.host)
        if visitor.origin is None or self._is_own(visitor):
            return visitor
        if not is_harmless and Origin.of(visitor.origin) not in self.pages:
            raise ForeignRequestError(
                "a page of another origin may not send this; LAYERCAKE_ALLOWED_ORIGINS can name it. If it is this "
                "server's own page, set LAYERCAKE_PUBLIC_URL to its address, or LAYERCAKE_TRUSTED_PROXIES"
            )
        return replace(visitor, cookie=None, is_foreign=True)

    def _check_host(self, host: str | None) -> None:
        if not self.hosts:
            return
        name = _split(f"//{host or ''}").hostname or ""
        if name not in self.hosts and not is_loopback(name) and (self.public is None or name != self.public.host):
            raise ForeignRequestError("this server has another name; LAYERCAKE_ALLOWED_HOSTS lists those it answers to")

    def _is_own(self, visitor: Visitor) -> bool:
        origin = Origin.of(visitor.origin or "")
        scheme = "https" if visitor.is_secure else "http"
        return origin in (self.public, Origin.of(f"{scheme}://{visitor.host or ''}")) and bool(origin.host)


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, is this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_open(host: str | None, origin: str | None) -> None:
    """Return if the Host header names a loopback address and the Origin, if any, the same host and port.

    Raises ForeignRequestError otherwise. A page of another origin cannot forge either header
    (Fetch standard, forbidden request headers), so no web page drives an open server.
    """
    if host is None or not is_loopback(_split(f"//{host}").hostname or ""):
        raise ForeignRequestError("an open server answers only to loopback names, such as 127.0.0.1 or localhost")
    if origin is not None and _split(origin).netloc != host:
        raise ForeignRequestError("an open server takes no requests from pages of another origin")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise _malformed() from None


def _malformed() -> ForeignRequestError:
    return ForeignRequestError("the Host or Origin header is malformed")
