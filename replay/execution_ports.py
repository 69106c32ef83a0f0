"""What runs of plans ask of others, as narrow protocols."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

from auth.policy import Action, Principal
from persistence.document import DocumentUpdate, GraphContent
from persistence.execution_records import Execution, NewExecution, NewOutput, PlanGraph
from persistence.records import Caller, Graph, GraphType, Origin
from persistence.replay_records import GraphBase, ReplayCause, ReplayRules
from replay.node_configs import InputConfig, OutputConfig
from replay.plan import PlanNode

T = TypeVar("T")


class Worker(Protocol):
    """Runs what takes long in another process, such as `server.workers.Workers`."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T: ...


class ProjectRoles(Protocol):
    """What callers are in projects; `persistence.projects.Projects` says what the method promises."""

    async def role_in_project(self, caller: Caller, project_id: UUID) -> str | None: ...


class ProjectAccess(Protocol):
    """Decides who may do what to a project, such as `workspace.catalogue.Catalogue`."""

    async def authorise_project(self, principal: Principal, project_id: UUID, action: Action) -> None:
        """Return if the principal may; raises NotFoundError if not even read, else ForbiddenError."""


class ExecutionStore(Protocol):
    """Rows of runs; `persistence.executions.Executions` says what each method promises."""

    async def begin(self, new: NewExecution) -> Execution: ...
    async def progress(self, execution: Execution) -> str | None: ...
    async def ask_to_stop(self, execution_id: UUID, reason: str) -> bool: ...
    async def end(self, execution: Execution) -> Execution: ...
    async def reconcile(self) -> int: ...
    async def reconcile_project(self, project_id: UUID) -> None: ...
    async def running_in(self, project_id: UUID) -> Execution | None: ...
    async def of_project(self, caller: Caller, project_id: UUID) -> tuple[Execution, ...]: ...
    async def read(self, caller: Caller, execution_id: UUID) -> Execution: ...
    async def write_output(self, project_id: UUID, output: NewOutput) -> int: ...
    async def output(self, caller: Caller, execution_id: UUID, node_id: str) -> bytes | None: ...
    async def visible_outputs(self, caller: Caller, execution_ids: Sequence[UUID]) -> frozenset[tuple[UUID, str]]: ...


class ResultStore(Protocol):
    """What nodes computed last; `persistence.plan_results.PlanResults` says what each method promises."""

    async def keys(self, project_id: UUID) -> Mapping[str, str]: ...
    async def content(self, project_id: UUID, node_id: str) -> bytes: ...
    async def write(self, project_id: UUID, node_id: str, key: str, content: bytes) -> None: ...
    async def forget_others(self, project_id: UUID, node_ids: Iterable[str]) -> None: ...
    async def graphs(self, project_id: UUID) -> Mapping[str, PlanGraph]: ...


class Turn(Protocol):
    """The right to run a project's plan, which nobody else has meanwhile."""

    @property
    def is_held(self) -> bool: ...
    async def give_back(self) -> None: ...


class TurnStore(Protocol):
    """`persistence.project_turns.ProjectTurns`."""

    async def take(self, project_id: UUID) -> Turn | None: ...


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
    async def read(self, caller: Caller, graph_id: UUID) -> Graph: ...


class WholeDocument(Protocol):
    """Reads a graph's document: the live one, else what is stored (`workspace.ports.WholeDocument`)."""

    async def __call__(self, graph_id: UUID) -> bytes: ...


class Rebuild(Protocol):
    """Replays a graph on a new base (`replay.service.Rebuilds`)."""

    async def __call__(
        self, caller: Caller, graph_id: UUID, base: GraphBase, cause: ReplayCause, execution_id: UUID
    ) -> Mapping[str, Any]:
        """Make the graph what `base` and its edits say, and return the summary; if this raises, nothing is changed."""


class Rules(Protocol):
    """What projects say of runs and replays; `persistence.replay_rules.StoredReplayRules` says what it promises."""

    async def read(self, caller: Caller, project_id: UUID) -> ReplayRules: ...


ReadInput = Callable[[str, InputConfig, bytes], bytes]
"""Makes the content of an input's file, or of inline data: JSON. The first argument is what errors call it.

A function of a module: it runs in a worker process. Pure.
"""

Render = Callable[[PlanNode, GraphContent, str], bytes]
"""Writes the file of an output node, called as the last argument says; raises ComputationError.

A function of a module: it runs in a worker process. Pure.
"""

FileName = Callable[[OutputConfig, str], str]
"""Says what the file of an output is called that shows something called so."""

Explain = Callable[[Exception], str | None]
"""Says what a person can do about an error, None if nobody but who runs the server can."""
