"""What the workspace asks of the store, as narrow protocols."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar
from uuid import UUID

from persistence.document import DocumentUpdate
from persistence.records import (
    BinnedGraph,
    BinnedProject,
    Caller,
    Event,
    Graph,
    GraphType,
    Origin,
    Project,
    QuarantinedOperation,
    Retitle,
    ServerEdit,
)
from persistence.replay_records import (
    InputContent,
    ManualEdit,
    OpenConflict,
    ReplayRules,
    ReplaySummary,
    StoredInput,
    StoredPlan,
)

T = TypeVar("T")

Build = Callable[[bytes, int], ServerEdit]
"""Makes an edit from the whole document, as one Yjs v1 update, and a client id below 2^16 that nobody used in it.

A function of a module, or a `functools.partial` of one, with arguments that pickle: it runs in a worker process. Pure.
"""


class LiveEditor(Protocol):
    """Changes graphs while people edit them."""

    async def edit(self, caller: Caller, graph_id: UUID, event_type: str | None, build: Build) -> Mapping[str, Any]:
        """Change a graph's document and return the summary of `build`.

        Afterwards all of it is committed, with an event of `event_type` (unless None) that carries the summary, and
        then in the live document and sent to everyone; or nothing is. Raises NotFoundError, StoreUnavailableError,
        GraphServedElsewhereError if another server holds the graph, and what `build` raises.
        """


class WholeDocument(Protocol):
    """Reads a graph's document: the live one, else what is stored."""

    async def __call__(self, graph_id: UUID) -> bytes:
        """Return all that is applied as one Yjs v1 update, deletions included; what still waits is not in it.

        Raises NotFoundError, StoreUnavailableError.
        """


class Worker(Protocol):
    """Runs what takes long in another process, such as `server.workers.Workers`."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T: ...


class ProjectStore(Protocol):
    """Rows of projects; `persistence.projects.Projects` says what each method promises."""

    async def create(self, caller: Caller, group_id: UUID, name: str, description: str | None) -> Project: ...
    async def of_user(self, caller: Caller) -> tuple[Project, ...]: ...
    async def read(self, caller: Caller, project_id: UUID) -> Project: ...
    async def change(self, caller: Caller, project_id: UUID, new: Retitle) -> Project: ...
    async def delete(self, caller: Caller, project_id: UUID) -> None: ...
    async def role_in_project(self, caller: Caller, project_id: UUID) -> str | None: ...
    async def role_in_group(self, caller: Caller, group_id: UUID) -> str | None: ...
    async def groups_of(self, caller: Caller) -> tuple[tuple[UUID, str], ...]: ...


class GraphStore(Protocol):
    """Rows of graphs; `persistence.graphs.Graphs` says what each method promises."""

    async def create(
        self,
        caller: Caller,
        project_id: UUID,
        name: str,
        graph_type: GraphType,
        description: str | None,
        updates: Sequence[DocumentUpdate] = (),
        origin: Origin = Origin(),  # noqa: B008 - immutable
    ) -> Graph: ...
    async def of_project(self, caller: Caller, project_id: UUID) -> tuple[Graph, ...]: ...
    async def shared(self, caller: Caller) -> tuple[Graph, ...]: ...
    async def read(self, caller: Caller, graph_id: UUID) -> Graph: ...
    async def change(self, caller: Caller, graph_id: UUID, new: Retitle) -> Graph: ...
    async def delete(self, caller: Caller, graph_id: UUID) -> None: ...
    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None: ...


class BinStore(Protocol):
    """What lies in the bin; `persistence.bin.BinnedRows` says what each method promises."""

    async def graphs(self, caller: Caller, project_id: UUID) -> tuple[BinnedGraph, ...]: ...
    async def projects(self, caller: Caller) -> tuple[BinnedProject, ...]: ...
    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None: ...
    async def role_in_project(self, caller: Caller, project_id: UUID) -> str | None: ...
    async def restore_graph(self, caller: Caller, graph_id: UUID) -> Graph: ...
    async def restore_project(self, caller: Caller, project_id: UUID) -> Project: ...
    async def purge_graph(self, caller: Caller, graph_id: UUID) -> None: ...
    async def purge_project(self, caller: Caller, project_id: UUID) -> None: ...


class QuarantineStore(Protocol):
    """Operations left out of their graphs; `persistence.quarantine.Quarantine` says what each method promises."""

    async def of_user(
        self, caller: Caller, graph_id: UUID | None, limit: int
    ) -> tuple[tuple[QuarantinedOperation, str], ...]: ...
    async def find(self, caller: Caller, operation_id: int) -> QuarantinedOperation | None: ...
    async def release(self, caller: Caller, graph_id: UUID, operation_id: int) -> None: ...


class EventStore(Protocol):
    """The history; `persistence.events.Events` says what each method promises."""

    async def of_stream(self, caller: Caller, stream_id: UUID, before: int | None, limit: int) -> tuple[Event, ...]: ...
    async def of_project(
        self, caller: Caller, project_id: UUID, before: int | None, limit: int
    ) -> tuple[Event, ...]: ...


class ReplayStore(Protocol):
    """What was told of replays; `persistence.replays.Replays` says what each method promises."""

    async def page(
        self, caller: Caller, graph_id: UUID, before: UUID | None, limit: int
    ) -> tuple[ReplaySummary, ...]: ...
    async def read(self, caller: Caller, graph_id: UUID, replay_id: UUID) -> bytes: ...
    async def answer(self, caller: Caller, graph_id: UUID, replay_id: UUID, counts: bytes) -> bytes: ...


class ReplayRulesStore(Protocol):
    """Rules of projects; `persistence.replay_rules.StoredReplayRules` says what each method promises."""

    async def read(self, caller: Caller, project_id: UUID) -> ReplayRules: ...
    async def change(
        self, caller: Caller, project_id: UUID, automatic: bool | None, conflicts: str | None
    ) -> ReplayRules: ...


class ManualEditStore(Protocol):
    """Manual edits; `persistence.manual_edits.ManualEdits` says what each method promises."""

    async def page(
        self, caller: Caller, graph_id: UUID, after: int, limit: int, *, is_active: bool | None
    ) -> tuple[ManualEdit, ...]: ...
    async def deactivate(self, caller: Caller, graph_id: UUID, edit_id: UUID, reason: str | None) -> ManualEdit: ...
    async def reactivate(self, caller: Caller, graph_id: UUID, edit_id: UUID) -> ManualEdit: ...
    async def conflicts(self, caller: Caller, graph_id: UUID, after: int, limit: int) -> tuple[OpenConflict, ...]: ...
    async def conflict(self, caller: Caller, graph_id: UUID, edit_id: UUID) -> OpenConflict: ...
    async def keep(
        self, caller: Caller, graph_id: UUID, edit_id: UUID, settle: Callable[[OpenConflict], Mapping[str, Any]]
    ) -> ManualEdit: ...


class PlanStore(Protocol):
    """Plans of projects; `persistence.plans.Plans` says what each method promises."""

    async def read(self, project_id: UUID) -> StoredPlan: ...
    async def inputs(self, project_id: UUID) -> tuple[StoredInput, ...]: ...
    def held(self, project_id: UUID) -> AbstractAsyncContextManager[None]: ...


class InputStore(Protocol):
    """Inputs of projects; `persistence.inputs.Inputs` says what each method promises."""

    async def of_project(self, caller: Caller, project_id: UUID) -> tuple[StoredInput, ...]: ...
    async def read(self, caller: Caller, project_id: UUID, name: str) -> InputContent: ...
    async def write(self, caller: Caller, project_id: UUID, new: InputContent) -> None: ...
    async def delete(self, caller: Caller, project_id: UUID, name: str) -> None: ...
