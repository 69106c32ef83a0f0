"""REBUILD-14: rebuilds take turns."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from persistence.records import Caller
from persistence.replay_records import CapturePosition, GraphBase, ReplayInputs
from replay.errors import RebuildTimeoutError
from replay.ports import Build
from replay.rebuilding import RebuildRequest
from replay.service import Rebuilds
from tests.clients.eventually import eventually

GRAPH, OTHER = uuid4(), uuid4()
ANNA, BERT = Caller(uuid4()), Caller(uuid4())
STORED, OLD, NEW = (GraphBase(content, "0" * 64, "1" * 64, "n") for content in (b"stored", b"old", b"new"))


class Replayed(NamedTuple):
    summary: Mapping[str, Any]
    was_edited_meanwhile: bool


class HeldReplays:
    """Notes what it is to rebuild, and rebuilds nothing while it is held."""

    def __init__(self) -> None:
        self.began: list[UUID] = []
        self.made: list[tuple[UUID, bytes, UUID]] = []
        self.go = asyncio.Event()

    async def replay(self, caller: Caller, graph_id: UUID, prepare: Callable[[], Awaitable[Build]]) -> Replayed:
        self.began.append(graph_id)
        await self.go.wait()
        request: RebuildRequest = (await prepare()).args[0]  # type: ignore[attr-defined]
        assert request.triggered_by == caller.user_id
        self.made.append((graph_id, request.base.content, caller.user_id))
        return Replayed({"replay_id": str(request.replay_id), "updates": 0}, was_edited_meanwhile=False)


class Surroundings:
    """All else that rebuilds need: every graph has a base, every edit is captured, nobody listens."""

    async def inputs(self, graph_id: UUID) -> ReplayInputs:
        return ReplayInputs(STORED, None, 0, b"[]", b"[]", "mine")

    async def position(self, graph_id: UUID) -> CapturePosition:
        raise AssertionError

    async def children(self, caller: Caller, graph_id: UUID) -> tuple[UUID, ...]:
        return ()

    async def mark_applied(self, replay_id: UUID) -> None: ...
    async def catch_up(self, graph_id: UUID, within_s: float | None = None) -> None: ...
    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None:
        raise AssertionError

    async def __call__(self, graph_id: UUID) -> bytes:
        raise AssertionError

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        raise AssertionError

    def tell(self, graph_id: UUID, notice: bytes) -> None: ...
    def edits(self, graph_id: UUID) -> int:
        return 0


def rebuilds_of(live: HeldReplays, timeout_s: float = 10) -> Rebuilds:
    rest = Surroundings()
    return Rebuilds(
        live=live,
        store=rest,
        roles=rest,
        capture=rest,
        documents=rest,
        worker=rest,
        audience=rest,
        new_id=uuid4,
        timeout_s=timeout_s,
    )


async def begun(live: HeldReplays, *graphs: UUID) -> None:
    async def found() -> list[UUID]:
        return live.began

    await eventually(found, lambda began: began == list(graphs))


async def test_REBUILD_14_what_waits_is_done_once_with_the_newest_base_and_for_each_in_their_own_name() -> None:
    live = HeldReplays()
    rebuilds = rebuilds_of(live)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(rebuilds.rebuild(ANNA, OTHER, None, "request"))
        await begun(live, OTHER)
        same = [tasks.create_task(rebuilds.rebuild(ANNA, GRAPH, base, "execution")) for base in (OLD, NEW, None)]
        other = tasks.create_task(rebuilds.rebuild(BERT, GRAPH, None, "request"))
        await asyncio.sleep(0)  # all have asked
        live.go.set()
    assert live.made == [
        (OTHER, b"stored", ANNA.user_id),
        (GRAPH, b"new", ANNA.user_id),
        (GRAPH, b"stored", BERT.user_id),
    ]
    replays = [task.result()["replay_id"] for task in same]
    assert len(set(replays)) == 1
    assert other.result()["replay_id"] not in replays


async def test_REBUILD_14_who_waits_too_long_is_told_and_the_rebuild_follows() -> None:
    live = HeldReplays()
    rebuilds = rebuilds_of(live, timeout_s=0.05)
    with pytest.raises(RebuildTimeoutError, match="look at its replays"):
        await rebuilds.rebuild(ANNA, GRAPH, None, "request")
    live.go.set()

    async def made() -> list[tuple[UUID, bytes, UUID]]:
        return live.made

    await eventually(made, lambda found: found == [(GRAPH, b"stored", ANNA.user_id)])


async def test_REBUILD_14_nothing_waits_any_more_once_the_server_stops() -> None:
    rebuilds = rebuilds_of(HeldReplays())
    running = asyncio.create_task(rebuilds.run())
    asked = [asyncio.create_task(rebuilds.rebuild(ANNA, graph, None, "request")) for graph in (GRAPH, OTHER)]
    await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(10):
        ended = await asyncio.gather(running, *asked, return_exceptions=True)
    assert [type(one) for one in ended] == [asyncio.CancelledError] * 3
