"""The follower's copies of documents: read when needed, held within a bound, dropped when in doubt."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from collab.loading import examine
from collab.projection import DocumentCopy
from persistence.ports import DocumentChunk, ProjectionStore, StoredOperation

MEMORY_PER_BYTE = 17
"""What a document takes in memory, for each byte of its encoding; measured."""


class CopiesSettings(NamedTuple):
    """What bounds the copies."""

    memory_bytes: int = 512 * 1024 * 1024
    """Memory that copies may take, estimated; the least recently used go first, the one in use stays."""
    waiting_bytes: int = 4 * 1024 * 1024
    """Updates held per graph that wait for others."""


class Copies:
    """At most one copy of each graph. Whose copy is held is claimed, so that nobody else follows the graph."""

    def __init__(self, store: ProjectionStore, settings: CopiesSettings) -> None:
        self._store = store
        self._settings = settings
        self._copies: OrderedDict[UUID, DocumentCopy] = OrderedDict()

    @property
    def projected(self) -> tuple[UUID, ...]:
        """The graphs whose copies are held and whose rows show something."""
        return tuple(graph_id for graph_id, copy in self._copies.items() if copy.projected_through)

    async def get(self, graph_id: UUID) -> DocumentCopy | None:
        """Return the copy of a graph, read if it is not held; None if another process follows it.

        Raises NotFoundError, what `DocumentCopy.apply` raises, and StoreUnavailableError.
        """
        copy = self._copies.get(graph_id)
        if copy is None:
            if not await self._store.claim(graph_id):
                return None
            try:
                copy = await self._read(graph_id)
            except BaseException:
                await self._store.release(graph_id)
                raise
            self._copies[graph_id] = copy
        self._copies.move_to_end(graph_id)
        return copy

    async def drop(self, graph_id: UUID) -> None:
        """Hold no copy of the graph, and let others follow it."""
        if self._copies.pop(graph_id, None) is not None:
            await self._store.release(graph_id)

    def drop_all(self) -> None:
        """Hold no copy; the claims are lost already."""
        self._copies.clear()

    async def examine(self, graph_id: UUID, through: int) -> Mapping[int, str]:
        """Return the operations up to `through` that a copy of the graph fails on (`collab.loading.examine`)."""
        async with self._store.read(graph_id) as (cursor, pages):
            chunks = [] if cursor.state is None else [DocumentChunk((cursor.state,))]
            chunks += [_chunk(operations) async for operations in pages]
        after = cursor.through
        while operations := await self._store.operations(graph_id, after, through):
            chunks.append(_chunk(operations))
            after = operations[-1].id
        return examine(chunks)

    async def _read(self, graph_id: UUID) -> DocumentCopy:
        stored = await self._store.edits(graph_id)  # first, so that they are of nothing that the document lacks
        async with self._store.read(graph_id) as (cursor, pages):
            copy = DocumentCopy(graph_id, cursor, self._settings.waiting_bytes, stored)
            async for operations in pages:
                copy.apply(operations)
        copy.begin()
        return copy

    async def keep_within_bounds(self) -> None:
        """Drop the least recently used copies until those left are within the bound; the last used one stays."""
        encoded_bytes = sum(copy.encoded_bytes for copy in self._copies.values())
        while len(self._copies) > 1 and encoded_bytes * MEMORY_PER_BYTE > self._settings.memory_bytes:
            oldest, copy = next(iter(self._copies.items()))
            encoded_bytes -= copy.encoded_bytes
            await self.drop(oldest)


def _chunk(operations: Sequence[StoredOperation]) -> DocumentChunk:
    return DocumentChunk(tuple(one.update for one in operations), tuple(one.id for one in operations))
