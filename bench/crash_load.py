"""Writers who insert and delete at a rate, and what of it they were told is saved."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed

from bench.client import Client
from bench.dialects import Address
from bench.peers import Acknowledgement
from tests.clients.eventually import eventually
from tests.clients.frames import read_state_vector
from tests.clients.replicas import PycrdtReplica

WRITERS = 4
_TICK_S = 0.02
_DELETE_SHARE = 0.3
_FIRST_CLIENT_ID = 1_000


@dataclass(slots=True)
class Record:
    """The updates of one writer, in order: the number of an insertion, and whether it was made or deleted.

    Insertion number n is the key `client:n` of the map and the writer's Yjs clock n.
    """

    client_id: int
    updates: list[tuple[int, bool]] = field(default_factory=list)
    acknowledged: int = 0
    _position: dict[tuple[int, bool], int] = field(default_factory=dict)

    def made(self, number: int, *, present: bool) -> str:
        """Note the next update and return the key that it is about."""
        self.updates.append((number, present))
        self._position[number, present] = len(self.updates)
        return f"{self.client_id}:{number}"

    def acknowledge(self, updates: int) -> None:
        """The first `updates` updates were called saved."""
        self.acknowledged = max(self.acknowledged, updates)

    def relayed(self, number: int, *, present: bool) -> None:
        """Another client has this update, and so all before it."""
        self.acknowledge(self._position[number, present])

    def missing(self, clocks: dict[int, int], keys: Iterable[str]) -> int:
        """Count the acknowledged updates that a document with these clocks and keys does not have.

        Without its insertion a deletion is not there either.
        """
        known, shown = clocks.get(self.client_id, 0), set(keys)
        return sum(
            number >= known or (not present and f"{self.client_id}:{number}" in shown)
            for number, present in self.updates[: self.acknowledged]
        )


class Writer:
    """One client that makes one update after the other, some of them pure deletes."""

    def __init__(self, address: Address, client_id: int, updates_per_s: float, seed: int, *, asks: bool) -> None:
        self.record = Record(client_id)
        self.client = Client(address, PycrdtReplica(client_id), self.record.acknowledge)
        self._asks = asks
        self._updates_per_tick = max(1, round(updates_per_s * _TICK_S))
        self._tick_s = self._updates_per_tick / updates_per_s
        self._random = random.Random(seed)
        self._inserted = 0
        self._present: list[int] = []

    async def run(self) -> None:
        """Write until the connection is gone."""
        clock = asyncio.get_running_loop()
        due = clock.time()
        try:
            while True:
                for _ in range(self._updates_per_tick):
                    await self.write()
                due = max(due + self._tick_s, clock.time())
                await asyncio.sleep(due - clock.time())
        except ConnectionClosed:
            return

    async def write(self) -> None:
        """Insert or delete one key, and ask for the acknowledgement where it must be asked for."""
        if self._present and self._random.random() < _DELETE_SHARE:
            number = self._present.pop(self._random.randrange(len(self._present)))
            await self.client.edit(["map.delete", self.record.made(number, present=False)])
        else:
            number, self._inserted = self._inserted, self._inserted + 1
            self._present.append(number)
            await self.client.edit(["map.set", self.record.made(number, present=True), number])
        if self._asks:
            await self.client.ask_saved(len(self.record.updates))


class Load:
    """Several writers at one document, and one who looks on where only being relayed can be seen."""

    def __init__(
        self, address: Address, told_by: Acknowledgement, updates_per_s: float, seed: int, writers: int
    ) -> None:
        asks = told_by == Acknowledgement.ECHO
        self.writers = [
            Writer(address, _FIRST_CLIENT_ID + n, updates_per_s / writers, seed + n, asks=asks) for n in range(writers)
        ]
        self._watcher = Client(address) if told_by == Acknowledgement.RELAY else None

    @staticmethod
    @asynccontextmanager
    async def joined(
        address: Address, told_by: Acknowledgement, updates_per_s: float, seed: int, writers: int = WRITERS
    ) -> AsyncIterator["Load"]:
        """All of them connected, until the context ends; what the server sent until then is read."""
        load = Load(address, told_by, updates_per_s, seed, writers)
        async with AsyncExitStack() as clients:
            if load._watcher is not None:
                load._watch(load._watcher)
                await clients.enter_async_context(load._watcher)
            for writer in load.writers:
                await clients.enter_async_context(writer.client)
            yield load

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write until the server is gone, which has to be by the end of the context."""
        async with asyncio.TaskGroup() as tasks:
            for writer in self.writers:
                tasks.create_task(writer.run())
            yield

    @property
    def acknowledged(self) -> int:
        return sum(writer.record.acknowledged for writer in self.writers)

    async def acknowledged_beyond(self, updates: int, within_s: float = 60) -> None:
        """Wait until more than `updates` updates are acknowledged."""

        async def acknowledged() -> int:
            return self.acknowledged

        await eventually(acknowledged, lambda count: count > updates, within_s)

    async def missing(self, address: Address, settles_s: float) -> int:
        """Count what a fresh client lacks of the acknowledged updates, once it heard nothing new for `settles_s`."""
        async with Client(address) as reader:
            while lost := self._missing_in(reader.replica):
                try:
                    await asyncio.wait_for(reader.arrival(), settles_s)
                except TimeoutError:
                    return lost
        return 0

    def _missing_in(self, replica: PycrdtReplica) -> int:
        clocks, keys = read_state_vector(replica.state_vector()), set(replica.map)
        return sum(writer.record.missing(clocks, keys) for writer in self.writers)

    def _watch(self, watcher: Client) -> None:
        records = {writer.record.client_id: writer.record for writer in self.writers}

        def note(event: Any) -> None:
            for key, change in event.keys.items():
                client, number = map(int, key.split(":"))
                records[client].relayed(number, present=change["action"] != "delete")

        watcher.replica.map.observe(note)
