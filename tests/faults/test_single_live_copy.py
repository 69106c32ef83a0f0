"""Many people at the door of one new graph at once."""

import asyncio

import pytest

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.clients.yclient import YClient
from tests.faults.harness import Server
from tests.faults.rounds import ROUNDS

PEOPLE = 200
VISITS = 3
_ALL_WITHIN_S = 120


@pytest.mark.timeout(60 + _ALL_WITHIN_S * ROUNDS)
async def test_nobody_hangs_and_all_see_the_same(server: Server) -> None:
    """LIVE-1: 200 clients open, edit, close and reopen one new graph; nobody hangs, all end equal."""
    for _ in range(ROUNDS):  # every new graph is another chance to meet while it loads
        url = server.sync_url(await server.create_graph())
        async with asyncio.timeout(_ALL_WITHIN_S):
            await _crowd([YClient(url) for _ in range(PEOPLE)])


async def _crowd(people: list[YClient]) -> None:
    await asyncio.gather(*(_come_and_go(person, number) for number, person in enumerate(people)))
    await asyncio.gather(*(person.connect() for person in people))

    async def contents() -> list[Content]:
        return await asyncio.gather(*(person.content() for person in people))

    expected = {f"{number}/{visit}" for number in range(PEOPLE) for visit in range(VISITS)}
    await eventually(
        contents,
        lambda seen: set(seen[0].map) == expected and all(content == seen[0] for content in seen),
    )
    await asyncio.gather(*(person.disconnect() for person in people))


async def _come_and_go(person: YClient, number: int) -> None:
    for visit in range(VISITS):
        await person.connect()
        await person.edit(["map.set", f"{number}/{visit}", visit])
        await person.disconnect()
