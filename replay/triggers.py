"""Replays that follow others: of copies, when what they were made of changed; and of what people edited meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from persistence.records import Caller
from persistence.replay_records import ReplayCause

MAX_TRIGGERS = 10_000
"""How many graphs may wait for a replay that follows another; of more nothing is known, but a line in the log."""

MAX_DEPTH = 32
"""How many generations of copies follow a graph."""

AT_ONCE = 16
"""How many are followed up at once, most of them waiting until nobody edits."""

_log = structlog.get_logger("layercake.replay")


@dataclass(frozen=True, slots=True)
class Trigger:
    """A graph to rebuild on behalf of `caller`: for its parent, or when people have come to rest."""

    graph_id: UUID
    caller: Caller
    cause: ReplayCause
    depth: int = 0


class Triggers:
    """A queue in which every graph is once at most, the newest trigger of it."""

    def __init__(self) -> None:
        self.dropped = 0
        self._due: dict[UUID, Trigger] = {}
        self._has_some = asyncio.Event()

    def add(self, trigger: Trigger) -> None:
        """Have a graph rebuilt; one beyond MAX_TRIGGERS is not, nor one more than MAX_DEPTH generations down."""
        if trigger.depth > MAX_DEPTH or (len(self._due) >= MAX_TRIGGERS and trigger.graph_id not in self._due):
            self.dropped += 1
            _log.warning("a graph is not rebuilt by itself; rebuild it by hand", graph=str(trigger.graph_id))
            return
        self._due[trigger.graph_id] = trigger
        self._has_some.set()

    async def run(self, act: Callable[[Trigger], Awaitable[None]]) -> None:
        """Act on every trigger, AT_ONCE at most at a time, until cancelled. `act` raises nothing."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def take(trigger: Trigger) -> None:
            try:
                await act(trigger)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._has_some.wait()
                await slots.acquire()
                tasks.create_task(take(self._next()))

    async def finish(self, act: Callable[[Trigger], Awaitable[None]]) -> None:
        """Act on every trigger, one after the other, until there is none."""
        while self._due:
            await act(self._next())

    def _next(self) -> Trigger:
        trigger = self._due.pop(next(iter(self._due)))
        if not self._due:
            self._has_some.clear()
        return trigger
