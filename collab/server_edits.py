"""Edits that the server makes for somebody while people edit: built aside, committed, then applied and sent.

The other way round than a person's edit: nobody else holds it, so nobody may see it before it is durable.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

from collab.document import PoisonedDocumentError
from collab.hub import SERVED_ELSEWHERE, Hub
from collab.room import Room
from collab.wire.errors import MalformedError
from persistence.document import DocumentUpdate
from persistence.errors import (
    GraphServedElsewhereError,
    InvalidValueError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from persistence.ports import Refusal
from persistence.records import Caller, NewEvent, Operation, Record, ServerEdit
from persistence.replay_records import REPLAY_SESSION_ID

REPLAY_EVENT = "graph.replayed"
"""Tells of a replay that changed the graph."""

SERVER_SESSION_ID = "server"
"""Stands where the session would be for operations that no connection brought."""

MAX_SERVER_CLIENT_ID = 2**16 - 1
"""Ids of people's clients are random 32 bit numbers: in a true conflict theirs, the higher one, wins."""

_RANDOM_TRIES = 20

Build = Callable[[bytes, int], ServerEdit]


class Replayed(NamedTuple):
    """What a replay says of itself, and whether people edited the graph between its beginning and its commit."""

    summary: Mapping[str, Any]
    was_edited_meanwhile: bool


@dataclass(slots=True)
class ServerEdits:
    """The live editor of this node. One edit of a graph is made at a time.

    `run(build, document, client_id)` calls `build` where it holds nobody up. `new_client_id` gives random
    numbers from 1 to MAX_SERVER_CLIENT_ID, so that an id whose edits were lost with a disk is hardly used again;
    a document in which nearly all of them are used has the lowest one that is not, however high.
    `project_of(caller, graph_id)` tells where an event belongs. `store` stores records of an edit without updates.
    """

    hub: Hub
    run: Callable[[Build, bytes, int], Awaitable[ServerEdit]]
    project_of: Callable[[Caller, UUID], Awaitable[UUID]]
    store: Callable[[Sequence[Record]], Awaitable[None]]
    new_client_id: Callable[[], int]
    timeout_s: float
    _turns: WeakValueDictionary[UUID, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def edit(self, caller: Caller, graph_id: UUID, event_type: str | None, build: Build) -> Mapping[str, Any]:
        """Change a graph's document and return the summary of `build` (`workspace.ports.LiveEditor`).

        Raises StoreUnavailableError if all of that takes longer than `timeout_s`; what was handed to the log by
        then is committed and applied all the same. So it is if this is cancelled.
        """
        async with self._turn(graph_id) as room:
            edit = await self.run(build, self._document(room), self._unused_client_id(room))
            await self._make(room, caller, edit, SERVER_SESSION_ID, event_type)
        return edit.summary

    async def replay(self, caller: Caller, graph_id: UUID, prepare: Callable[[], Awaitable[Build]]) -> Replayed:
        """Make a graph what its base and its edits say.

        `prepare` is awaited once all that the document held at the beginning is committed: whatever edits it finds,
        those are among them. What people do from then on is concurrent with the replay, and theirs wins a conflict.
        One that changes the document is told by an event. Raises and ends as `edit` does.
        """
        async with self._turn(graph_id) as room:
            document, position = self._document(room), room.appended
            await _settled(room)
            edit = await self.run(await prepare(), document, self._unused_client_id(room))
            await self._make(room, caller, edit, REPLAY_SESSION_ID, REPLAY_EVENT)
            return Replayed(edit.summary, room.appended > position + len(edit.updates))

    @asynccontextmanager
    async def _turn(self, graph_id: UUID) -> AsyncIterator[Room]:
        turn = self._turns.setdefault(graph_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self.timeout_s), turn:
                room = await self.hub.open(graph_id)
                self.hub.hold(room)
                try:
                    yield room
                finally:
                    self.hub.let_go(room, asyncio.get_running_loop().time())
        except TimeoutError:
            raise StoreUnavailableError(f"the edit took longer than {self.timeout_s} s; it may follow") from None

    async def _make(
        self, room: Room, caller: Caller, edit: ServerEdit, session_id: str, event_type: str | None
    ) -> None:
        records: list[Record] = [] if edit.record is None else [edit.record]
        if not edit.updates:
            if records:
                await self.store(records)
            return
        if event_type is not None:
            project_id = await self.project_of(caller, room.graph_id)
            records.append(NewEvent(room.graph_id, event_type, edit.summary, caller.user_id, project_id))
        if room.close_code is not None:
            raise _closed(room)
        now = datetime.now(UTC)
        operations = [_operation(room.graph_id, caller.user_id, session_id, update, now) for update in edit.updates]
        failure = await asyncio.shield(self._commit(room, operations, records))
        if failure is not None:
            raise failure

    def _commit(
        self, room: Room, operations: Sequence[Operation], records: Sequence[Record]
    ) -> asyncio.Future[StoreError | None]:
        ending = _Ending(self.hub, room, deque(operation.update for operation in operations))
        self.hub.hold(room)  # until it is applied, whoever still waits for that
        room.record_server_edit(operations, records, ending.begin)
        return ending.done

    def _document(self, room: Room) -> bytes:
        try:
            return room.document.difference({})
        except PoisonedDocumentError as error:
            self.hub.poisoned(room, error)
            raise StoreUnavailableError("the graph is being loaded again") from error

    def _unused_client_id(self, room: Room) -> int:
        used = room.document.state_vector
        for _ in range(_RANDOM_TRIES):
            if (client_id := self.new_client_id()) not in used:
                return client_id
        return next(client_id for client_id in itertools.count(1) if client_id not in used)


class _Ending:
    """The part of an edit that follows its commit: applied update by update, so that nobody is held up."""

    def __init__(self, hub: Hub, room: Room, left: deque[bytes]) -> None:
        self._hub = hub
        self._room = room
        self._left = left
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[StoreError | None] = self._loop.create_future()

    def begin(self) -> None:
        """Apply what was committed; or end, if it was refused."""
        if self._room.refusal is not None:
            self._end(_closed(self._room))
        else:
            self._apply_next()

    def _apply_next(self) -> None:
        try:
            self._room.apply_committed(self._left.popleft(), self._loop.time())
        except PoisonedDocumentError as error:
            self._hub.poisoned(self._room, error)  # it is loaded again, with the edit, which is in the log
        except MalformedError as error:  # in the log it is all the same: the load decides
            self._hub.poisoned(self._room, PoisonedDocumentError(None, error))
        if self._left:
            self._loop.call_soon(self._apply_next)
        else:
            self._end(None)

    def _end(self, failure: StoreError | None) -> None:
        self._hub.let_go(self._room, self._loop.time())
        self.done.set_result(failure)


def _closed(room: Room) -> StoreError:
    """Return why nothing can be changed in a room that was given up."""
    if room.close_code == SERVED_ELSEWHERE:
        return GraphServedElsewhereError(room.graph_id)
    if room.refusal is Refusal.GONE:
        return NotFoundError("graph", room.graph_id)
    if room.refusal is Refusal.UNSTORABLE:
        return InvalidValueError("", "the database does not take this edit, or one made at the same moment")
    return StoreUnavailableError("the graph is being loaded again")


async def _settled(room: Room) -> None:
    """Wait until everything the room took in so far is committed, or refused."""
    settled = asyncio.Event()
    room.when_settled(settled.set)
    await settled.wait()


def _operation(graph_id: UUID, user_id: UUID, session_id: str, update: DocumentUpdate, now: datetime) -> Operation:
    return Operation(
        graph_id=graph_id,
        update=update.data,
        vector_clock=update.vector_clock,
        user_id=user_id,
        session_id=session_id,
        client_id=str(update.client_id),
        created_at=now,
        applied_at=now,
    )
