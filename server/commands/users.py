"""`layercake user`: people's accounts. Also while a server runs."""

import sys
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from auth.audit import TERMINAL
from auth.people import NewAccount
from auth.policy import OPERATOR, Role
from persistence.group_records import GroupRole, User
from server.commands.catalogue import DatabaseUrl, DataDir
from server.commands.community import PERSON_NAME, USERNAME, OpenCommunity, checked_name, run
from server.commands.sentences import UsageError
from server.http.clients import NewPassword

Username = Annotated[str, typer.Argument(metavar="USERNAME", help="Name to sign in with.")]
FullName = Annotated[str | None, typer.Option(help="Name to show.")]
IsAdmin = Annotated[bool, typer.Option("--admin", help="Make it an admin of the installation.")]
GroupName = Annotated[str | None, typer.Option(help="Group to be in, by name or id.")]
GroupRoleName = Annotated[Role, typer.Option(help="What to be in that group.")]
Prompt = Annotated[bool, typer.Option("--password", help="Ask for the password.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]

_PASSWORD: TypeAdapter[str] = TypeAdapter(NewPassword)

app = typer.Typer(help="Work on people's accounts.", no_args_is_help=True)


@app.command()
def add(
    *,
    username: Username,
    name: FullName = None,
    admin: IsAdmin = False,
    group: GroupName = None,
    role: GroupRoleName = Role.MEMBER,
    prompt: Prompt = False,
    password_stdin: Stdin = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make an account. Without a password, print a link with which its person chooses one, once, within 7 days."""
    given = _given(prompt=prompt, stdin=password_stdin)

    async def work(opened: OpenCommunity) -> str | None:
        password = _checked_password(given)
        membership = None if group is None else GroupRole(await opened.group_id(group), role.value)
        shown = None if name is None else checked_name(name, PERSON_NAME)
        account = NewAccount(checked_name(username, USERNAME), shown, "admin" if admin else "user", membership)
        new = await opened.community.people.add(TERMINAL, account, password)
        return await _link(opened, new) if password is None else None

    _tell(run(data_dir, database_url, work, create=True))


@app.command("list")
def list_users(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List all accounts, oldest first."""

    async def work(opened: OpenCommunity) -> list[str]:
        return [_line(user) for user in await opened.community.people.list(OPERATOR)]

    for line in run(data_dir, database_url, work):
        typer.echo(line)


@app.command()
def disable(username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let nobody in with an account any more: its sessions end, its tokens rest."""

    async def work(opened: OpenCommunity) -> None:
        await opened.community.people.change(TERMINAL, (await opened.user(username)).id, False, None)

    run(data_dir, database_url, work)


@app.command()
def enable(username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let the person of a disabled account in again."""

    async def work(opened: OpenCommunity) -> None:
        await opened.community.people.change(TERMINAL, (await opened.user(username)).id, True, None)

    run(data_dir, database_url, work)


@app.command("password")
def set_password(
    username: Username,
    prompt: Prompt = False,
    password_stdin: Stdin = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give an account another password, or print a link with which its person chooses one. Its sessions end."""
    given = _given(prompt=prompt, stdin=password_stdin)

    async def work(opened: OpenCommunity) -> str | None:
        password, user = _checked_password(given), await opened.user(username)
        if password is None:
            return await _link(opened, user)
        await opened.community.people.set_password(TERMINAL, user.id, password)
        return None

    _tell(run(data_dir, database_url, work))


@app.command()
def anonymise(username: Username, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Disable an account and forget who it was, for ever; what was done with it stays."""

    async def work(opened: OpenCommunity) -> None:
        await opened.community.people.anonymise(TERMINAL, (await opened.user(username)).id)

    run(data_dir, database_url, work)


def _line(user: User) -> str:
    marks = ("admin",) * (user.role == "admin") + ("disabled",) * (not user.is_active)
    return "  ".join((str(user.id), user.username, *marks))


async def _link(opened: OpenCommunity, user: User) -> str:
    return opened.link((await opened.community.invitations.link_to_password(TERMINAL, user.id)).token)


def _given(*, prompt: bool, stdin: bool) -> str | None:
    """Return the password that is given, None if none is."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return typer.prompt("Password", hide_input=True, confirmation_prompt=True) if prompt else None


def _checked_password(text: str | None) -> str | None:
    try:
        return None if text is None else _PASSWORD.validate_python(text)
    except ValidationError:
        raise UsageError("a password has 12 to 1,024 characters; choose another one") from None


def _tell(link: str | None) -> None:
    if link is not None:
        typer.echo(f"Choose the password: {link}")
