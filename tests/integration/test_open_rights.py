"""RIGHTS-1 to RIGHTS-12: rights that change while sockets are open, in both dialects, through two servers."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from websockets.asyncio.client import connect

from auth.policy import Action
from collab.rechecking import End
from persistence.database import Database
from persistence.identifiers import new_id
from persistence.ports import RightsNotice
from persistence.records import EVERYONE_GROUP_ID
from persistence.rights import RightsNotices
from tests.clients import hclient
from tests.clients.eventually import eventually
from tests.clients.hclient import AUTHENTICATED, READ_ONLY, HClient
from tests.clients.node import HOCUSPOCUS, NodeClients
from tests.clients.yclient import YClient
from tests.integration.members import Group, Member, Pair, serving_group
from tests.integration.seats import SEATS, HSeat, YSeat
from tests.integration.served import Served

SET_ROLE = "UPDATE group_memberships SET role = $3 WHERE group_id = $1 AND user_id = $2"
END_LISTENERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'layercake rights' AND datname = current_database()
"""
BRIEF = timedelta(seconds=1)


@pytest.fixture
async def pair(database: Database, owner: asyncpg.Connection) -> AsyncIterator[Pair]:
    async with serving_group(database, owner, token_renewal_s=1.0) as pair:
        yield pair


async def map_of(served: Served, graph: str) -> dict[str, Any]:
    async with YClient(served.url(graph)) as late:
        return (await late.content()).map


async def metrics(served: Served) -> str:
    async with served.http() as http:
        return (await http.get("/metrics")).text


@dataclass(frozen=True)
class Loss:
    """What somebody does elsewhere, to a `user`, `session` or `graph`, and how those end whom it concerns."""

    to: str
    statement: str
    end: End

    async def happen(self, group: Group, member: Member, graph: str) -> None:
        ids = {"user": member.id, "session": member.credential_id, "graph": graph}
        await group.owner.execute(self.statement, ids[self.to])


LOSSES = {
    "signed out": Loss("session", "UPDATE sessions SET revoked = true WHERE id = $1", End.REVOKED),
    "session deleted": Loss("session", "DELETE FROM sessions WHERE id = $1", End.REVOKED),
    "disabled": Loss("user", "UPDATE users SET is_active = false WHERE id = $1", End.REVOKED),
    "removed": Loss("user", "DELETE FROM group_memberships WHERE user_id = $1", End.FORBIDDEN),
    "hidden": Loss(
        "user",
        "INSERT INTO graph_roles (graph_id, user_id, role, granted_by) SELECT g.id, $1, 'none', $1 FROM graphs g",
        End.FORBIDDEN,
    ),
    "graph deleted": Loss("graph", "UPDATE graphs SET deleted_at = now() WHERE id = $1", End.GONE),
    "project deleted": Loss(
        "graph",
        "UPDATE projects SET deleted_at = now() WHERE id = (SELECT project_id FROM graphs WHERE id = $1)",
        End.GONE,
    ),
}


@pytest.mark.parametrize("dialect", SEATS)
async def test_RIGHTS_1_who_loses_all_rights_is_told_why_and_others_go_on(pair: Pair, dialect: str) -> None:
    """RIGHTS-1: whichever process takes them away; it is the database that tells the servers."""
    for name, loss in LOSSES.items():
        graph, other = [await server.create_graph() for server in pair.servers]
        ann = await pair.group.member(f"ann, {name}")
        bob = await pair.group.member(f"bob, {name}")
        taken = SEATS[dialect].taken
        async with (
            taken(pair.servers[0], graph, ann.name) as at_graph,
            taken(pair.servers[1], other, ann.name) as at_other,
            taken(pair.servers[1], other, bob.name) as beside,
        ):
            assert await at_graph.writes("before")
            assert await at_other.writes("before")
            began_s = time.monotonic()
            await loss.happen(pair.group, ann, graph)
            code, reason = await at_graph.ended()
            print(f"{dialect}, {name}: {time.monotonic() - began_s:.3f} s")
            assert (code or loss.end.value[0], reason) == loss.end.value
            assert code is not None or dialect == "hocuspocus"
            if loss.to != "graph":
                assert (await at_other.ended()).reason == loss.end.value[1]
            assert await beside.writes("after")


@pytest.mark.parametrize("dialect", SEATS)
async def test_RIGHTS_2_who_may_only_read_from_now_on_stays_and_gets_what_was_refused_in_once_they_may_again(
    pair: Pair, dialect: str
) -> None:
    server = pair.servers[0]
    graph = await server.create_graph()
    ann, bob = await pair.group.member("ann"), await pair.group.member("bob")
    numbers = iter(range(10_000))
    async with SEATS[dialect].taken(server, graph, ann.name) as seat, YClient(server.url(graph, bob.name)) as other:

        async def writes() -> bool:
            return await seat.writes(f"{next(numbers)}")

        assert await writes()
        await pair.group.owner.execute(SET_ROLE, EVERYONE_GROUP_ID, ann.id, "viewer")
        await eventually(writes, lambda is_saved: not is_saved)
        await other.edit(["map.set", "from bob", 1])
        await pair.group.owner.execute(SET_ROLE, EVERYONE_GROUP_ID, ann.id, "admin")
        await eventually(writes, bool)
        expected = {"from bob": 1, **{f"{number}": 1 for number in range(next(numbers))}}
        await eventually(lambda: map_of(server, graph), lambda found: found == expected)
        if isinstance(seat, HSeat):
            assert seat.scopes == [AUTHENTICATED, READ_ONLY, AUTHENTICATED]
    text = await metrics(server)
    assert 'layercake_rights_changes_total{change="read_only"} 1.0' in text
    assert 'layercake_rights_changes_total{change="read_write"} 1.0' in text


@pytest.mark.parametrize("dialect", SEATS)
async def test_RIGHTS_3_a_socket_ends_with_its_token_unless_the_session_was_refreshed(pair: Pair, dialect: str) -> None:
    server = pair.servers[0]
    graph = await server.create_graph()
    ann, bob = await pair.group.member("ann", lasts=BRIEF), await pair.group.member("bob", lasts=BRIEF)
    refresh = "UPDATE sessions SET access_expires_at = now() + interval '1 hour' WHERE id = $1"
    taken = SEATS[dialect].taken
    await pair.group.owner.execute(refresh, ann.credential_id)
    async with taken(server, graph, ann.name) as refreshed, taken(server, graph, bob.name) as brief:
        assert (await brief.ended()).reason == End.EXPIRED.value[1]
        assert await refreshed.writes("later")


async def test_RIGHTS_4_a_client_of_the_y_dialect_stays_by_a_token_that_it_brings(pair: Pair) -> None:
    server = pair.servers[0]
    graph = await server.create_graph()
    ann, bob = await pair.group.member("ann", lasts=3 * BRIEF), await pair.group.member("bob")
    brief = await pair.group.member("brief", lasts=3 * BRIEF)
    backend = await pair.group.with_token(ann, Action.READ, Action.EDIT)
    async with (
        YSeat.taken(server, graph, ann.name) as seat,
        YSeat.taken(server, graph, brief.name) as clock,
    ):
        assert "somebody else's" in await seat.token(bob.name)
        assert "sign in" in await seat.token("nobody")
        assert await seat.token(backend.name) == ""
        assert (await clock.ended()).code == 4401
        assert await seat.writes("later")
        reading = await pair.group.with_token(ann, Action.READ)
        assert await seat.token(reading.name) == ""
        assert not await seat.writes("refused")
        await seat.socket.send(bytes((103, 2, 0xFF, 0xFF)))
        assert (await seat.ended()).code == 4400


async def test_RIGHTS_5_a_hocuspocus_client_is_asked_for_a_token_in_time(pair: Pair) -> None:
    server = pair.servers[0]
    graph, other = await server.create_graph(), await server.create_graph()
    ann = await pair.group.member("ann", lasts=4 * BRIEF)
    pair.group.refreshed(ann, "newer")
    async with HSeat.taken(server, graph, ann.name) as seat:
        beside = HSeat(seat.client, other)
        seat.renewal = "newer"
        await seat.asked()
        async with HSeat.taken(server, graph, ann.name) as silent:
            assert (await silent.ended()).reason == End.EXPIRED.value[1]
        assert await seat.writes("later")
        await beside.client.open(other, "newer")
        assert await beside.writes("on the same socket")


@pytest.mark.parametrize("dialect", SEATS)
async def test_RIGHTS_6_tokens_and_links_end_by_themselves_and_scopes_cap_what_roles_give(
    pair: Pair, dialect: str
) -> None:
    server = pair.servers[0]
    graph = await server.create_graph()
    ann = await pair.group.member("ann", role="viewer")
    reading = await pair.group.with_token(ann, Action.READ)
    guest = await pair.group.guest(graph, "member")
    taken = SEATS[dialect].taken
    async with taken(server, graph, reading.name) as reader, taken(server, graph, guest.name) as visitor:
        editing = await pair.group.with_token(ann, Action.READ, Action.EDIT)
        async with taken(server, graph, editing.name) as editor:
            assert not await editor.writes("as viewer")
            await pair.group.owner.execute(SET_ROLE, EVERYONE_GROUP_ID, ann.id, "admin")
            await eventually(lambda: editor.writes("as admin"), bool)
            assert not await reader.writes("by a token for reading")
            assert await visitor.writes("as guest")
            await pair.group.owner.execute(
                "UPDATE personal_access_tokens SET revoked_at = now() WHERE id = $1", editing.credential_id
            )
            assert (await editor.ended()).reason == End.REVOKED.value[1]
        await pair.group.owner.execute("UPDATE share_links SET revoked_at = now() WHERE id = $1", guest.credential_id)
        assert (await visitor.ended()).reason == End.REVOKED.value[1]
        assert not await reader.writes("still here")


@pytest.mark.parametrize("dialect", SEATS)
async def test_RIGHTS_7_what_changes_while_a_client_is_let_in_counts(
    pair: Pair, database_url: str, dialect: str
) -> None:
    server = pair.servers[0]
    graph = await server.create_graph()
    ann = await pair.group.member("ann")
    blocking = pair.group.owner.transaction()
    await blocking.start()
    await pair.group.owner.execute("LOCK TABLE crdt_operations IN ACCESS EXCLUSIVE MODE")
    other = await asyncpg.connect(database_url)
    entering = asyncio.create_task(_enter(SEATS[dialect], server, graph, ann))
    await eventually(
        lambda: other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), bool
    )
    await other.execute("DELETE FROM group_memberships WHERE user_id = $1", ann.id)
    await other.close()
    await blocking.rollback()
    assert await entering == End.FORBIDDEN.value[1]


async def _enter(kind: type[YSeat] | type[HSeat], server: Served, graph: str, member: Member) -> str:
    """Come in, and return why it ended."""
    if kind is YSeat:
        async with connect(server.url(graph, member.name), compression=None) as socket:
            return (await YSeat(socket).ended()).reason
    async with HClient.connected(server.hocuspocus_url) as client:
        await client.send(graph, hclient.auth(member.name, hclient.VERSION))
        return (await HSeat(client, graph).ended()).reason


@pytest.mark.parametrize("dialect", SEATS)
async def test_RIGHTS_8_what_was_not_heard_of_is_looked_up_once_the_servers_hear_again(
    pair: Pair, dialect: str
) -> None:
    graphs = [await server.create_graph() for server in pair.servers]
    ann, bob = await pair.group.member("ann"), await pair.group.member("bob")
    taken = SEATS[dialect].taken
    async with (
        taken(pair.servers[0], graphs[0], ann.name) as first,
        taken(pair.servers[1], graphs[1], ann.name) as second,
        taken(pair.servers[1], graphs[1], bob.name) as beside,
    ):
        async with pair.group.owner.transaction():
            assert len(await pair.group.owner.fetch(END_LISTENERS)) == 2
            await pair.group.owner.execute("ALTER TABLE sessions DISABLE TRIGGER tell_rights")
            await pair.group.owner.execute("UPDATE sessions SET revoked = true WHERE id = $1", ann.credential_id)
        for seat in (first, second):
            assert (await seat.ended()).reason == End.REVOKED.value[1]
        assert await beside.writes("after")
    for server in pair.servers:
        assert "layercake_rights_listening 1.0" in await metrics(server)


async def test_RIGHTS_9_stock_clients_do_with_it_what_their_programs_expect(pair: Pair, node: NodeClients) -> None:
    """y-websocket 3 comes back after no 44xx; Hocuspocus 3 and 4 bring a token when asked; 2.15 hears why it ends."""
    server = pair.servers[0]
    graph = await server.create_graph()
    ann, bob = await pair.group.member("ann"), await pair.group.member("bob", lasts=4 * BRIEF)
    pair.group.refreshed(bob, "newer")
    stock = await node.open(3, server.ws_url, f"{graph}?token=ann")
    await stock.synced()
    providers = {version: await node.open(version, server.ws_url, graph, token=bob.name) for version in HOCUSPOCUS}
    for provider in providers.values():
        await provider.synced()
        await provider.keep("newer")
    denied = await eventually(lambda: providers["h2"].heard("denied"), bool)
    assert denied == [End.EXPIRED.value[1]]
    for version in ("h3", "h4"):
        await providers[version].edit(["map.set", version, 1])
        await providers[version].saved()
        assert await providers[version].heard("denied") == []
    await pair.group.owner.execute(SET_ROLE, EVERYONE_GROUP_ID, bob.id, "viewer")
    for version in ("h3", "h4"):
        told = await eventually(
            lambda version=version: providers[version].heard("authenticated"), lambda all_heard: len(all_heard) > 1
        )
        assert told[-1] == "readonly"
    await pair.group.owner.execute("DELETE FROM group_memberships WHERE user_id = $1", ann.id)
    assert await stock.close_code() == 4403
    assert "layercake_connections_refused_total 0.0" in await metrics(server)


async def test_RIGHTS_8_a_notice_that_nobody_understands_may_stand_for_anything(
    database: Database, owner: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[RightsNotice | None] = asyncio.Queue()
    running = asyncio.create_task(RightsNotices(database).run(heard.put_nowait))
    user_id = new_id()
    async with asyncio.timeout(20):
        assert await heard.get() is None, "it listens from now on"
        for payload in ("x", "", "user:", f"user:{user_id}"):
            await owner.execute("SELECT pg_notify('layercake_rights', $1)", payload)
        assert [await heard.get() for _ in range(4)] == [None, None, None, RightsNotice("user", user_id)]
    running.cancel()
    await asyncio.wait([running])
