"""Writers who insert and delete at a rate, and know what they were promised."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.clients.eventually import eventually
from tests.clients.replicas import Content, PycrdtReplica
from tests.clients.yclient import YClient
from tests.faults.ledger import Ledger

WRITERS = 4
_TICK_S = 0.02
_DELETE_SHARE = 0.3
_STAYS_S = 0.3
_STAYS_AWAY_S = 2.5
_TOKEN_IN_TEXT = re.compile(r"<[^>]+>")


def tokens_of(content: Content) -> set[str]:
    """Every token that a document shows: keys of the map, and words in angle brackets of the text."""
    return set(content.map) | set(_TOKEN_IN_TEXT.findall(content.text))


class Writer:
    """One client that makes one update after the other, some of them pure deletes of map keys or text."""

    def __init__(self, url: str, name: str, updates_per_s: float, seed: int) -> None:
        self.ledger = Ledger()
        self.replica = PycrdtReplica()
        self.client = YClient(url, self.replica)
        self._name = name
        self._updates_per_tick = max(1, round(updates_per_s * _TICK_S))
        self._tick_s = self._updates_per_tick / updates_per_s
        self._random = random.Random(seed)
        self._own: list[str] = []
        self._is_stopped = False

    def stop(self) -> None:
        """Go for good, without a goodbye."""
        self._is_stopped = True
        self.client.abort()

    async def run(self) -> None:
        """Write until the connection is gone."""
        clock = asyncio.get_running_loop()
        due = clock.time()
        try:
            while True:
                for _ in range(self._updates_per_tick):
                    await self._write_one()
                await self._ask()
                due = max(due + self._tick_s, clock.time())
                await asyncio.sleep(due - clock.time())
        except ConnectionClosed:
            return

    async def come_and_go(self) -> None:
        """Come, write for a moment and leave, with a goodbye or without, again and again until stopped."""
        while not self._is_stopped:
            with suppress(OSError, InvalidHandshake, TimeoutError):
                await self.client.connect()
                async with asyncio.timeout(self._random.uniform(0, _STAYS_S)):
                    await self.run()
            if self._random.random() < 1 / 2:
                self.client.abort()
            await self.client.disconnect()
            await asyncio.sleep(self._random.uniform(0, _STAYS_AWAY_S))

    async def _write_one(self) -> None:
        present = len(self._own) < 2 or self._random.random() > _DELETE_SHARE
        token = self._insert() if present else self._own.pop(self._random.randrange(len(self._own)))
        step = self._insertion(token) if present else self._deletion(token)
        self.ledger.sent(token, present=present)
        await self.client.edit(step)

    def _insert(self) -> str:
        number = len(self.ledger.updates)
        token = f"{self._name}:{number}" if number % 2 else f"<{self._name}:{number}>"
        self._own.append(token)
        return token

    def _insertion(self, token: str) -> list[object]:
        if not token.startswith("<"):
            return ["map.set", token, len(self._own)]
        # Never inside a token: after the end of one, or at the start.
        end = str(self.replica.text).rfind(">", 0, self._random.randrange(1 + len(self.replica.text)))
        return ["text.insert", end + 1, token]

    def _deletion(self, token: str) -> list[object]:
        if not token.startswith("<"):
            return ["map.delete", token]
        return ["text.delete", str(self.replica.text).index(token), len(token)]

    async def _ask(self) -> None:
        updates = len(self.ledger.updates)
        heard = await self.client.ask_saved()
        heard.add_done_callback(lambda answer: None if answer.cancelled() else self.ledger.acknowledge(updates))


class Load:
    """Several writers at one graph."""

    def __init__(self, url: str, updates_per_s: float, seed: int, name: str) -> None:
        self.writers = [
            Writer(url, f"{name}{number}", updates_per_s / WRITERS, seed + number) for number in range(WRITERS)
        ]

    @staticmethod
    @asynccontextmanager
    async def running(url: str, updates_per_s: float, seed: int, name: str = "w") -> AsyncIterator["Load"]:
        """A load that runs until the context ends; then every client is gone, without a goodbye.

        Loads of one graph have different names, none with a digit at its end.
        """
        load = Load(url, updates_per_s, seed, name)
        for writer in load.writers:
            await writer.client.connect()
        async with load._doing(Writer.run):
            yield load

    @staticmethod
    @asynccontextmanager
    async def coming_and_going(url: str, updates_per_s: float, seed: int, name: str = "w") -> AsyncIterator["Load"]:
        """As `running`, by writers who are away more often than they are there."""
        load = Load(url, updates_per_s, seed, name)
        async with load._doing(Writer.come_and_go):
            yield load

    @asynccontextmanager
    async def _doing(self, activity: Callable[[Writer], Coroutine[None, None, None]]) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            activities = [tasks.create_task(activity(writer)) for writer in self.writers]
            try:
                yield
            finally:
                for writer, task in zip(self.writers, activities, strict=True):
                    task.cancel()
                    writer.stop()
        for writer in self.writers:
            await writer.client.disconnect()

    @property
    def acknowledged(self) -> int:
        return sum(writer.ledger.acknowledged for writer in self.writers)

    @property
    def acknowledged_deletes(self) -> int:
        return sum(writer.ledger.acknowledged_deletes() for writer in self.writers)

    @property
    def sent(self) -> int:
        return sum(len(writer.ledger.updates) for writer in self.writers)

    async def acknowledged_beyond(self, updates: int, within_s: float = 30) -> None:
        """Wait until more than `updates` updates are acknowledged."""

        async def acknowledged() -> int:
            return self.acknowledged

        await eventually(acknowledged, lambda count: count > updates, within_s)

    def missing(self, content: Content) -> list[str]:
        """The acknowledged updates that `content` lacks."""
        tokens = tokens_of(content)
        return [loss for writer in self.writers for loss in writer.ledger.missing(tokens)]
