"""What the settings of a transform, or of an output, do to a graph.

Pure. The order is fixed: partition depth, nodes without edges, parallel edges, lengths of labels, lines of labels.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from persistence.document import MAX_EXACT_INTEGER, Edge, GraphContent, Node
from replay.computation_errors import raise_if_any
from replay.node_configs import GraphSettings
from replay.partitions import containment_cycles, described, limit_depth, parents_of, with_containers

_Labelled = TypeVar("_Labelled", Node, Edge)


def transform(node_id: str, content: GraphContent, settings: GraphSettings) -> GraphContent:
    """Return `content` with `settings` applied.

    Raises ComputationError, about `node_id` of the plan, if there is a limit of depth and nodes contain themselves.
    """
    if settings.max_partition_depth:
        cycles = containment_cycles(parents_of(content))
        raise_if_any(node_id, (f"nodes contain themselves: {described(one)}; mend that first" for one in cycles))
        content = limit_depth(content, settings.max_partition_depth)
    if settings.drop_unconnected_nodes:
        content = drop_unconnected(content)
    if settings.aggregate_edges:
        content = replace(content, edges=aggregated(content.edges))
    return replace(
        content,
        nodes=_relabelled(content.nodes, settings.node_label_max_length, settings.node_label_insert_newlines_at),
        edges=_relabelled(content.edges, settings.edge_label_max_length, settings.edge_label_insert_newlines_at),
    )


def drop_unconnected(content: GraphContent) -> GraphContent:
    """Return the graph without nodes that no edge ends at, unless they contain one that an edge ends at."""
    connected = {end for edge in content.edges for end in (edge.source, edge.target)}
    kept = with_containers(content, connected)
    return replace(content, nodes=tuple(node for node in content.nodes if node.id in kept))


def aggregated(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return one edge for all that have the same ends and layer; it has the lowest id.

    Weights are added, one that is absent as 1; labels and comments are joined, each once; the first that has a property
    says what it is.
    """
    parallel: dict[tuple[str, str, str | None], list[Edge]] = {}
    for edge in edges:
        parallel.setdefault((edge.source, edge.target, edge.layer), []).append(edge)
    return tuple(sorted(map(_joined, parallel.values()), key=lambda edge: edge.id))


def _joined(edges: list[Edge]) -> Edge:
    if len(edges) == 1:
        return edges[0]
    edges = sorted(edges, key=lambda edge: edge.id)
    weight = float(sum(1 if edge.weight is None else edge.weight for edge in edges))
    properties = {name: value for edge in reversed(edges) for name, value in edge.properties.items()}
    return replace(
        edges[0],
        label=_listed(edge.label for edge in edges),
        comment=_listed(edge.comment or "" for edge in edges) or None,
        weight=int(weight) if weight.is_integer() and abs(weight) <= MAX_EXACT_INTEGER else weight,
        properties=properties,
    )


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _relabelled(entities: tuple[_Labelled, ...], max_length: int, newlines_at: int) -> tuple[_Labelled, ...]:
    changes: list[Callable[[str], str]] = []
    if max_length:
        changes.append(lambda label: label[:max_length])
    if newlines_at:
        changes.append(lambda label: in_lines(label, newlines_at))
    for change in changes:
        entities = tuple(
            entity if (label := change(entity.label)) == entity.label else replace(entity, label=label)
            for entity in entities
        )
    return entities


def in_lines(text: str, width: int) -> str:
    """Return the words of a text in lines of at most `width` characters; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)
