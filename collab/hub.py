"""The rooms of this process: opened once however many ask, kept while used, given up when idle.

A room exists only while this node holds its graph's lease, and the documents of all rooms are held within a
budget: of the rooms that nobody uses, the ones used longest ago go first.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog

from collab.bans import Bans
from collab.document import PoisonedDocumentError
from collab.healing import POISON, Run, SoundDocuments, heal, run_here
from collab.pacing import Pacing
from collab.room import Limits, Room
from collab.session import Peer, Session
from persistence.errors import GraphServedElsewhereError, NotFoundError, StoreError, StoreUnavailableError
from persistence.ports import DocumentStore, GraphLeases, OperationLog

_log = structlog.get_logger("layercake.hub")

SERVED_ELSEWHERE = 4503
"""Close code: another node serves the graph now, come again."""


class FullError(Exception):
    """There is no room for a further one; come again."""


class RoomFullError(FullError):
    """As many clients as may are in a graph."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} clients are in this graph, and no more may be; try again")
        self.limit = limit


class MemoryFullError(FullError):
    """The documents in use leave no memory for a further one."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the graphs that are open take all {limit_bytes} bytes this server has for them; try again")
        self.limit_bytes = limit_bytes


class HubSettings(NamedTuple):
    """What bounds the hub."""

    load_timeout_s: float = 30.0
    """How long a document may take to load before the join is refused."""
    idle_unload_s: float = 30.0
    """How long a room without sessions is kept."""
    tick_s: float = 1.0
    """How often rooms are looked over."""
    documents_bytes: int = 2 * 1024 * 1024 * 1024
    """Memory that the documents of all rooms may take, as estimated by `LiveDocument.memory_bytes`."""
    banned_bytes: int = 32 * 1024 * 1024
    """Updates remembered that a document failed on, each counted with 1,000 bytes more; the oldest go first."""
    sessions_per_graph: int = 5_000
    """Clients that may be in one graph."""
    room: Limits = Limits()


@dataclass(slots=True)
class HubStatistics:
    """Counters since the start."""

    loads: int = 0
    load_failures: int = 0
    unloads: int = 0
    evictions: int = 0
    poisoned: int = 0
    healed: int = 0


class Hub:
    """Every graph has at most one room here, and every room one document. `run` is for heavy work."""

    def __init__(
        self,
        store: DocumentStore,
        log: OperationLog,
        leases: GraphLeases,
        settings: HubSettings = HubSettings(),  # noqa: B008 - an immutable tuple
        run: Run = run_here,
    ) -> None:
        self.log = log
        self.statistics = HubStatistics()
        self._store = store
        self._settings = settings
        self._rooms: dict[UUID, Room] = {}
        self._opening: dict[UUID, asyncio.Task[None]] = {}
        self._idle_since: dict[UUID, float] = {}
        self._given_up: dict[UUID, list[Room]] = {}
        self._forgotten: set[UUID] = set()
        self._pacing = Pacing()
        self._bans = Bans(settings.banned_bytes)
        self._documents = SoundDocuments(store, settings.room.waiting_bytes, self._bans, run)
        self._holds: Counter[Room] = Counter()
        self._summed_at, self._sum_bytes = float("-inf"), 0
        self._leases = leases
        leases.when_lost(self._lose)

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The live rooms."""
        return tuple(self._rooms.values())

    def live(self, graph_id: UUID) -> Room | None:
        """Return the room of a graph if it is live, and its document sound."""
        room = self._rooms.get(graph_id)
        return room if room is not None and room.close_code is None and not room.is_healing else None

    async def open(self, graph_id: UUID) -> Room:
        """Return the one room of a graph, loading its document if nobody has yet, or waiting until it is healed.

        Everyone who asks meanwhile waits for the same load and shares its failure:
        NotFoundError, StoreUnavailableError, GraphServedElsewhereError, MemoryFullError. Cancelling one of
        them does not stop the others'. The caller must `join` or `hold` the room without awaiting in between.
        """
        while (room := self.live(graph_id)) is None:
            refused = self._rooms.get(graph_id)
            if refused is not None and refused.close_code is not None:  # the log stores nothing more of it
                self.discard(refused, refused.close_code, "")
            opening = self._opening.get(graph_id)
            if opening is None:
                opening = asyncio.create_task(self._load(graph_id), name=f"load {graph_id}")
                self._opening[graph_id] = opening
                opening.add_done_callback(self._note_failure)
            await asyncio.shield(opening)
        return room

    async def open_for_session(self, graph_id: UUID) -> Room:
        """Return the one room of a graph for a further session. Raises what `open` does, and RoomFullError."""
        room = await self.open(graph_id)
        if len(room.sessions) >= self._settings.sessions_per_graph:
            raise RoomFullError(self._settings.sessions_per_graph)
        return room

    def join(self, room: Room, session: Session) -> None:
        """Let `session` into `room`, which must be live."""
        self._idle_since.pop(room.graph_id, None)
        room.join(session)

    def leave(self, room: Room, session: Session, now: float) -> None:
        """Take `session` out of `room`; an empty room is given up some time after."""
        room.leave(session, now)
        self._note_use(room, now)

    def hold(self, room: Room) -> None:
        """Keep `room`, which must be live, although no session may be in it; `let_go` must follow."""
        self._idle_since.pop(room.graph_id, None)
        self._holds[room] += 1

    def let_go(self, room: Room, now: float) -> None:
        """Undo one `hold`."""
        self._holds[room] -= 1
        if not self._holds[room]:
            del self._holds[room]
        self._note_use(room, now)

    def discard(self, room: Room, code: int, reason: str) -> None:
        """Give a room up at once: its sessions are closed, the next join loads the graph again.

        That load waits until all the room took in is committed.
        """
        if self._rooms.get(room.graph_id) is room:
            del self._rooms[room.graph_id]
            self._idle_since.pop(room.graph_id, None)
            self._given_up.setdefault(room.graph_id, []).append(room)
            room.when_settled(lambda: self._settled(room))
        room.close(code, reason)

    def poisoned(self, room: Room, error: PoisonedDocumentError, sender: Session | None = None) -> None:
        """Heal a room whose document failed: it is loaded again while its sessions, but for the author, wait.

        The update it failed on is not taken in this graph again while this process lives. `sender` is whose message was
        processed. If the document cannot be loaded again, the room is given up. One that fails often waits longer.
        """
        if self.live(room.graph_id) is not room:
            return
        self.statistics.poisoned += 1
        if error.update is not None:
            self._bans.add(room.graph_id, error.update)
        authors = room.authors(error.update, sender)
        pause_s = self._pacing.pause_s(room.graph_id, asyncio.get_running_loop().time())
        self._reload(room, partial(self._heal, room, pause_s))
        for session in list(authors):
            session.peer.close(POISON, str(error))

    async def reload(self, graph_id: UUID, update: bytes) -> None:
        """Load a graph as it is stored now, also with `update` if that is stored, under its sessions if it is live.

        Raises what `open` does.
        """
        self._bans.lift(graph_id, update)
        room = await self.open(graph_id)
        self._reload(room, partial(self._make_anew, room))
        await self.open(graph_id)

    def forget_graph(self, graph_id: UUID) -> None:
        """Close everyone's connection to a graph that was deleted, and refuse those who wait for it."""
        if graph_id in self._opening:
            self._forgotten.add(graph_id)
        room = self._rooms.get(graph_id)
        if room is not None:
            self.discard(room, 4404, "this graph was deleted")

    async def run(self) -> None:
        """Look the rooms over until cancelled: unload idle ones, close those of graphs that are gone."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._settings.tick_s)
            self.look_over(clock())
            try:
                for graph_id in await self._store.gone(list(self._rooms)):
                    self.forget_graph(graph_id)
            except StoreUnavailableError:
                continue  # then nobody can put anything in the bin either
            except StoreError as error:
                _log.warning("graphs that are gone are looked for later", error=str(error))

    def look_over(self, now: float) -> None:
        """Give up rooms that nobody used for a while and whose every operation is committed, and see to the budget."""
        for room in self.rooms:
            room.announcements.forget(now)
        for graph_id, since in list(self._idle_since.items()):
            if now - since >= self._settings.idle_unload_s and self._rooms[graph_id].is_settled:
                self._unload(graph_id)
        if self.documents_bytes >= self._settings.documents_bytes:
            self._measure_one()

    @property
    def documents_bytes(self) -> int:
        """The memory that the documents of all rooms take, as far as it can be told."""
        return sum(room.document.memory_bytes for room in self._rooms.values())

    def flush(self, now: float) -> None:
        """Send every room's current window."""
        for room in self._rooms.values():
            room.flush(now)

    async def close(self) -> None:
        """Stop loading; rooms stay as they are."""
        tasks = list(self._opening.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, graph_id: UUID) -> None:
        try:
            async with asyncio.timeout(self._settings.load_timeout_s):
                await self._all_settled(graph_id)
                self._make_room()
                await self._leases.acquire(graph_id)
                room = await self._read(graph_id)
            if graph_id in self._forgotten:
                raise NotFoundError("graph", graph_id)
            if not self._leases.holds(graph_id):
                raise GraphServedElsewhereError(graph_id)
        except BaseException as error:
            self._leases.release(graph_id)
            if isinstance(error, TimeoutError):
                raise self._too_slow() from None
            raise
        finally:
            # Here and not in a callback: whoever asks once this task is done must find the room, not the task.
            del self._opening[graph_id]
            self._forgotten.discard(graph_id)
        self._rooms[graph_id] = room
        self._idle_since[graph_id] = asyncio.get_running_loop().time()
        self.statistics.loads += 1

    async def _read(self, graph_id: UUID) -> Room:
        whole = await self._documents.read(graph_id)
        return Room(graph_id, whole.document, whole.arrivals, self.log, _call_later, self._settings.room)

    def _reload(self, room: Room, make_anew: Callable[[], Awaitable[None]]) -> None:
        room.is_healing = True
        self.hold(room)
        peers = [session.peer for session in room.sessions]
        for peer in peers:
            peer.pause()
        healing = asyncio.create_task(self._reloading(room, peers, make_anew), name=f"heal {room.graph_id}")
        self._opening[room.graph_id] = healing
        healing.add_done_callback(self._note_failure)

    async def _heal(self, room: Room, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        await self._make_anew(room)
        self.statistics.healed += 1

    async def _make_anew(self, room: Room) -> None:
        async with asyncio.timeout(self._settings.load_timeout_s):
            await heal(room, self._documents)

    async def _reloading(self, room: Room, peers: Sequence[Peer], make_anew: Callable[[], Awaitable[None]]) -> None:
        try:
            await make_anew()
        except BaseException as error:
            if room.close_code is None:
                self.discard(room, 4500, "the document could not be loaded again; come again")
            if isinstance(error, TimeoutError):
                raise self._too_slow() from None
            raise
        finally:
            room.is_healing = False
            del self._opening[room.graph_id]
            self._forgotten.discard(room.graph_id)
            self.let_go(room, asyncio.get_running_loop().time())
            self._release_unused(room.graph_id)
            for peer in peers:  # each in a turn of the loop's own: what one sent holds up, or brings down, no other
                asyncio.get_running_loop().call_soon(_resume, room, peer)

    def _too_slow(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"a graph did not load within {self._settings.load_timeout_s} s")

    def _release_unused(self, graph_id: UUID) -> None:
        if not any(graph_id in used for used in (self._rooms, self._opening, self._given_up)):
            self._leases.release(graph_id)

    async def _all_settled(self, graph_id: UUID) -> None:
        while rooms := self._given_up.get(graph_id):
            settled = asyncio.Event()
            rooms[-1].when_settled(settled.set)
            await settled.wait()

    def _note_use(self, room: Room, now: float) -> None:
        is_used = room.sessions or room in self._holds
        if not is_used and self._rooms.get(room.graph_id) is room:
            self._idle_since[room.graph_id] = now

    def _make_room(self) -> None:
        """Give up rooms nobody uses, longest unused first, until the documents are within the budget."""
        limit_bytes = self._settings.documents_bytes
        if self._summed_bytes() < limit_bytes:
            return
        for graph_id in sorted(self._idle_since, key=self._idle_since.__getitem__):
            if self._rooms[graph_id].is_settled:
                self._unload(graph_id)
                self.statistics.evictions += 1
                self._summed_at = float("-inf")
                if self._summed_bytes() < limit_bytes:
                    return
        raise MemoryFullError(limit_bytes)

    def _summed_bytes(self) -> int:
        """Return `documents_bytes`, summed up once a millisecond, so fine is uvloop's clock, however many ask."""
        now = asyncio.get_running_loop().time()
        if now != self._summed_at:
            self._summed_at, self._sum_bytes = now, self.documents_bytes
        return self._sum_bytes

    def _measure_one(self) -> None:
        """Make the estimate that is most off exact; one at a time, since a large document takes a while."""
        room = max(self._rooms.values(), key=lambda room: room.document.unmeasured_bytes)
        if not room.document.is_worth_measuring:
            return
        try:
            room.document.measure()
        except PoisonedDocumentError as error:
            self.poisoned(room, error)

    def _unload(self, graph_id: UUID) -> None:
        del self._rooms[graph_id], self._idle_since[graph_id]
        self.statistics.unloads += 1
        self._leases.release(graph_id)

    def _lose(self, graph_id: UUID) -> None:
        room = self._rooms.get(graph_id)
        if room is not None:
            self.discard(room, SERVED_ELSEWHERE, "another server serves this graph now; come again")

    def _settled(self, room: Room) -> None:
        rooms = self._given_up[room.graph_id]
        rooms.remove(room)
        if not rooms:
            del self._given_up[room.graph_id]
            self._release_unused(room.graph_id)

    def _note_failure(self, opening: asyncio.Task[None]) -> None:
        # Whoever waits is told by the task itself; nobody may be waiting any more.
        if opening.cancelled() or opening.exception() is not None:
            self.statistics.load_failures += 1


def _resume(room: Room, peer: Peer) -> None:
    if not room.is_healing:  # else it failed again, and this one goes on after that
        peer.resume()


def _call_later(delay_s: float, callback: Callable[[float], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(delay_s, lambda: callback(loop.time()))
