"""Where somebody signs in from."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

_MAX_USER_AGENT_CHARACTERS = 500
_IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Client:
    """What is known of a client: its IP address, what it calls itself, and the device token it was once given."""

    address: str | None
    user_agent: str | None
    device_token: str | None = None

    @classmethod
    def of(cls, address: str, user_agent: str | None, device_token: str | None = None) -> "Client":
        """Return the same of what a door saw: an address that is none, such as a socket's path, is left out.

        So is, of what it calls itself, what is no text.
        """
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            text = None
        else:
            text = str(ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else str(ip)
        agent = user_agent and user_agent[:_MAX_USER_AGENT_CHARACTERS].encode(errors="replace").decode()
        return cls(text, agent, device_token)

    @property
    def network(self) -> str | None:
        """What counts as one place: the IPv4 address, or the /64 of an IPv6 one, all of which one customer has."""
        if self.address is None:
            return None
        ip = ip_address(self.address)
        return str(ip_network((ip, _IPV6_PREFIX if ip.version == 6 else ip.max_prefixlen), strict=False))
