"""Which nodes of a plan a run goes through, in which order, and how it is known that one need not be computed again.

Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256

from persistence.execution_records import Change, PlanGraph
from replay.canonical import canonical_json
from replay.hashing import data_digest, target_hash
from replay.plan import NodeType, Plan


class UnknownTargetsError(ValueError):
    """Targets that the plan does not have, or none at all; the message says what to do."""

    def __init__(self, node_ids: Sequence[str]) -> None:
        named = ", ".join(map(repr, node_ids[:10]))
        super().__init__(
            f"these are no nodes of the plan: {named}; name others"
            if node_ids
            else "the plan has no node that makes a graph or an output; add one"
        )
        self.node_ids = tuple(node_ids)


def default_targets(plan: Plan) -> tuple[str, ...]:
    """Return all nodes that make a graph or an output, sorted by id."""
    return tuple(node.id for node in plan.nodes if node.type is NodeType.OUTPUT or plan.makes_graph(node.id))


def checked_targets(plan: Plan, asked: Sequence[str]) -> tuple[str, ...]:
    """Return what is asked for, or the default, sorted; raises UnknownTargetsError."""
    known = {node.id for node in plan.nodes}
    targets = tuple(sorted(set(asked))) or default_targets(plan)
    unknown = [node_id for node_id in targets if node_id not in known]
    if unknown or not targets:
        raise UnknownTargetsError(unknown)
    return targets


def scheduled(plan: Plan, targets: Iterable[str]) -> tuple[str, ...]:
    """Return the targets and all that they are computed from, in the plan's order: each after what goes into it."""
    needed: set[str] = set()
    for target in targets:
        if target not in needed:
            needed |= plan.upstream(target)
    return tuple(node_id for node_id in plan.order if node_id in needed)


def result_key(plan_hash: str, data: Sequence[str | None]) -> str:
    """Return the SHA-256, 64 hex digits, of all that goes into what a node computes.

    `plan_hash` is that of its target; `data` are digests in declared order: of the contents of graphs that go into it,
    of an input's file (None without one), and for all else the key of the node that goes into it.
    """
    return sha256(canonical_json({"hash": plan_hash, "data": data})).hexdigest()


def change_of(graph: PlanGraph | None, plan_hash: str) -> Change:
    """Return why a graph is made or rebuilt that is not what it should be."""
    if graph is None:
        return "new"
    return "data" if graph.dag_state_hash == plan_hash else "plan"


def affected_targets(plan: Plan, digests: Mapping[str, str], graphs: Mapping[str, PlanGraph]) -> tuple[str, ...]:
    """Return the targets that a change of the plan or of its inputs affects, sorted by id.

    Those are graphs that were made of another plan or of other data, and all targets that come after them. A plan
    that was never run has none. `digests` are those of inputs, by name.
    """
    known = {node.id for node in plan.nodes}
    changed = [
        node_id
        for node_id, graph in graphs.items()
        if node_id in known and plan.makes_graph(node_id) and _is_changed(plan, digests, graph)
    ]
    return _among(default_targets(plan), plan.downstream(changed))


def _is_changed(plan: Plan, digests: Mapping[str, str], graph: PlanGraph) -> bool:
    node_id = graph.plan_node_id
    return (graph.dag_state_hash, graph.data_digest) != (
        target_hash(plan, node_id),
        data_digest(plan, node_id, digests),
    )


def _among(node_ids: Iterable[str], others: Collection[str]) -> tuple[str, ...]:
    return tuple(node_id for node_id in node_ids if node_id in others)
