"""Files are merged into a document by the smallest edits in place: rules IMPORT-18 to IMPORT-22 of SPEC.md."""

import pickle
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest
from documents import recorded
from pycrdt import Decoder, Doc, Map, Text

from persistence.document import MAX_UPDATE_BYTES, Edge, GraphContent, Layer, Node, build_updates
from persistence.records import ServerEdit
from workspace.importing import merge_files
from workspace.issues import TableErrors
from workspace.tables import TableFile, TableKind

GRAPH_ID = UUID(int=7)
PERSON = 2_000_000
SERVER = 5
NONE = {"nodes": 0, "edges": 0, "layers": 0}
GRAPH = GraphContent(
    nodes=(Node("a", "A", "base"), Node("b", "B", "base", belongs_to="a"), Node("c", "C", belongs_to="b")),
    edges=(Edge("ab", "a", "b"), Edge("bc", "b", "c")),
    layers=(Layer("base", "Base"),),
)


def document(content: GraphContent = GRAPH) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=PERSON)
    for update in build_updates(content, 1):
        doc.apply_update(update.data)
    return doc


def merge(doc: Doc[Any], *files: TableFile | str, replace: bool = False) -> ServerEdit:
    """Make the edit, but do not apply it."""
    tables = [TableFile(f"{number}", one.encode()) if isinstance(one, str) else one for number, one in enumerate(files)]
    return merge_files(tables, GRAPH_ID, replace, doc.get_update(), SERVER)


def apply(doc: Doc[Any], edit: ServerEdit) -> None:
    for update in edit.updates:
        doc.apply_update(update.data)


def merged(doc: Doc[Any], *files: TableFile | str, replace: bool = False) -> Mapping[str, Any]:
    edit = merge(doc, *files, replace=replace)
    apply(doc, edit)
    return edit.summary


def fields(doc: Doc[Any], root: str, id_: str) -> dict[str, Any]:
    return orjson.loads(str(doc.get(root, type=Map)[id_]))


def ids(doc: Doc[Any], root: str) -> list[str]:
    return sorted(doc.get(root, type=Map))


def issues(doc: Doc[Any], *files: str, replace: bool = False) -> list[tuple[int | None, str | None]]:
    with pytest.raises(TableErrors) as raised:
        merge(doc, *files, replace=replace)
    return [(issue.line, issue.column) for issue in raised.value.issues]


def state(doc: Doc[Any]) -> dict[str, Any]:
    return {root: orjson.loads(str(doc.get(root, type=Map))) for root in ("nodes", "edges", "layers", "meta")}


def test_what_is_new_is_added_and_what_differs_changed() -> None:
    """IMPORT-18: everything else is as it was."""
    doc = document()
    summary = merged(doc, "id,label,is_partition\nb,Bee,yes\nd,D,no\n", "source,target\nb,d\n")

    assert summary == {
        "added": {"nodes": 1, "edges": 1, "layers": 0},
        "changed": {"nodes": 1, "edges": 0, "layers": 0},
        "deleted": NONE,
        "unchanged": NONE,
        "left_out": [],
    }
    assert fields(doc, "nodes", "b") == {"label": "Bee", "layer": "base", "belongs_to": "a", "is_partition": True}
    assert (ids(doc, "nodes"), ids(doc, "edges")) == (["a", "b", "c", "d"], ["ab", "b->d", "bc"])


def test_only_fields_that_differ_are_written_into_the_map_that_is_there() -> None:
    """IMPORT-18: one field is one small update, and the entity's own map stays."""
    doc = document()
    before = doc.get("nodes", type=Map)["b"]
    edit = merge(doc, "id,label,layer,belongs_to\na,A,base,\nb,Bee,base,a\n")
    apply(doc, edit)

    assert [len(update.data) < 40 for update in edit.updates] == [True]
    assert before["label"] == "Bee"
    assert edit.summary["unchanged"]["nodes"] == 1


def test_what_the_file_does_not_speak_of_is_not_touched() -> None:
    """IMPORT-18: fields without a column, unknown fields, positions, single properties and other roots."""
    doc = document(GraphContent(nodes=(Node("a", "A", weight=2, properties={"owner": "Ada", "cost": 5}),)))
    node = doc.get("nodes", type=Map)["a"]
    node["position"] = {"x": 1, "y": 2}
    node["config"] = Map({"k": "v"})
    doc.get("meta", type=Map)["name"] = "Deck"
    merged(doc, "id,label,owner\na,Ay,Bob\n")

    assert fields(doc, "nodes", "a") == {
        "label": "Ay",
        "weight": 2,
        "properties": {"owner": "Bob", "cost": 5},
        "position": {"x": 1, "y": 2},
        "config": {"k": "v"},
    }
    assert state(doc)["meta"] == {"name": "Deck"}


def test_an_empty_cell_removes_what_its_column_names() -> None:
    """IMPORT-18."""
    doc = document(GraphContent(nodes=(Node("a", "A", None, True, None, 2, "c", {"owner": "Ada", "cost": 5}),)))
    merged(doc, "id,label,comment,is_partition,weight,owner\na,,,,,\n")

    assert fields(doc, "nodes", "a") == {"properties": {"cost": 5}}


def test_a_json_document_says_of_each_entity_which_fields_it_has() -> None:
    """IMPORT-15, IMPORT-18: null removes, what is absent stays, and a list that is absent says nothing."""
    doc = document(GraphContent(nodes=(Node("a", "A", comment="c", weight=2), Node("b", "B", comment="c"))))
    merged(doc, '{"nodes": [{"id": "a", "comment": null}, {"id": "b", "weight": 1}]}')

    assert fields(doc, "nodes", "a") == {"label": "A", "weight": 2}
    assert fields(doc, "nodes", "b") == {"label": "B", "comment": "c", "weight": 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [("one two", "one and two"), ("a😀b", "aé😀b"), ("same", "some"), ("aaa", "aa"), ("", "new"), ("é", "è")],
)
def test_a_text_is_changed_by_its_smallest_edit(old: str, new: str) -> None:
    """IMPORT-18: what somebody types elsewhere in it at the same time stays."""
    doc = document()
    doc.get("nodes", type=Map)["a"]["content"] = Text(f"begin {old} end")
    other: Doc[Any] = Doc(client_id=PERSON + 1)
    other.apply_update(doc.get_update())
    apply(doc, merge(doc, TableFile("x", orjson.dumps({"nodes": [{"id": "a", "content": f"begin {new} end"}]}))))
    text = other.get("nodes", type=Map)["a"]["content"]
    text.insert(0, "> ")
    text += "!"
    doc.apply_update(other.get_update())

    assert str(doc.get("nodes", type=Map)["a"]["content"]) == f"> begin {new} end!"


@pytest.mark.parametrize("content", ["plain", 5, None])
def test_a_content_that_is_no_text_is_replaced_by_one(content: object) -> None:
    """IMPORT-18."""
    doc = document()
    doc.get("nodes", type=Map)["a"]["content"] = content
    merged(doc, '{"nodes": [{"id": "a", "content": "typed"}]}')

    assert isinstance(doc.get("nodes", type=Map)["a"]["content"], Text)
    assert str(doc.get("nodes", type=Map)["a"]["content"]) == "typed"


def test_what_is_no_map_is_replaced() -> None:
    """IMPORT-18."""
    doc = document()
    doc.get("nodes", type=Map)["d"] = "no node"
    summary = merged(doc, "id,label\nd,D\n")

    assert fields(doc, "nodes", "d") == {"label": "D"}
    assert summary["added"]["nodes"] == 1


def test_fields_of_a_wrong_kind_read_as_none_and_are_left_alone() -> None:
    """IMPORT-18, IMPORT-20: what the export of such a node says of it changes nothing."""
    doc = document()
    doc.get("nodes", type=Map)["a"]["weight"] = "heavy"
    edit = merge(doc, "id,label,weight\na,A,\n")

    assert edit.updates == ()


@pytest.mark.parametrize("replace", [False, True])
def test_the_same_files_again_change_nothing(replace: bool) -> None:
    """IMPORT-20: no update is made."""
    doc = document(GraphContent())
    files = ("id,label,layer,weight,k\na,A,x,1.0,v\nb,B,,1e16,\n", "source,target\na,b\na,b\n", "layer,label\nx,X\n")
    first = merge(doc, *files, replace=replace)
    apply(doc, first)
    second = merge(doc, *files, replace=replace)

    assert first.summary["added"] == {"nodes": 2, "edges": 2, "layers": 1}
    assert second.updates == ()
    assert second.summary["unchanged"] == {"nodes": 2, "edges": 2, "layers": 1}


def test_true_is_not_one() -> None:
    """IMPORT-18: values are compared as JSON, where a language may take them for equal."""
    doc = document(GraphContent(nodes=(Node("a", properties={"k": True, "l": [1]}),)))

    assert merge(doc, '{"nodes": [{"id": "a", "properties": {"l": [1.0], "k": true}}]}').updates == ()
    merged(doc, '{"nodes": [{"id": "a", "properties": {"l": [1], "k": 1}}]}')
    assert fields(doc, "nodes", "a") == {"properties": {"k": 1, "l": [1]}}


def test_without_replace_nothing_goes() -> None:
    """IMPORT-22."""
    doc = document()

    assert merged(doc, "id,label\na,A\n")["deleted"] == NONE
    assert ids(doc, "nodes") == ["a", "b", "c"]


def test_replace_deletes_what_the_files_lack() -> None:
    """IMPORT-22: of the kinds that they have."""
    doc = document()
    summary = merged(doc, "id,label,belongs_to\na,A,\nb,B,a\n", "id,source,target\nab,a,b\n", replace=True)

    assert summary["deleted"] == {"nodes": 1, "edges": 1, "layers": 0}
    assert (ids(doc, "nodes"), ids(doc, "edges"), ids(doc, "layers")) == (["a", "b"], ["ab"], ["base"])


def test_with_a_node_go_its_edges_and_its_children_move_up() -> None:
    """IMPORT-22: where the files do not say otherwise."""
    doc = document()
    summary = merged(doc, "id,label\na,A\nc,C\n", replace=True)

    assert summary["deleted"] == {"nodes": 1, "edges": 2, "layers": 0}
    assert summary["changed"] == {"nodes": 1, "edges": 0, "layers": 0}
    assert fields(doc, "nodes", "c") == {"label": "C", "belongs_to": "a"}


def test_references_are_looked_up_in_files_and_document() -> None:
    """IMPORT-21."""
    doc = document()

    assert merged(doc, "id,label,layer,belongs_to\nd,D,base,c\n", "source,target\nd,a\n")["added"]["edges"] == 1
    wrong = issues(doc, "id,label,layer,belongs_to\ne,E,nowhere,none\n", "source,target\ne,zz\n")
    assert wrong == [(2, "belongs_to"), (2, "layer"), (2, "target")]


def test_what_is_replaced_may_not_be_pointed_to() -> None:
    """IMPORT-21, IMPORT-22."""
    nodes, edges = "id,label,belongs_to\na,A,\nc,C,b\n", "id,source,target\nbc,b,c\n"

    assert sorted(issues(document(), nodes, edges, replace=True)) == [(2, "source"), (3, "belongs_to")]


def test_no_node_gets_into_itself_by_way_of_the_document() -> None:
    """IMPORT-21."""
    assert issues(document(), "id,label,belongs_to\na,A,c\n") == [(2, "belongs_to")]


def test_what_was_broken_before_is_no_error_of_the_file() -> None:
    """IMPORT-21: a file that leaves it as it is can be merged."""
    doc = document()
    for id_, source in (("x", "gone"), ("y", "")):
        doc.get("edges", type=Map)[id_] = Map({"source": source, "target": "a"})
    doc.get("nodes", type=Map)["c"]["belongs_to"] = "gone"
    doc.get("nodes", type=Map)["a"]["belongs_to"] = "b"
    nodes = "id,label,layer,belongs_to\na,A!,base,b\nb,B,base,a\nc,C,,gone\n"

    assert merged(doc, nodes, "id,source,target\nx,gone,a\ny,,a\n")["changed"]["nodes"] == 1
    assert issues(doc, "id,source,target\nab,gone,b\n") == [(2, "source")]


def test_an_edge_alone_may_be_merged_and_a_file_of_nothing_not() -> None:
    """IMPORT-21."""
    assert merged(document(), "id,source,target\nca,c,a\n")["added"]["edges"] == 1
    assert issues(document(), "kind,label\nx,y\n") == [(None, None)]


def test_nothing_changes_if_anything_is_wrong() -> None:
    """IMPORT-3, IMPORT-23: the edit is not made at all, and the errors cross from one process to another."""
    with pytest.raises(TableErrors) as raised:
        merge(document(), "id,label,weight\na,A,x\nb,B,y\n")
    copy = pickle.loads(pickle.dumps(raised.value))

    assert (copy.issues, copy.count, str(copy)) == (raised.value.issues, 2, str(raised.value))


def test_the_build_can_be_sent_to_another_process() -> None:
    """IMPORT-23."""
    build = partial(merge_files, [TableFile("x", b"id,label\nz,Z\n", TableKind.NODES)], GRAPH_ID, False)
    edit = pickle.loads(pickle.dumps(build))(document().get_update(), SERVER)

    assert pickle.loads(pickle.dumps(edit)) == edit
    assert orjson.loads(orjson.dumps(edit.summary))["added"]["nodes"] == 1


def test_updates_are_bounded_in_order_and_say_how_far_they_advance() -> None:
    """IMPORT-19: 64 KiB at most; a pure deletion advances no clock."""
    many = GraphContent(nodes=tuple(Node(f"{number:05}", f"Node {number}") for number in range(6_000)))
    doc = document(many)
    rows = "".join(f"{number:05},Changed {number}\n" for number in range(2_000, 8_000))
    edit = merge(doc, f"id,label\n{rows}", replace=True)
    known = Doc()
    known.apply_update(doc.get_update())
    for update in edit.updates:
        known.apply_update(update.data)
        clock = clocks(known).get(SERVER)
        has_structs = update.data[0] != 0
        assert update.vector_clock == (orjson.dumps({str(SERVER): clock}).decode() if has_structs else "{}")
        assert (update.client_id, len(update.data) <= MAX_UPDATE_BYTES) == (SERVER, True)

    assert edit.summary["deleted"]["nodes"] == edit.summary["added"]["nodes"] == 2_000
    assert sum(update.entities for update in edit.updates) == 8_000
    assert "{}" in {update.vector_clock for update in edit.updates}
    assert ids(known, "nodes") == [f"{number:05}" for number in range(2_000, 8_000)]


def test_one_large_entity_makes_one_large_update() -> None:
    """IMPORT-19."""
    large = "x" * (2 * MAX_UPDATE_BYTES)
    edit = merge(document(), f"id,label,comment\na,A,\nb,B,{large}\nd,D,{large}\ne,E,\n")

    assert sorted(len(update.data) > MAX_UPDATE_BYTES for update in edit.updates) == [False, True, True]


def test_what_people_do_at_the_same_time_survives() -> None:
    """IMPORT-19: another field merges, the same field is the person's, and what they add or delete stays so."""
    doc = document()
    person, updates = recorded(PERSON)
    person.apply_update(doc.get_update())
    updates.clear()
    nodes = person.get("nodes", type=Map)
    nodes["a"]["label"] = "theirs"
    nodes["a"]["comment"] = "mine too"
    nodes["p"] = Map({"label": "new"})
    del nodes["c"]
    edit = merge(doc, "id,label,layer\na,of the file,base\nb,Bee,base\nc,Cee,base\n")
    for target in (doc, person):
        apply(target, edit)
    for update in updates:
        doc.apply_update(update)

    assert state(doc) == state(person)
    assert fields(doc, "nodes", "a") == {"label": "theirs", "layer": "base", "comment": "mine too"}
    assert fields(doc, "nodes", "b") == {"label": "Bee", "layer": "base", "belongs_to": "a"}
    assert ids(doc, "nodes") == ["a", "b", "p"]


def clocks(doc: Doc[Any]) -> dict[int, int]:
    decoder = Decoder(doc.get_state())
    return {decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())}
