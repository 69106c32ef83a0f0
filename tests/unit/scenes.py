"""A hub with one live room whose document is made anew from what its log committed."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pycrdt import Map

from collab.document import PoisonedDocumentError
from collab.hub import Hub, HubSettings
from collab.wire.frames import Outbound
from persistence.ports import DocumentChunk
from tests.unit.rooms import GRAPH, Client, Clock, HeldLog, OneNode


class LogStore:
    """A store whose rows are what `log` committed, numbered from 1."""

    def __init__(self, log: HeldLog) -> None:
        self.log = log
        self.answer = asyncio.Event()
        self.answer.set()
        self.failure: Exception | None = None
        self.quarantined: dict[int, str] = {}

    @asynccontextmanager
    async def open(self, graph_id: UUID) -> AsyncIterator[AsyncIterator[DocumentChunk]]:
        yield self._read()

    async def _read(self) -> AsyncIterator[DocumentChunk]:
        rows = [row for row in enumerate(self.log.stored, 1) if row[0] not in self.quarantined]
        await self.answer.wait()
        if self.failure is not None:
            raise self.failure
        if rows:
            yield DocumentChunk(tuple(operation.update for _, operation in rows), tuple(id_ for id_, _ in rows))

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        self.quarantined |= reasons
        return [self.log.stored[id_ - 1].session_id for id_ in reasons]

    def open_rows(self, graph_id: UUID) -> Any:
        raise NotImplementedError

    async def drop_state(self, graph_id: UUID) -> None:
        raise NotImplementedError

    async def gone(self, graph_ids: Sequence[UUID]) -> Sequence[UUID]:
        return ()


@dataclass
class Visitor(Client):
    """A client whose line holds what it sends while the room's document is made anew."""

    hub: Hub = field(kw_only=True)
    held: list[bytes] = field(default_factory=list)
    sent_after_close: list[bytes] = field(default_factory=list)

    def send(self, *messages: Outbound) -> None:
        super().send(*messages)
        if self.closed is not None:
            self.sent_after_close += [message.payload for message in messages]

    def push(self, *updates: bytes) -> None:
        if self.closed:
            return
        outgoing = list(updates or self.take_edits())
        while outgoing and not self.is_paused:
            update = outgoing.pop(0)
            try:
                super().push(update)
            except PoisonedDocumentError as error:
                self.hub.poisoned(self.room, error, self.session)
                outgoing.insert(0, update)
        self.held += outgoing

    def tell(self, notice: bytes) -> None:
        raise AssertionError("nobody tells anything")

    def resume(self) -> None:
        super().resume()
        held, self.held = self.held, []
        if held:
            self.push(*held)


@dataclass
class Scene:
    """A hub with one room, three clients in it."""

    log: HeldLog = field(default_factory=HeldLog)
    leases: OneNode = field(default_factory=OneNode)
    clock: Clock = field(default_factory=Clock)
    load_timeout_s: float = 10.0

    async def begin(self) -> "Scene":
        self.clock.now = asyncio.get_running_loop().time()  # as the hub's own
        self.store = LogStore(self.log)
        self.hub = Hub(self.store, self.log, self.leases, HubSettings(load_timeout_s=self.load_timeout_s))
        self.room = await self.hub.open(GRAPH)
        self.author, self.writer, self.reader = (self.visitor(1), self.visitor(2), self.visitor(3, read_only=True))
        return self

    def visitor(self, number: int, *, read_only: bool = False) -> Visitor:
        visitor = Visitor(number, self.room, self.clock, read_only, hub=self.hub)
        self.hub.join(self.room, visitor.session)
        self.room.answer_step1(visitor.session, visitor.doc.get_state())
        return visitor

    async def calm(self) -> None:
        for _ in range(5):
            self.log.commit()
            for _ in range(20):
                await asyncio.sleep(0)
        self.clock.now = asyncio.get_running_loop().time()
        self.hub.flush(self.clock.now)
        self.log.commit()
        for visitor in (self.author, self.writer, self.reader):
            if visitor.closed is None:
                visitor.read()

    def live(self) -> dict[str, Any]:
        return dict(self.room.document.doc.get("map", type=Map).to_py() or {})


def write(visitor: Client, key: str, value: str = "x") -> bytes:
    visitor.doc.get("map", type=Map)[key] = value
    (update,) = visitor.take_edits()
    return update


def content(visitor: Client) -> dict[str, Any]:
    return dict(visitor.doc.get("map", type=Map).to_py() or {})
