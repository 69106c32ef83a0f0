"""What the commands about people share: the store with what knows about people, and names instead of ids."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from auth.passwords import Passwords
from persistence.database import Database
from persistence.group_records import User
from persistence.users import Users
from server.commands.catalogue import group_named
from server.commands.links import invitation_link
from server.commands.sentences import UsageError, explained
from server.community import Community, build_community
from server.http import requests
from server.settings import Settings
from server.store import open_store

_T = TypeVar("_T")
NAME: TypeAdapter[str] = TypeAdapter(requests.Name)
USERNAME: TypeAdapter[str] = TypeAdapter(requests.Username)
PERSON_NAME: TypeAdapter[str] = TypeAdapter(requests.PersonName)


@dataclass(frozen=True, slots=True)
class OpenCommunity:
    """Groups and accounts of a store that is open."""

    settings: Settings
    database: Database
    community: Community

    async def group_id(self, name: str) -> UUID:
        """Return the group of this name or id. Raises UsageError if it is none or several."""
        group_id = await group_named(self.database, checked_name(name))
        assert group_id is not None
        return group_id

    async def user(self, username: str) -> User:
        """Return the account of this name, whatever its capitals. Raises UsageError."""
        user = await Users(self.database).find(checked_name(username, USERNAME))
        if user is None:
            raise UsageError(f"there is no account {username!r}; `layercake user list` lists all")
        return user

    def link(self, token: str) -> str:
        """Return the link of an invitation."""
        return invitation_link(self.settings, token)


def checked_name(text: str, kind: TypeAdapter[str] = NAME) -> str:
    """Return a name as it is stored. Raises UsageError if nothing of this kind can have it."""
    try:
        return kind.validate_python(text)
    except ValidationError:
        raise UsageError("a name has 1 to 200 characters in UTF-8, none of them invisible or a control") from None


def run(
    data_dir: Path | None,
    database_url: str | None,
    work: Callable[[OpenCommunity], Awaitable[_T]],
    *,
    create: bool = False,
) -> _T:
    """Open the store, made if there is none and `create` says so, and return what `work` returns.

    Errors end the command.
    """
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        return asyncio.run(_run(settings, work, create=create))


async def _run(settings: Settings, work: Callable[[OpenCommunity], Awaitable[_T]], *, create: bool) -> _T:
    with closing(Passwords(waiting=1)) as passwords:
        async with open_store(settings, create=create) as database:
            return await work(OpenCommunity(settings, database, build_community(database, passwords)))
