"""`layercake user` and `layercake group`, and the link for the owner at the first start."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner

from persistence.database import Database
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID
from server.commands import app
from server.commands.remote import release_remotely
from server.commands.sentences import UsageError
from server.settings import Settings
from tests.conftest import LoopThread
from tests.faults.harness import Server
from tests.integration.people import PASSWORD, Town, town

WAIT_S = 60
EXAMPLE = Path(__file__).parents[2] / "examples" / "river-ferry"
LINK = re.compile(r"(http://\S+)/#/invitation/(lci_[\w-]+)")


class Terminal:
    """The command line on a test's database."""

    def __init__(self, database_url: str) -> None:
        self._environment = {"LAYERCAKE_DATABASE_URL": database_url}

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = CliRunner().invoke(app, arguments, env=self._environment, input=stdin)
        assert done.exit_code == 0, done.output
        return done.stdout

    def refuses(self, *arguments: str, stdin: str | None = None) -> str:
        done = CliRunner().invoke(app, arguments, env=self._environment, input=stdin)
        assert done.exit_code == 1, done.output
        return done.stderr


@pytest.fixture
def layercake(database_url: str) -> Terminal:
    return Terminal(database_url)


def token_in(text: str) -> str:
    found = LINK.search(text)
    assert found, text
    return found[2]


def test_PEOPLE_14_accounts_are_managed_by_name(layercake: Terminal) -> None:
    layercake("user", "add", "ada", "--admin", "--password-stdin", stdin=PASSWORD + "\n")
    layercake("user", "add", "bob", "--group", "Everyone", "--role", "viewer")

    assert "taken" in layercake.refuses("user", "add", "ADA")
    assert "12 to 1,024" in layercake.refuses("user", "add", "eve", "--password-stdin", stdin="short\n")
    assert "last admin" in layercake.refuses("user", "disable", "ada")
    assert "no account 'eve'" in layercake.refuses("user", "disable", "eve")
    layercake("user", "disable", "BOB")
    listed = layercake("user", "list").splitlines()
    assert [line.split()[1:] for line in listed] == [["ada", "admin"], ["bob", "disabled"]]
    assert layercake("group", "members", "Everyone") == "bob  viewer  disabled\n"
    layercake("user", "enable", "bob")
    layercake("user", "anonymise", "bob")
    assert [line.split()[1] for line in layercake("user", "list").splitlines()] == ["ada", "deleted"]


@pytest.mark.parametrize("name", ["", "a\x1b[31mb", "a\udcff", "a" * 201])
def test_PEOPLE_14_a_name_that_nothing_can_have_is_refused(layercake: Terminal, name: str) -> None:
    """PEOPLE-14: names are checked as at HTTP."""
    for arguments in (
        ("user", "add", "eve", "--name", name),
        ("user", "add", name),
        ("user", "disable", name),
        ("group", "add", name),
        ("group", "rename", "Everyone", name),
        ("group", "members", name),
    ):
        assert "1 to 200 characters" in layercake.refuses(*arguments)


def test_PEOPLE_14_groups_are_managed_by_name_or_id_where_that_is_not_enough(layercake: Terminal) -> None:
    for name in ("ada", "bob"):
        layercake("user", "add", name)
    first = layercake("group", "add", "Bridges", "--admin", "ada").split()[0]
    layercake("group", "role", "Bridges", "bob", "member")
    assert layercake("group", "members", "Bridges") == "ada  admin\nbob  member\n"
    assert "last admin" in layercake.refuses("group", "role", "Bridges", "ada", "viewer")

    second = layercake("group", "add", "Bridges").split()[0]
    refused = layercake.refuses("group", "members", "Bridges")
    assert first in refused
    assert second in refused
    layercake("group", "remove", first, "bob")
    layercake("group", "rename", second, "Tunnels")
    assert [line.split()[1] for line in layercake("group", "list").splitlines()] == ["Everyone", "Bridges", "Tunnels"]
    assert token_in(layercake("group", "invite", "Tunnels", "--role", "admin"))
    assert "no group 'Rivers'" in layercake.refuses("group", "invite", "Rivers")


def test_PEOPLE_14_a_project_goes_to_the_group_that_is_named(
    layercake: Terminal, database_url: str, session_loop: LoopThread
) -> None:
    layercake("group", "add", "Bridges")
    for group in ("Bridges", "Everyone", "Bridges"):
        layercake("import", str(EXAMPLE), "--project", "p", "--group", group)
    groups = session_loop.run(fetch(database_url, "SELECT group_id, count(*) FROM projects GROUP BY 1"))
    assert sorted(row["count"] for row in groups) == [1, 1]
    assert "no group" in layercake.refuses("import", str(EXAMPLE), "--project", "p", "--group", "Rivers")


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Town]:
    async with town(database, database_url) as served:
        yield served


async def test_PEOPLE_15_an_open_server_changes_no_rights_of_people(live_server: Server) -> None:
    one, graph = f"/api/users/{ANONYMOUS_USER_ID}", f"/api/graphs/{await live_server.create_graph()}"
    async with httpx.AsyncClient(base_url=live_server.base_url, timeout=WAIT_S) as page:
        answers = [
            await page.post("/api/users", json={"username": "eve"}),
            await page.patch(one, json={"role": "admin"}),
            await page.post(f"{one}/password-link"),
            await page.post(f"/api/groups/{EVERYONE_GROUP_ID}/invitations", json={"role": "admin"}),
            await page.put(f"/api/groups/{EVERYONE_GROUP_ID}/members/{ANONYMOUS_USER_ID}", json={"role": "admin"}),
            await page.post(f"{graph}/share-links", json={"role": "member"}),
            await page.put(f"{graph}/access/{ANONYMOUS_USER_ID}", json={"role": "admin"}),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "open_server")] * len(answers)


async def test_PEOPLE_14_commands_work_beside_a_server(served: Town, layercake: Terminal) -> None:
    await asyncio.to_thread(layercake, "user", "add", "ada", "--group", "Everyone", "--password-stdin", stdin=PASSWORD)
    token = (await served.tokens("ada"))["access_token"]
    async with served.client(token) as ada:
        assert (await ada.get("/api/projects")).status_code == 200

    link = await asyncio.to_thread(layercake, "user", "password", "ada")
    await asyncio.to_thread(layercake, "user", "disable", "ada")

    async with served.client(token) as ada:
        assert (await ada.get("/api/projects")).status_code == 401
    await asyncio.to_thread(layercake, "user", "enable", "ada")
    body = {"token": token_in(link), "password": "a staple of another battery"}
    async with served.client() as page:
        assert (await page.post("/api/invitations/accept", json=body)).status_code == 200
    actions = [action for action, _ in await served.audited() if not action.startswith("session.")]
    assert actions == ["user.added", "invitation.made", "user.disabled", "user.enabled", "invitation.accepted"]


async def test_PEOPLE_14_commands_that_ask_a_server_send_their_token(served: Town) -> None:
    await served.add("ada")
    async with served.client((await served.tokens("ada"))["access_token"]) as ada:
        made = await ada.post("/api/auth/tokens", json={"name": "script", "scopes": ["read", "manage"]})
    address, token = f"http://127.0.0.1:{served.port}", made.json()["token"]

    with pytest.raises(UsageError, match="there is no quarantined operation 1"):
        await release_remotely(Settings.with_options(server=address, token=token), 1)
    with pytest.raises(UsageError, match="sign in"):
        await release_remotely(Settings.with_options(server=address), 1)
    assert token not in repr(Settings.with_options(token=token))


def test_PEOPLE_11_exports_by_command_are_in_the_audit_log(
    layercake: Terminal, database_url: str, session_loop: LoopThread, tmp_path: Path
) -> None:
    graph = layercake("import", str(EXAMPLE), "--project", "p").split()[0]
    layercake("export", graph, "--out", str(tmp_path / "graph.json"))
    project = session_loop.run(fetch(database_url, "SELECT id FROM projects"))[0]["id"]
    layercake("project", "archive", str(project), "--out", str(tmp_path / "p.zip"))

    rows = session_loop.run(fetch(database_url, "SELECT action, group_id, details FROM audit_log ORDER BY id"))

    assert [(row["action"], row["group_id"]) for row in rows] == [
        ("graph.exported", EVERYONE_GROUP_ID),
        ("project.archived", EVERYONE_GROUP_ID),
    ]


async def fetch(database_url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


@asynccontextmanager
async def started(database_url: str, *, has_no_owner: bool = True) -> AsyncIterator[tuple[Process, list[str]]]:
    """`layercake serve` in a process of its own, and what it says first: the address, the link if there is one."""
    program = "from server.commands import main; main()"
    command = [sys.executable, "-c", program, "serve", "--port", "0", "--database-url", database_url]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=dict(os.environ))
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S):
            lines = [(await process.stdout.readline()).decode()]
            if has_no_owner:
                lines.append((await process.stdout.readline()).decode())
        yield process, lines
    finally:
        process.send_signal(signal.SIGTERM)
        rest, log = await asyncio.wait_for(process.communicate(), WAIT_S)
        lines.append(rest.decode())
        assert "lci_" not in log.decode()


async def test_PEOPLE_6_the_first_start_prints_a_link_for_the_owner(database_url: str) -> None:
    tokens = []
    for _ in range(2):
        async with started(database_url) as (_, lines):
            address, token = LINK.search("".join(lines)).groups()  # type: ignore[union-attr]
            tokens.append(token)
            async with httpx.AsyncClient(base_url=address, timeout=WAIT_S) as page:
                if len(tokens) < 2:
                    continue
                body = {"username": "ada", "password": PASSWORD}
                old = await page.post("/api/invitations/accept", json=body | {"token": tokens[0]})
                answer = await page.post("/api/invitations/accept", json=body | {"token": token})
                assert (old.status_code, answer.status_code) == (404, 200)
                page.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
                me = (await page.get("/api/auth/me")).json()
                assert me["is_admin"] is True
                assert [(group["name"], group["role"]) for group in me["groups"]] == [("Everyone", "admin")]
    async with started(database_url, has_no_owner=False) as (_, lines):
        assert "Layercake is at" in lines[0]
    assert LINK.search("".join(lines)) is None


async def test_PEOPLE_6_no_link_works_once_there_is_an_admin(
    database: Database, database_url: str, layercake: Terminal
) -> None:
    async with started(database_url) as (_, lines):
        address, token = LINK.search("".join(lines)).groups()  # type: ignore[union-attr]
        await asyncio.to_thread(layercake, "user", "add", "ada", "--admin", "--password-stdin", stdin=PASSWORD)
        async with httpx.AsyncClient(base_url=address, timeout=WAIT_S) as page:
            body = {"token": token, "username": "eve", "password": PASSWORD}
            assert (await page.post("/api/invitations/accept", json=body)).status_code == 404
