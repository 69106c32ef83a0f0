"""Links that the command line prints for people to open in their browsers."""

from server.commands.remote import address_file
from server.settings import Settings


def invitation_link(settings: Settings, token: str) -> str:
    """Return the link of an invitation, at the server that runs on the folder, else where one would."""
    return link_at(_address(settings), token)


def link_at(address: str, token: str) -> str:
    """Return the link of an invitation at `address`; behind the # nothing is sent, and so nothing logged."""
    return f"{address}/#/invitation/{token}"


def _address(settings: Settings) -> str:
    if settings.server is not None:
        return settings.server.rstrip("/")
    try:
        return address_file(settings.data_dir).read_text()
    except FileNotFoundError:
        return f"http://{settings.host}:{settings.port}"
