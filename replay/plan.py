"""The plan of a project: which graphs are computed from which data, and how.

Pure. A plan that exists is valid (`replay.plan_reading` makes it, or says all that is wrong), and has one form: nodes
and edges are sorted by id, references are edges, settings have one spelling.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any

from replay.node_configs import GraphNodeConfig, NodeConfig

MAX_NODES = 1_000
MAX_EDGES = 5_000
MAX_INPUTS = 100
"""Of one node."""

MAX_ID_BYTES = 200
MAX_PLAN_BYTES = 2 * 1024 * 1024
"""Of the plan as canonical JSON."""

MAX_PROBLEMS_SHOWN = 100
"""So many problems are described; the others are counted."""


class NodeType(StrEnum):
    """What a node of a plan does."""

    INPUT = "InputNode"
    GRAPH = "GraphNode"
    COPY = "CopyNode"
    MERGE = "MergeNode"
    TRANSFORM = "TransformNode"
    OUTPUT = "OutputNode"


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """One thing wrong with a plan: a machine code, what to do about it, and where it is, as far as it is in one place.

    `field` is a path such as `config.renderTarget`.
    """

    code: str
    message: str
    node_id: str | None = None
    edge_id: str | None = None
    field: str | None = None


class PlanErrors(ValueError):  # noqa: N818 - it is all the errors of one plan, not one
    """A plan that cannot be; `problems` are the first MAX_PROBLEMS_SHOWN of `count`."""

    def __init__(self, problems: tuple[PlanProblem, ...], count: int) -> None:
        super().__init__(f"the plan has {count} problem(s); the first: {problems[0].message}")
        self.problems = problems
        self.count = count

    def __reduce__(self) -> tuple[type["PlanErrors"], tuple[tuple[PlanProblem, ...], int]]:
        """Let the worker process that finds them raise them here."""
        return PlanErrors, (self.problems, self.count)


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One step; `config` is of the class that `type` says. Metadata and position mean nothing to what is computed."""

    id: str
    type: NodeType
    config: NodeConfig
    metadata: Mapping[str, Any] = field(default_factory=dict)
    position: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the node as JSON."""
        told = {"id": self.id, "type": self.type.value, "config": self.config.to_json(), "metadata": self.metadata}
        return told if self.position is None else told | {"position": self.position}


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """What comes out of `source` goes into `target`, as the input number `order` (from 0)."""

    id: str
    source: str
    target: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    order: int = 0


@dataclass(frozen=True)
class Plan:
    """A valid plan; nodes and edges are sorted by id."""

    version: str = "1.0"
    nodes: tuple[PlanNode, ...] = ()
    edges: tuple[PlanEdge, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def node(self, node_id: str) -> PlanNode:
        """Return one node; KeyError if there is none of this id."""
        return self._by_id[node_id]

    def inputs_of(self, node_id: str) -> tuple[str, ...]:
        """Return the nodes that go into this one, in declared order."""
        return self._inputs[node_id]

    def outputs_of(self, node_id: str) -> tuple[str, ...]:
        """Return the nodes that this one goes into, sorted."""
        return self._outputs[node_id]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All nodes, each after those that go into it; among those that are free, the lowest id comes first."""
        missing = {node_id: len(inputs) for node_id, inputs in self._inputs.items()}
        free = [node_id for node_id, count in missing.items() if not count]
        heapify(free)
        ordered: list[str] = []
        while free:
            ordered.append(heappop(free))
            for target in self._outputs[ordered[-1]]:
                missing[target] -= 1
                if not missing[target]:
                    heappush(free, target)
        return tuple(ordered)

    def upstream(self, target: str) -> frozenset[str]:
        """Return the nodes that this one is computed from, itself included."""
        return _reached([target], self._inputs)

    def downstream(self, node_ids: Iterable[str]) -> frozenset[str]:
        """Return the nodes that are computed from any of these, these included."""
        return _reached(node_ids, self._outputs)

    def makes_graph(self, node_id: str) -> bool:
        """Return whether what this node computes becomes a live graph.

        So do graph nodes with inputs, copies, and merges and transforms that nothing comes after.
        """
        match self.node(node_id).type:
            case NodeType.GRAPH:
                return bool(self._inputs[node_id])
            case NodeType.COPY:
                return True
            case NodeType.MERGE | NodeType.TRANSFORM:
                return not self._outputs[node_id]
            case _:
                return False

    def is_reference(self, node_id: str) -> bool:
        """Return whether this node stands for a graph that exists already, which its config names."""
        config = self.node(node_id).config
        return isinstance(config, GraphNodeConfig) and config.graph_id is not None

    def to_json(self) -> dict[str, Any]:
        """Return the plan in its one form; what is read from that is equal to this plan.

        An edge tells its `order` only if its target has several inputs.
        """
        return {
            "version": self.version,
            "nodes": [node.to_json() for node in self.nodes],
            "edges": [self._edge_json(edge) for edge in self.edges],
            "metadata": self.metadata,
        }

    def _edge_json(self, edge: PlanEdge) -> dict[str, Any]:
        told = {"id": edge.id, "source": edge.source, "target": edge.target, "metadata": edge.metadata}
        return told | {"order": edge.order} if len(self._inputs[edge.target]) > 1 else told

    @cached_property
    def _by_id(self) -> Mapping[str, PlanNode]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _inputs(self) -> Mapping[str, tuple[str, ...]]:
        inputs: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in sorted(self.edges, key=lambda edge: edge.order):
            inputs[edge.target].append(edge.source)
        return {node_id: tuple(sources) for node_id, sources in inputs.items()}

    @cached_property
    def _outputs(self) -> Mapping[str, tuple[str, ...]]:
        outputs: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            outputs[edge.source].append(edge.target)
        return {node_id: tuple(sorted(targets)) for node_id, targets in outputs.items()}


def _reached(start: Iterable[str], next_to: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    reached = set(start)
    waiting = list(reached)
    while waiting:
        further = set(next_to[waiting.pop()]) - reached
        reached |= further
        waiting.extend(further)
    return frozenset(reached)
