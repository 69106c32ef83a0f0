"""Rows of a graph as the follower would leave them, written in its role."""

from uuid import UUID

from persistence.database import Database
from persistence.document import GraphContent

INSERT_NODE = """
    INSERT INTO nodes (graph_id, node_id, label, layer_id, is_partition, belongs_to, weight, comment, properties,
        lineage_id, "position", content)
    VALUES ($1, $2, $3, $4, $5, $6, coalesce($7::float8, 1), $8, $9, coalesce($10, gen_random_uuid()), $11, $12)
"""
INSERT_EDGE = """
    INSERT INTO edges (graph_id, edge_id, source_node_id, target_node_id, label, layer_id, weight, comment,
        properties, lineage_id)
    VALUES ($1, $2, $3, $4, $5, $6, coalesce($7::float8, 1), $8, $9, coalesce($10, gen_random_uuid()))
"""
INSERT_LAYER = """
    INSERT INTO layers (graph_id, layer_id, name, background_color, text_color, border_color, properties, lineage_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, gen_random_uuid())
"""
SHOW_PROGRESS = """
    UPDATE graphs SET projected_through = (SELECT coalesce(max(id), 0) FROM crdt_operations WHERE graph_id = $1),
        node_count = $2, edge_count = $3, layer_count = $4
    WHERE id = $1
"""


async def project_rows(database: Database, graph_id: UUID, content: GraphContent) -> None:
    """Add the entities of `content` to the tables; afterwards these show every operation so far."""
    counts = len(content.nodes), len(content.edges), len(content.layers)
    async with database.service() as connection:
        for insert, entities in (
            (INSERT_NODE, content.nodes),
            (INSERT_EDGE, content.edges),
            (INSERT_LAYER, content.layers),
        ):
            rows = [(graph_id, *(getattr(entity, name) for name in entity.__slots__)) for entity in entities]
            await connection.executemany(insert, rows)
        await connection.execute(SHOW_PROGRESS, graph_id, *counts)
