"""Other people's clients, unmodified, on one graph."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from string import ascii_lowercase

import pytest

from tests.clients.eventually import eventually
from tests.clients.node import VERSIONS, NodeClient, NodeClients
from tests.clients.replicas import Content, Step, YpyReplica
from tests.clients.yclient import YClient
from tests.faults.harness import Server

Person = NodeClient | YClient

LAST_EDITS = 100


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server.started(tmp_path) as server:
        yield server


async def everyone(server: Server, node: NodeClients, graph: str) -> list[Person]:
    """Two providers of each version, a client on pycrdt and one on y-py, all synced."""
    providers = [await node.open(version, server.ws_url, graph) for version in VERSIONS for _ in range(2)]
    for provider in providers:
        await provider.synced()
    clients = [YClient(server.sync_url(graph)), YClient(server.sync_url(graph), YpyReplica())]
    for client in clients:
        await client.connect()
    return [*providers, *clients]


async def leave(people: list[Person]) -> None:
    for person in people:
        await (person.leave() if isinstance(person, NodeClient) else person.disconnect())


def names_of(people: list[Person]) -> list[str]:
    """A letter each: y-py writes an XML attribute so that others see its last character only."""
    return list(ascii_lowercase[: len(people)])


def additions(name: str) -> list[Step]:
    """Something of every kind; `<name>` in the text and `<p class=name>` in the XML are findable later."""
    return [
        ["map.set", name, {"list": [1, 2.5, None, True], "text": "wörld 🎂"}],
        ["map.set", f"{name} doomed", 1],
        ["array.insert", 0, [name, 7]],
        ["text.insert", 0, f"doomed <{name}> 🎂"],
        ["xml.insert", 0, "p", {"class": name}, "words"],
    ]


def removals(name: str) -> list[Step]:
    """Take back part of `additions`, right after it, while it still is where it was put."""
    return [["map.delete", f"{name} doomed"], ["array.delete", 1, 1], ["text.delete", 0, len("doomed ")]]


def xml_removals(name: str) -> list[Step]:
    return [["xml.insert", 0, "q", {"class": name}, "doomed"], ["xml.delete", 0, 1]]


async def write(person: Person, name: str) -> None:
    """Make the additions, and take part of them back."""
    await person.edit(*additions(name), *removals(name))
    if not (isinstance(person, YClient) and isinstance(person.replica, YpyReplica)):
        # y-py counts deleted children as well, so its indexes into XML point elsewhere.
        await person.edit(*xml_removals(name))


async def agreement(people: list[Person], names: set[str]) -> Content:
    """Wait until all show the same, made of exactly the additions of `names`, and return it."""

    async def contents() -> list[Content]:
        return list(await asyncio.gather(*(person.content() for person in people)))

    def agreed(seen: list[Content]) -> bool:
        return set(seen[0].map) == names and all(content == seen[0] for content in seen)

    (content, *_) = await eventually(contents, agreed)
    assert Counter(content.array) == Counter(names)
    assert Counter(re.findall(r"<(.*?)> 🎂", content.text)) == Counter(names)
    assert Counter(re.findall(r'<p class="(.*?)">words</p>', content.xml)) == Counter(names)
    assert "doomed" not in content.text + content.xml
    return content


async def test_every_published_client_converges(server: Server, node: NodeClients) -> None:
    """PEER-1: maps, arrays, text and XML are the same for all, whichever library wrote them."""
    people = await everyone(server, node, await server.create_graph())
    names = names_of(people)
    await asyncio.gather(*(write(person, name) for person, name in zip(people, names, strict=True)))
    await agreement(people, set(names))
    await leave(people)


async def test_a_late_joiner_gets_everything(server: Server, node: NodeClients) -> None:
    """PEER-2: whichever client comes last, and also when all others have left."""
    graph = await server.create_graph()
    people = await everyone(server, node, graph)
    names = names_of(people)
    for person, name in zip(people, names, strict=True):
        await write(person, name)
    before = await agreement(people, set(names))
    await leave(people)
    late = await everyone(server, node, graph)
    assert await agreement(late, set(names)) == before
    await leave(late)


async def test_offline_edits_of_both_sides_merge(server: Server, node: NodeClients) -> None:
    """PEER-3: what was written by those who were away and by those who stayed is all there."""
    people = await everyone(server, node, await server.create_graph())
    names = names_of(people)
    away = people[::2]
    for person in away:
        await person.disconnect()
    await asyncio.gather(*(write(person, name) for person, name in zip(people, names, strict=True)))
    for person in away:
        await person.connect()
    await agreement(people, set(names))
    await leave(people)


async def test_an_edit_right_before_the_last_disconnect_is_kept(server: Server, node: NodeClients) -> None:
    """PEER-4: the author, alone on the graph, writes and leaves in the same breath; 100 times over."""
    graphs = [await server.create_graph() for _ in range(LAST_EDITS)]
    versions = list(VERSIONS)
    for number, graph in enumerate(graphs):
        provider = await node.open(versions[number % len(versions)], server.ws_url, graph)
        await provider.synced()
        await provider.leave(["map.set", "last words", number], ["text.insert", 0, graph])
    await server.restart()
    contents = [await server.content(graph) for graph in graphs]
    assert [content.text for content in contents] == graphs
    assert [content.map for content in contents] == [{"last words": n} for n in range(LAST_EDITS)]


async def test_the_published_providers_hear_what_is_saved(server: Server, node: NodeClients) -> None:
    """PEER-5: by a handler for message 102 alone, those of Hocuspocus by what they count themselves."""
    graph = await server.create_graph()
    for version in VERSIONS:
        provider = await node.open(version, server.ws_url, graph)
        await provider.synced()
        await provider.edit(["map.set", VERSIONS[version], True])
        await provider.saved()
        await provider.leave()
    await server.kill()
    await server.start()
    assert set((await server.content(graph)).map) == set(VERSIONS.values())
