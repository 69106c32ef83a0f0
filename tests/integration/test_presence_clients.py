"""PRES-2 to PRES-5 and PRES-12 as the users of unmodified y-websocket providers see them."""

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from tests.clients.eventually import eventually
from tests.clients.node import VERSIONS, NodeClient, NodeClients, Version
from tests.clients.relay import Relay
from tests.faults.harness import Server

BACK_WITHIN_S = 0.3
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture
async def node() -> AsyncIterator[NodeClients]:
    async with NodeClients.started() as node:
        yield node
        assert node.complaints == [], "a provider was sent a message that it does not understand"


@pytest.fixture
async def relay(live_server: Server) -> AsyncIterator[Relay]:
    async with Relay.to(live_server.port) as relay:
        yield relay


async def join(node: NodeClients, url: str, graph: str, name: str, version: Version = 3) -> NodeClient:
    """Open a provider that shows `name`."""
    client = await node.open(version, url, graph)
    await client.announce({"user": {"name": name}})
    await client.synced()
    return client


def names(presence: dict[int, Any]) -> list[str]:
    """The names, empty for a provider that has connected and not been given one yet."""
    return sorted(state.get("user", {"name": ""})["name"] for state in presence.values())


async def sees(client: NodeClient, expected: Iterable[str], within_s: float = 30) -> dict[int, Any]:
    wanted = sorted(expected)
    return await eventually(client.presence, lambda presence: names(presence) == wanted, within_s)


@EVERY_VERSION
async def test_PRES_2_a_joiner_sees_everyone_and_a_leaver_is_gone(
    live_server: Server, node: NodeClients, version: Version
) -> None:
    graph = await live_server.create_graph()
    ann = await join(node, live_server.ws_url, graph, "Ann", version)
    bob = await join(node, live_server.ws_url, graph, "Bob")
    for client in (ann, bob):
        await sees(client, ["Ann", "Bob"])
    tab = await join(node, live_server.ws_url, graph, "Bob's tab", version)
    await sees(ann, ["Ann", "Bob", "Bob's tab"])
    await bob.leave()
    await sees(ann, ["Ann", "Bob's tab"])
    await tab.announce(None)
    await sees(ann, ["Ann"])
    await tab.announce({"user": {"name": "again"}})
    await sees(ann, ["Ann", "again"])
    await tab.leave()
    await sees(ann, ["Ann"])


@EVERY_VERSION
async def test_PRES_3_who_comes_back_after_a_broken_connection_is_seen_in_a_moment_and_sees_the_others(
    live_server: Server, relay: Relay, node: NodeClients, version: Version
) -> None:
    graph = await live_server.create_graph()
    observer = await join(node, live_server.ws_url, graph, "observer")
    unlucky = await join(node, f"ws://127.0.0.1:{relay.port}/sync", graph, "unlucky", version)
    for client in (observer, unlucky):
        await sees(client, ["observer", "unlucky"])
    for _ in range(2):
        relay.cut()
        await sees(observer, ["observer"])
        await sees(unlucky, ["unlucky"])
        relay.mend()
        await sees(observer, ["observer", "unlucky"])
        assert time.monotonic() - relay.last_accepted_at < BACK_WITHIN_S
        await sees(unlucky, ["observer", "unlucky"], within_s=2)
    await unlucky.announce({"user": {"name": "lucky"}})
    await sees(observer, ["lucky", "observer"])
    await unlucky.leave()
    await sees(observer, ["observer"])


@EVERY_VERSION
async def test_PRES_4_the_late_end_of_an_old_socket_takes_nothing_from_the_new_one(
    live_server: Server, relay: Relay, node: NodeClients, version: Version
) -> None:
    graph = await live_server.create_graph()
    observer = await join(node, live_server.ws_url, graph, "observer")
    unlucky = await join(node, f"ws://127.0.0.1:{relay.port}/sync", graph, "unlucky", version)
    await sees(observer, ["observer", "unlucky"])
    accepted_at = relay.last_accepted_at
    relay.cut_clients()
    assert await unlucky.close_code() == 1006
    await unlucky.synced()
    assert relay.last_accepted_at > accepted_at
    relay.close_half_open()
    await unlucky.saved()
    await unlucky.announce({"user": {"name": "lucky"}})
    await sees(observer, ["lucky", "observer"])
    await unlucky.leave()
    await sees(observer, ["observer"])


@EVERY_VERSION
async def test_PRES_5_a_principal_that_a_client_makes_up_is_not_what_others_read(
    live_server: Server, node: NodeClients, version: Version
) -> None:
    graph = await live_server.create_graph()
    observer = await join(node, live_server.ws_url, graph, "observer", version)
    forger = await node.open(version, live_server.ws_url, graph)
    await forger.announce({"principal": {"name": "Root", "kind": "person"}, "user": {"name": "forger"}})
    presence = await sees(observer, ["forger", "observer"])
    (shown,) = [state for state in presence.values() if state["user"]["name"] == "forger"]
    assert shown["principal"] == {
        "id": "00000000-0000-7000-8000-000000000002",
        "name": "anonymous",
        "kind": "person",
    }


async def test_PRES_12_thirty_people_who_repeat_all_they_hear_leave_no_ghosts(
    live_server: Server, relay: Relay, node: NodeClients
) -> None:
    graph = await live_server.create_graph()
    through_relay = f"ws://127.0.0.1:{relay.port}/sync"
    people = {
        f"{version}-{number}": await join(
            node, through_relay if number % 2 else live_server.ws_url, graph, f"{version}-{number}", version
        )
        for version in VERSIONS
        for number in range(5)
    }
    for client in people.values():
        await sees(client, people)
    relay.cut()
    stay = {name: client for name, client in people.items() if int(name[-1]) % 2 == 0}
    for client in stay.values():
        await sees(client, stay)
    relay.mend()
    for client in people.values():
        await sees(client, people)
    for name in list(people)[::3]:
        await people.pop(name).leave()
    for client in people.values():
        await sees(client, people)
