"""One group asks about another, at every route and in both dialects, and learns nothing (SPEC.md, ISO-11, ISO-12)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from persistence.database import Database
from tests.clients import hclient
from tests.clients.eventually import eventually
from tests.clients.hclient import HClient
from tests.clients.present_client import PresentClient
from tests.integration.crawl import Answer, Route, all_ids, ids_of, ids_of_nobody, routes
from tests.integration.tenants import Tenants, two_tenants

TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname <> 'schema_migrations'
"""
ASKING = ("mine:admin", "mine:viewer", "mine:guest", "mine:backend", "mine:reader", None)
"""An admin and a viewer of one group, a guest by share link, one by a token of the backend, a token, and nobody."""
SECRET = "the pier is rotten"
OPEN_PATHS = ("/", "/docs", "/metrics", "/openapi.json")


@pytest.fixture
async def tenants(database: Database, database_url: str) -> AsyncIterator[Tenants]:
    async with two_tenants(database, database_url) as tenants:
        yield tenants


async def described(tenants: Tenants) -> list[Route]:
    async with tenants.http("mine:admin") as http:
        return routes((await http.get("/openapi.json")).json())


async def rows_of_theirs(tenants: Tenants) -> set[str]:
    """Return every row that names anything of theirs, of the whole database."""
    owner = await asyncpg.connect(tenants.database_url)
    theirs, found = all_ids(tenants.groups.theirs), set()
    for table in [row["relname"] for row in await owner.fetch(TABLES)]:
        if table != "audit_log":  # what was refused is noted
            rows = [f"{table} {row[0]}" for row in await owner.fetch(f"SELECT t::text FROM {table} t")]
            found |= {row for row in rows if any(id_ in row for id_ in theirs)}
    await owner.close()
    return found


def tells(answer: Answer, tenants: Tenants) -> list[str]:
    """Return what of theirs an answer holds."""
    said = f"{answer.headers} {answer.text}"
    return [id_ for id_ in (*all_ids(tenants.groups.theirs), SECRET) if id_ in said]


async def test_ISO_11_and_12_no_route_tells_of_another_group(tenants: Tenants) -> None:
    """ISO-11 and ISO-12: each route with ids of theirs, with ids that nobody has, and with one of each among mine."""
    await whisper(tenants)
    before, found = await rows_of_theirs(tenants), await described(tenants)
    for token in ASKING:
        async with tenants.http(token) as http:
            compared = [await asked(tenants, http, route) for route in found]
            for path in OPEN_PATHS:
                page = Answer(200, {}, (await http.get(path)).text)
                assert tells(page, tenants) == [], (token, path)
        assert sum(compared) > 25
    assert await rows_of_theirs(tenants) == before


async def asked(tenants: Tenants, http: httpx.AsyncClient, route: Route) -> int:
    """Ask one route about theirs and about nothing; return how many answers were compared."""
    theirs, nobodys, compared = ids_of(tenants.groups.theirs), ids_of_nobody(), 0
    for names in route.choices:
        own = ids_of(tenants.groups.mine)
        answer = await route.ask(http, own | {name: theirs[name] for name in names})
        assert tells(answer, tenants) == [], (str(route), names)
        assert answer.status < 500, (str(route), names, answer)
        if names:
            assert answer == await route.ask(http, own | {name: nobodys[name] for name in names}), (str(route), names)
            compared += 1
    return compared


async def test_ISO_12_the_crawl_finds_what_is_there(tenants: Tenants) -> None:
    """ISO-12: the same requests by their own admin are answered, with what nobody else is told."""
    await whisper(tenants)
    told = 0
    async with tenants.http("theirs:admin") as http:
        for route in await described(tenants):
            if route.method == "get" and route.ids and not {"operation_id", "node_id"} & {*route.ids}:
                answer = await route.ask(http, ids_of(tenants.groups.theirs))
                told += SECRET in answer.text
                assert answer.status in {200, 403}, (str(route), answer)
    assert told >= 5


async def whisper(tenants: Tenants) -> None:
    """Have a member of theirs write something into their graph."""
    graph = f"/api/graphs/{tenants.groups.theirs.graph}"
    async with tenants.http("theirs:member") as http:
        (await http.patch(graph, json={"description": SECRET})).raise_for_status()
        table = {"files": ("nodes.csv", f"id,label\nn1,{SECRET}\n".encode(), "text/csv")}
        (await http.post(f"{graph}/import", files=table)).raise_for_status()

        async def rows() -> dict[str, Any]:
            page: dict[str, Any] = (await http.get(f"{graph}/nodes")).json()
            return page

        await eventually(rows, lambda page: SECRET in str(page) and page["behind"] == 0)


NAMES = ("theirs", "unknown", "malformed", "upper", "proto")


def name_of(tenants: Tenants, which: str) -> str:
    """Return the name of a graph that I may not open."""
    theirs = str(tenants.groups.theirs.graph)
    return {"theirs": theirs, "unknown": str(uuid4()), "malformed": theirs[:-1], "upper": theirs.upper()}.get(
        which, "__proto__"
    )


async def test_ISO_11_a_handshake_tells_nothing_of_a_graph(tenants: Tenants) -> None:
    """ISO-11: theirs, an unknown and a malformed one are refused alike in the y dialect."""
    for token in ASKING:
        answers = [await refusal(tenants.sync_url(name_of(tenants, which), token)) for which in NAMES]
        assert all(answer == answers[0] for answer in answers), answers
        assert answers[0][0] == (401 if token is None else 404)


async def refusal(url: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url):
            pass
    response = refused.value.response
    headers = {key: value for key, value in response.headers.raw_items() if key.lower() != "date"}
    return response.status_code, headers, bytes(response.body or b"")


@pytest.mark.parametrize("token", ["mine:admin", "mine:guest", None])
async def test_ISO_11_a_denial_tells_nothing_of_a_graph(tenants: Tenants, token: str | None) -> None:
    """ISO-11: the same in the Hocuspocus dialect, on one socket."""
    heard = []
    async with HClient.connected(tenants.hocuspocus_url) as client:
        for which in NAMES:
            name = name_of(tenants, which)
            await client.send(name, hclient.auth(token or "nobody", hclient.VERSION))
            frame = await client.hear()
            assert frame.address == name
            heard.append(frame.message)
    assert len(set(heard)) == 1
    assert heard[0].startswith(bytes((hclient.AUTH, 1)))


async def test_ISO_12_sockets_hear_nothing_of_another_graph(tenants: Tenants) -> None:
    """ISO-12: no update, presence, stateless message or error of theirs, while they are busy in both dialects."""
    mine, theirs = str(tenants.groups.mine.graph), str(tenants.groups.theirs.graph)
    async with (
        connect(tenants.sync_url(mine, "mine:admin"), compression=None) as stock,
        HClient.connected(tenants.hocuspocus_url) as listener,
        HClient.connected(tenants.hocuspocus_url) as neighbour,
    ):
        await listener.open(mine, "mine:admin")
        await neighbour.open(theirs, "theirs:member")
        async with PresentClient(tenants.sync_url(theirs, "theirs:member"), SECRET) as other:
            await other.announce()
            await other.edit(["map.set", "k", SECRET])
            await neighbour.send(theirs, hclient.stateless(SECRET))
            await other.saved()
        # What they try on my document without being let in: nothing arrives.
        await neighbour.send(mine, hclient.stateless(SECRET), hclient.awareness(b"\x00"))
        async with PresentClient(tenants.sync_url(mine, "mine:member"), "marker") as friend:
            await friend.edit(["map.set", "marker", "marker"])
            await friend.saved()
            heard = await all_of(stock, b"marker") + await all_of(listener.socket, b"marker")
    assert SECRET.encode() not in heard
    assert theirs.encode() not in heard


async def all_of(socket: object, last: bytes) -> bytes:
    """Return all that a socket hears, up to a frame that holds `last`."""
    heard = b""
    async with asyncio.timeout(hclient.WAIT_S):
        while last not in heard:
            frame = await socket.recv()  # type: ignore[attr-defined]
            heard += frame if isinstance(frame, bytes) else frame.encode()
    return heard


async def test_ISO_12_an_update_into_another_graph_is_not_taken(tenants: Tenants) -> None:
    """ISO-12: on a socket that is let into mine, frames addressed to theirs change nothing."""
    theirs = str(tenants.groups.theirs.graph)
    before = await rows_of_theirs(tenants)
    async with HClient.connected(tenants.hocuspocus_url) as client:
        await client.open(str(tenants.groups.mine.graph), "mine:admin")
        await client.send(theirs, hclient.sync(hclient.UPDATE, b"\x00\x00"))
        await client.send(theirs, hclient.auth("mine:admin", hclient.VERSION))
        try:
            *others, _ = await client.until(theirs, bytes((hclient.AUTH, 1)))
            assert all(frame.address != theirs for frame in others)
        except ConnectionClosed:
            pass

    async def there() -> set[str]:
        return await rows_of_theirs(tenants)

    assert await eventually(there, lambda rows: rows == before, 5) == before
