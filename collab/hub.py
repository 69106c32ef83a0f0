"""The rooms of this process: opened once however many ask, kept while used, given up when idle."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from collab.arrivals import Arrivals
from collab.document import LiveDocument, PoisonedDocumentError
from collab.room import Limits, Room
from collab.session import Session
from persistence.errors import NotFoundError, StoreUnavailableError
from persistence.ports import DocumentStore, OperationLog


class HubSettings(NamedTuple):
    """What bounds the hub."""

    load_timeout_s: float = 30.0
    """How long a document may take to load before the join is refused."""
    idle_unload_s: float = 30.0
    """How long a room without sessions is kept."""
    tick_s: float = 1.0
    """How often rooms are looked over."""
    banned_bytes: int = 32 * 1024 * 1024
    """Updates remembered that a document failed on, each counted with 1,000 bytes more; the oldest go first."""
    room: Limits = Limits()


@dataclass(slots=True)
class HubStatistics:
    """Counters since the start."""

    loads: int = 0
    load_failures: int = 0
    unloads: int = 0
    poisoned: int = 0


class Hub:
    """Every graph has at most one room here, and every room one document."""

    def __init__(self, store: DocumentStore, log: OperationLog, settings: HubSettings = HubSettings()) -> None:  # noqa: B008 - an immutable tuple
        self.log = log
        self.statistics = HubStatistics()
        self._store = store
        self._settings = settings
        self._rooms: dict[UUID, Room] = {}
        self._opening: dict[UUID, asyncio.Task[None]] = {}
        self._idle_since: dict[UUID, float] = {}
        self._given_up: dict[UUID, list[Room]] = {}
        self._forgotten: set[UUID] = set()
        self._banned: dict[bytes, None] = {}

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The live rooms."""
        return tuple(self._rooms.values())

    def live(self, graph_id: UUID) -> Room | None:
        """Return the room of a graph if it is live."""
        return self._rooms.get(graph_id)

    async def open(self, graph_id: UUID) -> Room:
        """Return the one room of a graph, loading its document if nobody has yet.

        Everyone who asks meanwhile waits for the same load and shares its failure:
        NotFoundError, StoreUnavailableError. Cancelling one of them does not stop the others'.
        The caller must `join` the room without awaiting anything in between.
        """
        while (room := self._rooms.get(graph_id)) is None:
            opening = self._opening.get(graph_id)
            if opening is None:
                opening = asyncio.create_task(self._load(graph_id), name=f"load {graph_id}")
                self._opening[graph_id] = opening
                opening.add_done_callback(self._note_failure)
            await asyncio.shield(opening)
        return room

    def join(self, room: Room, session: Session) -> None:
        """Let `session` into `room`, which must be live."""
        self._idle_since.pop(room.graph_id, None)
        room.join(session)

    def leave(self, room: Room, session: Session, now: float) -> None:
        """Take `session` out of `room`; an empty room is given up some time after."""
        room.leave(session, now)
        if not room.sessions and self._rooms.get(room.graph_id) is room:
            self._idle_since[room.graph_id] = now

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

    def poisoned(self, room: Room, error: PoisonedDocumentError) -> None:
        """Give up a room whose document failed; clients come back to one loaded from the log.

        The update it failed on is not applied again while this process lives.
        """
        self.statistics.poisoned += 1
        if error.update is not None:
            self._ban(error.update)
        self.discard(room, 4500, "the document is being loaded again")

    def forget_graph(self, graph_id: UUID) -> None:
        """Close everyone's connection to a graph that was deleted, and refuse those who wait for it."""
        if graph_id in self._opening:
            self._forgotten.add(graph_id)
        room = self._rooms.get(graph_id)
        if room is not None:
            self.discard(room, 4404, "this graph was deleted")

    async def run(self) -> None:
        """Look the rooms over until cancelled: unload idle ones, forget old presence."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._settings.tick_s)
            self.look_over(clock())

    def look_over(self, now: float) -> None:
        """Give up rooms that nobody used for a while and whose every operation is committed."""
        for room in self.rooms:
            room.presence.forget(now)
        for graph_id, since in list(self._idle_since.items()):
            room = self._rooms[graph_id]
            if now - since >= self._settings.idle_unload_s and room.is_settled:
                del self._rooms[graph_id], self._idle_since[graph_id]
                self.statistics.unloads += 1

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
                room = await self._read(graph_id)
            if graph_id in self._forgotten:
                raise NotFoundError("graph", graph_id)
        except TimeoutError:
            raise StoreUnavailableError(f"a graph did not load within {self._settings.load_timeout_s} s") from None
        finally:
            # Here and not in a callback: whoever asks once this task is done must find the room, not the task.
            del self._opening[graph_id]
            self._forgotten.discard(graph_id)
        self._rooms[graph_id] = room
        self._idle_since[graph_id] = asyncio.get_running_loop().time()
        self.statistics.loads += 1

    async def _read(self, graph_id: UUID) -> Room:
        document = LiveDocument()
        arrivals = Arrivals(document, self._settings.room.waiting_bytes, self._banned)
        async with self._store.open(graph_id) as chunks:
            async for chunk in chunks:
                arrivals.load(chunk.updates, has_late=chunk.has_late)
        return Room(graph_id, document, arrivals, self.log, _call_later, self._settings.room)

    async def _all_settled(self, graph_id: UUID) -> None:
        while rooms := self._given_up.get(graph_id):
            settled = asyncio.Event()
            rooms[-1].when_settled(settled.set)
            await settled.wait()

    def _ban(self, update: bytes) -> None:
        self._banned[update] = None
        while sum(len(banned) + 1_000 for banned in self._banned) > self._settings.banned_bytes:
            del self._banned[next(iter(self._banned))]

    def _settled(self, room: Room) -> None:
        rooms = self._given_up[room.graph_id]
        rooms.remove(room)
        if not rooms:
            del self._given_up[room.graph_id]

    def _note_failure(self, opening: asyncio.Task[None]) -> None:
        # Whoever waits is told by the task itself; nobody may be waiting any more.
        if opening.cancelled() or opening.exception() is not None:
            self.statistics.load_failures += 1


def _call_later(delay_s: float, callback: Callable[[float], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(delay_s, lambda: callback(loop.time()))
