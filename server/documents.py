"""Whole documents made of what is stored, by the rules of live editing: nothing that waits touches them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from collab.document import LiveDocument, PoisonedDocumentError
from collab.hub import Hub
from collab.loading import BrokenStateError, examine, load
from collab.wire.errors import MalformedError
from collab.wire.update import walk
from persistence.operations import StoredDocuments
from persistence.ports import DocumentChunk
from server.workers import Workers


class Assembled(NamedTuple):
    """A document: all that is applied as one Yjs v1 update, and the raw updates that wait for others."""

    document: bytes
    pending: tuple[bytes, ...]


def assemble(chunks: Sequence[DocumentChunk]) -> Assembled:
    """Make a document of its stored parts, without rows that would bring it down: those are marked elsewhere. Pure."""
    try:
        loading = load(chunks)
        document = loading.document.difference({})
    except PoisonedDocumentError:
        loading = load(chunks, without=examine(chunks))
        document = loading.document.difference({})
    return Assembled(document, loading.arrivals.waiting)


def check_document(document: bytes, pending: Sequence[bytes]) -> list[Mapping[int, int]]:
    """Look over what comes from outside (`workspace.unarchiving.Check`): one whole document, and updates that wait.

    Raises MalformedError, also for what yrs fails on in spite of the walk.
    """
    live = LiveDocument()
    shape = walk(document)
    if shape.has_gaps or live.missing(shape) is not None:
        raise MalformedError("a part of it is missing")
    try:
        live.apply(document, shape)
    except PoisonedDocumentError as error:
        raise MalformedError(str(error)) from error
    shapes = [walk(update) for update in pending]
    if any(waiting.has_gaps for waiting in shapes):
        raise MalformedError("an update that waits has gaps")
    return [waiting.struct_ends for waiting in shapes]


async def read_stored(documents: StoredDocuments, graph_id: UUID) -> list[DocumentChunk]:
    """Return the stored parts of a document, in order. Raises NotFoundError, StoreUnavailableError."""
    async with documents.open(graph_id) as chunks:
        return [chunk async for chunk in chunks]


class Documents:
    """The `workspace.ports.WholeDocument` of a server: a live document as it is in memory, others (and one that
    failed) from the store."""

    def __init__(self, hub: Hub, stored: StoredDocuments, workers: Workers) -> None:
        self._hub = hub
        self._stored = stored
        self._workers = workers

    async def __call__(self, graph_id: UUID) -> bytes:
        """Return all of a graph's document that is applied, as one Yjs v1 update."""
        room = self._hub.live(graph_id)
        if room is not None:
            try:
                return room.document.difference({})
            except PoisonedDocumentError as error:
                self._hub.poisoned(room, error)
        try:
            return await self.committed(graph_id)
        except BrokenStateError:
            room = await self._hub.open(graph_id)  # which mends it, or says why it cannot be
            return room.document.difference({})

    async def committed(self, graph_id: UUID) -> bytes:
        """Return what is stored of a graph's document in the same way, whatever people are just editing.

        Raises NotFoundError, StoreUnavailableError, BrokenStateError.
        """
        chunks = await read_stored(self._stored, graph_id)
        assembled = await self._workers.run(assemble, chunks)
        return assembled.document
