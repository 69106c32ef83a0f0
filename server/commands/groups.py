"""`layercake group`: who works together, as what. Also while a server runs."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from auth.audit import TERMINAL
from auth.policy import OPERATOR, Role
from persistence.database import Database
from persistence.group_records import User
from persistence.records import Retitle
from persistence.users import Users
from server.commands.catalogue import DatabaseUrl, DataDir, group_named, open_community
from server.commands.links import invitation_link
from server.commands.sentences import UsageError, explained
from server.settings import Settings

DAYS = 7

GroupName = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group, or its id.")]
Username = Annotated[str, typer.Argument(metavar="USERNAME", help="Whom it is about.")]
MemberRole = Annotated[Role, typer.Argument(help="What they are to be in the group.")]

app = typer.Typer(help="Work on groups and their members.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the new group.")],
    admin: Annotated[str | None, typer.Option(metavar="USERNAME", help="Its first admin.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a group."""

    async def work(settings: Settings) -> UUID:
        async with open_community(settings) as (database, community):
            first = None if admin is None else await user_named(database, admin)
            group = await community.groups.create(TERMINAL, name, None)
            if first is not None:
                await community.groups.set_role(TERMINAL, group.id, first.id, Role.ADMIN)
            return group.id

    with explained():
        typer.echo(f"{asyncio.run(work(_settings(data_dir, database_url)))}  {name}")


@app.command("list")
def list_groups(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the groups, oldest first."""

    async def work(settings: Settings) -> list[str]:
        async with open_community(settings) as (_, community):
            return [f"{group.id}  {group.name}" for group in await community.groups.list(OPERATOR)]

    with explained():
        typer.echo("\n".join(asyncio.run(work(_settings(data_dir, database_url)))))


@app.command()
def members(group: GroupName, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List who is in a group, in the order they joined."""

    async def work(settings: Settings) -> list[str]:
        async with open_community(settings) as (database, community):
            found = await community.groups.members(OPERATOR, await _group(database, group))
            return [f"{one.username}  {one.role}{'' if one.is_active else '  disabled'}" for one in found]

    with explained():
        for line in asyncio.run(work(_settings(data_dir, database_url))):
            typer.echo(line)


@app.command()
def role(
    group: GroupName,
    username: Username,
    member_role: MemberRole,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give somebody a role in a group; who is no member becomes one."""

    async def work(settings: Settings) -> None:
        async with open_community(settings) as (database, community):
            group_id, user = await _group(database, group), await user_named(database, username)
            await community.groups.set_role(TERMINAL, group_id, user.id, member_role)

    with explained():
        asyncio.run(work(_settings(data_dir, database_url)))


@app.command()
def remove(group: GroupName, username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Take somebody out of a group."""

    async def work(settings: Settings) -> None:
        async with open_community(settings) as (database, community):
            group_id, user = await _group(database, group), await user_named(database, username)
            await community.groups.remove(TERMINAL, group_id, user.id)

    with explained():
        asyncio.run(work(_settings(data_dir, database_url)))


@app.command()
def invite(
    group: GroupName,
    member_role: Annotated[Role, typer.Option("--role", help="What one becomes.")] = Role.MEMBER,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print a link that lets one person into a group, once, within 7 days."""

    async def work(settings: Settings) -> str:
        async with open_community(settings) as (database, community):
            group_id = await _group(database, group)
            _, token = await community.invitations.invite(TERMINAL, group_id, member_role, DAYS)
            return invitation_link(settings, token)

    with explained():
        typer.echo(asyncio.run(work(_settings(data_dir, database_url))))


@app.command()
def rename(
    group: GroupName,
    name: Annotated[str, typer.Argument(help="The new name.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give a group another name."""

    async def work(settings: Settings) -> None:
        async with open_community(settings) as (database, community):
            new = Retitle(name, None, keep_description=True)
            await community.groups.change(TERMINAL, await _group(database, group), new)

    with explained():
        asyncio.run(work(_settings(data_dir, database_url)))


async def user_named(database: Database, username: str) -> User:
    """Return the account of this name. Raises UsageError."""
    user = await Users(database).find(username)
    if user is None:
        raise UsageError(f"there is no account {username!r}; `layercake user list` lists all")
    return user


async def _group(database: Database, name: str) -> UUID:
    group_id = await group_named(database, name)
    assert group_id is not None
    return group_id


def _settings(data_dir: DataDir, database_url: DatabaseUrl) -> Settings:
    return Settings.with_options(data_dir=data_dir, database_url=database_url)
