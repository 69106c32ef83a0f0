"""What somebody did to a document, told as operations: one for each entity, in an order in which they can be made.

Pure.
"""

from collections.abc import Iterator, Sequence

from persistence.document import Node
from persistence.document_edits import Change, Entity
from replay.graph_state import GraphState
from replay.operations import EDITED_FIELDS, KINDS, ROOTS, Act, EditOperation, value_of

_KIND_OF = {root: kind for kind, root in ROOTS.items()}
_MADE_IN_ORDER = {kind: order for order, kind in enumerate(KINDS)}


def made_operations(changes: Sequence[Change], state: GraphState) -> Iterator[tuple[EditOperation, Change]]:
    """Yield what `changes`, of an entity each, did to the graph `state`, with the change; those of layout alone not.

    Creations of layers, nodes (containers first) and edges, then updates, then deletions of edges, nodes and layers.
    What went with a node is told as it was before all of it.
    """
    told = [(operation, change) for change in changes if (operation := _operation(change, state)) is not None]
    depths = _depths([change.after for operation, change in told if operation.act is Act.CREATE])
    yield from sorted(told, key=lambda one: _order(one[0], depths))


def _operation(change: Change, state: GraphState) -> EditOperation | None:
    kind, before, after = _KIND_OF[change.root], change.before, change.after
    if before is None or after is None:
        return _creation(kind, after) if after is not None else _deletion(kind, before, state)
    changed = [name for name in change.fields() if name in EDITED_FIELDS[kind]]
    if not changed:
        return None
    old, new = ({name: value_of(entity, name) for name in changed} for entity in (before, after))
    return EditOperation(kind, Act.UPDATE, change.id, old_values=old, new_values=new)


def _creation(kind: str, entity: Entity) -> EditOperation:
    return EditOperation(kind, Act.CREATE, entity.id, entity)


def _deletion(kind: str, entity: Entity | None, state: GraphState) -> EditOperation | None:
    if entity is None:
        return None
    if kind != "node":
        return EditOperation(kind, Act.DELETE, entity.id, entity)
    children = tuple(child.id for child in state.children(entity.id))
    return EditOperation(kind, Act.DELETE, entity.id, entity, edges=tuple(state.incident(entity.id)), children=children)


def _order(operation: EditOperation, depths: dict[str, int]) -> tuple[int, int, int, str]:
    acts, kind = list(Act), _MADE_IN_ORDER[operation.kind]
    depth = depths.get(operation.entity_id, 0) if operation.kind == "node" else 0
    return acts.index(operation.act), -kind if operation.act is Act.DELETE else kind, depth, operation.entity_id


def _depths(entities: Sequence[Entity | None]) -> dict[str, int]:
    """Return how many of the nodes that come each of them lies in."""
    parents = {entity.id: entity.belongs_to for entity in entities if isinstance(entity, Node)}
    depths: dict[str, int] = {}
    for node_id in parents:
        path: list[str] = []
        above: str | None = node_id
        while above is not None and above in parents and above not in depths and above not in path:
            path.append(above)
            above = parents[above]
        depth = depths.get(above, -1) if above is not None else -1
        for step, passed in enumerate(reversed(path), start=1):
            depths[passed] = depth + step
    return depths
