"""Rows of `nodes`, `edges` and `layers`: a graph as the follower has projected it, filtered, sorted, page by page.

Pages are cut by what stands last on the one before (a keyset), so each costs the same, however far down it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from persistence.database import Database
from persistence.document import Edge, Layer, Node, read_edge, read_layer, read_node
from persistence.errors import NotFoundError
from persistence.records import Caller

BEHIND_COUNTED = 1_000
"""Operations that are not yet in the tables are counted up to here."""

_Entity = TypeVar("_Entity", Node, Edge, Layer)


SORTED_CHARACTERS = 200
"""Longer texts are sorted by their beginning, which the cursor of a page has to hold."""


def _each_way(template: str, sorts: Mapping[str, str]) -> dict[str, str]:
    """Return the statement for each order, `-` before those that descend, from SQL of this module only."""
    return {
        f"{sign}{name}": template.format(
            value=value, type="float8" if value == "weight" else "text", beyond=beyond, direction=direction
        )
        for name, value in sorts.items()
        for sign, beyond, direction in (("", ">", "ASC"), ("-", "<", "DESC"))
    }


def _beginning(column: str) -> str:
    return f"left(coalesce({column}, ''), {SORTED_CHARACTERS})"


NODES = _each_way(
    """
    SELECT node_id AS id, label, layer_id AS layer, is_partition, belongs_to, weight, comment, properties,
        lineage_id::text, "position", content, {value} AS sorted_by
    FROM nodes
    WHERE graph_id = $1
        AND ($4::text IS NULL OR ({value}, node_id) {beyond} ($3::{type}, $4))
        AND ($5::text IS NULL OR node_id = $5)
        AND ($6::uuid IS NULL OR lineage_id = $6)
        AND ($7::text IS NULL OR layer_id = $7 OR ($7 = '' AND layer_id IS NULL))
        AND ($8::text IS NULL OR belongs_to = $8 OR ($8 = '' AND belongs_to IS NULL))
        AND ($9::boolean IS NULL OR is_partition = $9)
        AND ($10::float8 IS NULL OR weight >= $10)
        AND ($11::float8 IS NULL OR weight <= $11)
        AND ($12::text IS NULL OR strpos(lower(label), lower($12)) > 0)
    ORDER BY {value} {direction}, node_id {direction} LIMIT $2
    """,
    {
        "id": "node_id",
        "label": _beginning("label"),
        "layer": _beginning("layer_id"),
        "belongs_to": _beginning("belongs_to"),
        "weight": "weight",
    },
)
EDGES = _each_way(
    """
    SELECT edge_id AS id, source_node_id AS source, target_node_id AS target, label, layer_id AS layer, weight,
        comment, properties, lineage_id::text, {value} AS sorted_by
    FROM edges
    WHERE graph_id = $1
        AND ($4::text IS NULL OR ({value}, edge_id) {beyond} ($3::{type}, $4))
        AND ($5::text IS NULL OR edge_id = $5)
        AND ($6::uuid IS NULL OR lineage_id = $6)
        AND ($7::text IS NULL OR layer_id = $7 OR ($7 = '' AND layer_id IS NULL))
        AND ($8::text IS NULL OR source_node_id = $8)
        AND ($9::text IS NULL OR target_node_id = $9)
        AND ($10::float8 IS NULL OR weight >= $10)
        AND ($11::float8 IS NULL OR weight <= $11)
        AND ($12::text IS NULL OR strpos(lower(label), lower($12)) > 0)
    ORDER BY {value} {direction}, edge_id {direction} LIMIT $2
    """,
    {
        "id": "edge_id",
        "label": _beginning("label"),
        "layer": _beginning("layer_id"),
        "source": "source_node_id",
        "target": "target_node_id",
        "weight": "weight",
    },
)
LAYERS = _each_way(
    """
    SELECT layer_id AS id, name, background_color, text_color, border_color, properties, {value} AS sorted_by
    FROM layers
    WHERE graph_id = $1
        AND ($4::text IS NULL OR ({value}, layer_id) {beyond} ($3::{type}, $4))
        AND ($5::text IS NULL OR layer_id = $5)
        AND ($6::text IS NULL OR strpos(lower(name), lower($6)) > 0)
    ORDER BY {value} {direction}, layer_id {direction} LIMIT $2
    """,
    {"id": "layer_id", "name": _beginning("name")},
)


@dataclass(frozen=True, slots=True)
class GraphTable(Generic[_Entity]):
    """One table: its statement for each order, its filters in the order of their placeholders, what a row becomes."""

    statements: Mapping[str, str]
    filters: tuple[str, ...]
    read: Callable[[UUID, str, Mapping[str, Any]], _Entity]


NODE_TABLE = GraphTable(
    NODES, ("id", "lineage_id", "layer", "belongs_to", "is_partition", "min_weight", "max_weight", "q"), read_node
)
EDGE_TABLE = GraphTable(
    EDGES, ("id", "lineage_id", "layer", "source", "target", "min_weight", "max_weight", "q"), read_edge
)
LAYER_TABLE = GraphTable(LAYERS, ("id", "q"), lambda _, id_, fields: read_layer(id_, fields))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the last entity's value of what is sorted by, and its id."""

    value: str | float
    id: str


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Which rows: `filters` by the names of the table, None for all; `sort` a key of its statements; `limit` > 0."""

    sort: str
    limit: int
    filters: Mapping[str, Any] = field(default_factory=dict)
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class TablePage(Generic[_Entity]):
    """Rows in order, and how current they are.

    `through` is the highest operation that is in the tables; the rows are no older. `behind` counts the graph's
    operations after it, up to BEHIND_COUNTED. `last` is None if nothing follows.
    """

    items: tuple[_Entity, ...]
    last: Place | None
    through: int
    behind: int


class GraphTables:
    """The rows of graphs, for whoever may read them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    PLAN_FOR_THE_FILTERS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"
    PROGRESS = """
        SELECT g.projected_through, (
            SELECT count(*) FROM (
                SELECT FROM crdt_operations o WHERE o.graph_id = g.id AND o.id > g.projected_through LIMIT $2
            ) AS missing
        ) AS behind
        FROM graphs g WHERE g.id = $1 AND graph_is_there($1)
    """

    async def page(
        self, caller: Caller, graph_id: UUID, table: GraphTable[_Entity], query: TableQuery
    ) -> TablePage[_Entity]:
        """Return the rows after `query.after`, ties in the order of their ids. Raises NotFoundError."""
        place = (None, None) if query.after is None else (query.after.value, query.after.id)
        filters = (query.filters.get(name) for name in table.filters)
        async with self._database.request(caller, graph_id) as connection:
            # First: what is committed between the two statements makes the rows newer than we say, never older.
            progress = await connection.fetchrow(self.PROGRESS, graph_id, BEHIND_COUNTED)
            if progress is None:
                raise NotFoundError("graph", graph_id)
            # A plan made for no filter reads the whole graph for every filter that comes later.
            await connection.execute(self.PLAN_FOR_THE_FILTERS)
            statement = table.statements[query.sort]
            rows = await connection.fetch(statement, graph_id, query.limit + 1, *place, *filters)
        shown = rows[: query.limit]
        return TablePage(
            items=tuple(table.read(graph_id, row["id"], dict(row)) for row in shown),
            last=Place(shown[-1]["sorted_by"], shown[-1]["id"]) if len(rows) > query.limit else None,
            through=progress["projected_through"],
            behind=progress["behind"],
        )
