"""Computes what a node of a plan makes of its inputs, and checks what is to become a graph.

Pure and deterministic: ids and order of a result are the same on every run. Time is linear in what goes in.
"""

from collections.abc import Iterator, Sequence

from persistence.document import GraphContent
from replay.computation_errors import raise_if_any
from replay.merging import merge
from replay.node_configs import ConflictResolution, MergeConfig, TransformConfig
from replay.partitions import containment_cycles, described
from replay.plan import PlanNode
from replay.transforms import transform

_UNITED = MergeConfig(conflict_resolution=ConflictResolution.ERROR)


def compute(node: PlanNode, inputs: Sequence[GraphContent]) -> GraphContent:
    """Return what a graph, copy, merge or transform makes of `inputs`, which are in declared order.

    Edges may still lack ends: `check_graph` is for what becomes a graph. Raises ComputationError.
    """
    match node.config:
        case MergeConfig():
            return merge(node.id, node.config, inputs)
        case TransformConfig():
            return transform(node.id, inputs[0], node.config.settings)
        case _ if len(inputs) == 1:
            return inputs[0]
        case _:
            return merge(node.id, _UNITED, inputs)


def check_graph(node_id: str, content: GraphContent) -> None:
    """Raise ComputationError unless edge ends and parents exist and nothing contains itself."""
    raise_if_any(node_id, _problems(content))


def _problems(content: GraphContent) -> Iterator[str]:
    ids = {node.id for node in content.nodes}
    for edge in content.edges:
        for end, id_ in (("source", edge.source), ("target", edge.target)):
            if id_ not in ids:
                yield f"edge {edge.id!r}: its {end} {id_!r} is no node; add the node or remove the edge"
    for node in content.nodes:
        if node.belongs_to and node.belongs_to not in ids:
            yield f"node {node.id!r}: it belongs to {node.belongs_to!r}, which is no node; add that or let it be free"
    parents = {node.id: node.belongs_to for node in content.nodes}
    for cycle in containment_cycles(parents):
        yield f"nodes contain themselves: {described(cycle)}; let one of them belong elsewhere"
