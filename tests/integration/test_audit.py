"""The audit log: what is in it, who reads it, and until when."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from asyncpg import Connection
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.clients import Client
from auth.policy import OPEN, Principal, Role
from persistence.audit import AuditLog, Refusal
from persistence.database import Database
from persistence.errors import StoreUnavailableError
from persistence.identifiers import new_id
from persistence.people_records import AuditEntry
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID
from server.refusals import Refusals
from tests.clients.eventually import eventually
from tests.clients.hclient import HClient, auth
from tests.clients.yclient import YClient
from tests.integration.people import PASSWORD, Town, town

EVERYONE = f"/api/groups/{EVERYONE_GROUP_ID}"
NOBODY = Client("192.0.2.1", "Nobody/1")
SOMEBODY = Principal(new_id(), "Somebody", "person", OPEN)


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Town]:
    async with town(database, database_url) as served:
        for name, role in (("ada", Role.ADMIN), ("bob", Role.VIEWER), ("carol", None)):
            await served.add(name, role, is_admin=name == "ada")
        yield served


@pytest.fixture
async def ada(served: Town) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client((await served.tokens("ada"))["access_token"], "127.0.0.7") as client:
        client.headers["user-agent"] = "Ada/1"
        yield client


async def entries(served: Town, outcome: str = "done") -> list[dict[str, Any]]:
    rows = await served.owner.fetch(
        "SELECT a.*, host(a.address) AS host, u.username FROM audit_log a JOIN users u ON u.id = a.user_id "
        "WHERE outcome = $1 AND action NOT LIKE 'session.%' ORDER BY a.id",
        outcome,
    )
    return [dict(row) for row in rows]


async def new_graph(client: httpx.AsyncClient) -> str:
    project = (await client.post("/api/projects", json={"name": "p"})).json()["id"]
    return str((await client.post(f"/api/projects/{project}/graphs", json={"name": "g"})).json()["id"])


async def test_PEOPLE_11_every_act_is_told_with_who_and_from_where(served: Town, ada: httpx.AsyncClient) -> None:
    graph_id, bob = await new_graph(ada), await served.owner.fetchval("SELECT id FROM users WHERE username = 'bob'")
    graph = f"/api/graphs/{graph_id}"
    group = (await ada.post("/api/groups", json={"name": "Bridges"})).json()["id"]
    await ada.patch(f"/api/groups/{group}", json={"name": "Tunnels"})
    await ada.put(f"{EVERYONE}/members/{bob}", json={"role": "member"})
    await ada.put(f"{graph}/access/{bob}", json={"role": "none"})
    await ada.delete(f"{graph}/access/{bob}")
    link = (await ada.post(f"{graph}/share-links", json={"role": "viewer"})).json()
    await ada.delete(f"/api/share-links/{link['id']}")
    made, kept = [(await ada.post(f"{EVERYONE}/invitations", json={"role": "member"})).json() for _ in range(2)]
    await ada.delete(f"/api/invitations/{made['id']}")
    await ada.post("/api/invitations/accept", json={"token": kept["token"], "username": "dave", "password": PASSWORD})
    await ada.get(f"{graph}/export", params={"format": "json"})
    eve = f"/api/users/{(await ada.post('/api/users', json={'username': 'eve'})).json()['id']}"
    for change in ({"is_active": False}, {"is_active": True}, {"role": "admin"}, {"role": "user"}, {"role": "user"}):
        await ada.patch(eve, json=change)
    await ada.post(f"{eve}/password-link")
    await ada.delete(eve)
    await ada.delete(f"{EVERYONE}/members/{bob}")

    found = await entries(served)

    assert [one["action"] for one in found] == [
        "group.added",
        "group.changed",
        "membership.given",
        "graph_role.given",
        "graph_role.removed",
        "share_link.made",
        "share_link.revoked",
        "invitation.made",
        "invitation.made",
        "invitation.revoked",
        "invitation.accepted",
        "graph.exported",
        "user.added",
        "user.disabled",
        "user.enabled",
        "user.made_admin",
        "user.unmade_admin",
        "invitation.made",
        "user.anonymised",
        "membership.removed",
    ]
    assert {(one["host"], one["user_agent"]) for one in found} == {("127.0.0.7", "Ada/1")}
    assert {one["username"] for one in found if one["action"] != "invitation.accepted"} == {"ada"}
    assert [one["username"] for one in found if one["action"] == "invitation.accepted"] == ["dave"]
    about = {one["action"] for one in found if one["graph_id"] == UUID(graph_id)}
    kinds = ("graph_role.given", "graph_role.removed", "share_link.made", "share_link.revoked", "graph.exported")
    assert about == set(kinds)
    assert {one["group_id"] for one in found if one["graph_id"]} == {EVERYONE_GROUP_ID}
    assert "lci_" not in str(found)
    assert "lcs_" not in str(found)


async def test_PEOPLE_12_refusals_are_told_at_every_door_with_their_reason(
    served: Town, ada: httpx.AsyncClient
) -> None:
    graph_id = await new_graph(ada)
    other_graph_id = await new_graph(ada)
    graph, token = f"/api/graphs/{graph_id}", (await served.tokens("carol"))["access_token"]
    async with served.client(token, "127.0.0.8") as carol, served.client(None, "127.0.0.8") as nobody:
        assert (await carol.get(graph)).status_code == 404
        assert (await carol.get(f"/api/graphs/{new_id()}")).status_code == 404
        assert (await nobody.get(graph)).status_code == 401
        assert (await nobody.get("/api/projects")).status_code == 401
        assert (await carol.get("/api/users")).status_code == 403
    async with served.client((await served.tokens("bob"))["access_token"]) as bob:
        assert (await bob.patch(graph, json={"name": "x"})).status_code == 403
    for url in (served.url(graph_id, token), served.url(graph_id, None), served.url(str(new_id()), token)):
        with pytest.raises(InvalidStatus):
            await YClient(url).connect()
    cookie = {"Cookie": f"layercake_access={token}", "Origin": "http://elsewhere.example"}
    with pytest.raises(InvalidStatus):
        await connect(served.url(graph_id, None), additional_headers=cookie)
    async with HClient.connected(served.hocuspocus_url) as client:
        await client.send(other_graph_id, auth(token))
        await client.until(other_graph_id, auth("")[:1])

    async def told() -> set[tuple[str, str, str, bool]]:
        found = await entries(served, "refused")
        assert {one["host"] for one in found} == {"127.0.0.1", "127.0.0.8"}
        return {(one["action"], one["username"], one["reason"][:6], one["graph_id"] is not None) for one in found}

    expected = {
        ("graph.read", "carol", "has no", True),
        ("graph.read", "anonymous", "sign i", True),
        ("installation.read", "carol", "your r", False),
        ("graph.edit", "bob", "your r", True),
        ("request.made", "anonymous", "a page", False),
    }
    await eventually(lambda: entries(served, "refused"), lambda found: len(found) >= 8)
    assert await told() == expected
    assert len(await entries(served, "refused")) == 8
    assert {one["group_id"] for one in await entries(served, "refused") if one["graph_id"]} == {EVERYONE_GROUP_ID}


class Full:
    """A log that takes nothing."""

    async def append_refusals(self, refusals: object) -> None:
        raise StoreUnavailableError("gone")


async def test_PEOPLE_12_more_refusals_than_wait_are_only_counted(database: Database) -> None:
    refusals = Refusals(AuditLog(database), 2)
    for _ in range(5):
        refusals.note("graph.read", "why", SOMEBODY, NOBODY, graph_id=new_id())
    assert refusals.lost == 3
    await refusals.flush()
    refusals.note("graph.read", "why", SOMEBODY, NOBODY, graph_id=new_id())
    assert refusals.lost == 3

    odd = Refusals(AuditLog(database), 2)
    odd.note("graph.read", "why", None, Client.of("a socket", "x\udcff" + "y" * 1_000))  # as websockets reads \xff
    await odd.flush()
    assert odd.lost == 0

    unwritten = Refusals(Full(), 2)
    unwritten.note("graph.read", "why", None, NOBODY)
    await unwritten.flush()
    assert unwritten.lost == 1


class Kept:
    """A log in memory."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def append_refusals(self, refusals: Sequence[Refusal]) -> None:
        self.entries += [refusal.entry for refusal in refusals]


async def test_PEOPLE_16_the_same_refusal_is_told_once_a_minute() -> None:
    log, now = Kept(), [0.0]
    refusals = Refusals(log, 1_000, clock=lambda: now[0])
    one, other = new_id(), new_id()
    for agent in ("A/1", "B/2"):
        for client in (Client("192.0.2.1", agent), Client("192.0.2.2", agent)):
            for graph_id in (one, other):
                refusals.note("graph.read", "why", SOMEBODY, client, graph_id=graph_id)
                refusals.note("graph.read", "why", None, client, graph_id=graph_id)
    assert (refusals.repeated, refusals.lost) == (8, 0)
    now[0] = 59.0
    refusals.note("graph.read", "why", SOMEBODY, NOBODY, graph_id=one)
    assert refusals.repeated == 9
    now[0] = 60.0
    refusals.note("graph.read", "why", SOMEBODY, NOBODY, graph_id=one)
    await refusals.flush()
    assert len(log.entries) == 9


async def test_PEOPLE_16_strangers_displace_nobody_and_fill_no_log() -> None:
    log, now = Kept(), [0.0]
    refusals = Refusals(log, 20, clock=lambda: now[0])
    for _ in range(50):
        refusals.note("graph.read", "why", None, NOBODY, graph_id=new_id())
    assert refusals.lost == 40
    refusals.note("graph.read", "why", SOMEBODY, NOBODY, graph_id=new_id())
    assert refusals.lost == 40

    for _ in range(1_000):
        await refusals.flush()
        refusals.note("graph.read", "why", None, NOBODY, graph_id=new_id())
    assert sum(entry.user_id == ANONYMOUS_USER_ID for entry in log.entries) == 60
    now[0] = 60.0
    refusals.note("graph.read", "why", None, NOBODY, graph_id=new_id())
    await refusals.flush()
    assert sum(entry.user_id == ANONYMOUS_USER_ID for entry in log.entries) == 61


async def test_PEOPLE_17_a_foreign_page_writes_into_no_groups_log(served: Town, ada: httpx.AsyncClient) -> None:
    token, headers = (await served.tokens("ada"))["access_token"], {"Origin": "http://elsewhere.example"}
    project = (await ada.post("/api/projects", json={"name": "p"})).json()["id"]
    async with served.client() as foreign:
        for path in (EVERYONE, f"/api/projects/{project}"):
            assert (await foreign.patch(path, json={"name": "x"}, headers=headers)).status_code == 403
    async with served.client() as page:
        page.cookies.set("layercake_access", token)
        assert (await page.patch(f"/api/projects/{project}", json={"name": "x"})).status_code == 403
    found = await eventually(lambda: entries(served, "refused"), lambda found: len(found) >= 2)
    told = [(one["action"], one["username"], one["group_id"]) for one in found]
    assert told == [("request.made", "anonymous", None), ("request.made", "ada", None)]


async def test_PEOPLE_13_it_is_read_page_by_page_by_those_who_may(served: Town, ada: httpx.AsyncClient) -> None:
    group = (await ada.post("/api/groups", json={"name": "Bridges"})).json()["id"]
    await ada.post(f"{EVERYONE}/invitations", json={"role": "member"})
    await served.owner.execute("UPDATE users SET role = 'admin' WHERE username = 'carol'")
    async with served.client((await served.tokens("carol"))["access_token"]) as carol:
        first = (await carol.get("/api/audit", params={"limit": 2})).json()
        rest = (await carol.get("/api/audit", params={"before": first["next_before"]})).json()
        whole = (await carol.get("/api/audit")).json()
        assert first["items"] + rest["items"] == whole["items"]
        assert rest["next_before"] is None
        ids = [one["id"] for one in whole["items"]]
        assert ids == sorted(ids, reverse=True)
        assert {"group.added", "invitation.made", "session.signed_in"} <= {one["action"] for one in whole["items"]}

    await served.owner.execute("UPDATE users SET role = 'user' WHERE username IN ('ada', 'carol')")
    assert (await ada.get("/api/audit")).status_code == 403
    own = (await ada.get("/api/audit", params={"group_id": group})).json()["items"]
    assert [(one["action"], one["username"], one["address"]) for one in own] == [("group.added", "ada", "127.0.0.7")]
    for name, status in (("bob", 403), ("carol", 404)):
        async with served.client((await served.tokens(name))["access_token"]) as client:
            answer = await client.get("/api/audit", params={"group_id": str(EVERYONE_GROUP_ID)})
            assert answer.status_code == status


async def test_PEOPLE_13_what_is_too_old_is_deleted(database: Database, database_url: str, owner: Connection) -> None:
    for age in (1, 500):
        entry = AuditEntry("graph.read", "refused", ANONYMOUS_USER_ID, str(age))
        await AuditLog(database).append_refusals([Refusal(entry)])
    await owner.execute("UPDATE audit_log SET created_at = now() - reason::int * interval '1 day'")

    async def left() -> list[str]:
        return [row["reason"] for row in await owner.fetch("SELECT reason FROM audit_log ORDER BY id")]

    async with town(database, database_url):
        await eventually(left, lambda reasons: reasons == ["1"])
