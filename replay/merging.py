"""Makes one graph of several: their union, what all of them have, or what only the first has.

Pure. Entities are the same if they have the same id. Layers are never taken away: they are what graphs look like.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from persistence.document import ABSENT, Edge, GraphContent, Layer, Node
from persistence.document_edits import Entity
from replay.computation_errors import raise_if_any
from replay.node_configs import ConflictResolution, MergeConfig, MergeStrategy
from replay.partitions import lifted

_Entity = TypeVar("_Entity", Node, Edge, Layer)
_Found = Mapping[str, Sequence[_Entity]]
"""The entities of one kind that several inputs have, by id, each in the order of the inputs."""

_UNCOMPARED = ("lineage_id", "position")
"""Where an entity comes from, and layout: no difference between two."""


def merge(node_id: str, config: MergeConfig, inputs: Sequence[GraphContent]) -> GraphContent:
    """Return one graph of `inputs`, in declared order; raises ComputationError for the node if entities clash.

    Nodes that belonged to what is gone belong to the nearest container that stays; edges of what is gone are gone.
    """
    all_nodes = [content.nodes for content in inputs]
    nodes = _kept(all_nodes, config.strategy)
    edges = _kept([content.edges for content in inputs], config.strategy)
    layers = _layers(inputs, config.strategy)
    if config.conflict_resolution is ConflictResolution.ERROR:
        raise_if_any(node_id, (*_clashes("node", nodes), *_clashes("edge", edges), *_clashes("layer", layers)))
    resolve = _RESOLVERS[config.conflict_resolution]
    merged = GraphContent(_resolved(nodes, resolve), _resolved(edges, resolve), _resolved(layers, resolve))
    before = _found(all_nodes)
    gone = before.keys() - nodes.keys()
    return _without(merged, gone, {id_: resolve(before[id_]).belongs_to for id_ in gone}) if gone else merged


def _layers(inputs: Sequence[GraphContent], strategy: MergeStrategy) -> _Found[Layer]:
    first_only = strategy is MergeStrategy.DIFFERENCE
    return _found([content.layers for content in (inputs[:1] if first_only else inputs)])


def _found(inputs: Sequence[Sequence[_Entity]]) -> _Found[_Entity]:
    found: dict[str, list[_Entity]] = {}
    for entities in inputs:
        for entity in entities:
            found.setdefault(entity.id, []).append(entity)
    return found


def _kept(inputs: Sequence[Sequence[_Entity]], strategy: MergeStrategy) -> _Found[_Entity]:
    found = _found(inputs)
    match strategy:
        case MergeStrategy.UNION:
            return found
        case MergeStrategy.INTERSECTION:
            return {id_: entities for id_, entities in found.items() if len(entities) == len(inputs)}
        case MergeStrategy.DIFFERENCE:
            return {entity.id: [entity] for entity in inputs[0] if len(found[entity.id]) == 1}


def _clashes(kind: str, found: Mapping[str, Sequence[Entity]]) -> Iterator[str]:
    for id_, (first, *others) in sorted(found.items()):
        names = {name for other in others for name in _differences(first, other)}
        if names:
            expected = "make them equal, or merge them with another conflict resolution"
            yield f"{kind} {id_!r} differs between inputs in {', '.join(sorted(names))}; {expected}"


def _differences(first: Entity, other: Entity) -> Iterator[str]:
    if first != other:
        for name in ABSENT[type(first)]:
            if name not in _UNCOMPARED and getattr(first, name) != getattr(other, name):
                yield name


def _resolved(found: _Found[_Entity], resolve: Callable[[Sequence[Any]], Any]) -> tuple[_Entity, ...]:
    return tuple(resolve(entities) for _, entities in sorted(found.items()))


def _first(entities: Sequence[Any]) -> Any:
    return entities[0]


def _last(entities: Sequence[Any]) -> Any:
    return entities[-1]


def _united(entities: Sequence[Any]) -> Any:
    """Return what several say together: of each field the first that has it, and of each property."""
    if len(entities) == 1:
        return entities[0]
    absent = ABSENT[type(entities[0])]
    values = {
        name: next((value for one in entities if (value := getattr(one, name)) != nothing), nothing)
        for name, nothing in absent.items()
    }
    values["properties"] = {name: value for one in reversed(entities) for name, value in one.properties.items()}
    return replace(entities[0], **values)


_RESOLVERS: Mapping[ConflictResolution, Callable[[Sequence[Any]], Any]] = {
    ConflictResolution.PREFER_FIRST: _first,
    ConflictResolution.PREFER_LAST: _last,
    ConflictResolution.MERGE: _united,
    ConflictResolution.ERROR: _first,
}


def _without(content: GraphContent, gone: set[str], parents: Mapping[str, str | None]) -> GraphContent:
    return replace(
        content,
        nodes=lifted(content.nodes, parents, gone),
        edges=tuple(edge for edge in content.edges if edge.source not in gone and edge.target not in gone),
    )
