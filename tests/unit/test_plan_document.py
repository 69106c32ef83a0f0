"""PLANS: a plan in the document that people edit together, and the server's edits of it."""

import pickle
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
import pytest
from pycrdt import Doc, Map

from persistence.document import MAX_UPDATE_BYTES, DocumentUpdate
from persistence.replay_records import PlanRecord
from replay import plan_edits
from replay.plan import PlanErrors
from replay.plan_document import etag_of, read_document, read_told, write_told
from replay.plan_edits import Change, PlanChangedError, edit_plan
from replay.plan_reading import NotJsonError, read_plan
from replay.plan_status import plan_of_document, plan_status
from tests.unit.plans import CHAIN, WIRES, node, told

PROJECT = UUID(int=1)
PLAN = read_plan(told(CHAIN, *WIRES, metadata={"by": "Ada"})).to_json()
EMPTY = b"\0\0"


def put(plan: Any) -> Change:
    return plan_edits.put(orjson.dumps(plan))


def patch(told: Any) -> Change:
    return plan_edits.patch(orjson.dumps(told))


def first_updates(plan: dict[str, Any]) -> tuple[DocumentUpdate, ...]:
    return plan_edits.first_updates(put(plan), None, plan)


def made_of(*updates: DocumentUpdate, client: int = 50) -> "Doc[Any]":
    doc: Doc[Any] = Doc(client_id=client)
    for update in updates:
        doc.apply_update(update.data)
    return doc


def document(plan: dict[str, Any] = PLAN) -> bytes:
    return made_of(*first_updates(plan)).get_update()


def test_PLANS_1_a_document_reads_as_the_plan_that_was_written() -> None:
    doc = made_of(*first_updates(PLAN))

    assert read_plan(read_told(doc)).to_json() == PLAN
    assert etag_of(read_told(doc)) == etag_of(PLAN)
    assert isinstance(doc.get("nodes", type=Map)["change"]["config"], Map)


def test_PLANS_1_what_is_no_map_says_nothing() -> None:
    doc = made_of(*first_updates(PLAN))
    doc.get("nodes", type=Map)["file"] = 7
    (said,) = (one for one in read_told(doc)["nodes"] if one["id"] == "file")

    assert said == {"id": "file"}
    assert {problem.node_id for problem in plan_status(PLAN, doc.get_update()).problems} == {"file"}


def test_PLANS_2_the_same_plan_again_writes_nothing() -> None:
    assert edit_plan(PROJECT, put(PLAN), None, document(), 9).updates == ()


def test_PLANS_2_people_set_other_members_of_a_config_at_the_same_time() -> None:
    """Also what nobody knows of a node stays."""
    person = made_of(*first_updates(PLAN))
    mine = person.get("nodes", type=Map)["change"]
    mine["colour"] = "red"
    before = person.get_update()
    mine["config"]["note"] = "by hand"
    mine["position"] = {"x": 1, "y": 2}
    change = {"id": "change", "metadata": {"label": "Shorter"}}
    target = {"id": "file", "config": {"renderTarget": "JSON"}}

    edit = edit_plan(PROJECT, patch({"nodes": [change, target]}), None, before, 9)
    for update in edit.updates:
        person.apply_update(update.data)

    nodes = {one["id"]: one for one in read_told(person)["nodes"]}
    assert nodes["change"]["config"]["note"] == "by hand"
    assert nodes["change"]["position"] == {"x": 1, "y": 2}
    assert nodes["change"]["metadata"] == {"label": "Shorter"}
    assert nodes["file"]["config"]["renderTarget"] == "JSON"
    assert mine["colour"] == "red"


def test_PLANS_2_a_large_plan_comes_in_small_updates() -> None:
    large = told(
        [
            node(f"n{number:03}", "InputNode", inputType="CSVNodesFromFile", source=f"{number}" + "x" * 900)
            for number in range(300)
        ]
    )
    updates = first_updates(read_plan(large).to_json())

    assert len(updates) > 3
    assert max(len(update.data) for update in updates) <= MAX_UPDATE_BYTES
    assert len(read_told(made_of(*updates))["nodes"]) == 300


def test_PLANS_3_a_patch_merges_by_id_and_null_removes() -> None:
    whole = {
        "nodes": [
            {"id": "change", "config": {"transformConfig": {"maxPartitionDepth": None, "dropUnconnectedNodes": True}}},
            node("second", "OutputNode", renderTarget="JSON"),
        ],
        "edges": [{"id": "new", "source": "change", "target": "second"}],
        "remove_nodes": ["file", "nobody"],
        "remove_edges": ["nothing"],
        "metadata": {"by": None, "for": "Bob"},
    }
    edit = edit_plan(PROJECT, patch(whole), None, document(), 9)
    doc = made_of(*first_updates(PLAN), *edit.updates)
    said = read_told(doc)

    nodes = {one["id"]: one for one in said["nodes"]}
    assert nodes["change"]["config"]["transformConfig"] == {"dropUnconnectedNodes": True}
    assert set(nodes) == {"nodes", "edges", "graph", "change", "second"}
    assert {one["id"] for one in said["edges"]} == {"nodes>graph", "edges>graph", "graph>change", "new"}
    assert said["metadata"] == {"for": "Bob"}


def test_PLANS_4_an_edit_that_leaves_no_sound_plan_tells_all_that_is_wrong() -> None:
    bad = {"nodes": [{"id": "file", "config": {"renderTarget": "PDF"}}, 7], "edges": [{"id": "e", "source": "file"}]}
    with pytest.raises(PlanErrors) as raised:
        edit_plan(PROJECT, patch(bad), None, document(), 9)

    assert {problem.code for problem in raised.value.problems} >= {"invalid_value", "invalid_id", "missing_end"}


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        ([], {"invalid_patch"}),
        ({"nodes": 7, "remove_edges": 3, "node": []}, {"invalid_value", "unknown_member"}),
        ({"remove_nodes": [1], "metadata": 2}, {"invalid_value"}),
    ],
)
def test_PLANS_4_what_is_no_patch_tells_all_that_is_wrong(wrong: Any, codes: set[str]) -> None:
    with pytest.raises(PlanErrors) as raised:
        edit_plan(PROJECT, patch(wrong), None, document(), 9)
    assert {problem.code for problem in raised.value.problems} == codes


@pytest.mark.parametrize("make", [plan_edits.put, plan_edits.patch])
def test_PLANS_4_what_is_not_json_changes_nothing(make: Callable[[bytes], Change]) -> None:
    for body in (b"", b"{", b"[" * 5_000, b'"\xff"'):
        with pytest.raises(NotJsonError):
            edit_plan(PROJECT, make(body), None, document(), 9)


def test_PLANS_4_no_document_is_made_for_an_edit_that_cannot_be() -> None:
    with pytest.raises(PlanErrors):
        plan_edits.first_updates(put([]), None, PLAN)


def test_PLANS_4_an_edit_of_another_plan_than_the_one_that_was_read_is_refused() -> None:
    now = etag_of(PLAN)
    edit = edit_plan(PROJECT, patch({"metadata": {"by": "Bob"}}), frozenset({"old", now}), document(), 9)
    after = made_of(*first_updates(PLAN), *edit.updates).get_update()
    assert edit.summary["etag"] == etag_of(read_document(after)) != now

    with pytest.raises(PlanChangedError, match="read it again") as raised:
        edit_plan(PROJECT, put(PLAN), frozenset({now}), after, 9)
    assert pickle.loads(pickle.dumps(raised.value)).etag == edit.summary["etag"]


def test_PLANS_5_what_is_stored_is_what_the_document_says() -> None:
    """References become edges in both."""
    short = told([*CHAIN[:2], node("both", "MergeNode", inputRefs=["nodes", "edges"])])
    edit = edit_plan(PROJECT, put(short), None, EMPTY, 9)

    assert isinstance(edit.record, PlanRecord)
    assert edit.record.project_id == PROJECT
    stored = orjson.loads(edit.record.plan_dag)
    assert read_plan(read_told(made_of(*edit.updates))).to_json() == stored
    assert [edge["source"] for edge in sorted(stored["edges"], key=lambda edge: edge["order"])] == ["nodes", "edges"]


def test_PLANS_5_a_document_loses_what_is_no_part_of_the_plan() -> None:
    doc: Doc[Any] = Doc(client_id=9)
    doc.get("nodes", type=Map)["stray"] = 7
    doc.get("meta", type=Map)["name"] = "Plan"
    list(write_told(doc, PLAN))

    assert set(doc.get("nodes", type=Map).keys()) == {one["id"] for one in PLAN["nodes"]}
    assert doc.get("meta", type=Map)["name"] == "Plan"


def test_PLANS_5_the_status_tells_a_hash_of_each_node_of_the_stored_plan() -> None:
    status = plan_status(PLAN, None)

    assert set(status.hashes) == {one["id"] for one in PLAN["nodes"]}
    assert {len(hash_) for hash_ in status.hashes.values()} == {16}
    assert (status.problems, status.etag) == ((), etag_of(PLAN))


def test_PLANS_9_a_document_tells_its_plan_and_whether_another_is_computed() -> None:
    """PLANS-9: nothing if it is no sound plan, or the one that is stored."""
    doc = made_of(*first_updates(PLAN))
    assert plan_of_document(PLAN, doc.get_update()) is None
    change = doc.get("nodes", type=Map)["change"]
    change["position"] = {"x": 1, "y": 2}
    moved = plan_of_document(PLAN, doc.get_update())
    assert moved is not None
    assert not moved.has_other_hashes
    change["config"]["transformConfig"] = {"dropUnconnectedNodes": True}
    changed = plan_of_document(orjson.loads(moved.plan_dag), doc.get_update())
    assert changed is not None
    assert changed.has_other_hashes
    assert orjson.loads(changed.plan_dag) == read_plan(read_told(doc)).to_json()
    change["type"] = "OtherNode"
    assert plan_of_document(PLAN, doc.get_update()) is None
