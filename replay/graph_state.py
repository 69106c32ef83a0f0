"""A graph while edits are made in it one after the other, with what is incident and what belongs where kept at hand.

Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from persistence.document import Edge, GraphContent, Layer, Node
from persistence.document_edits import Change, Entity

_T = TypeVar("_T")


class GraphState:
    """The entities of a graph by id. Nothing is checked: an edge may lack its ends, and a node its parent."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[str, Edge] = {}
        self._layers: dict[str, Layer] = {}
        self._roots: Mapping[str, dict[str, Any]] = {
            "layers": self._layers,
            "nodes": self._nodes,
            "edges": self._edges,
        }
        self._incident: defaultdict[str, set[str]] = defaultdict(set)
        self._children: defaultdict[str, set[str]] = defaultdict(set)

    @classmethod
    def of(cls, content: GraphContent) -> "GraphState":
        """Return the graph `content` as one that can be changed."""
        state = cls()
        entities: tuple[Entity, ...] = (*content.layers, *content.nodes, *content.edges)
        for entity in entities:
            state._put(entity)
        return state

    def content(self) -> GraphContent:
        """Return the graph as it is now."""
        return GraphContent(_sorted(self._nodes), _sorted(self._edges), _sorted(self._layers))

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by id."""
        return self._nodes

    @property
    def edges(self) -> Mapping[str, Edge]:
        """All edges by id."""
        return self._edges

    @property
    def layers(self) -> Mapping[str, Layer]:
        """All layers by id."""
        return self._layers

    def get(self, root: str, id_: str) -> Entity | None:
        """Return the entity that the root map has under `id_`, None if there is none."""
        entity: Entity | None = self._roots[root].get(id_)
        return entity

    def incident(self, node_id: str) -> list[Edge]:
        """Return the edges that begin or end at a node, sorted by id."""
        return [self._edges[id_] for id_ in sorted(self._incident.get(node_id, ()))]

    def children(self, node_id: str) -> list[Node]:
        """Return the nodes that belong to a node, sorted by id."""
        return [self._nodes[id_] for id_ in sorted(self._children.get(node_id, ()))]

    def apply(self, changes: Iterable[Change]) -> None:
        """Make each entity what it is after its change."""
        for change in changes:
            if (present := self.get(change.root, change.id)) is not None:
                self._drop(present)
            if change.after is not None:
                self._put(change.after)

    def _put(self, entity: Entity) -> None:
        if isinstance(entity, Node):
            self._nodes[entity.id] = entity
            if entity.belongs_to is not None:
                self._children[entity.belongs_to].add(entity.id)
        elif isinstance(entity, Edge):
            self._edges[entity.id] = entity
            self._incident[entity.source].add(entity.id)
            self._incident[entity.target].add(entity.id)
        else:
            self._layers[entity.id] = entity

    def _drop(self, entity: Entity) -> None:
        if isinstance(entity, Node):
            del self._nodes[entity.id]
            if entity.belongs_to is not None:
                self._children[entity.belongs_to].discard(entity.id)
        elif isinstance(entity, Edge):
            del self._edges[entity.id]
            self._incident[entity.source].discard(entity.id)
            self._incident[entity.target].discard(entity.id)
        else:
            del self._layers[entity.id]


def _sorted(entities: Mapping[str, _T]) -> tuple[_T, ...]:
    return tuple(entities[id_] for id_ in sorted(entities))
