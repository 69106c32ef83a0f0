"""Graphs are rebuilt while people edit them: one at a time of all, and the newest wish of each.

Once a replay is committed, the copies of its graph follow it, and so does another replay if people edited meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog

from persistence.errors import StoreError
from persistence.records import Caller
from persistence.replay_records import GraphBase, ReplayCause, ReplayInputs
from replay.copies import preview_copy, rebuild_copy
from replay.errors import NoBaseError, RebuildTimeoutError, TooManyRebuildsError
from replay.ports import Audience, Build, Capture, Documents, GraphRoles, LiveReplay, Replayed, ReplayStore, Worker
from replay.rebuilding import RebuildRequest, preview, rebuild
from replay.triggers import Trigger, Triggers

MAX_WAITING = 1_000
"""How many rebuilds may wait for their turn."""

QUIET_S = 0.5
"""How long nobody edits before a replay follows one that people edited during."""

MAX_QUIET_WAIT_S = 5.0
"""How long it waits for that; then it follows all the same."""

_log = structlog.get_logger("layercake.replay")


@dataclass(frozen=True, slots=True)
class _Wish:
    """A rebuild that somebody asked for; `base` None is the one the graph has, or its parent as it is then."""

    caller: Caller
    graph_id: UUID
    base: GraphBase | None
    cause: ReplayCause
    execution_id: UUID | None = None
    depth: int = 0


@dataclass(slots=True)
class _Waiting:
    wish: _Wish
    task: "asyncio.Task[Mapping[str, Any]]" = field(init=False)


@dataclass(slots=True)
class RebuildStatistics:
    """Counters since the start."""

    rebuilds: int = 0
    failures: int = 0


@dataclass(slots=True)
class Rebuilds:
    """The rebuilding of graphs on one node. `new_id` makes the ids of replays.

    `timeout_s` is how long whoever asks waits for it, the turns of others included.
    """

    live: LiveReplay
    store: ReplayStore
    roles: GraphRoles
    capture: Capture
    documents: Documents
    worker: Worker
    audience: Audience
    new_id: Callable[[], UUID]
    timeout_s: float
    statistics: RebuildStatistics = field(default_factory=RebuildStatistics)
    triggers: Triggers = field(default_factory=Triggers)
    # By caller too: each is done with the rights, and in the name, of who asked for it.
    _waiting: dict[tuple[UUID, Caller], _Waiting] = field(default_factory=dict)
    _tasks: "set[asyncio.Task[Mapping[str, Any]]]" = field(default_factory=set)
    # One worker of several: whatever graphs are rebuilt, there are others for whoever reads and imports.
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _previewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def rebuild(
        self,
        caller: Caller,
        graph_id: UUID,
        base: GraphBase | None,
        cause: ReplayCause,
        execution_id: UUID | None = None,
    ) -> Mapping[str, Any]:
        """Make a graph what `base` and its edits say, and return the summary of the replay.

        Without a base it is the one the graph has; for a copy whose parent the caller may read, what that holds now.
        One that the caller asked for before and that has not begun is done with the newest base, once for all that was
        asked. Cancelling does not end it. Raises NoBaseError, CaptureBehindError, TooManyRebuildsError, NotFoundError,
        StoreUnavailableError, and RebuildTimeoutError after `timeout_s`: then it may follow.
        """
        async with self._in_time(graph_id):
            return await self._rebuild(_Wish(caller, graph_id, base, cause, execution_id))

    async def preview(self, caller: Caller, graph_id: UUID) -> bytes:
        """Return as JSON what `replay.rebuilding.preview` tells of a rebuild now, with `dag_state_hash`.

        Nothing is written. Raises what `rebuild` raises.
        """
        wish = _Wish(caller, graph_id, None, "request")
        async with self._in_time(graph_id), self._previewing:
            document = await self.documents(graph_id)
            await self.capture.catch_up(graph_id)
            inputs = await self._inputs(graph_id)
            request = self._request(wish, inputs)
            parent = await self._parent(wish, inputs)
            if parent is None:
                return await self.worker.run(preview, request, document)
            return await self.worker.run(preview_copy, request, *parent, document)

    async def run(self) -> None:
        """Have replays follow others until cancelled, which ends the waiting ones too."""
        try:
            await self.triggers.run(self._follow)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def finish(self) -> None:
        """Do all replays that follow those that were made."""
        await self.triggers.finish(self._follow)

    @asynccontextmanager
    async def _in_time(self, graph_id: UUID) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.timeout_s):
                yield
        except TimeoutError:
            raise RebuildTimeoutError(graph_id, self.timeout_s) from None

    async def _rebuild(self, wish: _Wish) -> Mapping[str, Any]:
        waiting = self._waiting.get((wish.graph_id, wish.caller))
        if waiting is None:
            waiting = self._begin(wish)
        elif wish.base is not None:
            waiting.wish = wish
        return await asyncio.shield(waiting.task)

    def _begin(self, wish: _Wish) -> _Waiting:
        if len(self._waiting) >= MAX_WAITING:
            raise TooManyRebuildsError(MAX_WAITING)
        waiting = self._waiting[wish.graph_id, wish.caller] = _Waiting(wish)
        waiting.task = asyncio.create_task(self._take_turn(waiting), name=f"rebuild {wish.graph_id}")
        self._tasks.add(waiting.task)
        waiting.task.add_done_callback(self._ended)
        return waiting

    def _ended(self, task: "asyncio.Task[Mapping[str, Any]]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.statistics.failures += 1  # whoever asked is told

    async def _take_turn(self, waiting: _Waiting) -> Mapping[str, Any]:
        try:
            await self._turn.acquire()
        finally:
            wish = waiting.wish
            del self._waiting[wish.graph_id, wish.caller]  # whoever comes now wants what is committed from now on
        try:
            replayed = await self.live.replay(wish.caller, wish.graph_id, partial(self._prepare, wish))
        finally:
            self._turn.release()
        await self._told(wish, replayed)
        return replayed.summary

    async def _prepare(self, wish: _Wish) -> Build:
        await self.capture.catch_up(wish.graph_id)
        inputs = await self._inputs(wish.graph_id)
        request = self._request(wish, inputs)
        parent = await self._parent(wish, inputs)
        return partial(rebuild, request) if parent is None else partial(rebuild_copy, request, *parent)

    async def _inputs(self, graph_id: UUID) -> ReplayInputs:
        inputs = await self.store.inputs(graph_id)
        if inputs is None:
            raise NoBaseError(graph_id)
        return inputs

    def _request(self, wish: _Wish, inputs: ReplayInputs) -> RebuildRequest:
        return RebuildRequest(
            replay_id=self.new_id(),
            graph_id=wish.graph_id,
            base=wish.base or inputs.base,
            cause=wish.cause,
            execution_id=wish.execution_id,
            triggered_by=wish.caller.user_id,
            through=inputs.through,
            edits=inputs.edits,
            policy=inputs.policy,
            removed=inputs.removed,
        )

    async def _parent(self, wish: _Wish, inputs: ReplayInputs) -> tuple[UUID, bytes] | None:
        """Return the parent of a copy and its document, None if the base is another, or not for the caller to read."""
        parent_id = inputs.parent_graph_id
        if parent_id is None or wish.base is not None or inputs.base.plan_node_id is not None:
            return None
        if await self.roles.role_in_graph(wish.caller, parent_id) is None:
            return None
        return parent_id, await self.documents(parent_id)

    async def _told(self, wish: _Wish, replayed: Replayed) -> None:
        """Tell everybody of a replay that is committed, and have follow what has to."""
        self.statistics.rebuilds += 1
        summary = replayed.summary
        self.audience.tell(wish.graph_id, notice(summary))
        try:
            await self.store.mark_applied(UUID(summary["replay_id"]))
            if summary["updates"]:
                await self._trigger(wish, was_edited=replayed.was_edited_meanwhile)
        except StoreError as error:
            _log.warning("a graph was rebuilt, but what follows is missing", graph=str(wish.graph_id), error=str(error))

    async def _trigger(self, wish: _Wish, *, was_edited: bool) -> None:
        if was_edited:
            self.triggers.add(Trigger(wish.graph_id, wish.caller, "edits", wish.depth))
        for child_id in await self.store.children(wish.caller, wish.graph_id):
            self.triggers.add(Trigger(child_id, wish.caller, "parent", wish.depth + 1))

    async def _follow(self, trigger: Trigger) -> None:
        if trigger.cause == "edits":
            await self._until_quiet(trigger.graph_id)
        try:
            await self._rebuild(_Wish(trigger.caller, trigger.graph_id, None, trigger.cause, depth=trigger.depth))
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of yrs is one; other graphs follow
            _log.warning(
                "a replay did not follow", graph=str(trigger.graph_id), error=f"{type(error).__name__}: {error}"
            )

    async def _until_quiet(self, graph_id: UUID) -> None:
        waited_s, edits, before = 0.0, self.audience.edits(graph_id), -1
        while edits != before and waited_s < MAX_QUIET_WAIT_S:
            before = edits
            await asyncio.sleep(QUIET_S)
            waited_s, edits = waited_s + QUIET_S, self.audience.edits(graph_id)


def notice(summary: Mapping[str, Any]) -> bytes:
    """Return what clients of a graph are told of a replay."""
    told = {"type": "layercake.replay", "replay_id": summary["replay_id"], "counts": counts(summary)}
    return orjson.dumps(told)


def counts(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of a replay's summary."""
    return {name: count for name, count in summary.items() if name != "replay_id"}
