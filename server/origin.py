"""Which requests `--open` takes: none that a web page elsewhere, or a name made to point here, can send."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


class ForeignRequestError(Exception):
    """A request that did not come from this machine's own pages or programs."""


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
        raise ForeignRequestError("the Host or Origin header is malformed") from None
