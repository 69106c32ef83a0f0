"""The rows of a graph over HTTP on a real PostgreSQL: rules TABLE-1 to TABLE-8 of SPEC.md."""

import os
import random
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from http_door import Door, open_door

from persistence.database import Database
from persistence.document import Edge, GraphContent, Layer, Node, build_updates
from persistence.graphs import Graphs
from persistence.operations import write_flush
from persistence.records import ANONYMOUS_USER_ID, Caller, Operation
from persistence.tables import BEHIND_COUNTED, SORTED_CHARACTERS
from server.http.problems import Problem
from tests.projected import project_rows

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "30"))
SEED = random.SystemRandom().randrange(2**31)
FAILED_BEFORE: tuple[int, ...] = ()
LINEAGE = UUID(int=7)
CONTENT = GraphContent(
    nodes=(
        Node("a", "Ärger 50%", "base", True, None, 2.5, "c", {"k": [1, None]}, LINEAGE, {"x": 1, "y": 2.5}),
        Node("b", "under_score", "base", False, "a", -3, None, {}, LINEAGE, None, "text"),
        Node("c", "50 percent", None, False, "a", None, None, {}, uuid4()),
        Node("🍰", "back\\slash", "", False, "", 10**6, None, {}, uuid4()),
    ),
    edges=(
        Edge("e1", "a", "b", "l", "flow", 1.5, None, {"p": {}}, LINEAGE),
        Edge("e2", "a", "b", "L", None, 1, "parallel", {}, uuid4()),
        Edge("e3", "b", "gone", "", "flow", 0, None, {}, uuid4()),
    ),
    layers=(Layer("base", "Base", "#fff", None, "#000", {"z": 1}), Layer("flow", "Arrows")),
)
"""Each part sorted by id, as the tables are by default."""


@pytest.fixture
async def door(database: Database, database_url: str) -> AsyncIterator[Door]:
    async with open_door(database, database_url) as opened:
        yield opened


async def projected(door: Door, content: GraphContent = CONTENT) -> str:
    """Make a graph whose tables hold `content`, and return its address."""
    address = await door.graph(await door.project())
    await project_rows(door.database, UUID(address.rpartition("/")[2]), content)
    return address


async def ids(door: Door, address: str, **parameters: Any) -> list[str]:
    """The ids of one page."""
    answer = (await door.client.get(address, params=parameters)).raise_for_status()
    return [item["id"] for item in answer.json()["items"]]


async def all_pages(door: Door, address: str, **parameters: Any) -> list[dict[str, Any]]:
    """Every row, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await door.client.get(address, params=parameters | cursor)).raise_for_status().json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == parameters["limit"]
        cursor = {"cursor": page["next_cursor"]}


async def test_the_rows_have_the_fields_of_the_graph(door: Door) -> None:
    """TABLE-1: a graph read from its document and from its tables is the same, but for weights it does not have."""
    content = replace(CONTENT, nodes=CONTENT.nodes[:3])  # an update leaves empty texts out
    project_id = UUID((await door.project()).rpartition("/")[2])
    updates = tuple(build_updates(content, 1))
    graph = await Graphs(door.database).create(Caller(ANONYMOUS_USER_ID), project_id, "Deck", "data", None, updates)
    await project_rows(door.database, graph.id, content)
    address = f"/api/graphs/{graph.id}"
    document = (await door.client.get(address)).json()

    for table in ("nodes", "edges", "layers"):
        answer = await door.client.get(f"{address}/{table}")
        expected = [entity | _default_weight(entity) for entity in document[table]]
        assert answer.json()["items"] == expected
        assert ".0," not in answer.text


def _default_weight(entity: dict[str, Any]) -> dict[str, int]:
    return {"weight": 1} if "weight" in entity and entity["weight"] is None else {}


async def test_filters_are_joined(door: Door) -> None:
    """TABLE-2: an empty layer or container finds those without one."""
    graph = await projected(door)
    nodes, edges, layers = (f"{graph}/{table}" for table in ("nodes", "edges", "layers"))

    assert await ids(door, nodes, layer="base") == ["a", "b"]
    assert await ids(door, nodes, layer="") == ["c", "🍰"]
    assert await ids(door, nodes, belongs_to="a") == ["b", "c"]
    assert await ids(door, nodes, belongs_to="") == ["a", "🍰"]
    assert await ids(door, nodes, belongs_to="a", layer="base") == ["b"]
    assert await ids(door, nodes, is_partition=True) == ["a"]
    assert await ids(door, nodes, is_partition=False) == ["b", "c", "🍰"]
    assert await ids(door, nodes, id="🍰") == ["🍰"]
    assert await ids(door, nodes, lineage_id=str(LINEAGE)) == ["a", "b"]
    assert await ids(door, nodes, min_weight=1, max_weight=2.5) == ["a", "c"]
    assert await ids(door, nodes, max_weight=-3) == ["b"]
    assert await ids(door, edges, source="a") == ["e1", "e2"]
    assert await ids(door, edges, source="a", target="b", layer="flow") == ["e1"]
    assert await ids(door, edges, target="gone") == ["e3"]
    assert await ids(door, edges, lineage_id=str(LINEAGE), min_weight=1.5) == ["e1"]
    assert await ids(door, layers, id="flow") == ["flow"]
    assert await ids(door, nodes, layer="none such") == []


async def test_a_piece_of_a_name_finds_it(door: Door) -> None:
    """TABLE-3: the case of letters does not matter, and no character stands for another."""
    graph = await projected(door)

    assert await ids(door, f"{graph}/nodes", q="äRGER") == ["a"]
    assert await ids(door, f"{graph}/nodes", q="50%") == ["a"]
    assert await ids(door, f"{graph}/nodes", q="%") == ["a"]
    assert await ids(door, f"{graph}/nodes", q="_") == ["b"]
    assert await ids(door, f"{graph}/nodes", q="\\") == ["🍰"]
    assert await ids(door, f"{graph}/edges", q="l") == ["e1", "e2"]
    assert await ids(door, f"{graph}/layers", q="AS") == ["base"]
    assert len(await ids(door, f"{graph}/nodes", q="")) == 4


_VALUES: dict[str, Callable[[dict[str, Any]], Any]] = {
    name: lambda row, name=name: (row[name] or "")[:SORTED_CHARACTERS]
    for name in ("label", "layer", "belongs_to", "source", "target", "name")
} | {"id": lambda row: row["id"], "weight": lambda row: row["weight"]}
_SORTS = {
    "nodes": ("id", "label", "layer", "belongs_to", "weight"),
    "edges": ("id", "label", "layer", "source", "target", "weight"),
    "layers": ("id", "name"),
}


def random_content(rng: random.Random) -> GraphContent:
    """Entities with many ties, and letters whose order is not that of any dictionary."""

    def word(characters: int = 2) -> str:
        return "".join(rng.choices("aZé-_🍰\uff5e ", k=rng.randrange(characters + 1)))

    def names() -> set[str]:
        return {word(6) for _ in range(rng.randrange(25))} - {""}

    def weight() -> float:
        return rng.choice((-1.5, 0, 1, 2**53, 1e-300))

    long = "x" * SORTED_CHARACTERS
    return GraphContent(
        tuple(Node(one, word(), word() or None, False, word() or None, weight()) for one in sorted(names())),
        tuple(Edge(one, word(), word(), long + word(), word() or None, weight()) for one in sorted(names())),
        tuple(Layer(one, word()) for one in sorted(names())),
    )


@pytest.mark.parametrize("seed", [*FAILED_BEFORE, *(SEED + number for number in range(max(1, ROUNDS // 10)))])
async def test_pages_hold_every_row_once_in_order(door: Door, seed: int) -> None:
    """TABLE-4, TABLE-5: whatever the sort and the size of a page."""
    print(f"{seed=}")
    rng = random.Random(seed)
    graph = await projected(door, random_content(rng))
    for table, sorts in _SORTS.items():
        rows = (await door.client.get(f"{graph}/{table}", params={"limit": 1000})).json()["items"]
        for sort in sorts:
            expected = [row["id"] for row in sorted(rows, key=lambda row: (_VALUES[sort](row), row["id"]))]
            limit = rng.randrange(1, 8)
            upwards = await all_pages(door, f"{graph}/{table}", sort=sort, limit=limit)
            downwards = await all_pages(door, f"{graph}/{table}", sort=f"-{sort}", limit=limit)
            assert [row["id"] for row in upwards] == expected, sort
            assert [row["id"] for row in downwards] == expected[::-1], sort


async def test_a_page_goes_on_where_the_one_before_ended(door: Door) -> None:
    """TABLE-5: what is added or deleted before that place moves nothing, and what is added after it is found."""
    nodes = tuple(Node(f"n{number}") for number in range(1, 9))
    graph = await projected(door, GraphContent(nodes))
    graph_id = UUID(graph.rpartition("/")[2])
    first = (await door.client.get(f"{graph}/nodes", params={"limit": 3})).json()
    await project_rows(door.database, graph_id, GraphContent((Node("n0"), Node("n55"))))
    async with door.database.service() as connection:
        await connection.execute("DELETE FROM nodes WHERE node_id IN ('n1', 'n3')")

    assert await ids(door, f"{graph}/nodes", cursor=first["next_cursor"]) == ["n4", "n5", "n55", "n6", "n7", "n8"]


async def test_a_page_has_100_rows_unless_asked_otherwise(door: Door) -> None:
    """TABLE-5."""
    graph = await projected(door, GraphContent(tuple(Node(f"{number:03}") for number in range(101))))

    assert len(await ids(door, f"{graph}/nodes")) == 100
    assert len(await ids(door, f"{graph}/nodes", limit=101)) == 101
    assert (await door.client.get(f"{graph}/nodes", params={"limit": 101})).json()["next_cursor"] is None


async def test_a_page_says_how_current_it_is(door: Door, database_url: str) -> None:
    """TABLE-6: which operations are in the tables and how many are not."""
    address = await projected(door)
    graph_id = UUID(address.rpartition("/")[2])
    before = (await door.client.get(f"{address}/nodes")).json()
    now = datetime.now(UTC)
    operations = [Operation(graph_id, b"x", "{}", ANONYMOUS_USER_ID, "s", "", now, now)] * (BEHIND_COUNTED + 5)
    connection = await door.database.connect_log()
    await write_flush(connection, uuid4(), operations, [], forget_old=False, timeout_s=10)
    await connection.close()
    after = (await door.client.get(f"{address}/layers")).json()
    async with door.database.service() as service:
        await service.execute(
            "UPDATE graphs SET projected_through = (SELECT max(id) - 2 FROM crdt_operations) WHERE id = $1", graph_id
        )
        last = await service.fetchval("SELECT max(id) FROM crdt_operations")
    close = (await door.client.get(f"{address}/edges")).json()

    assert (before["through"], before["behind"]) == (0, 0)
    assert (after["through"], after["behind"]) == (0, BEHIND_COUNTED)
    assert (close["through"], close["behind"]) == (last - 2, 2)


def cursor_of(*parts: object) -> str:
    return urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("table", "parameters", "field"),
    [
        ("nodes", {"colour": "red"}, "colour"),
        ("nodes", {"source": "a"}, "source"),
        ("layers", {"layer": "a"}, "layer"),
        ("nodes", {"sort": "comment"}, "sort"),
        ("nodes", {"sort": "--id"}, "sort"),
        ("nodes", {"sort": "id; DROP TABLE nodes"}, "sort"),
        ("layers", {"sort": "weight"}, "sort"),
        ("nodes", {"limit": "0"}, "limit"),
        ("nodes", {"limit": "1001"}, "limit"),
        ("nodes", {"limit": "many"}, "limit"),
        ("nodes", {"min_weight": "nan"}, "min_weight"),
        ("nodes", {"max_weight": "heavy"}, "max_weight"),
        ("nodes", {"is_partition": "perhaps"}, "is_partition"),
        ("edges", {"lineage_id": "x"}, "lineage_id"),
        ("edges", {"q": "\0"}, "q"),
        ("edges", {"source": "a\0"}, "source"),
        ("nodes", {"cursor": ""}, "cursor"),
        ("nodes", {"cursor": "é"}, "cursor"),
        ("nodes", {"cursor": "e30"}, "cursor"),
        ("nodes", {"cursor": cursor_of("-id", "a", "a")}, "cursor"),
        ("nodes", {"cursor": cursor_of("id", 5, "a")}, "cursor"),
        ("nodes", {"cursor": cursor_of("id", "a\0", "a")}, "cursor"),
        ("nodes", {"sort": "weight", "cursor": cursor_of("weight", "5", "a")}, "cursor"),
        ("nodes", {"sort": "weight", "cursor": cursor_of("weight", True, "a")}, "cursor"),
        ("nodes", {"sort": "weight", "cursor": cursor_of("weight", 5)}, "cursor"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    door: Door, table: str, parameters: dict[str, str], field: str
) -> None:
    """TABLE-7."""
    answer = await door.client.get(f"{await projected(door)}/{table}", params=parameters)
    body = Problem.model_validate_json(answer.content)

    assert (answer.status_code, body.code) == (422, "invalid_request")
    assert [error.field for error in body.errors or ()] == [field]


async def test_who_may_not_read_finds_no_rows(door: Door) -> None:
    """TABLE-8: neither do others in the bin; a viewer does outside."""
    graph = await projected(door)
    addresses = [f"{graph}/{table}" for table in ("nodes", "edges", "layers")]
    owner, door.caller = door.caller, await door.person("viewer")
    assert {(await door.client.get(address)).status_code for address in addresses} == {200}
    door.caller = await door.person(None)
    assert {(await door.client.get(address)).status_code for address in addresses} == {404}
    door.caller = owner
    await door.client.delete(graph)
    assert {(await door.client.get(address)).status_code for address in addresses} == {404}
    door.caller = None
    assert {(await door.client.get(address)).status_code for address in addresses} == {401}
