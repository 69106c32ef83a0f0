"""Updates that brought documents down, each for the graph whose document it was: not taken there again."""

from collections.abc import Container
from dataclasses import dataclass
from uuid import UUID

_BAN_BYTES = 1_000  # what one costs besides


class Bans:
    """At most `limit_bytes` of them, each counted with 1,000 bytes more; the oldest are forgotten first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._updates: dict[tuple[UUID, bytes], None] = {}

    def add(self, graph_id: UUID, update: bytes) -> None:
        """Let `update` no more into the document of a graph."""
        if (graph_id, update) not in self._updates:
            self._updates[graph_id, update] = None
            self._bytes += len(update) + _BAN_BYTES
        while self._bytes > self._limit_bytes:
            self.lift(*next(iter(self._updates)))

    def lift(self, graph_id: UUID, update: bytes) -> None:
        """Let `update` in again."""
        if (graph_id, update) in self._updates:
            del self._updates[graph_id, update]
            self._bytes -= len(update) + _BAN_BYTES

    def of(self, graph_id: UUID) -> Container[bytes]:
        """Return what is banned of a graph, now and later."""
        return _OfGraph(self._updates, graph_id)


@dataclass(frozen=True, slots=True)
class _OfGraph:
    updates: Container[tuple[UUID, bytes]]
    graph_id: UUID

    def __contains__(self, update: object) -> bool:
        return (self.graph_id, update) in self.updates
