"""A document becomes what base and edits make of its graph: rules REPLAY-11 to REPLAY-15 of SPEC.md."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from documents import recorded
from pycrdt import Array, Doc, Map, Text

from collab.wire.update import walk
from persistence.document import (
    MAX_UPDATE_BYTES,
    Edge,
    GraphContent,
    Layer,
    Node,
    build_updates,
)
from persistence.records import ServerEdit
from persistence.replay_records import GraphBase, ReplayRecord
from replay.applicability import signature
from replay.effects import effects
from replay.graph_state import GraphState
from replay.operations import Act, EditOperation
from replay.rebuilding import PREVIEWED_CHANGES, RebuildRequest, preview, read_graph, rebuild

GRAPH_ID = UUID(int=7)
PERSON = 2_000_000
SERVER = 5


def base_of(content: GraphContent) -> bytes:
    return orjson.dumps(content)


def read(content: GraphContent) -> GraphContent:
    """Return the graph as documents and bases read: with the lineages that are understood."""
    return read_graph(GRAPH_ID, base_of(content))


WRITTEN = GraphContent(
    nodes=(Node("a", "A"), Node("b", "B", belongs_to="a"), Node("c", "C")),
    edges=(Edge("ab", "a", "b"),),
    layers=(Layer("l", "L"),),
)
BASE = read(WRITTEN)


def document(content: GraphContent = WRITTEN) -> Doc[Any]:
    doc, _ = recorded(PERSON)
    for update in build_updates(content, 1):
        doc.apply_update(update.data)
    return doc


def edits_of(operations: Sequence[EditOperation], content: GraphContent = BASE) -> bytes:
    state = GraphState.of(content)
    told = []
    for number, operation in enumerate(operations, 1):
        edit = {"id": UUID(int=number), "number": number, "operation_data": operation.to_json()}
        told.append(edit | {"applicability_signature": signature(operation, state)})
        state.apply(effects(operation, state))
    return orjson.dumps(told)


def request(
    base: GraphContent, *operations: EditOperation, policy: Any = "mine", removed: bytes = b"[]"
) -> RebuildRequest:
    return RebuildRequest(
        replay_id=UUID(int=1),
        graph_id=GRAPH_ID,
        base=GraphBase(base_of(base), "0" * 64, "1" * 64, "plan-node"),
        cause="plan",
        execution_id=None,
        triggered_by=UUID(int=2),
        through=9,
        edits=edits_of(operations),
        policy=policy,
        removed=removed,
    )


def apply(doc: Doc[Any], edit: ServerEdit) -> None:
    for update in edit.updates:
        walk(update.data)
        doc.apply_update(update.data)


def rebuilt(doc: Doc[Any], asked: RebuildRequest) -> ServerEdit:
    edit = rebuild(asked, doc.get_update(), SERVER)
    apply(doc, edit)
    return edit


def state(doc: Doc[Any]) -> dict[str, Any]:
    return {root: orjson.loads(str(doc.get(root, type=Map))) for root in ("nodes", "edges", "layers", "meta")}


def record_of(edit: ServerEdit) -> ReplayRecord:
    assert edit.record is not None
    return edit.record


def removed_by(edit: ServerEdit) -> list[dict[str, Any]]:
    return orjson.loads(record_of(edit).removed)


def update(id_: str, **values: tuple[Any, Any]) -> EditOperation:
    old, new = ({name: pair[side] for name, pair in values.items()} for side in (0, 1))
    return EditOperation("node", Act.UPDATE, id_, None, old, new)


UPSTREAM = replace(
    BASE,
    nodes=(read(GraphContent((Node("a", "A2"),))).nodes[0], *BASE.nodes[1:]),
)


def test_REPLAY_11_only_what_differs_is_written_into_the_maps_that_are_there() -> None:
    doc = document()
    node = doc.get("nodes", type=Map)["a"]
    node["position"] = {"x": 1, "y": 2}
    node["content"] = Text("typed")
    node["config"] = Map({"k": 1})
    doc.get("meta", type=Map)["name"] = "Deck"
    edit = rebuilt(doc, request(UPSTREAM, update("a", comment=(None, "mine"))))

    assert [len(one.data) < 80 for one in edit.updates] == [True]
    assert node["label"] == "A2"
    assert state(doc)["nodes"]["a"] == {
        "label": "A2",
        "comment": "mine",
        "position": {"x": 1, "y": 2},
        "content": "typed",
        "config": {"k": 1},
    }
    assert state(doc)["meta"] == {"name": "Deck"}


def test_REPLAY_11_a_second_rebuild_has_nothing_to_write() -> None:
    doc = document()
    asked = request(
        UPSTREAM,
        update("b", label=("B", "mine"), weight=(None, 1.5), properties=(None, {"a": [1, True, None]})),
        EditOperation("node", Act.CREATE, "x", Node("x", "X", belongs_to="a", lineage_id=UUID(int=3))),
        EditOperation("edge", Act.DELETE, "ab", BASE.edges[0]),
    )
    first, second = rebuilt(doc, asked), rebuilt(doc, asked)

    assert first.updates
    assert second.updates == ()
    assert record_of(second).outcomes == record_of(first).outcomes


def test_REPLAY_11_whatever_is_in_the_document_it_is_rebuilt() -> None:
    """REPLAY-11: what is no entity is left alone or replaced; fields of wrong kinds read as absent."""
    doc = document()
    nodes = doc.get("nodes", type=Map)
    nodes["b"] = "no map"
    nodes["stray"] = Array([1, 2])
    nodes["a"]["layer"] = 5
    nodes["a"]["weight"] = "heavy"
    nodes["a"]["position"] = [1, 2]
    nodes["c"]["label"] = Map({"x": 1})
    nodes["c"]["lineage_id"] = "none"
    nodes["odd"] = Map({"position": 1, "properties": 5, "label": Array([Map({})])})
    edit = rebuilt(doc, request(UPSTREAM))

    assert state(doc)["nodes"] == {
        "a": {"label": "A2", "layer": 5, "weight": "heavy", "position": [1, 2]},
        "b": {"label": "B", "belongs_to": "a"},
        "c": {"label": "C", "lineage_id": "none"},
        "stray": [1, 2],
    }
    assert [one["id"] for one in removed_by(edit)] == ["odd"]
    assert rebuilt(doc, request(UPSTREAM)).updates == ()


def test_REPLAY_11_what_reads_otherwise_is_written_and_what_reads_alike_is_not() -> None:
    """REPLAY-3, REPLAY-11: 1 is 1.0, but not true."""
    doc = document(GraphContent((Node("a", weight=1, properties={"k": [1]}),)))
    alike = read(GraphContent((Node("a", weight=1.0, properties={"k": [1.0]}),)))
    assert rebuilt(doc, request(alike)).updates == ()

    rebuilt(doc, request(read(GraphContent((Node("a", weight=1, properties={"k": [True]}),)))))
    assert doc.get("nodes", type=Map)["a"]["properties"]["k"][0] is True


def test_REPLAY_12_no_client_ever_sees_an_edge_without_its_ends() -> None:
    """REPLAY-12: updates are applied one by one."""
    many = [f"x{number:03}" for number in range(700)]
    gone = GraphContent(
        tuple(Node(id_, "x" * 200) for id_ in many), tuple(Edge(f"e{id_}", id_, many[0]) for id_ in many)
    )
    come = GraphContent(
        tuple(Node(f"y{id_}", "x" * 200) for id_ in many),
        (
            *(Edge(f"e{id_}", f"y{id_}", f"y{many[0]}") for id_ in many[:400]),
            *(Edge(f"f{id_}", f"y{id_}", f"y{id_}") for id_ in many),
        ),
    )
    doc = document(gone)
    edit = rebuild(request(come), doc.get_update(), SERVER)
    assert len(edit.updates) > 6
    for one in edit.updates:
        doc.apply_update(one.data)
        assert len(one.data) <= MAX_UPDATE_BYTES
        nodes = set(doc.get("nodes", type=Map))
        assert all({edge["source"], edge["target"]} <= nodes for edge in state(doc)["edges"].values())
    assert set(state(doc)["nodes"]) == {node.id for node in come.nodes}


def test_REPLAY_13_what_goes_with_a_position_a_text_or_unknown_fields_is_kept_whole() -> None:
    doc = document()
    nodes = doc.get("nodes", type=Map)
    nodes["a"]["position"] = {"x": 1, "y": 2}
    nodes["b"]["content"] = Text("typed")
    doc.get("edges", type=Map)["ab"]["routing"] = Map({"bend": [1]})
    edit = rebuilt(doc, request(GraphContent()))

    assert {one["id"]: (one["root"], one["fields"]) for one in removed_by(edit)} == {
        "a": ("nodes", {"label": "A", "position": {"x": 1, "y": 2}}),
        "ab": ("edges", {"source": "a", "target": "b", "routing": {"bend": [1]}}),
        "b": ("nodes", {"label": "B", "belongs_to": "a", "content": "typed"}),
    }
    assert edit.summary["removed"] == 3
    assert state(doc) == {"nodes": {}, "edges": {}, "layers": {}, "meta": {}}


def test_REPLAY_13_what_comes_again_has_all_that_it_had_when_it_went_last() -> None:
    doc = document()
    nodes = doc.get("nodes", type=Map)
    nodes["a"]["position"] = {"x": 1, "y": 2}
    nodes["a"]["content"] = Text("typed")
    nodes["a"]["config"] = Map({"k": [1, {"deep": True}]})
    doc.get("edges", type=Map)["ab"]["routing"] = "straight"
    doc.get("layers", type=Map)["l"]["order"] = 3
    before = state(doc)
    older = orjson.dumps([{"root": "nodes", "id": "a", "fields": {"position": {"x": 9, "y": 9}, "old": 1}}])
    went = rebuilt(doc, request(GraphContent(), removed=older))
    removed = orjson.dumps([*orjson.loads(older), *removed_by(went)])
    rebuilt(doc, request(BASE, removed=removed))

    assert state(doc) == before
    assert isinstance(doc.get("nodes", type=Map)["a"]["content"], Text)
    assert rebuilt(doc, request(BASE, removed=removed)).updates == ()


def test_REPLAY_13_what_would_lie_too_deep_for_live_editing_does_not_come_back() -> None:
    deep: Any = 1
    for _ in range(65):
        deep = [deep]
    removed = orjson.dumps([{"root": "nodes", "id": "a", "fields": {"deep": deep, "flat": deep[0]}}])
    doc = document(GraphContent())
    rebuilt(doc, request(BASE, removed=removed))

    assert state(doc)["nodes"]["a"] == {"label": "A", "flat": deep[0]}


def test_REPLAY_13_an_entity_that_an_edit_made_keeps_the_position_that_people_gave_it_since() -> None:
    made = EditOperation(
        "node", Act.CREATE, "x", Node("x", "X", lineage_id=UUID(int=3), position={"x": 1, "y": 1}, content="then")
    )
    doc = document(GraphContent())
    rebuilt(doc, request(BASE, made))
    node = doc.get("nodes", type=Map)["x"]
    assert (node["position"], str(node["content"])) == ({"x": 1.0, "y": 1.0}, "then")

    node["position"] = {"x": 5, "y": 5}
    del node["content"]
    assert rebuilt(doc, request(BASE, made)).updates == ()
    assert (node["position"], "content" in node) == ({"x": 5.0, "y": 5.0}, False)


def test_REPLAY_14_a_person_who_edits_the_same_field_at_the_same_time_wins() -> None:
    doc = document()
    edit = rebuild(request(UPSTREAM), doc.get_update(), SERVER)
    doc.get("nodes", type=Map)["a"]["label"] = "theirs"
    apply(doc, edit)

    assert doc.get("nodes", type=Map)["a"]["label"] == "theirs"


def test_REPLAY_15_the_record_tells_what_became_of_every_edit_once() -> None:
    asked = request(
        UPSTREAM,
        update("a", label=("A", "mine")),
        update("b", comment=(None, "c")),
        EditOperation("node", Act.DELETE, "zz", Node("zz")),
        update("gone", label=("x", "y")),
        update("a", belongs_to=(None, "b")),
        update("c", layer=(None, "none")),
    )
    edit = rebuilt(document(), asked)
    record = record_of(edit)
    ids = [str(UUID(int=number)) for number in range(1, 7)]
    outcomes = orjson.loads(record.outcomes)

    assert (outcomes["applied"], outcomes["already_applied"]) == ([ids[1], ids[5]], [ids[2]])
    assert {
        kind: [(one["edit_id"], one["reason"]) for one in outcomes[kind]]
        for kind in ("conflicts", "failed", "inapplicable", "warnings")
    } == {
        "conflicts": [(ids[0], "value_changed")],
        "failed": [(ids[4], "containment_cycle")],
        "inapplicable": [(ids[3], "entity_missing")],
        "warnings": [(ids[5], "layer_missing")],
    }
    assert outcomes["conflicts"][0]["fields"] == {"label": {"old": "A", "upstream": "A2", "mine": "mine"}}
    assert outcomes["conflicts"][0]["settled"] is True
    assert edit.summary == {
        "replay_id": str(UUID(int=1)),
        "applied": 2,
        "already_applied": 1,
        "conflicts": 1,
        "failed": 1,
        "inapplicable": 1,
        "warnings": 1,
        "removed": 0,
        "updates": len(edit.updates),
    }
    (rebased,) = orjson.loads(record.rebased)
    assert (rebased["id"], rebased["operation_data"]["old_values"]) == (ids[0], {"label": "A2"})
    assert len(rebased["signature"]) == 16
    assert (record.id, record.graph_id, record.base, record.cause) == (asked.replay_id, GRAPH_ID, asked.base, "plan")
    assert (record.through, record.triggered_by, record.deactivated) == (9, UUID(int=2), {})


def test_REPLAY_15_what_theirs_puts_to_rest_is_told_and_a_request_travels_to_a_worker() -> None:
    asked = pickle.loads(pickle.dumps(request(UPSTREAM, update("a", label=("A", "mine")), policy="theirs")))
    edit = pickle.loads(pickle.dumps(rebuild(asked, document().get_update(), SERVER)))

    assert record_of(edit).deactivated == {UUID(int=1): "theirs"}
    assert orjson.loads(record_of(edit).rebased) == []


@pytest.mark.parametrize("count", [3, PREVIEWED_CHANGES + 5])
def test_REPLAY_15_a_preview_tells_outcomes_and_the_first_changes_and_writes_nothing(count: int) -> None:
    upstream = read(GraphContent((Node("a", "A2"), *(Node(f"n{number:03}") for number in range(count)))))
    document_ = document().get_update()
    told = orjson.loads(preview(request(upstream, update("a", label=("A", "mine"))), document_))

    assert told["conflicts"][0]["reason"] == "value_changed"
    assert (told["counts"]["conflicts"], told["counts"]["applied"]) == (1, 0)
    assert told["entities"] == {
        "added": {"nodes": count},
        "changed": {"nodes": 1},
        "deleted": {"edges": 1, "layers": 1, "nodes": 2},
    }
    assert len(told["changes"]) == min(count + 5, PREVIEWED_CHANGES)
    assert told["changes"][0] == {"root": "nodes", "id": "n000", "after": {"id": "n000"}}
    if count == 3:
        assert told["changes"][3] == {"root": "nodes", "id": "a", "before": {"label": "A"}, "after": {"label": "mine"}}
        assert told["changes"][4]["before"]["id"] == "ab"
