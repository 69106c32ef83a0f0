"""What nodes of a graph are contained in, and how deep.

Pure. A container is a partition, or a node that others belong to. Parents that are no nodes count as none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from persistence.document import Edge, GraphContent, Node

_IDS_SHOWN_OF_CYCLE = 8

Parents = Mapping[str, str | None]
"""What each node belongs to."""


def parents_of(content: GraphContent) -> dict[str, str | None]:
    """Return what each node belongs to."""
    return {node.id: node.belongs_to for node in content.nodes}


def containment_cycles(parents: Parents) -> Iterator[list[str]]:
    """Yield each cycle of nodes that belong to one another, lowest id first and again last; by that id."""
    seen: set[str] = set()
    for start in sorted(parents):
        path: dict[str, None] = {}
        node_id: str | None = start
        while node_id is not None and node_id in parents and node_id not in seen:
            seen.add(node_id)
            path[node_id] = None
            node_id = parents[node_id]
        if node_id is not None and node_id in path:
            yield _from_lowest(list(path)[list(path).index(node_id) :])


def _from_lowest(cycle: list[str]) -> list[str]:
    first = cycle.index(min(cycle))
    return [*cycle[first:], *cycle[:first], cycle[first]]


def described(cycle: list[str]) -> str:
    """Return a cycle for a message, shortened if it is long."""
    dots = ["…"] if len(cycle) > _IDS_SHOWN_OF_CYCLE + 1 else []
    return " in ".join([*cycle[:_IDS_SHOWN_OF_CYCLE], *dots, cycle[-1]] if dots else cycle)


def nearest_kept(parent: str | None, parents: Parents, gone: set[str]) -> str | None:
    """Return the nearest container from `parent` upwards that is not gone; None if there is none, or only a cycle."""
    passed: set[str] = set()
    while parent in gone and parent not in passed:
        passed.add(parent)
        parent = parents.get(parent)
    return None if parent in gone else parent


def limit_depth(content: GraphContent, depth: int) -> GraphContent:
    """Fold containers that lie deeper than `depth` (from 1), with all in them, into what contains them at that depth.

    Edges end there instead, and those inside of it are gone; it is no partition any more if nothing is left in it.
    Containment has no cycles.
    """
    folded_into = _folds(content, depth)
    if not folded_into:
        return content
    nodes = tuple(node for node in content.nodes if node.id not in folded_into)
    emptied = set(folded_into.values()) - {node.belongs_to for node in nodes}
    return replace(
        content,
        nodes=tuple(replace(node, is_partition=False) if node.id in emptied else node for node in nodes),
        edges=tuple(_refolded(content.edges, folded_into)),
    )


def _refolded(edges: tuple[Edge, ...], folded_into: Mapping[str, str]) -> Iterator[Edge]:
    for edge in edges:
        source, target = folded_into.get(edge.source, edge.source), folded_into.get(edge.target, edge.target)
        if source == edge.source and target == edge.target:
            yield edge
        elif source != target:
            yield replace(edge, source=source, target=target)


def _folds(content: GraphContent, depth: int) -> dict[str, str]:
    """Return the nodes that are folded away, each with the container at `depth` around it."""
    levels = levels_of(content)
    containers = {node.id for node in content.nodes if node.is_partition} | {node.belongs_to for node in content.nodes}
    parents = parents_of(content)
    folded_into: dict[str, str] = {}
    for node_id in sorted(levels, key=levels.__getitem__):
        parent = parents[node_id]
        if parent is None or levels[node_id] <= depth:
            continue
        if parent in folded_into:
            folded_into[node_id] = folded_into[parent]
        elif node_id in containers:
            folded_into[node_id] = parent
    return folded_into


def levels_of(content: GraphContent) -> dict[str, int]:
    """Return how deep each node lies, from 1. Containment has no cycles."""
    parents = parents_of(content)
    levels: dict[str, int] = {}
    for start in parents:
        path = []
        node_id: str | None = start
        while node_id is not None and node_id in parents and node_id not in levels:
            path.append(node_id)
            node_id = parents[node_id]
        level = 0 if node_id is None else levels.get(node_id, 0)
        for below in reversed(path):
            level += 1
            levels[below] = level
    return levels


def with_containers(content: GraphContent, node_ids: set[str]) -> set[str]:
    """Return these nodes and all that contains them."""
    parents = parents_of(content)
    kept: set[str] = set()
    for start in node_ids:
        node_id: str | None = start
        while node_id in parents and node_id not in kept:
            kept.add(node_id)
            node_id = parents[node_id]
    return kept


def lifted(nodes: tuple[Node, ...], parents: Parents, gone: set[str]) -> tuple[Node, ...]:
    """Return nodes that belong to what is gone belonging to the nearest container that stays."""
    return tuple(
        replace(node, belongs_to=nearest_kept(node.belongs_to, parents, gone)) if node.belongs_to in gone else node
        for node in nodes
    )
