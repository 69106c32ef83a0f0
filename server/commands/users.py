"""`layercake user`: people's accounts. Also while a server runs."""

import asyncio
import sys
from typing import Annotated, Literal

import typer
from pydantic import TypeAdapter, ValidationError

from auth.audit import TERMINAL
from auth.policy import OPERATOR, Role
from persistence.group_records import GroupRole
from server.commands.catalogue import DatabaseUrl, DataDir, group_named, open_community
from server.commands.groups import user_named
from server.commands.links import invitation_link
from server.commands.sentences import UsageError, explained
from server.http.clients import NewPassword
from server.http.requests import Name
from server.settings import Settings

Username = Annotated[str, typer.Argument(metavar="USERNAME", help="Name to sign in with.")]
Prompt = Annotated[bool, typer.Option("--password", help="Ask for the password.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]

_NAME: TypeAdapter[str] = TypeAdapter(Name)
_PASSWORD: TypeAdapter[str] = TypeAdapter(NewPassword)

app = typer.Typer(help="Work on people's accounts.", no_args_is_help=True)


@app.command()
def add(
    *,
    username: Username,
    name: Annotated[str | None, typer.Option(help="Name to show.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make it an admin of the installation.")] = False,
    group: Annotated[str | None, typer.Option(help="Group to be in, by name or id.")] = None,
    role: Annotated[Role, typer.Option(help="What to be in that group.")] = Role.MEMBER,
    prompt: Prompt = False,
    password_stdin: Stdin = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make an account. Without a password, print a link with which its person chooses one, once, within 7 days."""

    async def work(settings: Settings, password: str | None) -> str | None:
        async with open_community(settings) as (database, community):
            group_id = await group_named(database, group)
            membership = None if group_id is None else GroupRole(group_id, role.value)
            user_role: Literal["user", "admin"] = "admin" if admin else "user"
            new = await community.people.add(TERMINAL, _valid_name(username), name, user_role, password, membership)
            if password is not None:
                return None
            link = await community.invitations.link_to_password(TERMINAL, new.id)
            return invitation_link(settings, link.token)

    with explained():
        settings, password = _settings(data_dir, database_url), _password(prompt=prompt, stdin=password_stdin)
        _tell(asyncio.run(work(settings, password)))


@app.command("list")
def list_users(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List all accounts, oldest first."""

    async def work(settings: Settings) -> list[str]:
        async with open_community(settings) as (_, community):
            users = await community.people.list(OPERATOR)
        marks = [" ".join(("admin",) * (u.role == "admin") + ("disabled",) * (not u.is_active)) for u in users]
        return [f"{u.id}  {u.username}  {mark}".rstrip() for u, mark in zip(users, marks, strict=True)]

    with explained():
        for line in asyncio.run(work(_settings(data_dir, database_url))):
            typer.echo(line)


@app.command()
def disable(username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let nobody in with an account any more: its sessions and tokens end."""
    _set_active(username, _settings(data_dir, database_url), is_active=False)


@app.command()
def enable(username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let the person of a disabled account in again."""
    _set_active(username, _settings(data_dir, database_url), is_active=True)


@app.command("password")
def set_password(
    username: Username,
    prompt: Prompt = False,
    password_stdin: Stdin = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give an account another password, or print a link with which its person chooses one. Its sessions end."""

    async def work(settings: Settings, password: str | None) -> str | None:
        async with open_community(settings) as (database, community):
            user = await user_named(database, username)
            if password is None:
                return invitation_link(
                    settings, (await community.invitations.link_to_password(TERMINAL, user.id)).token
                )
            await community.people.set_password(TERMINAL, user.id, password)
            return None

    with explained():
        settings, password = _settings(data_dir, database_url), _password(prompt=prompt, stdin=password_stdin)
        _tell(asyncio.run(work(settings, password)))


@app.command()
def anonymise(username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Disable an account and forget who it was, for ever; what was done with it stays."""

    async def work(settings: Settings) -> None:
        async with open_community(settings) as (database, community):
            await community.people.anonymise(TERMINAL, (await user_named(database, username)).id)

    with explained():
        asyncio.run(work(_settings(data_dir, database_url)))


def _set_active(username: str, settings: Settings, *, is_active: bool) -> None:
    async def work() -> None:
        async with open_community(settings) as (database, community):
            await community.people.change(TERMINAL, (await user_named(database, username)).id, is_active, None)

    with explained():
        asyncio.run(work())


def _password(*, prompt: bool, stdin: bool) -> str | None:
    """Return the password that was given, None if none was. Raises UsageError for one that is too short or long."""
    if stdin:
        text = sys.stdin.readline().rstrip("\r\n")
    elif prompt:
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        return None
    try:
        return _PASSWORD.validate_python(text)
    except ValidationError:
        raise UsageError("a password has 12 to 1,024 characters; choose another one") from None


def _valid_name(username: str) -> str:
    try:
        return _NAME.validate_python(username)
    except ValidationError:
        raise UsageError("a username has 1 to 200 characters, none of them a control character") from None


def _tell(link: str | None) -> None:
    if link is not None:
        typer.echo(f"Choose the password: {link}")


def _settings(data_dir: DataDir, database_url: DatabaseUrl) -> Settings:
    return Settings.with_options(data_dir=data_dir, database_url=database_url)
