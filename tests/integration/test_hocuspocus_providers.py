"""What the users of unmodified Hocuspocus providers see, beside those of y-websocket."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from persistence.database import Database
from persistence.identifiers import new_id
from tests.clients.eventually import eventually
from tests.clients.node import HOCUSPOCUS, VERSIONS, NodeClient, NodeClients, Version
from tests.conftest import LoopThread
from tests.faults.harness import Server
from tests.integration.served import Served, serving

SILENCE_S = float(os.environ.get("LAYERCAKE_SILENCE_S", "35"))
"""Providers look every 3 s whether they heard nothing for 30 s."""


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Served]:
    async with serving(database, database_url) as server:
        yield server


async def heard(client: NodeClient, kind: str, count: int = 1) -> list[Any]:
    """Wait until `count` of this kind were heard, and return all of it."""
    return await eventually(lambda: client.heard(kind), lambda all_heard: len(all_heard) >= count)


async def value(client: NodeClient, key: str) -> Any:
    return await eventually(lambda: _value(client, key), lambda found: found is not None)


async def _value(client: NodeClient, key: str) -> Any:
    return (await client.content()).map.get(key)


async def test_PEER_8_presence_and_goodbyes_go_both_ways(live_server: Server, node: NodeClients) -> None:
    graph = await live_server.create_graph()
    people = [
        await node.open(version, live_server.ws_url, graph, client_id=100 + number)
        for number, version in enumerate(VERSIONS)
    ]
    for number, person in enumerate(people):
        await person.synced()
        await person.announce({"name": number})

    async def seen() -> list[list[tuple[int, Any]]]:
        states = [await person.presence() for person in people]
        return [sorted((client, state.get("name")) for client, state in one.items()) for one in states]

    def all_of(numbers: range) -> Any:
        return lambda found: all(one == [(100 + number, number) for number in numbers] for one in found)

    await eventually(seen, all_of(range(6)))
    for number in range(6):
        gone = people.pop(0)
        await (gone.announce(None) if number % 2 else gone.leave())
        await eventually(seen, all_of(range(number + 1, 6)))


@pytest.mark.parametrize("version", HOCUSPOCUS)
async def test_HOC_1_and_HOC_3_many_documents_share_a_socket_and_a_denied_one_may_try_again(
    served: Served, node: NodeClients, version: Version
) -> None:
    graphs = [await served.create_graph() for _ in range(5)]
    open_ = [await node.open(version, served.ws_url, graph, socket="s") for graph in graphs]
    denied = await node.open(version, served.ws_url, await served.create_graph(), socket="s", token="nobody")
    unknown = await node.open(version, served.ws_url, str(new_id()), socket="s")
    assert "sign in" in (await heard(denied, "denied"))[0]
    assert await heard(unknown, "denied") == ["there is no such graph"]
    for graph, client in zip(graphs, open_, strict=True):
        await client.synced()
        await client.edit(["map.set", "graph", graph])
        await client.saved()
        assert await client.heard("authenticated") == ["read-write"]
    await denied.edit(["map.set", "while", "denied"])
    await denied.retry("admin")
    await denied.synced()
    await denied.saved()
    async with served.http() as http:
        metrics = (await http.get("/metrics")).text
    assert "layercake_hocuspocus_documents 6.0" in metrics
    assert "layercake_connections 1.0" in metrics
    late = [await node.open(version, served.ws_url, graph) for graph in graphs]
    assert [await value(client, "graph") for client in late] == graphs


@pytest.mark.parametrize("version", HOCUSPOCUS)
async def test_HOC_10_a_provider_leaves_one_document_of_a_socket_and_comes_back(
    served: Served, node: NodeClients, version: Version
) -> None:
    graph, other = await served.create_graph(), await served.create_graph()
    client = await node.open(version, served.ws_url, graph, socket="s")
    beside = await node.open(version, served.ws_url, other, socket="s")
    author = await node.open(version, served.ws_url, graph)
    for one in (client, beside, author):
        await one.synced()
        await one.saved()
    for number in range(3):
        await client.disconnect()
        await author.edit(["map.set", f"there {number}", 1])
        await author.saved()
        await client.edit(["map.set", f"away {number}", 1])
        await beside.edit(["map.set", "k", number])
        await beside.saved()
        await client.connect()
        assert await value(client, f"there {number}") == 1
        assert await value(author, f"away {number}") == 1
        await client.edit(["map.set", f"back {number}", 1])
        await client.saved()
        assert await value(author, f"back {number}") == 1


async def test_HOC_1_two_session_aware_providers_of_one_graph_share_a_socket(served: Served, node: NodeClients) -> None:
    graph = await served.create_graph()
    one, two = [await node.open("h4", served.ws_url, graph, socket="s", session_aware=True) for _ in range(2)]
    await one.synced()
    await two.synced()
    await one.edit(["map.set", "one", 1])
    assert await value(two, "one") == 1
    await one.saved()
    await one.leave()
    await two.edit(["map.set", "two", 2])
    await two.saved()
    async with served.http() as http:
        assert "layercake_sessions 1.0" in (await http.get("/metrics")).text


@pytest.mark.parametrize("version", HOCUSPOCUS)
async def test_HOC_8_and_HOC_9_a_viewers_changes_stay_unsaved_and_stateless_messages_reach_it(
    served: Served, node: NodeClients, version: Version
) -> None:
    graph = await served.create_graph()
    editor = await node.open(version, served.ws_url, graph)
    viewer = await node.open(version, served.ws_url, graph, token="viewer")
    for client in (editor, viewer):
        await client.synced()
        await client.saved()
    assert await viewer.heard("authenticated") == ["readonly"]
    await viewer.edit(["map.set", "forbidden", 1])
    await viewer.stateless("from the viewer")
    await editor.edit(["map.set", "allowed", 1])
    await editor.stateless("from the editor")
    assert await value(viewer, "allowed") == 1
    assert await heard(viewer, "stateless") == ["from the editor"]
    await editor.saved()
    assert await viewer.unsynced() >= 1
    assert await editor.heard("stateless") == []
    assert "forbidden" not in (await editor.content()).map


async def test_HOC_10_a_deleted_graph_is_closed_alone_for_who_can_read_that(served: Served, node: NodeClients) -> None:
    graph, other = await served.create_graph(), await served.create_graph()
    clients = {version: await node.open(version, served.ws_url, graph, socket=version) for version in HOCUSPOCUS}
    beside = await node.open("h4", served.ws_url, other, socket="h4")
    for client in (*clients.values(), beside):
        await client.synced()
    async with served.http() as http:
        await http.delete(f"/api/graphs/{graph}")
    assert await heard(clients["h4"], "close") == ["this graph was deleted"]
    await beside.edit(["map.set", "k", 1])
    await beside.saved()
    for version in ("h2", "h3"):
        assert await clients[version].close_code() == 4404


async def test_HOC_5_all_come_back_after_a_restart_with_what_they_did_meanwhile(
    node: NodeClients, tmp_path: Any
) -> None:
    async with Server.started(tmp_path) as server:
        graph = await server.create_graph()
        clients = {version: await node.open(version, server.ws_url, graph) for version in HOCUSPOCUS}
        for client in clients.values():
            await client.synced()
        server.terminate()
        for client in clients.values():
            assert await client.close_code() == 1012
        assert await server.exit_code() == 0
        for version, client in clients.items():
            await client.edit(["map.set", str(version), 1])
        await server.start()
        for client in clients.values():
            await client.synced()
            await client.saved()
        assert set((await server.content(graph)).map) == set(clients)


async def test_HOC_7_nothing_counts_as_saved_before_its_commit(tmp_path: Any) -> None:
    async with Server.started(tmp_path) as server:
        graph = await server.create_graph()
        async with NodeClients.started() as node:
            clients = {version: await node.open(version, server.ws_url, graph) for version in HOCUSPOCUS}
            witness = await node.open(3, server.ws_url, graph)
            for client in clients.values():
                await client.synced()
                await client.saved()
            server.freeze_postgres()
            for version, client in clients.items():
                await client.edit(["map.set", f"frozen {version}", 1])
            for version in clients:
                assert await value(witness, f"frozen {version}") == 1, "others have it all the same"
            assert [await client.unsynced() for client in clients.values()] == [1, 1, 1]
            server.thaw_postgres()
            for version, client in clients.items():
                await client.saved()
                await client.edit(["map.set", f"saved {version}", 1])
                await client.saved()
            await server.kill()
        await server.start()
        expected = {f"{state} {version}" for state in ("frozen", "saved") for version in clients}
        assert set((await server.content(graph)).map) == expected, "though nobody came back to send it again"


@dataclass
class Silence:
    """Three clients of each version, and when they fell silent.

    One present and one not, alone on their graphs; the third present on a graph with those of the other versions.
    """

    clients: list[NodeClient]
    together: list[NodeClient]
    statuses: list[list[Any]]
    since: float

    @staticmethod
    async def fall(server: Server, node: NodeClients) -> "Silence":
        clients = [
            await node.open(version, server.ws_url, await server.create_graph(), is_present=is_present)
            for version in VERSIONS
            for is_present in (True, False)
        ]
        graph = await server.create_graph()
        together = [await node.open(version, server.ws_url, graph) for version in VERSIONS]
        clients += together
        for client in clients:
            await client.synced()
        return Silence(clients, together, [await client.heard("status") for client in clients], time.monotonic())

    async def end(self) -> None:
        await asyncio.sleep(max(self.since + SILENCE_S - time.monotonic(), 0))
        assert [await client.heard("status") for client in self.clients] == self.statuses
        for client in self.together:
            assert len(await client.presence()) == len(self.together), "people who do nothing are still seen"
        for client in self.clients:
            await client.edit(["map.set", "k", 1])
            await client.saved()


@pytest.fixture(scope="module", autouse=True)
def silence(session_loop: LoopThread, live_server: Server) -> Iterator[Silence]:
    """A silence that lasts while the other tests of this module make noise elsewhere."""
    started = NodeClients.started()
    node = session_loop.run(started.__aenter__())
    yield session_loop.run(Silence.fall(live_server, node))
    session_loop.run(started.__aexit__(None, None, None))


def test_PEER_9_and_HOC_12_silence_drops_nobody(session_loop: LoopThread, silence: Silence) -> None:
    """PRES-12: nor does anyone vanish; clients take those for gone who do not renew their presence for 30 s."""
    session_loop.run(silence.end())
