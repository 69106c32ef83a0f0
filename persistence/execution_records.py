"""What the store keeps of runs of plans, as frozen objects."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

ExecutionType = Literal["manual", "automatic", "scheduled"]
ExecutionStatus = Literal["running", "completed", "failed", "cancelled"]
NodeStatus = Literal["waiting", "running", "completed", "unchanged", "failed", "skipped", "cancelled"]
Change = Literal["new", "plan", "data"]
"""Why a graph was made or rebuilt: there was none, the plan up to its node is another, or what that is said of is."""


@dataclass(frozen=True, slots=True)
class NodeRun:
    """How far one node of a run is; `ms` is how long it took, `error` a sentence.

    Only of graphs there is a `change`, and of those that were rebuilt the summary of the `replay`.
    """

    id: str
    status: NodeStatus = "waiting"
    ms: int | None = None
    error: str | None = None
    change: Change | None = None
    replay: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that an output node wrote."""

    node_id: str
    format: str
    file_name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Execution:
    """A run of a project's plan; `nodes` are in the order in which they run, `graphs` those they made, by node.

    While it is running, an `error` tells why it is about to stop.
    """

    id: UUID
    project_id: UUID
    execution_type: ExecutionType
    targets: tuple[str, ...]
    status: ExecutionStatus
    error: str | None
    nodes: tuple[NodeRun, ...]
    graphs: Mapping[str, str]
    outputs: tuple[OutputFile, ...]
    triggered_by: UUID | None
    started_at: datetime
    completed_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status == "running"

    def with_node(self, run: NodeRun) -> "Execution":
        """Return the same with one node as far as `run` says."""
        return replace(self, nodes=tuple(run if node.id == run.id else node for node in self.nodes))

    def node_json(self) -> list[dict[str, Any]]:
        """Return the nodes as JSON."""
        return [asdict(node) for node in self.nodes]

    def output_json(self) -> list[dict[str, Any]]:
        """Return the outputs as JSON."""
        return [asdict(output) for output in self.outputs]


@dataclass(frozen=True, slots=True)
class NewExecution:
    """A run that begins: what it is of, as JSON, and on whose behalf."""

    id: UUID
    project_id: UUID
    execution_type: ExecutionType
    plan_dag: Mapping[str, Any]
    targets: tuple[str, ...]
    nodes: tuple[NodeRun, ...]
    triggered_by: UUID


@dataclass(frozen=True, slots=True)
class NewOutput:
    """A file of an output node on its way into the store: its content is what that node has in `plan_results`.

    `graph_id` is the graph that it shows, None for what is no graph of its own.
    """

    execution_id: UUID
    file: OutputFile
    graph_id: UUID | None
    config: Mapping[str, Any]
    triggered_by: UUID
    ms: int


@dataclass(frozen=True, slots=True)
class PlanGraph:
    """A graph that a node of a plan made, and what its base was computed of."""

    id: UUID
    plan_node_id: str
    dag_state_hash: str
    data_digest: str
