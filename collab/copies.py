"""The follower's copies of documents: read when needed, held within a bound, dropped when in doubt."""

from collections import OrderedDict
from typing import NamedTuple
from uuid import UUID

from collab.projection import DocumentCopy, SkippedOperationError
from persistence.ports import ProjectionStore

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
        self._skipped: dict[UUID, set[int]] = {}

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

    def doubt(self, graph_id: UUID, error: Exception) -> bool:
        """Read the graph with more care from now on, as its copy failed; return False if that was done before."""
        is_new = graph_id not in self._skipped
        skipped = self._skipped.setdefault(graph_id, set())
        if not isinstance(error, SkippedOperationError):
            return is_new
        is_new = error.operation_id not in skipped
        skipped.add(error.operation_id)
        return is_new

    async def _read(self, graph_id: UUID) -> DocumentCopy:
        async with self._store.read(graph_id) as (cursor, chunks):
            copy = DocumentCopy(graph_id, cursor, self._settings.waiting_bytes, self._skipped.get(graph_id))
            async for operations in chunks:
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
