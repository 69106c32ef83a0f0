"""What live editing asks of the store, as narrow protocols."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from persistence.document import Edge, GraphContent, Layer, Node
from persistence.document_edits import Change, Entity
from persistence.records import Operation, Record
from persistence.replay_records import Author, EditStep, StoredEdits

_Entity = TypeVar("_Entity", Node, Edge, Layer)


class Refusal(Enum):
    """Why the log does not store the operations of a graph."""

    GONE = auto()
    """There is no such graph any more."""
    ELSEWHERE = auto()
    """Another node serves it."""
    UNSTORABLE = auto()
    """PostgreSQL does not take one of them, and never will."""


class CommitListener(Protocol):
    """Whoever appended operations and waits for their commit."""

    def committed(self, operations: int) -> None:
        """The next `operations` of those appended, in order, are committed."""

    def refused(self, operations: int, reason: Refusal) -> None:
        """The next `operations` of those appended will never be stored."""


class OperationLog(Protocol):
    """The durable log of updates."""

    def append(self, operation: Operation, listener: CommitListener) -> None:
        """Take `operation` for the next flush; `listener` hears of its commit, in order."""

    def append_together(
        self, operations: Sequence[Operation], records: Sequence[Record], listener: CommitListener
    ) -> None:
        """Take `operations` of one graph, at least one, to be stored with `records` in one transaction, or none."""

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
    """Part of a stored document, to be applied in order: rows with their `ids`, or a compacted state without any."""

    updates: tuple[bytes, ...]
    ids: tuple[int, ...] = ()


class DocumentStore(Protocol):
    """Where rooms get their documents from."""

    def open(self, graph_id: UUID) -> AbstractAsyncContextManager[AsyncIterator[DocumentChunk]]:
        """Read one consistent state of a graph: compacted state first, then the rows after it.

        Rows that are quarantined are left out. Raises NotFoundError for an unknown graph and StoreUnavailableError
        when the store cannot answer; it never stands for an empty document.
        """

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        """Leave rows of a graph out of every load from now on, each for its reason; return their sessions' ids.

        Idempotent: of those that are left out already nothing is returned. Raises StoreError: then none is left out.
        """

    def open_rows(self, graph_id: UUID) -> AbstractAsyncContextManager[tuple[bytes, AsyncIterator[DocumentChunk]]]:
        """Read all rows of a graph as if it had no compacted state, and the state vector of that."""

    async def drop_state(self, graph_id: UUID) -> None:
        """Forget a graph's compacted state, which does not load: it is made again of the rows, which are all there."""

    async def gone(self, graph_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Return those of `graph_ids` that are in the bin, purged, or were never there.

        Raises StoreUnavailableError.
        """


class StoredOperation(NamedTuple):
    """A committed row of the log."""

    id: int
    update: bytes


@dataclass(frozen=True, slots=True)
class GraphCursor:
    """How far the rows of a graph and its compacted state have come, as ids of operations."""

    projected_through: int
    compacted_through: int
    state: bytes | None

    @property
    def through(self) -> int:
        """Where a follower begins: a projection that is behind the state, or was reset, is remade from the state."""
        return max(self.projected_through, self.compacted_through)


@dataclass(frozen=True, slots=True)
class Changes(Generic[_Entity]):
    """The rows of one table to write and to delete (by key), and how many the graph has afterwards."""

    written: Sequence[_Entity]
    deleted: Sequence[str]
    count: int


@dataclass(frozen=True, slots=True)
class ProjectionStep:
    """What the rows of a graph become when its cursor goes from `since` to `through`.

    `is_whole` tells that every entity is in it: rows of others are deleted. `edits` are those of a graph that has
    a base.
    """

    graph_id: UUID
    since: int
    through: int
    is_whole: bool
    nodes: Changes[Node]
    edges: Changes[Edge]
    layers: Changes[Layer]
    warnings: int
    edits: EditStep | None = None


@dataclass(frozen=True, slots=True)
class AppliedOperation:
    """What an operation did to the entities of a graph when it was applied, with row `operation_id` of the log.

    `author` brought it, `clients` are those that it advanced, the first one first. Of `changes` each is of another
    entity. `is_unseen` tells that it was made on what was deleted meanwhile, and changed nothing for that.
    """

    operation_id: int
    author: Author
    author_operation_id: int
    clients: Sequence[int]
    changes: Sequence[Change]
    is_unseen: bool


class EditCapture(Protocol):
    """Makes the manual edits of one graph of what operations did to it, one after the other. Pure."""

    def before(self, root: str, id_: str) -> Entity | None:
        """Return an entity as the last operation taken left it."""

    def ids(self, root: str) -> Collection[str]:
        """Return the ids of all entities of a root map."""

    def owner(self, client_id: int) -> UUID | None:
        """Return whose edits a Yjs client makes, None of one that made none."""

    def take(self, applied: AppliedOperation) -> None:
        """Take the next operation."""

    def step(self) -> EditStep:
        """Return what became of the edits by all that was taken since the last call."""

    def capture_again(self, stored: StoredEdits) -> EditStep:
        """Return the same as the last `step`, but as from edits that somebody changed meanwhile."""


class BeginCapture(Protocol):
    """Where a graph's capture begins."""

    def __call__(self, graph_id: UUID, stored: StoredEdits, content: GraphContent) -> EditCapture:
        """Return one that has taken all up to `StoredEdits.through`, which made the graph `content`."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """A graph's document as of `through`, where its cursor is: state, vector, and what waits for others."""

    graph_id: UUID
    since: int
    through: int
    state: bytes
    vector: bytes
    pending_ids: Sequence[int]


class Backlog(NamedTuple):
    """A graph with operations that its rows lack, the oldest of them `behind_s` seconds old."""

    graph_id: UUID
    behind_s: float


class Position(NamedTuple):
    """Where a graph is: none of its operations to come has an id below `highest`."""

    highest: int
    projected_through: int
    compacted_through: int


@dataclass(frozen=True, slots=True)
class Survey:
    """All graphs looked at: those to follow, those due for compaction by age, and all warnings there are."""

    behind: Sequence[Backlog]
    uncompacted: Sequence[UUID]
    warnings: int


class ProjectionStore(Protocol):
    """Where the follower reads committed operations, and writes rows and compacted states.

    Everything raises StoreUnavailableError when the store does not answer.
    """

    async def survey(self, compaction_age_s: float) -> Survey:
        """Look at every graph; a bounded number is returned, those that are furthest behind first."""

    async def news(self, projected: Sequence[UUID]) -> Sequence[Backlog]:
        """Return graphs that got operations since the last call, and those of `projected` whose cursor is at 0 now."""

    async def claim(self, graph_id: UUID) -> bool:
        """Become the one follower of a graph, until `release`; return False if another one is."""

    async def release(self, graph_id: UUID) -> None:
        """Let others follow the graph."""

    def has_lost_claims(self) -> bool:
        """Return whether what was claimed may be followed by others meanwhile; from then on nothing is claimed."""

    def read(
        self, graph_id: UUID
    ) -> AbstractAsyncContextManager[tuple[GraphCursor, AsyncIterator[Sequence[StoredOperation]]]]:
        """Read from one snapshot a graph's cursor and what its state lacks up to `GraphCursor.through`, in order.

        Raises NotFoundError.
        """

    async def position(self, graph_id: UUID) -> Position | None:
        """Return where a graph is; None if writers are busy just now. Raises NotFoundError."""

    async def operations(self, graph_id: UUID, after: int, through: int) -> Sequence[StoredOperation]:
        """Return the next operations after `after`, at most as many as may be held in memory, none if there are none.

        Those that are quarantined are left out, here and by `read`.
        """

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        """Leave operations out from now on (`DocumentStore.quarantine`); rows that show one are to be remade."""

    async def quarantined(self) -> int:
        """Return how many operations of all graphs are quarantined."""

    async def edits(self, graph_id: UUID) -> StoredEdits | None:
        """Return what the edits of a graph are captured from; None if it has no base."""

    async def authors(self, graph_id: UUID, operation_ids: Sequence[int]) -> Mapping[int, Author]:
        """Return who brought operations of a graph into the log."""

    async def project(self, step: ProjectionStep) -> bool:
        """Write a step and move the cursors, all or nothing; return False if the cursor was not at `since`.

        Raises EditsChangedError if the step's edits are not of the version that is there now.
        """

    async def compact(self, compaction: Compaction) -> bool:
        """Write a compacted state; return False if the state, or the cursor, is another one than the follower knew."""


class RightsNotice(NamedTuple):
    """Something that rights hang on has changed: a user, session, token, share, graph or project."""

    kind: str
    id: UUID


class Claim(NamedTuple):
    """By what somebody is in a graph: a credential (`auth.policy.Credential`), and the role it grants if it does."""

    user_id: UUID
    graph_id: UUID
    kind: str
    credential_id: UUID | None
    granted_role: str | None


class Verdict(NamedTuple):
    """What is stored of a claim, as of one moment."""

    is_valid: bool
    """Whether the credential is not revoked, nor its person disabled; when it expires is another matter."""
    expires_at: datetime | None
    """Until when it is good; of a session, its newest access token. None for ever, and for what has no row."""
    is_there: bool
    """Whether the graph is there."""
    role: str | None
    """What the person is in the graph."""


class RightsStore(Protocol):
    """Where rights that are in use are looked up again."""

    async def look_up(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Return a verdict for each claim, in order. Raises StoreError."""
