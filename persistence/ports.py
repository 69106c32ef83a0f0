"""What live editing asks of the store, as narrow protocols."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from persistence.records import NewEvent, Operation


class CommitListener(Protocol):
    """Whoever appended operations and waits for their commit."""

    def committed(self, operations: int) -> None:
        """The next `operations` of those appended, in order, are committed."""

    def refused(self, operations: int) -> None:
        """The next `operations` of those appended will never be stored: their graph is gone, or served elsewhere."""


class OperationLog(Protocol):
    """The durable log of updates."""

    def append(self, operation: Operation, listener: CommitListener) -> None:
        """Take `operation` for the next flush; `listener` hears of its commit, in order."""

    def append_together(
        self, operations: Sequence[Operation], event: NewEvent | None, listener: CommitListener
    ) -> None:
        """Take `operations` of one graph, at least one, to be stored in one transaction with `event`, or not at all."""

    @property
    def is_full(self) -> bool:
        """Whether more bytes wait for their commit than the log should hold."""

    def when_there_is_room(self, callback: Callable[[], None]) -> None:
        """Call back once, as soon as a commit has left the log at most half full."""

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything taken is committed; return False if that takes longer."""


class GraphLeases(Protocol):
    """Which graphs this node serves; no other node does at the same time."""

    async def acquire(self, graph_id: UUID) -> None:
        """Return once this node holds the graph's lease.

        Raises GraphServedElsewhereError if another node keeps it, StoreUnavailableError if it cannot be known.
        """

    def release(self, graph_id: UUID) -> None:
        """Let other nodes have the graph. Idempotent."""

    def holds(self, graph_id: UUID) -> bool:
        """Return whether this node may serve the graph."""

    def when_lost(self, callback: Callable[[UUID], None]) -> None:
        """Call back with every graph whose lease another node has taken from now on."""


@dataclass(frozen=True, slots=True)
class DocumentChunk:
    """Part of a stored document, to be applied in order.

    `has_late` tells that some of `updates` were stored before one they depend on.
    """

    updates: tuple[bytes, ...]
    has_late: bool = False


class DocumentStore(Protocol):
    """Where rooms get their documents from."""

    def open(self, graph_id: UUID) -> AbstractAsyncContextManager[AsyncIterator[DocumentChunk]]:
        """Read one consistent state of a graph: compacted state first, then the rows after it.

        Raises NotFoundError for an unknown graph and StoreUnavailableError when the store
        cannot answer; it never stands for an empty document.
        """
