"""HUB-1 to HUB-4: rooms come once, fail together, and go when nobody uses them."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from pycrdt import Map

from collab.bans import Bans
from collab.document import PoisonedDocumentError
from collab.hub import Hub, HubSettings, MemoryFullError
from collab.room import Room
from collab.session import Session
from collab.wire.errors import MalformedError
from collab.wire.frames import Outbound
from persistence.errors import GraphServedElsewhereError, NotFoundError, StoreUnavailableError
from persistence.ports import DocumentChunk
from tests.clients.eventually import eventually
from tests.unit.documents import recorded
from tests.unit.rooms import GRAPH, PERSON, START, HeldLog, OneNode


class SlowStore:
    """A store that answers when told to, and counts how often it is asked."""

    def __init__(self, *chunks: DocumentChunk) -> None:
        self.answer = asyncio.Event()
        self.failure: Exception | None = None
        self.opened = 0
        self.binned: set[UUID] = set()
        self.quarantined: dict[int, str] = {}
        self._chunks = chunks

    @asynccontextmanager
    async def open(self, graph_id: UUID) -> AsyncIterator[AsyncIterator[DocumentChunk]]:
        self.opened += 1
        await self.answer.wait()
        yield self._read()

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        self.quarantined |= reasons
        return ()

    def open_rows(self, graph_id: UUID) -> Any:
        raise NotImplementedError

    async def drop_state(self, graph_id: UUID) -> None:
        raise NotImplementedError

    async def gone(self, graph_ids: Sequence[UUID]) -> Sequence[UUID]:
        return [graph_id for graph_id in graph_ids if graph_id in self.binned]

    async def _read(self) -> AsyncIterator[DocumentChunk]:
        if self.failure is not None:
            raise self.failure
        for chunk in self._chunks:
            await asyncio.sleep(0)
            yield chunk


class Deaf:
    """A peer that is not listened to."""

    def __init__(self) -> None:
        self.closed: int | None = None
        self.paused = 0

    def send(self, *messages: Outbound) -> None:
        """Ignore it."""

    def close(self, code: int, reason: str) -> None:
        self.closed = code

    def pause(self) -> None:
        self.paused += 1

    def tell(self, notice: bytes) -> None:
        raise AssertionError("nobody tells anything")

    def resume(self) -> None:
        self.paused -= 1


def session(number: int = 1) -> Session:
    return Session(f"session-{number}", PERSON, False, Deaf())


async def test_HUB_1_everyone_who_opens_a_graph_at_once_shares_one_load() -> None:
    store = SlowStore()
    hub = Hub(store, HeldLog(), OneNode())
    waiting = [asyncio.create_task(hub.open(GRAPH)) for _ in range(200)]
    await asyncio.sleep(0)
    store.answer.set()
    rooms = set(await asyncio.gather(*waiting))
    assert len(rooms) == 1
    assert store.opened == 1
    assert hub.live(GRAPH) in rooms


async def test_HUB_1_one_who_asks_just_as_the_load_ends_finds_the_room() -> None:
    """Between the end of the load and its waiters, a join may come; it must not wait for what is over."""
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode())
    joins: list[asyncio.Task[Room]] = []

    async def join_at_every_turn() -> None:
        for _ in range(20):
            joins.append(asyncio.create_task(hub.open(GRAPH)))
            await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await join_at_every_turn()
        assert len(set(await asyncio.gather(*joins))) == 1


async def test_HUB_2_a_failed_load_refuses_all_who_waited_and_the_next_tries_again() -> None:
    store = SlowStore()
    store.failure = StoreUnavailableError("away")
    hub = Hub(store, HeldLog(), OneNode())
    waiting = [asyncio.create_task(hub.open(GRAPH)) for _ in range(10)]
    store.answer.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, StoreUnavailableError) for result in results)
    assert hub.live(GRAPH) is None
    store.failure = None
    assert isinstance(await hub.open(GRAPH), Room)
    assert (store.opened, hub.statistics.load_failures) == (2, 1)


async def test_HUB_2_a_load_that_takes_too_long_is_refused_not_empty() -> None:
    hub = Hub(SlowStore(), HeldLog(), OneNode(), HubSettings(load_timeout_s=0.01))
    with pytest.raises(StoreUnavailableError):
        await hub.open(GRAPH)
    assert hub.live(GRAPH) is None


async def test_HUB_4_one_who_gives_up_waiting_does_not_stop_the_others() -> None:
    store = SlowStore()
    hub = Hub(store, HeldLog(), OneNode())
    first, second = asyncio.create_task(hub.open(GRAPH)), asyncio.create_task(hub.open(GRAPH))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    store.answer.set()
    assert isinstance(await second, Room)


async def test_HUB_3_a_room_goes_when_idle_but_not_before_all_is_committed() -> None:
    doc, updates = recorded(5)
    doc.get("map", type=Map)["k"] = 1
    store, log = SlowStore(), HeldLog()
    store.answer.set()
    hub = Hub(store, log, OneNode(), HubSettings(idle_unload_s=10))
    room = await hub.open(GRAPH)
    visitor = session()
    hub.join(room, visitor)
    room.receive_update(visitor, updates[0], 0.0, START)
    hub.look_over(now=1e9)
    assert hub.live(GRAPH) is room, "somebody is there"
    hub.leave(room, visitor, now=1e9)
    hub.look_over(now=1e9 + 11)
    assert hub.live(GRAPH) is room, "not everything is committed"
    log.commit()
    hub.look_over(now=1e9 + 9)
    assert hub.live(GRAPH) is room, "not idle for long enough"
    hub.look_over(now=1e9 + 11)
    assert hub.live(GRAPH) is None


async def test_HUB_1_opened_edited_closed_and_reopened_at_random_there_is_one_live_copy() -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    store, log = SlowStore(), HeldLog()
    store.answer.set()
    hub = Hub(store, log, OneNode(), HubSettings(idle_unload_s=0))

    async def visit(number: int) -> None:
        for _ in range(30):
            room = await hub.open(GRAPH)
            assert hub.live(GRAPH) is room
            visitor = session(number)
            hub.join(room, visitor)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            assert hub.live(GRAPH) is room, "a room with somebody in it stays"
            hub.leave(room, visitor, now=0.0)
            hub.look_over(now=chance.choice([0.0, 1.0]))
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)

    async with asyncio.timeout(30), asyncio.TaskGroup() as visits:
        for number in range(5):
            visits.create_task(visit(number))
    assert store.opened == hub.statistics.loads > 1


async def test_HUB_2_a_discarded_room_closes_its_sessions_and_the_next_join_loads_again() -> None:
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode())
    room = await hub.open(GRAPH)
    visitor = session()
    hub.join(room, visitor)
    hub.discard(room, 4500, "test")
    assert visitor.peer.closed == 4500  # type: ignore[attr-defined]
    again = await hub.open(GRAPH)
    assert again is not room
    hub.leave(room, visitor, now=0.0)
    hub.look_over(now=1e9)
    assert hub.live(GRAPH) is None


async def test_HUB_1_a_room_given_up_does_not_end_the_one_that_follows_it() -> None:
    """Its sessions leave late; neither a tick nor the new room may mind."""
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode(), HubSettings(idle_unload_s=0))
    old, first, second = await hub.open(GRAPH), session(1), session(2)
    hub.join(old, first)
    hub.forget_graph(GRAPH)
    hub.leave(old, first, now=0.0)
    hub.look_over(now=1e9)
    new = await hub.open(GRAPH)
    hub.join(new, second)
    hub.leave(old, first, now=0.0)
    hub.look_over(now=1e9)
    assert hub.live(GRAPH) is new, "somebody is in it"


async def test_HUB_1_what_a_room_that_was_given_up_took_in_is_committed_before_the_next_load() -> None:
    doc, updates = recorded(5)
    doc.get("map", type=Map)["k"] = 1
    store, log = SlowStore(), HeldLog()
    store.answer.set()
    hub = Hub(store, log, OneNode())
    room, visitor = await hub.open(GRAPH), session()
    hub.join(room, visitor)
    room.receive_update(visitor, updates[0], 0.0, START)
    hub.discard(room, 4500, "test")
    reopening = asyncio.create_task(hub.open(GRAPH))
    for _ in range(5):
        await asyncio.sleep(0)
    assert store.opened == 1, "the rows are not all there yet"
    log.commit()
    assert await reopening is not room
    assert store.opened == 2
    room.receive_update(visitor, updates[0], 0.0, START)
    assert not log.held, "a room that was given up takes in nothing"


async def test_HUB_2_a_graph_deleted_while_it_loads_is_not_joined() -> None:
    store = SlowStore()
    hub = Hub(store, HeldLog(), OneNode())
    opening = asyncio.create_task(hub.open(GRAPH))
    await asyncio.sleep(0)
    hub.forget_graph(GRAPH)
    store.answer.set()
    with pytest.raises(NotFoundError):
        await opening
    assert hub.live(GRAPH) is None


async def test_ROOM_11_an_update_that_brought_a_document_down_is_not_applied_again() -> None:
    doc, updates = recorded(5)
    doc.get("map", type=Map)["k"] = 1
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode())
    room, visitor = await hub.open(GRAPH), session()
    hub.join(room, visitor)
    hub.poisoned(room, PoisonedDocumentError(updates[0], "test"))
    again, other = await hub.open(GRAPH), session(2)
    hub.join(again, other)
    with pytest.raises(MalformedError):
        again.receive_update(other, updates[0], 0.0, START)


def test_ROOM_11_the_updates_that_brought_documents_down_are_bounded_in_bytes() -> None:
    bans = Bans(10_000)
    bad = [b"\x00" * 1_000 + bytes((number,)) for number in range(10)]
    for update in bad * 2:
        bans.add(GRAPH, update)
    assert [update in bans.of(GRAPH) for update in bad] == [False] * 6 + [True] * 4


def large_chunk() -> DocumentChunk:
    """A document that counts as about two megabytes of memory."""
    doc, updates = recorded(5)
    doc.get("map", type=Map)["k"] = [1] * 14_000
    return DocumentChunk(tuple(updates))


async def test_HUB_7_of_the_rooms_nobody_uses_the_one_used_longest_ago_goes_first() -> None:
    store = SlowStore(large_chunk())
    store.answer.set()
    leases = OneNode()
    hub = Hub(store, HeldLog(), leases, HubSettings(documents_bytes=6_000_000))
    graphs = [UUID(int=number) for number in range(1, 5)]
    for number, graph_id in enumerate(graphs[:3]):
        room, visitor = await hub.open(graph_id), session(number)
        hub.join(room, visitor)
        hub.leave(room, visitor, now=float(-number))
    await hub.open(graphs[3])
    assert [hub.live(graph_id) is not None for graph_id in graphs] == [True, True, False, True]
    assert hub.statistics.evictions == 1
    assert set(leases.held) == {graphs[0], graphs[1], graphs[3]}, "its lease went with it"


async def test_HUB_7_documents_in_use_stay_and_a_further_one_is_refused() -> None:
    store = SlowStore(large_chunk())
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode(), HubSettings(documents_bytes=6_000_000))
    for number in range(1, 4):
        hub.join(await hub.open(UUID(int=number)), session(number))
    with pytest.raises(MemoryFullError, match="6000000"):
        await hub.open(UUID(int=4))
    assert len(hub.rooms) == 3


async def test_HUB_7_who_comes_just_after_room_was_made_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SlowStore(large_chunk())
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode(), HubSettings(documents_bytes=6_000_000))
    for number in range(1, 4):
        hub.join(await hub.open(UUID(int=number)), session(number))
    hub.leave(hub.rooms[0], next(iter(hub.rooms[0].sessions)), now=0.0)
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)  # as uvloop's, for a millisecond
    await asyncio.gather(hub.open(UUID(int=4)), hub.open(UUID(int=5)))
    assert hub.statistics.evictions == 1


async def test_HUB_7_what_was_deleted_does_not_count_for_long() -> None:
    doc, updates = recorded(5)
    for _ in range(3):
        doc.get("map", type=Map)["k"] = [1] * 14_000
    doc.get("map", type=Map)["k"] = 1
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode(), HubSettings(documents_bytes=6_000_000))
    room, visitor = await hub.open(GRAPH), session()
    hub.join(room, visitor)
    for update in updates:
        room.receive_update(visitor, update, 0.0, START)
    with pytest.raises(MemoryFullError):
        await hub.open(UUID(int=4))
    hub.look_over(now=0.0)
    assert hub.documents_bytes < 100_000
    await hub.open(UUID(int=4))


async def test_HUB_7_a_large_document_is_not_measured_again_before_it_has_grown_by_half() -> None:
    doc, updates = recorded(5)
    for number in range(8):
        doc.get("map", type=Map)[str(number)] = [1] * 14_000
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode(), HubSettings(documents_bytes=6_000_000))
    room, visitor = await hub.open(GRAPH), session()
    hub.join(room, visitor)

    def unmeasured_after(new: list[bytes]) -> int:
        for update in new:
            room.receive_update(visitor, update, 0.0, START)
        hub.look_over(now=0.0)
        return room.document.unmeasured_bytes

    assert unmeasured_after(updates[:4]) == 0
    assert unmeasured_after(updates[4:5]) > 70_000
    assert unmeasured_after(updates[5:]) == 0


async def test_HUB_8_a_room_exists_only_with_its_lease() -> None:
    store, leases = SlowStore(), OneNode()
    store.answer.set()
    hub = Hub(store, HeldLog(), leases, HubSettings(idle_unload_s=0))
    leases.elsewhere.add(GRAPH)
    with pytest.raises(GraphServedElsewhereError):
        await hub.open(GRAPH)
    assert store.opened == 0, "nothing is read before the lease is had"
    leases.elsewhere.clear()
    await hub.open(GRAPH)
    assert leases.held == [GRAPH]
    hub.look_over(now=1e9)
    assert leases.held == []


async def test_HUB_8_a_failed_load_gives_the_lease_back() -> None:
    store, leases = SlowStore(), OneNode()
    store.failure = StoreUnavailableError("away")
    store.answer.set()
    hub = Hub(store, HeldLog(), leases)
    with pytest.raises(StoreUnavailableError):
        await hub.open(GRAPH)
    assert leases.held == []


async def test_HUB_8_a_lease_lost_while_its_graph_loads_refuses_the_join() -> None:
    store, leases = SlowStore(), OneNode()
    hub = Hub(store, HeldLog(), leases)
    opening = asyncio.create_task(hub.open(GRAPH))
    await asyncio.sleep(0)
    leases.lose(GRAPH)
    store.answer.set()
    with pytest.raises(GraphServedElsewhereError):
        await opening
    assert hub.live(GRAPH) is None


async def room_with_an_edit(log: HeldLog, leases: OneNode) -> tuple[Hub, Session]:
    """Return a hub with one room and the session that made an edit there, which is not committed yet."""
    doc, updates = recorded(5)
    doc.get("map", type=Map)["k"] = 1
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, log, leases)
    room, visitor = await hub.open(GRAPH), session()
    hub.join(room, visitor)
    room.receive_update(visitor, updates[0], 0.0, START)
    return hub, visitor


async def test_HUB_8_a_lost_lease_closes_the_room_and_what_it_took_in_is_waited_for() -> None:
    log, leases = HeldLog(), OneNode()
    hub, visitor = await room_with_an_edit(log, leases)
    leases.lose(GRAPH)
    assert visitor.peer.closed == 4503  # type: ignore[attr-defined]
    assert hub.live(GRAPH) is None
    leases.elsewhere.clear()
    opening = asyncio.create_task(hub.open(GRAPH))
    await asyncio.sleep(0)
    assert not leases.holds(GRAPH), "the next load waits until that is decided"
    log.commit()
    assert isinstance(await opening, Room)


async def test_HUB_8_a_room_given_up_keeps_its_lease_until_all_it_took_in_is_committed() -> None:
    log, leases = HeldLog(), OneNode()
    hub, _ = await room_with_an_edit(log, leases)
    hub.forget_graph(GRAPH)
    assert leases.held == [GRAPH]
    log.commit()
    assert leases.held == []


async def test_HUB_7_a_hold_of_a_room_that_was_given_up_does_not_keep_the_next_one() -> None:
    store, leases = SlowStore(), OneNode()
    store.answer.set()
    hub = Hub(store, HeldLog(), leases)
    first = await hub.open(GRAPH)
    hub.hold(first)
    hub.discard(first, 4500, "test")
    second, visitor = await hub.open(GRAPH), session()
    hub.join(second, visitor)
    hub.leave(second, visitor, now=0.0)
    hub.let_go(first, now=0.0)
    hub.look_over(now=1e9)
    assert hub.rooms == ()
    assert leases.held == []


async def test_HUB_9_a_graph_that_another_server_put_in_the_bin_is_closed() -> None:
    store = SlowStore()
    store.answer.set()
    hub = Hub(store, HeldLog(), OneNode(), HubSettings(tick_s=0.001))
    room, visitor = await hub.open(GRAPH), session()
    hub.join(room, visitor)
    looking = asyncio.create_task(hub.run())
    store.binned.add(GRAPH)

    async def closed() -> int | None:
        code: int | None = visitor.peer.closed  # type: ignore[attr-defined]
        return code

    await eventually(closed, lambda code: code == 4404)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
