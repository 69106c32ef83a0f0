"""BACKEND-1 to BACKEND-6: the tokens of the team's own backend, at every door."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.audit import TERMINAL
from persistence.database import Database
from persistence.external_people import ExternalPeople
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID
from persistence.users import Users
from server.app import bind, running
from server.authentication import Authentication
from server.backend import backend_tokens, check_backend
from server.jwks import MAX_AGE_S, MIN_AGE_S, JwksUrl, KeysUnavailableError
from server.settings import Settings, SettingsError
from tests.clients.hclient import AUTHENTICATED, READ_ONLY, HClient, auth
from tests.clients.yclient import YClient
from tests.integration.served import Served
from tests.unit.backend_signing import (
    BAD,
    EC_KEY,
    GRAPH,
    ISSUER,
    JWKS,
    OTHER_GRAPH,
    RSA_KEY,
    SECRET,
    now,
    public,
    signed,
)

PAGE = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text()
SECRET_SETTINGS = {"backend_issuer": ISSUER, "backend_secret": SECRET}
ADD_PROJECT = "INSERT INTO projects (id, name, group_id, created_by) VALUES ($1, 'p', $2, $3)"
ADD_GRAPH = "INSERT INTO graphs (id, project_id, name) VALUES ($1, $2, 'g')"
PEOPLE = "SELECT id, username, full_name FROM users WHERE external_issuer = $1 AND external_subject = $2"


async def add_graphs(owner: asyncpg.Connection) -> None:
    await owner.execute(ADD_PROJECT, GRAPH, EVERYONE_GROUP_ID, ANONYMOUS_USER_ID)
    for graph_id in (GRAPH, OTHER_GRAPH):
        await owner.execute(ADD_GRAPH, graph_id, GRAPH)


@asynccontextmanager
async def backend_serving(database: Database, owner: asyncpg.Connection, **changed: Any) -> AsyncIterator[Served]:
    """Serve two graphs to those whom the backend names."""
    await add_graphs(owner)
    settings = Settings.with_options(**changed)
    async with backend_tokens(settings, database) as backend:
        assert backend is not None
        with bind("127.0.0.1", 0) as bound:
            async with running(settings, database, Authentication(database, backend=backend), bound) as listener:
                yield Served(listener.port)


async def by_http(served: Served, token: str, graph_id: UUID) -> int:
    async with served.http(token or None) as http:
        return (await http.get(f"/api/graphs/{graph_id}")).status_code


async def by_y(served: Served, token: str, graph_id: UUID) -> int:
    try:
        async with connect(served.url(graph_id, token or None), compression=None):
            return 200
    except InvalidStatus as error:
        return error.response.status_code


async def by_hocuspocus(served: Served, token: str, graph_id: UUID) -> int:
    async with HClient.connected(served.hocuspocus_url) as client:
        await client.send(str(graph_id), auth(token, "4.8.0"))
        message = (await client.hear()).message
    if message in (AUTHENTICATED, READ_ONLY):
        return 200
    return 404 if b"no such graph" in message else 401


DOORS = (by_http, by_y, by_hocuspocus)


async def answers(served: Served, token: str, graph_id: UUID = GRAPH) -> set[int]:
    return {await door(served, token, graph_id) for door in DOORS}


async def test_BACKEND_2_every_door_refuses_every_bad_token(database: Database, owner: asyncpg.Connection) -> None:
    async with backend_serving(database, owner, **SECRET_SETTINGS) as served:
        found = {name: await answers(served, make(now())) for name, make in BAD.items()}
    assert found == {name: {401, 414} if name == "far too long" else {401} for name in BAD}
    assert await owner.fetch(PEOPLE, ISSUER, "ada") == []


async def test_BACKEND_1_and_4_a_token_opens_its_graph_and_nothing_else(
    database: Database, owner: asyncpg.Connection
) -> None:
    async with backend_serving(database, owner, **SECRET_SETTINGS) as served:
        token = signed(now())
        assert await answers(served, token) == {200}
        assert await answers(served, token, OTHER_GRAPH) == {404}
        assert await answers(served, signed(now(), graph=str(UUID(int=5))), UUID(int=5)) == {404}
        async with served.http(token) as http:
            assert (await http.get(f"/api/projects/{GRAPH}")).status_code == 404
            assert (await http.get("/api/projects")).json() == {"items": []}
            assert (await http.delete(f"/api/graphs/{GRAPH}")).status_code == 403
        async with served.http(signed(now(), role="admin", sub="adm")) as http:
            link = await http.post(f"/api/graphs/{GRAPH}/share-links", json={"role": "viewer"})
            assert (link.status_code, (await http.get(f"/api/graphs/{GRAPH}/access")).status_code) == (403, 403)
        viewer = signed(now(), role="viewer", sub="vic")
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.send(str(GRAPH), auth(viewer, "4.8.0"))
            assert (await client.hear()).message == READ_ONLY
        async with YClient(served.url(GRAPH, token)) as writer:
            await writer.edit(["map.set", "key", "by ada"])
            await writer.saved()
        async with YClient(served.url(GRAPH, viewer)) as reader:
            assert (await reader.content()).map == {"key": "by ada"}


async def test_BACKEND_5_a_person_has_one_row_with_the_newest_name(
    database: Database, owner: asyncpg.Connection
) -> None:
    async with backend_serving(database, owner, **SECRET_SETTINGS) as served:
        for name in ("Ada", "Ada", "Ada King", None):
            assert await answers(served, signed(now(), name=name)) == {200}
            rows = await owner.fetch(PEOPLE, ISSUER, "ada")
            assert [row["full_name"] for row in rows] == [name or "ada"]
        await owner.execute("UPDATE users SET is_active = false WHERE external_subject = 'ada'")
        assert await answers(served, signed(now(), name="Someone else")) == {401}
        assert (await owner.fetchrow(PEOPLE, ISSUER, "ada"))["full_name"] == "ada"


@pytest.mark.parametrize(
    ("subject", "name", "shown"),
    [
        (" ", None, "external"),
        ("\u3000", "\u200b", "external"),
        ("ada", "\u202e", "ada"),
        ("ada", "\u202egnik ada", "gnik ada"),
        ("a\u200bda", None, "ada"),
    ],
)
async def test_BACKEND_5_a_name_is_seen(database: Database, subject: str, name: str | None, shown: str) -> None:
    async with backend_tokens(Settings(**SECRET_SETTINGS), database) as tokens:
        assert tokens is not None
        assert (await tokens(signed(now(), sub=subject, name=name))).name == shown


async def test_BACKEND_5_people_of_two_issuers_are_two(database: Database) -> None:
    people = ExternalPeople(database)
    one, other = await people.seen(ISSUER, "ada", "Ada"), await people.seen("https://other.example", "ada", "Ada")
    assert one.id != other.id
    assert (await people.seen(ISSUER, "ada", "Ada")).id == one.id


async def test_BACKEND_5_who_was_anonymised_does_not_come_back(database: Database, owner: asyncpg.Connection) -> None:
    """BACKEND-5: who was anonymised."""
    people, users = ExternalPeople(database), Users(database)
    ada = await people.seen(ISSUER, "ada", "Ada")
    for _ in range(2):
        await users.anonymise(TERMINAL.did("user.anonymised", user_id=str(ada.id)), ada.id)

    again = await people.seen(ISSUER, "ada", "Ada King")

    assert (again.id, again.is_active) == (ada.id, False)
    row = await owner.fetchrow("SELECT username, full_name, external_subject FROM users WHERE id = $1", ada.id)
    assert "ada" not in str(row).lower()


async def test_BACKEND_3_public_keys_of_a_file_at_every_door(
    database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(JWKS))
    async with backend_serving(database, owner, backend_issuer=ISSUER, backend_jwks_file=file) as served:
        assert await answers(served, signed(now(), RSA_KEY, "RS256", "rsa")) == {200}
        for name in ("HS256 with the public key", "alg none", "wrong key"):
            assert await answers(served, BAD[name](now())) == {401}
        expired = signed(now(), RSA_KEY, "RS256", "rsa", exp=now() - timedelta(seconds=5))
        assert await answers(served, expired) == {401}


class Backend:
    """A JWKS address that answers what the test says, and the clock of whoever asks it."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200, json=JWKS)
        self.asked = 0
        self.was_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()
        self.time = 0.0
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        self.source = JwksUrl("https://ferries.example/jwks", self.http, lambda: self.time)

    async def _handle(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        return self.answer

    async def ids(self, *, newer: bool = False) -> list[str | None]:
        return [key.key_id for key in (await self.source.keys(newer=newer)).keys]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    backend = Backend()
    async with backend.http:
        yield backend
        await backend.source.close()


async def test_BACKEND_6_keys_are_kept_and_fetched_again_for_an_unknown_one_but_not_often(backend: Backend) -> None:
    assert await backend.ids() == await backend.ids() == ["rsa", "ec", "ed"]
    assert backend.asked == 1
    backend.answer = httpx.Response(200, json={"keys": [public("next", EC_KEY)]})
    assert await backend.ids(newer=True) == ["rsa", "ec", "ed"]
    assert backend.asked == 1
    backend.time += MIN_AGE_S
    assert await backend.ids() == ["rsa", "ec", "ed"]
    assert await backend.ids(newer=True) == ["next"]
    assert backend.asked == 2


async def test_BACKEND_6_a_key_that_was_taken_back_is_forgotten(backend: Backend) -> None:
    await backend.ids()
    backend.answer = httpx.Response(200, json={"keys": [public("next", EC_KEY)]})
    backend.time += MAX_AGE_S
    assert await backend.ids() == ["next"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
        httpx.Response(200, content=b"no JSON"),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, content=b" " * 300_000),
    ],
)
async def test_BACKEND_6_while_the_address_does_not_answer_the_old_keys_count(
    backend: Backend, answer: httpx.Response
) -> None:
    await backend.ids()
    backend.answer = answer
    backend.time += MAX_AGE_S
    assert await backend.ids(newer=True) == ["rsa", "ec", "ed"]
    assert backend.asked == 2


async def test_BACKEND_6_without_any_key_one_is_told_to_come_again(backend: Backend) -> None:
    backend.answer = httpx.Response(500)
    for _ in range(2):
        with pytest.raises(KeysUnavailableError, match="try again"):
            await backend.ids()
    assert backend.asked == 1
    backend.answer, backend.time = httpx.Response(200, json=JWKS), MIN_AGE_S
    assert await backend.ids() == ["rsa", "ec", "ed"]


async def test_BACKEND_6_an_address_that_hangs_keeps_nobody_waiting_whose_key_is_known(backend: Backend) -> None:
    await backend.ids()
    backend.may_answer.clear()
    backend.was_asked.clear()
    backend.time += MIN_AGE_S
    asking = asyncio.create_task(backend.ids(newer=True))
    await backend.was_asked.wait()
    async with asyncio.timeout(1):
        assert await backend.ids() == ["rsa", "ec", "ed"]
    assert not asking.done()
    asking.cancel()
    also_asking = asyncio.create_task(backend.ids(newer=True))
    await asyncio.wait([asking])
    backend.answer = httpx.Response(200, json={"keys": [public("next", EC_KEY)]})
    backend.may_answer.set()
    assert await also_asking == ["next"]
    assert backend.asked == 2


async def test_BACKEND_6_a_fetch_that_is_under_way_ends_with_the_server(backend: Backend) -> None:
    backend.may_answer.clear()
    asking = asyncio.create_task(backend.ids())
    await backend.was_asked.wait()
    await backend.source.close()
    await asyncio.wait([asking])
    assert asking.cancelled()


async def test_BACKEND_6_keys_of_an_address_of_this_machine(database: Database, owner: asyncpg.Connection) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + json.dumps(JWKS).encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
        async with backend_serving(database, owner, backend_issuer=ISSUER, backend_jwks_url=url) as served:
            assert await answers(served, signed(now(), EC_KEY, "ES256", "ec")) == {200}
            assert await answers(served, signed(now(), EC_KEY, "ES256", "another")) == {401}


async def test_BACKEND_6_before_there_are_keys_every_door_says_to_come_again(
    database: Database, owner: asyncpg.Connection
) -> None:
    with bind("127.0.0.1", 0) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/jwks"
        async with backend_serving(database, owner, backend_issuer=ISSUER, backend_jwks_url=url) as served:
            assert await by_http(served, signed(now(), EC_KEY, "ES256", "ec"), GRAPH) == 503
            assert await by_y(served, signed(now(), EC_KEY, "ES256", "ec"), GRAPH) == 503


@pytest.mark.parametrize(
    "changed",
    [
        {"backend_issuer": ISSUER},
        {"backend_secret": SECRET},
        {"backend_issuer": ISSUER, "backend_secret": "short"},
        {"backend_issuer": "layercake", "backend_secret": SECRET},
        {"backend_issuer": ISSUER, "backend_secret": SECRET, "backend_jwks_url": "https://ferries.example/jwks"},
        {"backend_issuer": ISSUER, "backend_jwks_url": "http://ferries.example/jwks"},
        {"backend_issuer": ISSUER, "backend_jwks_url": "https://[::1"},
        {"backend_issuer": ISSUER, "backend_jwks_url": "file:///etc/passwd"},
        {"backend_issuer": ISSUER, "backend_jwks_file": Path(__file__)},
        {"backend_issuer": ISSUER, "backend_secret_file": Path("/nothing/there")},
    ],
)
def test_BACKEND_7_settings_that_make_no_sense_keep_the_server_from_starting(changed: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        check_backend(Settings.with_options(**changed))
    assert SECRET not in str(refused.value)


def test_BACKEND_7_settings_that_do(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    check_backend(Settings())
    for source in ({"backend_secret": SECRET}, {"backend_secret_file": file}, {"backend_jwks_url": "https://x/jwks"}):
        check_backend(Settings.with_options(backend_issuer=ISSUER, **source))


def example(language: str) -> str:
    """The first example of the page in a language."""
    return PAGE.split(f"```{language}\n")[1].split("```")[0]


def by_python(*words: str) -> str:
    names: dict[str, Any] = {}
    exec(example("python"), names)
    token: str = names["layercake_token"](*words)
    return token


def by_node(*words: str) -> str:
    program = f"{example('js')}\nprocess.stdout.write(layercakeToken(...process.argv.slice(1)))"
    return subprocess.run(["node", "-e", program, *words], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("sign", [by_python, by_node])
async def test_BACKEND_8_the_examples_sign_tokens_that_are_taken(
    database: Database, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, sign: Callable[..., str]
) -> None:
    for name, value in SECRET_SETTINGS.items():
        monkeypatch.setenv(f"LAYERCAKE_{name.upper()}", value)
    async with backend_serving(database, owner) as served:
        assert await answers(served, sign("ada", "Ada", str(GRAPH), "member")) == {200}
    assert [row["full_name"] for row in await owner.fetch(PEOPLE, ISSUER, "ada")] == ["Ada"]
