"""Rows of `nodes`, `edges` and `layers`: what a document says, where SQL can ask for it.

A row keeps its key and the time it was made for as long as its entity is there; one that is equal is left alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid5

import asyncpg

from persistence.document import Edge, Layer, Node
from persistence.ports import Changes

ROWS_PER_STATEMENT = 2_000
"""How many rows one statement writes: each takes far less than the timeout of a statement."""

_Entity = TypeVar("_Entity", Node, Edge, Layer)

WRITE_NODES = """
    INSERT INTO nodes (
        graph_id, node_id, label, layer_id, is_partition, belongs_to, weight, comment, "position", content, properties,
        lineage_id, source_node_id
    )
    SELECT $1, n.node_id, n.label, n.layer_id, n.is_partition, n.belongs_to, n.weight, n.comment, n."position",
        n.content, n.properties, n.lineage_id, origin.id
    FROM unnest(
        $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::float8[], $8::text[], $9::jsonb[],
        $10::text[], $11::jsonb[], $12::uuid[]
    ) AS n (
        node_id, label, layer_id, is_partition, belongs_to, weight, comment, "position", content, properties, lineage_id
    )
    LEFT JOIN (
        SELECT p.lineage_id, min(p.id) AS id FROM nodes p JOIN graphs g ON g.parent_graph_id = p.graph_id
        WHERE g.id = $1 AND p.lineage_id = ANY($12::uuid[]) GROUP BY p.lineage_id
    ) AS origin ON origin.lineage_id = n.lineage_id
    ON CONFLICT (graph_id, node_id) DO UPDATE SET
        label = EXCLUDED.label, layer_id = EXCLUDED.layer_id, is_partition = EXCLUDED.is_partition,
        belongs_to = EXCLUDED.belongs_to, weight = EXCLUDED.weight, comment = EXCLUDED.comment,
        "position" = EXCLUDED."position", content = EXCLUDED.content, properties = EXCLUDED.properties,
        lineage_id = EXCLUDED.lineage_id, source_node_id = EXCLUDED.source_node_id
    WHERE (
        nodes.label, nodes.layer_id, nodes.is_partition, nodes.belongs_to, nodes.weight, nodes.comment,
        nodes."position", nodes.content, nodes.properties, nodes.lineage_id, nodes.source_node_id
    ) IS DISTINCT FROM (
        EXCLUDED.label, EXCLUDED.layer_id, EXCLUDED.is_partition, EXCLUDED.belongs_to, EXCLUDED.weight,
        EXCLUDED.comment, EXCLUDED."position", EXCLUDED.content, EXCLUDED.properties, EXCLUDED.lineage_id,
        EXCLUDED.source_node_id
    )
"""
WRITE_EDGES = """
    INSERT INTO edges (
        graph_id, edge_id, source_node_id, target_node_id, label, layer_id, weight, comment, properties, lineage_id,
        source_edge_id
    )
    SELECT $1, e.edge_id, e.source_node_id, e.target_node_id, e.label, e.layer_id, e.weight, e.comment, e.properties,
        e.lineage_id, origin.id
    FROM unnest(
        $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::text[], $9::jsonb[], $10::uuid[]
    ) AS e (edge_id, source_node_id, target_node_id, label, layer_id, weight, comment, properties, lineage_id)
    LEFT JOIN (
        SELECT p.lineage_id, min(p.id) AS id FROM edges p JOIN graphs g ON g.parent_graph_id = p.graph_id
        WHERE g.id = $1 AND p.lineage_id = ANY($10::uuid[]) GROUP BY p.lineage_id
    ) AS origin ON origin.lineage_id = e.lineage_id
    ON CONFLICT (graph_id, edge_id) DO UPDATE SET
        source_node_id = EXCLUDED.source_node_id, target_node_id = EXCLUDED.target_node_id, label = EXCLUDED.label,
        layer_id = EXCLUDED.layer_id, weight = EXCLUDED.weight, comment = EXCLUDED.comment,
        properties = EXCLUDED.properties, lineage_id = EXCLUDED.lineage_id, source_edge_id = EXCLUDED.source_edge_id
    WHERE (
        edges.source_node_id, edges.target_node_id, edges.label, edges.layer_id, edges.weight, edges.comment,
        edges.properties, edges.lineage_id, edges.source_edge_id
    ) IS DISTINCT FROM (
        EXCLUDED.source_node_id, EXCLUDED.target_node_id, EXCLUDED.label, EXCLUDED.layer_id, EXCLUDED.weight,
        EXCLUDED.comment, EXCLUDED.properties, EXCLUDED.lineage_id, EXCLUDED.source_edge_id
    )
"""
WRITE_LAYERS = """
    INSERT INTO layers (
        graph_id, layer_id, name, background_color, text_color, border_color, properties, lineage_id, source_layer_id
    )
    SELECT $1, l.layer_id, l.name, l.background_color, l.text_color, l.border_color, l.properties, l.lineage_id,
        origin.id
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::uuid[])
        AS l (layer_id, name, background_color, text_color, border_color, properties, lineage_id)
    LEFT JOIN (
        SELECT p.layer_id, p.id FROM layers p JOIN graphs g ON g.parent_graph_id = p.graph_id
        WHERE g.id = $1 AND p.layer_id = ANY($2::text[])
    ) AS origin ON origin.layer_id = l.layer_id
    ON CONFLICT (graph_id, layer_id) DO UPDATE SET
        name = EXCLUDED.name, background_color = EXCLUDED.background_color, text_color = EXCLUDED.text_color,
        border_color = EXCLUDED.border_color, properties = EXCLUDED.properties, lineage_id = EXCLUDED.lineage_id,
        source_layer_id = EXCLUDED.source_layer_id
    WHERE (
        layers.name, layers.background_color, layers.text_color, layers.border_color, layers.properties,
        layers.lineage_id, layers.source_layer_id
    ) IS DISTINCT FROM (
        EXCLUDED.name, EXCLUDED.background_color, EXCLUDED.text_color, EXCLUDED.border_color, EXCLUDED.properties,
        EXCLUDED.lineage_id, EXCLUDED.source_layer_id
    )
"""
DELETE_NODES = "DELETE FROM nodes WHERE graph_id = $1 AND node_id = ANY($2::text[])"
DELETE_EDGES = "DELETE FROM edges WHERE graph_id = $1 AND edge_id = ANY($2::text[])"
DELETE_LAYERS = "DELETE FROM layers WHERE graph_id = $1 AND layer_id = ANY($2::text[])"
KEEP_NODES = """
    DELETE FROM nodes WHERE graph_id = $1
    AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS kept (node_id) WHERE kept.node_id = nodes.node_id)
"""
KEEP_EDGES = """
    DELETE FROM edges WHERE graph_id = $1
    AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS kept (edge_id) WHERE kept.edge_id = edges.edge_id)
"""
KEEP_LAYERS = """
    DELETE FROM layers WHERE graph_id = $1
    AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS kept (layer_id) WHERE kept.layer_id = layers.layer_id)
"""


@dataclass(frozen=True, slots=True)
class EntityTable(Generic[_Entity]):
    """The statements of one table."""

    write: str
    delete: str
    keep: str

    async def store(
        self, connection: asyncpg.Connection, graph_id: UUID, changes: Changes[_Entity], *, is_whole: bool
    ) -> None:
        """Write and delete the rows of `changes`; all others too if it `is_whole`. Part of the caller's transaction."""
        if is_whole:
            await connection.execute(self.keep, graph_id, [entity.id for entity in changes.written])
        elif changes.deleted:
            await connection.execute(self.delete, graph_id, changes.deleted)
        for start in range(0, len(changes.written), ROWS_PER_STATEMENT):
            rows = [_row(graph_id, entity) for entity in changes.written[start : start + ROWS_PER_STATEMENT]]
            await connection.execute(self.write, graph_id, *_columns(rows))


NODES: EntityTable[Node] = EntityTable(WRITE_NODES, DELETE_NODES, KEEP_NODES)
EDGES: EntityTable[Edge] = EntityTable(WRITE_EDGES, DELETE_EDGES, KEEP_EDGES)
LAYERS: EntityTable[Layer] = EntityTable(WRITE_LAYERS, DELETE_LAYERS, KEEP_LAYERS)


def _columns(rows: Sequence[tuple[Any, ...]]) -> Iterator[list[Any]]:
    return map(list, zip(*rows, strict=True))


def _row(graph_id: UUID, entity: Node | Edge | Layer) -> tuple[Any, ...]:
    match entity:
        case Node():
            return _node_row(entity)
        case Edge():
            return _edge_row(entity)
        case Layer():
            return _layer_row(graph_id, entity)


def _node_row(node: Node) -> tuple[Any, ...]:
    return (
        node.id,
        node.label,
        node.layer,
        node.is_partition,
        node.belongs_to,
        _weight(node),
        node.comment,
        node.position,
        node.content,
        node.properties,
        node.lineage_id,
    )


def _edge_row(edge: Edge) -> tuple[Any, ...]:
    return (
        edge.id,
        edge.source,
        edge.target,
        edge.label,
        edge.layer,
        _weight(edge),
        edge.comment,
        edge.properties,
        edge.lineage_id,
    )


def _layer_row(graph_id: UUID, layer: Layer) -> tuple[Any, ...]:
    colors = (layer.background_color, layer.text_color, layer.border_color)
    return (layer.id, layer.name, *colors, layer.properties, uuid5(graph_id, layer.id))


def _weight(entity: Node | Edge) -> float:
    """Return the weight, or the default of the column."""
    return 1.0 if entity.weight is None else float(entity.weight)
