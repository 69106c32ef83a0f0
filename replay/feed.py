"""How far a run is, for those who watch: each is told the latest state, and none holds up the run or another."""

import asyncio

from persistence.execution_records import Execution


class Feed:
    """The states of one run, one after the other; whoever is slow misses those in between, never the last one."""

    def __init__(self, first: Execution) -> None:
        self.latest = first
        self._changed = asyncio.Event()

    def publish(self, execution: Execution) -> None:
        """Make this the latest state."""
        self.latest = execution
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, seen: Execution) -> Execution:
        """Return the latest state once it is another than `seen`."""
        while self.latest is seen:
            await self._changed.wait()
        return self.latest
