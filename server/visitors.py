"""Where a request comes from, as far as its headers can be believed: those of a trusted proxy, or none.

Source: MDN, X-Forwarded-For, "Selecting an IP address"; RFC 9110 section 5.3 (a repeated header is a list).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from collab.doorkeeper import Visitor

ACCESS_COOKIE = "layercake_access"
"""The cookie that holds a page's access token."""

Network = IPv4Network | IPv6Network

HeaderValues = Callable[[str], Sequence[str]]
"""Returns the values of a header, in the order they came; none if it was not sent."""


@dataclass(frozen=True, slots=True)
class Visitors:
    """Tells both doors who knocks: `proxies` are the networks whose `X-Forwarded-…` headers are believed."""

    proxies: tuple[Network, ...] = ()
    is_secure: bool = False
    """Whether clients come by TLS, if no proxy says how they do."""

    def visitor(self, values: HeaderValues, peer: str) -> Visitor:
        """Return who sent a request with these headers; `peer` is the address at the other end of its socket.

        A repeated Host or Origin becomes a list, which equals no host and no origin. Never raises.
        """
        host, is_secure = _combined(values("Host")), self.is_secure
        if self._is_proxy(peer):
            host = _last(values("X-Forwarded-Host")) or host
            scheme = _last(values("X-Forwarded-Proto"))
            is_secure = scheme.lower() in ("https", "wss") if scheme else is_secure
        return Visitor(
            host=host,
            origin=_combined(values("Origin")),
            address=self.address(values, peer),
            is_secure=is_secure,
            user_agent=_combined(values("User-Agent")),
            cookie=_access_token(values("Cookie")),
        )

    def address(self, values: HeaderValues, peer: str) -> str:
        """Return the right-most address of X-Forwarded-For that is no trusted proxy's, `peer` if that is none itself.

        What is left of something that is no address is not believed: the proxy right of it is taken. Never raises.
        """
        own = _address(peer)
        address = peer if own is None else str(own)
        for hop in _from_the_right(values("X-Forwarded-For")):
            if not self._is_proxy(address):
                break
            known = _address(hop)
            if known is None:
                break
            address = str(known)
        return address

    def _is_proxy(self, address: str) -> bool:
        known = _address(address)
        return known is not None and any(known in network for network in self.proxies)


@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in `text`, with a port, a zone or neither; None if there is none. IPv4 in IPv6 is IPv4."""
    bare = text.strip()
    if bare.startswith("[") and "]" in bare:
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _combined(values: Sequence[str]) -> str | None:
    return ", ".join(values) if values else None


def _from_the_right(values: Sequence[str]) -> Iterator[str]:
    return reversed(",".join(values).split(",") if values else [])


def _last(values: Sequence[str]) -> str:
    return next(_from_the_right(values), "").strip()


def _access_token(cookies: Sequence[str]) -> str | None:
    pairs = (pair.strip().partition("=") for header in cookies for pair in header.split(";"))
    return next((value for name, _, value in pairs if name == ACCESS_COOKIE and value), None)
