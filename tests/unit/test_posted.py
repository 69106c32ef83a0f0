"""Operations that come through a door: rules REPLAY-16 to REPLAY-18 of SPEC.md."""

import pickle
from typing import Any
from uuid import UUID

import orjson
import pytest
from documents import recorded
from pycrdt import Doc, Map, Text

from persistence.document import Edge, GraphContent, Layer, Node, build_updates
from persistence.records import ServerEdit
from replay.applicability import Reason
from replay.operations import Act
from replay.posted import InapplicableError, OperationErrors, check_operation, post_operation

GRAPH_ID = UUID(int=7)
LINEAGE = "00000000-0000-4000-8000-00000000000a"
GRAPH = GraphContent(
    nodes=(Node("a", "A"), Node("b", "B", belongs_to="a"), Node("c", "C", belongs_to="b"), Node("d", "D")),
    edges=(Edge("bd", "b", "d"), Edge("cb", "c", "b")),
    layers=(Layer("l", "L"),),
)


def document(content: GraphContent = GRAPH) -> Doc[Any]:
    doc, _ = recorded(2_000_000)
    for update in build_updates(content, 1):
        doc.apply_update(update.data)
    return doc


def post(doc: Doc[Any], **told: Any) -> ServerEdit:
    edit = post_operation(check_operation(told), GRAPH_ID, doc.get_update(), 5)
    for update in edit.updates:
        doc.apply_update(update.data)
    return edit


def refused(doc: Doc[Any], **told: Any) -> InapplicableError:
    before = doc.get_update()
    with pytest.raises(InapplicableError) as raised:
        post(doc, **told)
    assert doc.get_update() == before
    return raised.value


def fields(doc: Doc[Any], root: str, id_: str) -> Any:
    entities = doc.get(root, type=Map)
    return orjson.loads(str(entities[id_])) if id_ in entities else None


CREATED: dict[str, dict[str, Any]] = {
    "node": {"id": "x", "label": "X", "belongs_to": "a", "position": {"x": 1, "y": 2}, "content": "text"},
    "edge": {"id": "x", "source": "a", "target": "d", "weight": 2, "lineage_id": LINEAGE},
    "layer": {"id": "x", "name": "X", "properties": {"a": [1, {"b": None}]}},
}


@pytest.mark.parametrize("kind", CREATED)
def test_REPLAY_17_what_is_created_is_there_as_it_was_told_and_again_it_is_there_already(kind: str) -> None:
    doc = document()
    told = {"type": f"{kind}_create", kind: CREATED[kind]}
    first, second = post(doc, **told), post(doc, **told)

    assert fields(doc, f"{kind}s", "x") == {name: value for name, value in CREATED[kind].items() if name != "id"}
    assert (first.summary["outcome"], second.summary["outcome"]) == ("applied", "already_applied")
    assert (len(first.updates), second.updates) == (1, ())
    assert refused(doc, **{"type": f"{kind}_create", kind: CREATED[kind] | {"properties": {"other": 1}}}).reason == (
        Reason.ENTITY_EXISTS
    )


@pytest.mark.parametrize(
    ("kind", "id_", "name"), [("node", "a", "label"), ("edge", "bd", "label"), ("layer", "l", "name")]
)
def test_REPLAY_17_an_update_writes_what_differs_and_again_it_is_so_already(kind: str, id_: str, name: str) -> None:
    doc = document()
    before = doc.get(f"{kind}s", type=Map)[id_]
    told = {"type": f"{kind}_update", f"{kind}_id": id_, "new_values": {name: "Z", "properties": {"p": 1}}}
    first, second = post(doc, **told), post(doc, **told)

    assert (before[name], before["properties"]) == ("Z", {"p": 1.0})
    assert ([one.entities for one in first.updates], second.updates) == ([1], ())
    assert second.summary["outcome"] == "already_applied"
    assert refused(doc, **(told | {f"{kind}_id": "nothing"})).reason is Reason.ENTITY_MISSING


def test_REPLAY_17_old_values_that_are_told_must_be_there() -> None:
    doc = document()
    told = {"type": "node_update", "node_id": "a", "new_values": {"label": "Z", "comment": "c"}}
    error = refused(doc, **told, old_values={"label": "other"})

    assert error.reason is Reason.VALUE_CHANGED
    assert {name: (one.old, one.upstream, one.mine) for name, one in error.fields.items()} == {
        "label": ("other", "A", "Z")
    }
    assert post(doc, **told, old_values={"label": "A", "comment": None}).updates


def test_REPLAY_17_a_deletion_of_what_is_told_otherwise_is_refused() -> None:
    doc = document()
    assert (
        refused(doc, type="node_delete", node_id="a", node={"id": "a", "label": "old"}).reason is Reason.ENTITY_CHANGED
    )
    assert post(doc, type="node_delete", node_id="a", node={"id": "a", "label": "A"}).updates
    assert post(doc, type="node_delete", node_id="a").summary["outcome"] == "already_applied"


def test_REPLAY_17_with_a_node_go_its_edges_and_what_it_contains_moves_up_in_one_update() -> None:
    doc = document()
    edit = post(doc, type="node_delete", node_id="b", edges=[], children=[])

    assert len(edit.updates) == 1
    assert sorted(doc.get("nodes", type=Map)) == ["a", "c", "d"]
    assert (fields(doc, "nodes", "c"), list(doc.get("edges", type=Map))) == ({"label": "C", "belongs_to": "a"}, [])


def test_REPLAY_17_edges_and_layers_are_deleted() -> None:
    doc = document()
    post(doc, type="edge_delete", edge_id="bd")
    post(doc, type="layer_delete", layer_id="l")

    assert (list(doc.get("edges", type=Map)), list(doc.get("layers", type=Map))) == (["cb"], [])


def test_REPLAY_17_positions_and_texts_are_written_in_place() -> None:
    doc = document()
    node = doc.get("nodes", type=Map)["a"]
    node["content"] = Text("one two")
    node["unknown"] = Map({"k": 1})
    text = node["content"]
    post(doc, type="node_update", node_id="a", new_values={"position": {"x": 1, "y": 2}, "content": "one, two"})

    assert (str(text), node["position"]) == ("one, two", {"x": 1.0, "y": 2.0})
    assert fields(doc, "nodes", "a")["unknown"] == {"k": 1}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"type": "edge_create", "edge": {"id": "x", "source": "a", "target": "no"}}, "end_missing"),
        ({"type": "edge_update", "edge_id": "bd", "new_values": {"target": "no"}}, "end_missing"),
        ({"type": "node_create", "node": {"id": "x", "belongs_to": "no"}}, "parent_missing"),
        ({"type": "node_create", "node": {"id": "x", "belongs_to": "x"}}, "parent_missing"),
        ({"type": "node_update", "node_id": "a", "new_values": {"belongs_to": "no"}}, "parent_missing"),
        ({"type": "node_update", "node_id": "a", "new_values": {"belongs_to": "c"}}, "containment_cycle"),
        ({"type": "node_update", "node_id": "a", "new_values": {"belongs_to": "a"}}, "containment_cycle"),
    ],
)
def test_REPLAY_17_what_would_break_the_graph_is_refused(told: dict[str, Any], reason: str) -> None:
    error = refused(document(), **told)
    again = pickle.loads(pickle.dumps(error))

    assert (again.reason, again.message, str(again)) == (reason, error.message, error.message)


def test_REPLAY_18_a_circle_that_is_there_already_holds_nothing_else_up() -> None:
    doc = document(GraphContent((Node("a", belongs_to="b"), Node("b", belongs_to="a"))))

    assert post(doc, type="edge_create", edge={"id": "a", "source": "a", "target": "b"}).updates
    assert post(doc, type="node_update", node_id="a", new_values={"label": "A"}).updates
    assert post(doc, type="node_update", node_id="a", new_values={"belongs_to": None}).updates


def test_REPLAY_17_a_node_that_is_made_where_others_wait_for_it_does_not_contain_itself() -> None:
    doc = document(GraphContent((Node("a", belongs_to="x"),)))

    assert refused(doc, type="node_create", node={"id": "x", "belongs_to": "a"}).reason is Reason.CONTAINMENT_CYCLE
    assert post(doc, type="node_create", node={"id": "x"}).updates


def test_REPLAY_18_a_layer_that_is_not_there_is_a_warning() -> None:
    summary = post(document(), type="node_update", node_id="a", new_values={"layer": "no"}).summary

    assert [one["reason"] for one in summary["warnings"]] == ["layer_missing"]
    assert summary["type"] == "node_update"


def test_REPLAY_18_what_is_in_the_place_of_an_entity_but_is_none_is_replaced() -> None:
    doc = document()
    doc.get("nodes", type=Map)["x"] = "text"
    post(doc, type="node_create", node={"id": "x", "label": "X"})

    assert fields(doc, "nodes", "x") == {"label": "X"}


@pytest.mark.parametrize(
    ("told", "paths"),
    [
        ({}, ["type"]),
        ({"type": "node_rename"}, ["type"]),
        ({"type": ["node_update"]}, ["type"]),
        ({"type": "node_create"}, ["node"]),
        ({"type": "node_create", "node": {"label": 1, "colour": "red", "weight": "1"}, "reason": "x"}, [
            "node.colour", "node.id", "node.label", "node.weight", "reason",
        ]),
        ({"type": "node_create", "node": {"id": "x" * 1025, "belongs_to": ""}}, ["node.belongs_to", "node.id"]),
        ({"type": "node_create", "node": {"id": "", "position": {"x": 1}, "lineage_id": "1", "is_partition": 1}}, [
            "node.id", "node.is_partition", "node.lineage_id", "node.position",
        ]),
        ({"type": "edge_create", "edge": {"id": "x", "source": "a", "position": 1}}, ["edge.position", "edge.target"]),
        ({"type": "layer_create", "layer": {"id": "x", "label": "y"}}, ["layer.label"]),
        ({"type": "edge_update", "edge_id": 1, "new_values": {"source": None, "content": "x"}}, [
            "edge_id", "new_values.content", "new_values.source",
        ]),
        ({"type": "node_update", "node_id": "a", "new_values": {}}, ["new_values"]),
        ({"type": "node_update", "node_id": "a", "new_values": {"label": "a\0"}, "old_values": {"comment": "c"}}, [
            "new_values.label", "old_values.comment",
        ]),
        ({"type": "node_update", "node_id": "a", "new_values": {"lineage_id": None}, "old_values": []}, [
            "new_values.lineage_id", "old_values",
        ]),
        ({"type": "node_update", "node_id": "\ud800", "new_values": {"weight": 2**53 + 1}}, [
            "new_values.weight", "node_id",
        ]),
        ({"type": "node_update", "node_id": "a", "new_values": {"properties": {"a": [float("nan")]}}}, [
            "new_values.properties",
        ]),
        ({"type": "node_delete", "node_id": "a", "node": {"id": "b"}}, ["node.id"]),
        ({"type": "edge_delete", "edges": []}, ["edge_id", "edges"]),
    ],
)  # fmt: skip
def test_REPLAY_16_all_that_is_wrong_is_told_at_once(told: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(OperationErrors) as raised:
        check_operation(told)

    assert sorted(problem.path for problem in raised.value.problems) == paths


def test_REPLAY_16_values_that_lie_too_deep_are_refused() -> None:
    value: Any = 1
    for _ in range(63):
        value = [value]
    told: dict[str, Any] = {"type": "layer_create", "layer": {"id": "x", "properties": {"a": value}}}
    assert check_operation(told).act is Act.CREATE

    told["layer"]["properties"] = {"a": [value]}
    with pytest.raises(OperationErrors, match="64 deep"):
        check_operation(told)
