"""What each role may do at each door, as one table (SPEC.md, ISO-9 and ISO-10)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from collab.wire.awareness import Entry, decode_awareness, encode_awareness
from persistence.database import Database
from tests.clients import frames, hclient
from tests.clients.hclient import HClient
from tests.clients.replicas import PycrdtReplica
from tests.integration.crawl import ids_of
from tests.integration.tenants import Tenants, two_tenants

WAIT_S = 20
ROLES = {
    "admin": "mine:admin",
    "member": "mine:member",
    "viewer": "mine:viewer",
    "hidden": "mine:hidden",  # a member from whom the graph is hidden
    "shared": "mine:shared",  # of no group, a member in the graph
    "jwt": "mine:backend",  # an admin in the graph, by a token of the team's backend
    "link+": "mine:guest-member",  # by a share link
    "link": "mine:guest",
    "token": "mine:reader",  # of the admin, to read
    "other": "theirs:admin",
    "chief": "chief",  # an admin of the installation, of no group
    "off": "mine:disabled",
    "nobody": None,
}
# One line for each action of each door, one column for each role. Sockets: "write" may edit, "read" may only look.
EXPECTED = """
                                        admin member viewer hidden shared   jwt link+ link token other chief off nobody
    GET    graphs/{graph_id}              200    200    200    404    200   200   200  200   200   404   404 404    401
    GET    graphs/{graph_id}/nodes        200    200    200    404    200   200   200  200   200   404   404 404    401
    GET    graphs/{graph_id}/export       200    200    200    404    200   200   200  200   200   404   404 404    401
    GET    graphs/{graph_id}/events       200    200    200    404    200   200   200  200   200   404   404 404    401
    PATCH  graphs/{graph_id}              200    200    403    404    200   200   200  403   403   404   404 404    401
    POST   graphs/{graph_id}/import       200    200    403    404    200   200   200  403   403   404   404 404    401
    POST   graphs/{graph_id}/copy         201    201    403    404    404   404   404  404   403   404   404 404    401
    GET    graphs/{graph_id}/edits        200    200    200    404    200   200   200  200   200   404   404 404    401
    GET    graphs/{graph_id}/conflicts    200    200    200    404    200   200   200  200   200   404   404 404    401
    GET    graphs/{graph_id}/replays      200    200    200    404    200   200   200  200   200   404   404 404    401
    GET    graphs/{graph_id}/replays/{replay_id}                  200 200 200 404 200 200 200 200 200 404 404 404 401
    POST   graphs/{graph_id}/replay/preview                       200 200 200 404 200 200 200 200 200 404 404 404 401
    POST   graphs/{graph_id}/replay       200    200    403    404    200   200   200  403   403   404   404 404    401
    POST   graphs/{graph_id}/operations   200    200    403    404    200   200   200  403   403   404   404 404    401
    POST   graphs/{graph_id}/edits/{edit_id}/deactivate           200 200 403 404 200 200 200 403 403 404 404 404 401
    POST   graphs/{graph_id}/edits/{edit_id}/reactivate           200 200 403 404 200 200 200 403 403 404 404 404 401
    DELETE graphs/{graph_id}              204    403    403    404    403   204   403  403   403   404   404 404    401
    GET    quarantine/{operation_id}      200    404    404    404    404   200   404  404   404   404   404 404    401
    GET    projects                       200    200    200    200    200   200   200  200   200   200   200 200    401
    GET    projects/{project_id}          200    200    200    200    404   404   404  404   200   404   404 404    401
    GET    projects/{project_id}/graphs   200    200    200    200    404   404   404  404   200   404   404 404    401
    GET    projects/{project_id}/events   200    200    200    200    404   404   404  404   200   404   404 404    401
    GET    projects/{project_id}/bin      200    403    403    403    404   404   404  404   403   404   404 404    401
    GET    projects/{project_id}/plan     200    200    200    200    404   404   404  404   200   404   404 404    401
    GET    projects/{project_id}/inputs   200    200    200    200    404   404   404  404   200   404   404 404    401
    PUT    projects/{project_id}/plan     200    200    403    200    404   404   404  404   403   404   404 404    401
    PUT    projects/{project_id}/inputs/n 200    200    403    200    404   404   404  404   403   404   404 404    401
    GET    projects/{project_id}/replay-rules                     200 200 200 200 404 404 404 404 200 404 404 404 401
    PATCH  projects/{project_id}/replay-rules                     200 200 403 200 404 404 404 404 403 404 404 404 401
    PATCH  projects/{project_id}          200    200    403    200    404   404   404  404   403   404   404 404    401
    POST   projects/{project_id}/graphs   201    201    403    201    404   404   404  404   403   404   404 404    401
    POST   projects/{project_id}/import   201    201    403    201    404   404   404  404   403   404   404 404    401
    POST   projects                       201    201    403    201    403   403   403  403   403   201   403 403    401
    DELETE projects/{project_id}          204    403    403    403    404   404   404  404   403   404   404 404    401
    GET    graphs/{graph_id}/access       200    403    403    404    403   403   403  403   403   404   404 404    401
    GET    graphs/{graph_id}/share-links  200    403    403    404    403   403   403  403   403   404   404 404    401
    GET    graphs                         200    200    200    200    200   200   200  200   200   200   200 200    401
    GET    groups/{group_id}/members      200    200    200    200    404   404   404  404   200   404   200 404    401
    GET    groups/{group_id}/invitations  200    403    403    403    404   404   404  404   403   404   200 404    401
    PATCH  groups/{group_id}              200    403    403    403    404   404   404  404   403   404   200 404    401
    GET    users                          403    403    403    403    403   403   403  403   403   403   200 403    401
    GET    audit                          403    403    403    403    403   403   403  403   403   403   200 403    401
    GET    auth/sessions                  200    200    200    200    200   403   403  403   200   200   200 200    401
    OPEN   /sync                        write  write   read    404  write write write read  read   404   404 404    401
    OPEN   /hocuspocus                  write  write   read     no  write write write read  read    no    no  no     no
"""
BODIES = {
    "PATCH": {"json": {"description": "steel"}},
    "POST": {"json": {"name": "Rail"}},
    "replay-rules": {"json": {"conflicts": "ask"}},
    "operations": {"json": {"type": "node_delete", "node_id": "nobody"}},
    "plan": {"json": {"nodes": [], "edges": []}},
    "n": {"content": b"id,label\nn1,Pier\n"},
    "import": {"data": {"name": "Rail"}, "files": {"files": ("nodes.csv", b"id,label\nn1,Pier\n", "text/csv")}},
}


class Line(NamedTuple):
    """What each role gets, in the order of ROLES."""

    verb: str
    path: str
    answers: list[str]


HEAD, *LINES = EXPECTED.strip().splitlines()
TABLE = [Line(verb, path, answers) for verb, path, *answers in map(str.split, LINES)]
SYNC, HOCUSPOCUS = TABLE[-2:]


@pytest.fixture
async def tenants(database: Database, database_url: str) -> AsyncIterator[Tenants]:
    async with two_tenants(database, database_url) as tenants:
        yield tenants


def test_ISO_9_the_table_has_every_role() -> None:
    """ISO-9."""
    assert HEAD.split() == list(ROLES)
    assert all(len(line.answers) == len(ROLES) for line in TABLE)


async def test_ISO_9_http_allows_what_the_table_says(tenants: Tenants) -> None:
    """ISO-9: what is put in the bin is taken out again for whoever comes next."""
    ids = {name: one.value for name, one in ids_of(tenants.groups.mine).items()}
    found = []
    async with tenants.http("mine:admin") as admin:
        for line in TABLE[:-2]:
            answers = []
            for token in ROLES.values():
                answer = await asked(admin, token, line, ids)
                answers.append(str(answer.status_code))
                if answer.status_code == 204:
                    (await admin.post(f"/api/{line.path.format(**ids)}/restore")).raise_for_status()
            found.append(Line(line.verb, line.path, answers))
    assert found == TABLE[:-2]


async def asked(http: httpx.AsyncClient, token: str | None, line: Line, ids: dict[str, str]) -> httpx.Response:
    last = line.path.rpartition("/")[2]
    body = BODIES[last] if last in BODIES and line.verb != "GET" else BODIES.get(line.verb, {})
    headers = {"authorization": f"Bearer {token}"} if token else {"authorization": ""}
    return await http.request(line.verb, f"/api/{line.path.format(**ids)}", headers=headers, **body)


def editors(line: Line, answer: str) -> list[str]:
    """Return the tokens of those who get this answer."""
    return [token for token, found in zip(ROLES.values(), line.answers, strict=True) if found == answer and token]


async def test_ISO_9_the_y_dialect_lets_in_whom_the_table_says(tenants: Tenants) -> None:
    """ISO-9."""
    for token, expected in zip(ROLES.values(), SYNC.answers, strict=True):
        url = tenants.sync_url(tenants.groups.mine.graph, token)
        if expected in {"read", "write"}:
            async with connect(url):
                pass
        else:
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url):
                    pass
            assert refused.value.response.status_code == int(expected)


async def test_ISO_9_hocuspocus_lets_in_whom_the_table_says(tenants: Tenants) -> None:
    """ISO-9: each tells in its answer whether one may write."""
    answers = {"read": hclient.READ_ONLY, "write": hclient.AUTHENTICATED}
    graph = str(tenants.groups.mine.graph)
    async with HClient.connected(tenants.hocuspocus_url) as client:
        for number, (token, expected) in enumerate(zip(ROLES.values(), HOCUSPOCUS.answers, strict=True)):
            name = f"{graph}\0{number}"
            await client.send(name, hclient.auth(token or "nobody", hclient.VERSION))
            *_, answer = await client.until(name, bytes((hclient.AUTH,)))
            assert answer.message == answers.get(expected, answer.message), token
            assert answer.message.startswith(b"\x02\x01") is (expected == "no"), token


def typed(key: str) -> bytes:
    """Return an update that sets a key of the map."""
    (update,) = PycrdtReplica().edit(["map.set", key, 1])
    return update


async def keys_of(tenants: Tenants) -> set[str]:
    """Return the keys of the map in my graph, as one who comes now is told."""
    replica = PycrdtReplica()
    async with socket_of(tenants, "mine:admin") as socket:
        frame = await heard(socket, bytes((frames.SYNC, frames.STEP2)))
        replica.apply(frames.read_sync(frame)[1])
    return set(replica.content().map)


@asynccontextmanager
async def socket_of(tenants: Tenants, token: str) -> AsyncIterator[ClientConnection]:
    """Open the y dialect, and ask for the document."""
    async with connect(tenants.sync_url(tenants.groups.mine.graph, token), compression=None) as socket:
        await socket.send(frames.sync(frames.STEP1, b"\x00"))
        yield socket


async def heard(socket: ClientConnection, start: bytes) -> bytes:
    """Return the next frame that starts so."""
    async with asyncio.timeout(WAIT_S):
        while not (frame := await socket.recv(decode=False)).startswith(start):
            pass
    return frame


def presence(number: int) -> bytes:
    """Return an awareness update of a client with this number."""
    return encode_awareness([Entry(number, 1, json.dumps({"at": number}).encode())])


async def sees(socket: ClientConnection, number: int) -> None:
    """Wait until the presence of a client is heard."""
    while True:
        frame = await heard(socket, bytes((frames.AWARENESS,)))
        length, start = frames.read_varuint(frame, 1)
        shown = {entry.client: entry.state for entry in decode_awareness(frame[start : start + length], 100)}
        if (json.loads(shown.get(number, b"null")) or {}).get("at") == number:
            return


async def test_ISO_10_the_y_dialect_takes_updates_of_editors_alone_and_shows_everybody(tenants: Tenants) -> None:
    """ISO-10: who may only read hears permission denied for the update, and is seen by the others all the same."""
    written = set()
    async with socket_of(tenants, "mine:admin") as witness:
        for number, token in enumerate(editors(SYNC, "write") + editors(SYNC, "read"), 100):
            async with socket_of(tenants, token) as socket:
                update = presence(number)
                await socket.send(bytes((frames.AWARENESS,)) + frames.varuint(len(update)) + update)
                await sees(witness, number)
                await socket.send(frames.sync(frames.UPDATE, typed(token)) + frames.saved(7))
                if token in editors(SYNC, "write"):
                    written.add(token)
                    await heard(socket, frames.saved(7))
                else:
                    assert b"read" in await heard(socket, b"\x02\x00"), token
    assert await keys_of(tenants) == written
    assert len(editors(SYNC, "read")) == 3


async def test_ISO_10_hocuspocus_takes_updates_of_editors_alone_and_shows_everybody(tenants: Tenants) -> None:
    """ISO-10: who may only read is told that the update is not saved, and is seen by the others all the same."""
    graph, written = str(tenants.groups.mine.graph), set()
    async with socket_of(tenants, "mine:admin") as witness:
        for number, token in enumerate(editors(HOCUSPOCUS, "write") + editors(HOCUSPOCUS, "read"), 100):
            async with HClient.connected(tenants.hocuspocus_url) as client:
                await client.open(graph, token)
                await client.send(graph, hclient.awareness(presence(number)))
                await sees(witness, number)
                await client.send(graph, hclient.sync(hclient.UPDATE, typed(token)))
                *_, answer = await client.until(graph, bytes((hclient.SYNC_STATUS,)))
                may_write = token in editors(HOCUSPOCUS, "write")
                assert answer.message == (hclient.SAVED if may_write else hclient.NOT_SAVED), token
                written |= {token} if may_write else set()
    assert await keys_of(tenants) == written
    assert len(editors(HOCUSPOCUS, "read")) == 3
