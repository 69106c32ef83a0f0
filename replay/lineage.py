"""What the parent of a copy makes of the copy: its content, in the ids that the copy has for it.

Pure. Entities are the same if their lineage is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import NAMESPACE_OID, uuid5

from persistence.document import Edge, GraphContent, Node

_Entity = TypeVar("_Entity", Node, Edge)


def base_for_copy(parent: GraphContent, child: GraphContent) -> GraphContent:
    """Return the content of `parent` as the base of `child`, in which every id is what the child calls that lineage.

    What the child lacks keeps its id, unless the child has something else under it: then it has one made of
    its lineage.
    """
    nodes = _ids(parent.nodes, child.nodes)
    edges = _ids(parent.edges, child.edges)
    return GraphContent(
        nodes=_sorted(
            replace(node, id=nodes[node.id], belongs_to=nodes.get(node.belongs_to or "", node.belongs_to))
            for node in parent.nodes
        ),
        edges=_sorted(
            replace(
                edge,
                id=edges[edge.id],
                source=nodes.get(edge.source, edge.source),
                target=nodes.get(edge.target, edge.target),
            )
            for edge in parent.edges
        ),
        layers=parent.layers,
    )


def _sorted(entities: Iterable[_Entity]) -> tuple[_Entity, ...]:
    return tuple(sorted(entities, key=lambda entity: entity.id))


def _ids(parent: Sequence[_Entity], child: Sequence[_Entity]) -> dict[str, str]:
    """Return what the child calls each entity of the parent; no two alike."""
    lineages = {one.id: one.lineage_id for one in child}
    free = {one.lineage_id: one.id for one in reversed(child)}
    ids = {one.id: one.id for one in parent if lineages.get(one.id) == one.lineage_id}
    for one in parent:
        if one.id in ids:
            free.pop(one.lineage_id, None)
    for one in parent:
        if one.id not in ids:
            own = one.id if one.id not in lineages else str(uuid5(NAMESPACE_OID, f"{one.lineage_id} {one.id}"))
            ids[one.id] = free.pop(one.lineage_id, own)
    return ids
