"""Graphs that have a base, people who edit them, and the manual edits that are captured of that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pycrdt import Doc, Map

from persistence.database import Database
from persistence.document import Edge, GraphContent, Layer, Node, build_updates
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.operations import write_flush
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Operation, Origin
from persistence.replay_records import GraphBase
from tests.unit.documents import recorded

BASE = GraphContent(
    nodes=(Node("a", "A"), Node("b", "B"), Node("c", "C", belongs_to="b")),
    edges=(Edge("ab", "a", "b"),),
    layers=(Layer("l", "L"),),
)
EDITS = """
    SELECT number, operation_type, entity_id, operation_data, context_data, is_active, deactivation_reason, created_by,
        first_operation_id, last_operation_id, applicability_signature
    FROM manual_edits WHERE graph_id = $1 ORDER BY number
"""


async def new_computed_graph(database: Database, content: GraphContent = BASE) -> UUID:
    """Make a graph whose base is `content`."""
    caller = Caller(ANONYMOUS_USER_ID)
    project = await Projects(database).create(caller, EVERYONE_GROUP_ID, f"p {new_id()}", None)
    origin = Origin("graph.computed", base=GraphBase(orjson.dumps(content), "0" * 64, "1" * 64, "n"))
    updates = tuple(build_updates(content, 1))
    return (await Graphs(database).create(caller, project.id, "g", "computed", None, updates, origin)).id


async def new_user(owner: asyncpg.Connection) -> UUID:
    user_id = new_id()
    await owner.execute("INSERT INTO users (id, username) VALUES ($1, $2)", user_id, str(user_id))
    return user_id


async def edits(owner: asyncpg.Connection, graph_id: UUID) -> list[dict[str, Any]]:
    """Return all edits of a graph in order, their JSON read."""
    return [{name: _read(name, value) for name, value in row.items()} for row in await owner.fetch(EDITS, graph_id)]


def _read(name: str, value: Any) -> Any:
    return orjson.loads(value) if name in ("operation_data", "context_data") and isinstance(value, str) else value


def told(edit: dict[str, Any]) -> tuple[str, str, Any]:
    """Return what an edit does, short."""
    data = edit["operation_data"]
    return edit["operation_type"], edit["entity_id"], data.get("new_values") or None


@dataclass
class Person:
    """Somebody with a Yjs client of their own, whose operations are committed to the log of a graph."""

    database: Database
    graph_id: UUID
    user_id: UUID
    client: int
    doc: Doc[Any] = field(init=False)
    updates: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.doc, self.updates = recorded(self.client)

    async def joined(self, others: "Person | None" = None) -> "Person":
        """Know what another person's document has, else the base's."""
        if others is None:
            for update in build_updates(BASE, 1):
                self.doc.apply_update(update.data)
        else:
            self.doc.apply_update(others.doc.get_update())
        self.updates.clear()
        return self

    def root(self, name: str) -> Map[Any]:
        return self.doc.get(name, type=Map)

    async def does(self, *acts: Callable[["Person"], object]) -> None:
        """Commit each act as one operation."""
        for act in acts:
            with self.doc.transaction():
                act(self)
        await self.send(*self.updates)
        self.updates.clear()

    async def send(self, *updates: bytes, session: str = "s") -> None:
        """Commit updates, of whomever, as this person's."""
        now = datetime.now(UTC)
        operations = [
            Operation(self.graph_id, update, "{}", self.user_id, session, str(self.client), now, now)
            for update in updates
        ]
        connection = await self.database.connect_log()
        await write_flush(connection, new_id(), operations, [], forget_old=False, timeout_s=10)
        await connection.close()


def sets(root: str, id_: str, **values: Any) -> Callable[[Person], None]:
    def act(person: Person) -> None:
        for name, value in values.items():
            person.root(root)[id_][name] = value

    return act


def adds(root: str, id_: str, **values: Any) -> Callable[[Person], None]:
    def act(person: Person) -> None:
        person.root(root)[id_] = Map(values)

    return act


def drops(root: str, id_: str) -> Callable[[Person], None]:
    def act(person: Person) -> None:
        del person.root(root)[id_]

    return act
