"""`layercake group`: who works together, as what. Also while a server runs."""

from typing import Annotated

import typer

from auth.audit import TERMINAL
from auth.policy import OPERATOR, Role
from persistence.records import Retitle
from server.commands.catalogue import DatabaseUrl, DataDir
from server.commands.community import OpenCommunity, checked_name, run

INVITATION_DAYS = 7

GroupName = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group, or its id.")]
NewName = Annotated[str, typer.Argument(help="The new name.")]
Username = Annotated[str, typer.Argument(metavar="USERNAME", help="Whom it is about.")]
Admin = Annotated[str | None, typer.Option(metavar="USERNAME", help="Its first admin.")]
MemberRole = Annotated[Role, typer.Argument(help="What they are to be in the group.")]
InvitedRole = Annotated[Role, typer.Option("--role", help="What one becomes.")]

app = typer.Typer(help="Work on groups and their members.", no_args_is_help=True)


@app.command()
def add(name: NewName, admin: Admin = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Make a group."""

    async def work(opened: OpenCommunity) -> str:
        first = None if admin is None else await opened.user(admin)
        group = await opened.community.groups.create(TERMINAL, checked_name(name), None)
        if first is not None:
            await opened.community.groups.set_role(TERMINAL, group.id, first.id, Role.ADMIN)
        return f"{group.id}  {group.name}"

    typer.echo(run(data_dir, database_url, work, create=True))


@app.command("list")
def list_groups(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the groups, oldest first."""

    async def work(opened: OpenCommunity) -> list[str]:
        return [f"{group.id}  {group.name}" for group in await opened.community.groups.list(OPERATOR)]

    for line in run(data_dir, database_url, work):
        typer.echo(line)


@app.command()
def members(group: GroupName, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List who is in a group, in the order they joined."""

    async def work(opened: OpenCommunity) -> list[str]:
        found = await opened.community.groups.members(OPERATOR, await opened.group_id(group))
        return [f"{one.username}  {one.role}{'' if one.is_active else '  disabled'}" for one in found]

    for line in run(data_dir, database_url, work):
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

    async def work(opened: OpenCommunity) -> None:
        group_id, user = await opened.group_id(group), await opened.user(username)
        await opened.community.groups.set_role(TERMINAL, group_id, user.id, member_role)

    run(data_dir, database_url, work)


@app.command()
def remove(group: GroupName, username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Take somebody out of a group."""

    async def work(opened: OpenCommunity) -> None:
        group_id, user = await opened.group_id(group), await opened.user(username)
        await opened.community.groups.remove(TERMINAL, group_id, user.id)

    run(data_dir, database_url, work)


@app.command()
def invite(
    group: GroupName,
    invited_role: InvitedRole = Role.MEMBER,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print a link that lets one person into a group, once, within 7 days."""

    async def work(opened: OpenCommunity) -> str:
        group_id, invitations = await opened.group_id(group), opened.community.invitations
        _, token = await invitations.invite(TERMINAL, group_id, invited_role, INVITATION_DAYS)
        return opened.link(token)

    typer.echo(run(data_dir, database_url, work))


@app.command()
def rename(group: GroupName, name: NewName, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Give a group another name."""

    async def work(opened: OpenCommunity) -> None:
        new = Retitle(checked_name(name), None, keep_description=True)
        await opened.community.groups.change(TERMINAL, await opened.group_id(group), new)

    run(data_dir, database_url, work)
