"""What replay asks of the store and of live editing, as narrow protocols."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar
from uuid import UUID

from persistence.records import Caller, ServerEdit
from persistence.replay_records import CapturePosition, InputContent, ReplayInputs, StoredInput, StoredPlan

T = TypeVar("T")

Build = Callable[[bytes, int], ServerEdit]
"""Makes an edit from the whole document, as one Yjs v1 update, and a client id below 2^16 that nobody used in it.

A `functools.partial` of a function of a module, with arguments that pickle: it runs in a worker process. Pure.
"""


class Replayed(Protocol):
    """What a replay says of itself, and whether people edited the graph between its beginning and its commit."""

    @property
    def summary(self) -> Mapping[str, Any]: ...
    @property
    def was_edited_meanwhile(self) -> bool: ...


class LiveReplay(Protocol):
    """Changes a graph's document while people edit it."""

    async def replay(self, caller: Caller, graph_id: UUID, prepare: Callable[[], Awaitable[Build]]) -> Replayed:
        """Commit what the Build makes of the document, with its record, and then apply and send it.

        `prepare` is awaited once all is committed that the document held at the beginning. One at a time of a graph.
        Raises NotFoundError, StoreUnavailableError, and what `prepare` and the Build raise: then nothing is changed.
        """


class Documents(Protocol):
    """Graphs as they are in memory, else in the store."""

    async def __call__(self, graph_id: UUID) -> bytes:
        """Return all that is applied as one Yjs v1 update. Raises NotFoundError, StoreUnavailableError."""


class Worker(Protocol):
    """Runs what takes long in another process."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T: ...


class Capture(Protocol):
    """Waits for whoever turns what people commit into manual edits."""

    async def catch_up(self, graph_id: UUID, within_s: float | None = None) -> None:
        """Return once all edits of a graph are captured that are committed now.

        Raises NoBaseError, and CaptureBehindError after `within_s`, by default as long as a replay waits.
        """


class ReplayStore(Protocol):
    """Rows of replays; `persistence.replays.Replays` says what each method promises."""

    async def inputs(self, graph_id: UUID) -> ReplayInputs | None: ...
    async def position(self, graph_id: UUID) -> CapturePosition | None: ...
    async def children(self, caller: Caller, graph_id: UUID) -> tuple[UUID, ...]: ...
    async def mark_applied(self, replay_id: UUID) -> None: ...


class GraphRoles(Protocol):
    """Who may read what; `persistence.graphs.Graphs` says what the method promises."""

    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None: ...


class Audience(Protocol):
    """Whoever has a graph open."""

    def tell(self, graph_id: UUID, notice: bytes) -> None:
        """Tell everybody a JSON object. Without effect if nobody has the graph open."""

    def edits(self, graph_id: UUID) -> int:
        """Return a number that grows with every edit, 0 if nobody has the graph open."""


class PlanSource(Protocol):
    """Plans of projects and their data; `persistence.plans.Plans` says what each method promises."""

    async def read(self, project_id: UUID) -> StoredPlan: ...
    async def inputs(self, project_id: UUID) -> tuple[StoredInput, ...]: ...
    async def content(self, project_id: UUID, name: str) -> InputContent: ...
