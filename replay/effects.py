"""What an operation makes of a graph, as changes of its entities.

Pure. All changes are known before the first is made: an edit happens as a whole or not at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from persistence.document import ABSENT
from persistence.document_edits import Change, Entity
from replay.graph_state import GraphState
from replay.operations import ROOTS, Act, EditOperation


def effects(operation: EditOperation, state: GraphState) -> list[Change]:
    """Return what `operation` changes in `state`, in order; an update or a deletion of what is not there, nothing.

    With a node go the edges that are incident now; what belongs to it now moves up to the node it belongs to itself.
    """
    root = ROOTS[operation.kind]
    present = state.get(root, operation.entity_id)
    if operation.act is Act.CREATE:
        return [Change(root, operation.entity_id, present, operation.entity)]
    if present is None:
        return []
    if operation.act is Act.UPDATE:
        return [Change(root, present.id, present, with_values(present, operation.new_values))]
    beside = _beside_deletion(present.id, state) if operation.kind == "node" else ()
    return [*beside, Change(root, present.id, present, None)]


def with_values(entity: Entity, values: Mapping[str, Any]) -> Entity:
    """Return `entity` with fields that have the values that an operation tells."""
    return replace(entity, **{name: _field(type(entity), name, value) for name, value in values.items()})


def _field(kind: type[Entity], name: str, value: Any) -> Any:
    """Return what a field is when an operation tells `value` of it (the reverse of `value_of`)."""
    if value is None:
        return ABSENT[kind][name]
    return UUID(value) if name == "lineage_id" else value


def _beside_deletion(node_id: str, state: GraphState) -> Iterator[Change]:
    for edge in state.incident(node_id):
        yield Change("edges", edge.id, edge, None)
    above = state.nodes[node_id].belongs_to
    for child in state.children(node_id):
        if child.id != node_id:
            parent = None if above in (node_id, child.id) else above
            yield Change("nodes", child.id, child, replace(child, belongs_to=parent))
