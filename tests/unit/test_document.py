"""The graph inside a Yjs document: rules DOOR-27 and IMPORT-10 of SPEC.md."""

import random
from dataclasses import replace
from uuid import UUID, uuid5

import orjson
import pytest
from pycrdt import Array, Doc, Map, Text

from persistence.document import (
    MAX_UPDATE_BYTES,
    DocumentUpdate,
    Edge,
    GraphContent,
    Layer,
    Node,
    build_updates,
    read_content,
    read_node,
)
from persistence.identifiers import RANDOM_BYTES, uuid7

GRAPH_ID = UUID("018f3c5e-7b1a-7c3d-9e2f-5a6b7c8d9e0f")
LINEAGE_ID = UUID("00000000-0000-4000-8000-00000000000a")
FULL = GraphContent(
    nodes=(
        Node(
            "a",
            "A „quoted“ 🍰",
            "base",
            is_partition=True,
            belongs_to="b",
            weight=0,
            comment="c",
            properties={"colour": "red", "n": [1, 2.5, None]},
            lineage_id=LINEAGE_ID,
            position={"x": 1, "y": -2.5},
            content="typed\ntogether",
        ),
        Node("b", lineage_id=LINEAGE_ID),
    ),
    edges=(
        Edge("__proto__", "a", "b", "l", "base", 1.5, "c", {"k": "v"}, LINEAGE_ID),
        Edge("e", "a", "b", lineage_id=LINEAGE_ID),
    ),
    layers=(Layer("base", "Base", "fff", "#000000", "red", {"k": "v"}),),
)


def applied(updates: tuple[DocumentUpdate, ...]) -> Doc:
    doc: Doc = Doc()
    for update in updates:
        doc.apply_update(update.data)
    return doc


def document_of(roots: dict[str, dict[str, object]]) -> Doc:
    doc: Doc = Doc()
    for root, entities in roots.items():
        doc.get(root, type=Map).update(entities)
    return doc


def test_what_was_built_is_read_back() -> None:
    """IMPORT-10: the updates, applied in order, give the content."""
    assert read_content(applied(tuple(build_updates(FULL, 1))), GRAPH_ID) == FULL


def test_the_text_of_a_document_node_can_be_typed_in() -> None:
    doc = applied(tuple(build_updates(FULL, 1)))

    assert isinstance(doc.get("nodes", type=Map)["a"]["content"], Text)


def test_absent_fields_are_not_written() -> None:
    doc = applied(tuple(build_updates(GraphContent(nodes=(Node("b"),)), 1)))

    assert doc.get("nodes", type=Map).to_py() == {"b": {}}


def test_an_empty_graph_needs_no_update() -> None:
    assert tuple(build_updates(GraphContent(), 1)) == ()


def test_each_update_carries_its_clock_and_stays_within_its_bound() -> None:
    """IMPORT-10: at most 64 KiB each, all by one client, whose clock each advances."""
    content = GraphContent(
        nodes=tuple(Node(f"{i:05}", "é" * 300, properties={f"p{j}": "ü" for j in range(20)}) for i in range(500)),
        edges=tuple(Edge(f"{i:05}", f"{i % 500:05}", "00000") for i in range(2_000)),
    )
    updates = tuple(build_updates(content, 65_535))
    doc: Doc = Doc()
    clock = 0
    for update in updates:
        doc.apply_update(update.data)
        advanced = orjson.loads(update.vector_clock)
        assert list(advanced) == ["65535"]
        assert advanced["65535"] > clock
        clock = advanced["65535"]
        assert len(update.data) <= MAX_UPDATE_BYTES

    assert len(updates) > 10
    assert sum(update.entities for update in updates) == 2_500
    assert read_content(doc, GRAPH_ID).edges[-1].id == "01999"


def test_a_missing_or_wrong_lineage_follows_from_graph_and_id() -> None:
    """DOOR-27."""
    doc = document_of({"nodes": {"a": Map(), "b": Map({"lineage_id": "none"})}, "edges": {"a": Map()}})
    content = read_content(doc, GRAPH_ID)

    assert [node.lineage_id for node in content.nodes] == [uuid5(GRAPH_ID, "a"), uuid5(GRAPH_ID, "b")]
    assert content.edges[0].lineage_id == uuid5(GRAPH_ID, "a")


def test_entities_are_sorted_by_id_and_what_is_no_map_is_left_out() -> None:
    """DOOR-27."""
    entities = {"b": Map(), "a": Map(), "": Map(), "c": Array(), "d": Text("x"), "e": 5, "f": {"label": "plain"}}
    content = read_content(document_of({"nodes": entities, "layers": {"z": Map(), "y": Map()}}), GRAPH_ID)

    assert [node.id for node in content.nodes] == ["", "a", "b"]
    assert [layer.id for layer in content.layers] == ["y", "z"]


def test_a_wrong_field_reads_as_its_default() -> None:
    """DOOR-27."""
    wrong = {
        "label": 5,
        "layer": {"x": 1},
        "is_partition": "yes",
        "belongs_to": None,
        "weight": "heavy",
        "comment": [],
        "properties": [1],
        "lineage_id": 5,
        "position": {"x": "left", "y": 1},
        "content": 1.5,
    }
    doc = document_of({"nodes": {"n": Map(wrong)}, "edges": {"e": Map({"source": 1, "target": None})}})
    content = read_content(doc, GRAPH_ID)

    assert content.nodes == (Node("n", lineage_id=uuid5(GRAPH_ID, "n")),)
    assert content.edges == (Edge("e", lineage_id=uuid5(GRAPH_ID, "e")),)


@pytest.mark.parametrize(
    ("given", "read"),
    [(3.0, 3), (-0.0, 0), (2.5, 2.5), (True, None), (float("nan"), None), (float("inf"), None), (1e300, 1e300)],
)
def test_numbers_without_a_fraction_are_integers(given: object, read: object) -> None:
    """DOOR-27."""
    node = read_content(document_of({"nodes": {"n": Map({"weight": given})}}), GRAPH_ID).nodes[0]

    assert (node.weight, type(node.weight)) == (read, type(read))
    assert read_node(GRAPH_ID, "n", {"weight": 4.0}).weight == 4


def test_roots_of_another_type_read_as_empty() -> None:
    """DOOR-27."""
    doc: Doc = Doc()
    doc.get("nodes", type=Array).append(1)
    doc.get("edges", type=Text).insert(0, "text")

    assert read_content(doc, GRAPH_ID) == GraphContent()


def test_any_document_can_be_read() -> None:
    """DOOR-27: nothing that authors write makes reading fail, or the answer no JSON."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    fields = [name for name in (*Node.__slots__, *Edge.__slots__, *Layer.__slots__, "unknown") if name != "id"]
    for _ in range(300):
        entity = Map({name: _anything(rng) for name in rng.sample(fields, k=8)})
        doc = document_of({rng.choice(["nodes", "edges", "layers"]): {"x": entity}})
        assert orjson.dumps(read_content(doc, GRAPH_ID))


def _anything(rng: random.Random) -> object:
    kinds = [
        None,
        rng.random() < 0.5,
        rng.uniform(-1e30, 1e30),
        rng.randrange(-(2**53), 2**53),
        rng.choice(["", "text", "\0", "🍰", str(LINEAGE_ID)]),
        [1, {"x": [None]}],
        {"x": rng.random(), "y": rng.choice([1, "1", None])},
        b"\xff\x00",
        Text("typed"),
        Array([1, "two"]),
        Map({"x": 1.0, "y": Map()}),
    ]
    return rng.choice(kinds)


def test_unread_lineage_is_none_until_read() -> None:
    read = read_content(applied(tuple(build_updates(GraphContent(nodes=(Node("a"),)), 1))), GRAPH_ID)

    assert replace(read.nodes[0], lineage_id=None) == Node("a")


def test_uuid7_is_laid_out_as_the_rfc_says() -> None:
    """RFC 9562, appendix A.6."""
    random_bits = (0xCC3 << 62) | 0x18C4DC0C0C07398F
    made = uuid7(0x017F22E279B0, random_bits.to_bytes(RANDOM_BYTES))

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == 0x017F22E279B0


def test_uuid7_sorts_by_its_time() -> None:
    assert uuid7(1, b"\xff" * RANDOM_BYTES) < uuid7(2, b"\x00" * RANDOM_BYTES)
