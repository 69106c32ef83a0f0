"""Waiting until what people commit is captured as manual edits, by the follower of the maintenance process or here."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from collab.follower import Advance, Follower
from replay.errors import CaptureBehindError, NoBaseError
from replay.ports import ReplayStore

_LOOK_FIRST_S = 0.005
_LOOK_MOST_S = 0.1


class FollowedCapture:
    """The `replay.ports.Capture` of edits that somebody else captures, whom `wake` has look at the log now."""

    def __init__(self, store: ReplayStore, wake: Callable[[], None], timeout_s: float) -> None:
        self._store = store
        self._wake = wake
        self._timeout_s = timeout_s

    async def catch_up(self, graph_id: UUID, within_s: float | None = None) -> None:
        """Return once all edits of a graph are captured that are committed now (`replay.ports.Capture`)."""
        timeout_s = self._timeout_s if within_s is None else within_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._catch_up(graph_id)
        except TimeoutError:
            raise CaptureBehindError(graph_id, timeout_s) from None

    async def _catch_up(self, graph_id: UUID) -> None:
        position = await self._store.position(graph_id)
        through, wait_s = 0 if position is None else position.committed, _LOOK_FIRST_S
        while position is not None and position.captured < through:
            self._wake()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LOOK_MOST_S)
            position = await self._store.position(graph_id)
        if position is None:
            raise NoBaseError(graph_id)


class OwnCapture:
    """The `replay.ports.Capture` of a process that follows graphs itself, and waits for others who follow them."""

    def __init__(self, follower: Follower, followed: FollowedCapture) -> None:
        self._follower = follower
        self._followed = followed

    async def catch_up(self, graph_id: UUID, within_s: float | None = None) -> None:
        """Return once all edits of a graph are captured that are committed now (`replay.ports.Capture`)."""
        try:
            while await self._follower.advance(graph_id) is Advance.MORE:
                pass
        finally:
            await self._follower.release(graph_id)
        await self._followed.catch_up(graph_id, within_s)
