"""Documents as the store has them, without what brings them down; and live ones that failed, made whole in place."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import structlog

from collab.arrivals import Arrivals
from collab.bans import Bans
from collab.document import LiveDocument, PoisonedDocumentError
from collab.loading import BrokenStateError, Loading, examine, load, rows_of
from collab.room import Room
from collab.wire.state_vector import decode_state_vector
from persistence.errors import BrokenDocumentError
from persistence.ports import DocumentChunk, DocumentStore

_log = structlog.get_logger("layercake.healing")

POISON = 4400
"""Close code: what this client sent brings documents down."""

MAX_ROUNDS = 4
"""How often a document is read before its load is refused; what each round found stays found."""

SLICE_BYTES = 64 * 1024
"""How much of a document is loaded in one turn of the loop: about 20 ms; others go on in between."""

_ROW_BYTES = 256  # what a row costs besides, in bytes that would take as long

Examine = Callable[[Sequence[DocumentChunk]], Mapping[int, str]]
Run = Callable[[Examine, Sequence[DocumentChunk]], Awaitable[Mapping[int, str]]]


async def run_here(work: Examine, chunks: Sequence[DocumentChunk]) -> Mapping[int, str]:
    """Be a `Run` without another process."""
    return work(chunks)


class Whole(NamedTuple):
    """A document that was read, and encoded once to prove it; `sessions` sent what was left out for the first time."""

    document: LiveDocument
    arrivals: Arrivals
    sessions: frozenset[str]


class SoundDocuments:
    """Reads documents from the store. Rows that one cannot be made with are left out from then on.

    `run` looks for those that yrs fails on where it holds nobody up. Their updates are put among the `bans`.
    """

    def __init__(
        self,
        store: DocumentStore,
        waiting_bytes: int,
        bans: Bans,
        run: Run,
    ) -> None:
        self._store = store
        self._waiting_bytes = waiting_bytes
        self._bans = bans
        self._run = run

    async def read(self, graph_id: UUID) -> Whole:
        """Return a graph's document.

        Raises NotFoundError, StoreError if the store does not answer or cannot be told what to leave out, and
        BrokenDocumentError if there is no document to be had.
        """
        sessions: set[str] = set()
        for _ in range(MAX_ROUNDS):
            try:
                loading = await self._load(graph_id)
            except (BrokenStateError, PoisonedDocumentError) as error:
                sessions |= await self._repair(graph_id, error)
            else:
                sessions |= await self._leave_out(graph_id, loading.refused)
                loading.forget_rows()
                return Whole(loading.document, loading.arrivals, frozenset(sessions))
        raise BrokenDocumentError(graph_id, f"{MAX_ROUNDS} times in a row it could not be read; try again")

    async def _load(self, graph_id: UUID) -> Loading:
        loading = Loading(self._waiting_bytes, self._bans.of(graph_id))
        async with self._store.open(graph_id) as chunks:
            async for chunk in chunks:
                await self._take(loading, chunk)
        loading.document.difference({})
        return loading

    async def _take(self, loading: Loading, chunk: DocumentChunk) -> None:
        if not chunk.ids:
            loading.take_chunk(chunk)
        taken_bytes = 0
        for id_, update in rows_of([chunk]):
            loading.take(id_, update)
            taken_bytes += len(update) + _ROW_BYTES
            if taken_bytes >= SLICE_BYTES:
                taken_bytes = 0
                await asyncio.sleep(0)

    async def _repair(self, graph_id: UUID, error: BrokenStateError | PoisonedDocumentError) -> set[str]:
        """Make the next round find less that is bad; return the sessions of what is left out."""
        if isinstance(error, PoisonedDocumentError):
            async with self._store.open(graph_id) as parts:
                chunks = [chunk async for chunk in parts]
            try:
                return await self._leave_out(graph_id, await self._bad(graph_id, chunks))
            except BrokenStateError as found:
                error = found
        return await self._drop_state(graph_id, error)

    async def _bad(self, graph_id: UUID, chunks: Sequence[DocumentChunk]) -> Mapping[int, str]:
        bad = await self._run(examine, chunks)
        for id_, update in rows_of(chunks):
            if id_ in bad:
                self._bans.add(graph_id, update)
        return bad

    async def _leave_out(self, graph_id: UUID, bad: Mapping[int, str]) -> set[str]:
        if not bad:
            return set()
        _log.error("operations are left out of a graph", graph=str(graph_id), operations=dict(bad))
        return set(await self._store.quarantine(graph_id, bad))

    async def _drop_state(self, graph_id: UUID, error: BrokenStateError) -> set[str]:
        """Have the graph read from its rows alone, if they are as many as ever."""
        async with self._store.open_rows(graph_id) as (vector, parts):
            chunks = [chunk async for chunk in parts]
        bad = await self._bad(graph_id, chunks)
        known = load(chunks, without=bad).document.state_vector
        if any(known.get(client, 0) < clock for client, clock in decode_state_vector(vector).items()):
            raise BrokenDocumentError(
                graph_id, f"{error}, and older edits were pruned from the log; restore a backup"
            ) from error
        _log.error("a compacted state is dropped", graph=str(graph_id), error=str(error))
        await self._store.drop_state(graph_id)
        return await self._leave_out(graph_id, bad)


async def heal(room: Room, documents: SoundDocuments) -> None:
    """Give `room` its document anew, with all it took in; its sessions take part in nothing until this returns.

    Whoever sent what had to be left out is cut. A room that is given up meanwhile is left as it is.
    """
    while True:
        settled = asyncio.Event()
        appended = room.appended
        room.when_settled(settled.set)
        await settled.wait()
        whole = await documents.read(room.graph_id)
        if room.close_code is not None:
            return
        if room.appended == appended:  # else the server edited meanwhile
            break
    for session in list(room.sessions):
        if session.id in whole.sessions:
            session.peer.close(POISON, "the document failed on an update of this client's")
    room.go_on(whole.document, whole.arrivals, asyncio.get_running_loop().time())
