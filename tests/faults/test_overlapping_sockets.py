"""One person on several sockets at once, as after a broken network: the old ones end when they will, in any order."""

import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.eventually import eventually
from tests.clients.present_client import PresentClient
from tests.clients.replicas import PycrdtReplica
from tests.faults.aftermath import SETTINGS, nothing_is_left_over, warmed_up
from tests.faults.figures import figures
from tests.faults.harness import Server
from tests.faults.rounds import FEWER_ROUNDS, seeds

pytestmark = pytest.mark.timeout(120 + 60 * FEWER_ROUNDS)

SOCKETS = 3
ORDERS = list(itertools.permutations(range(SOCKETS)))


@pytest.fixture
async def server(tmp_path: Path, database_url: str) -> AsyncIterator[Server]:
    async with Server.started(tmp_path, SETTINGS, database_url) as server:
        yield server
        print(server.log())


class Person:
    """One document and one Yjs client id on many sockets."""

    def __init__(self, url: str) -> None:
        self.sockets: list[PresentClient] = []
        self.edits = 0
        self._url = url
        self._replica = PycrdtReplica()

    @property
    def client_id(self) -> int:
        return self._replica.doc.client_id

    async def come(self) -> None:
        """Open another socket, while the older ones seem to be open."""
        socket = PresentClient(self._url, "somebody", self._replica)
        await socket.connect()
        self.sockets.append(socket)

    async def edit(self) -> None:
        """Edit on the newest socket, until that is saved."""
        await self.sockets[-1].edit(["map.set", f"edit {self.edits}", self.edits])
        self.edits += 1
        await self.sockets[-1].saved()

    async def shows(self, observer: PresentClient) -> bool:
        """Show itself on every socket, and return whether it is seen, or not seen if it has none."""
        for socket in self.sockets:
            await socket.announce()
        return observer.sees(self.client_id) is bool(self.sockets)


async def test_FAULT_11_the_sockets_of_one_client_end_in_any_order(server: Server) -> None:
    """FAULT-11: whatever ends, the others live: their edits are saved, and the person is seen until the last ends."""
    before = await warmed_up(server)
    with figures("several sockets of one client, closed in any order") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            person = Person(server.sync_url(graph))
            async with PresentClient(server.sync_url(graph), "observer") as observer:
                for order in ORDERS:
                    await _come_and_end(server, person, observer, order, random.Random(seed))
            missing = {f"edit {number}" for number in range(person.edits)} - (await server.content(graph)).map.keys()
            counted.add(strikes=SOCKETS * len(ORDERS), acknowledged=person.edits, missing=sorted(missing))
    await nothing_is_left_over(server, before)


async def _come_and_end(
    server: Server, person: Person, observer: PresentClient, order: tuple[int, ...], chance: random.Random
) -> None:
    for _ in range(SOCKETS):
        await person.come()
        await person.edit()
    sockets = list(person.sockets)
    for number in order:
        if chance.random() < 1 / 2:
            sockets[number].abort()
        await sockets[number].disconnect()
        person.sockets.remove(sockets[number])
        await eventually(server.metrics, lambda seen: seen["layercake_sessions"] == 1 + len(person.sockets))
        if person.sockets:
            await person.edit()
        await eventually(lambda: person.shows(observer), bool)
    assert set((await observer.content()).map) == {f"edit {number}" for number in range(person.edits)}
