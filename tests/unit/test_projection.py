"""A follower's copy of one document: rules FOLLOW-3, FOLLOW-7 and COMPACT-6 of SPEC.md."""

from typing import Any
from uuid import uuid5

import pytest
from pycrdt import Array, Doc, Map, Text

from collab.document import PoisonedDocumentError
from collab.loading import examine
from collab.projection import DocumentCopy
from persistence.document import Edge, Layer, Node
from persistence.ports import DocumentChunk, GraphCursor, ProjectionStep, StoredOperation
from tests.unit.documents import nested_arrays, panic_on, recorded
from tests.unit.rooms import GRAPH

NEW = GraphCursor(0, 0, None)
WAITING_BYTES = 1_000_000
LINEAGE = "00000000-0000-4000-8000-00000000000a"
RIGHT: dict[str, Any] = {
    "label": "a",
    "layer": "base",
    "is_partition": True,
    "belongs_to": "b",
    "weight": 2.5,
    "comment": "c",
    "properties": {"k": [1]},
    "lineage_id": LINEAGE,
    "position": {"x": 1, "y": 2},
    "content": Text("typed"),
    "unknown": float("nan"),
}


def operations(*updates: bytes, first: int = 1) -> list[StoredOperation]:
    return [StoredOperation(id_, update) for id_, update in enumerate(updates, first)]


def step_of(doc: Doc[Any]) -> ProjectionStep:
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    copy.apply(operations(doc.get_update()))
    return copy.step()


def with_node(fields: dict[str, Any], id_: str = "n") -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.get("nodes", type=Map)[id_] = Map(fields)
    return doc


def test_valid_fields_give_no_warning() -> None:
    """FOLLOW-3."""
    step = step_of(with_node(RIGHT))

    assert step.warnings == 0
    assert step.nodes.written[0].weight == 2.5


def test_absent_and_null_are_no_warning() -> None:
    """FOLLOW-3."""
    assert step_of(with_node(dict.fromkeys(RIGHT))).warnings == 0
    assert step_of(with_node({})).warnings == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", 5),
        ("label", "n\0l"),
        ("layer", {"x": 1}),
        ("is_partition", 1),
        ("belongs_to", True),
        ("weight", float("nan")),
        ("weight", float("-inf")),
        ("weight", "heavy"),
        ("weight", True),
        ("comment", []),
        ("properties", "text"),
        ("properties", {"deep": [{"k\0": 1}]}),
        ("properties", {"deep": ["\0"]}),
        ("lineage_id", "none"),
        ("position", {"x": "left", "y": 1}),
        ("position", {"x": float("nan"), "y": 1}),
        ("content", b"\x00"),
    ],
)
def test_a_field_that_is_no_valid_one_shows_its_default_and_is_counted(field: str, value: Any) -> None:
    """FOLLOW-3."""
    step = step_of(with_node({field: value}))

    assert step.warnings == 1
    assert step.nodes.written == [Node("n", lineage_id=uuid5(GRAPH, "n"))]


@pytest.mark.parametrize("value", [{"k": "\\u0000"}, {"\\u0000": "\\"}, {"big": 2**62, "small": 5e-324, "e": 1e308}])
def test_what_only_looks_like_a_nul_is_kept(value: dict[str, Any]) -> None:
    """FOLLOW-3."""
    step = step_of(with_node({"properties": value}))

    assert step.warnings == 0
    assert step.nodes.written[0].properties == value


def test_ends_that_cannot_be_indexed_are_left_out() -> None:
    """FOLLOW-3."""
    doc: Doc[Any] = Doc()
    doc.get("edges", type=Map)["e"] = Map({"source": "k" * 1_025, "target": "é" * 512})
    step = step_of(doc)

    assert step.warnings == 1
    assert step.edges.written == [Edge("e", "", "é" * 512, lineage_id=uuid5(GRAPH, "e"))]


def test_what_is_no_map_or_has_no_storable_key_has_no_row_and_counts() -> None:
    """FOLLOW-3."""
    doc: Doc[Any] = Doc()
    doc.get("layers", type=Map).update(
        {"a": 5, "b": Text("x"), "c": Array(), "d": {"name": "plain"}, "e\0": Map(), "k" * 1_025: Map({"name": 5})}
    )
    doc.get("layers", type=Map)["fine"] = Map({"name": "Base"})
    step = step_of(doc)

    assert step.warnings == 6
    assert step.layers.written == [Layer("fine", "Base")]
    assert step.layers.count == 1


def test_a_warning_goes_with_its_cause() -> None:
    """FOLLOW-3."""
    doc, updates = recorded(7)
    nodes = doc.get("nodes", type=Map)
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    warnings = []
    for change in (
        lambda: nodes.__setitem__("n", Map({"label": 5, "weight": "x"})),
        lambda: nodes["n"].__setitem__("label", "right"),
        lambda: nodes.__setitem__("n", 5),
        lambda: nodes.__setitem__("n", Map({"comment": 1})),
        lambda: nodes.__delitem__("n"),
    ):
        change()
        copy.apply(operations(*updates, first=copy.through + 1))
        updates.clear()
        warnings.append((step := copy.step()).warnings)

    assert warnings == [2, 1, 1, 1, 0]
    assert step.nodes.deleted == ["n"]


def test_only_what_changed_is_written() -> None:
    """FOLLOW-1: a change deep inside an entity is a change of the entity."""
    doc, updates = recorded(7)
    nodes = doc.get("nodes", type=Map)
    nodes["a"], nodes["b"] = Map({"properties": Map({"deep": Array([Map()])})}), Map({"content": Text("x")})
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    copy.apply(operations(*updates))
    assert copy.step().is_whole
    updates.clear()
    nodes["a"]["properties"]["deep"][0]["k"] = 1
    copy.apply(operations(*updates, first=copy.through + 1))
    step = copy.step()

    assert not step.is_whole
    assert [node.id for node in step.nodes.written] == ["a"]
    assert step.nodes.written[0].properties == {"deep": [{"k": 1}]}
    assert step.nodes.count == 2


def test_a_copy_that_begins_where_the_rows_are_writes_nothing() -> None:
    """FOLLOW-2."""
    doc = with_node({"label": 5})
    copy = DocumentCopy(GRAPH, GraphCursor(3, 3, doc.get_update()), WAITING_BYTES)
    copy.begin()
    step = copy.step()

    assert not step.is_whole
    assert (step.nodes.written, step.nodes.deleted, step.nodes.count, step.warnings) == ([], [], 1, 1)


ENTRY_THAT_IS_A_FORMAT = b"\x01\x01\x07\x00\x26\x01\x05nodes\x01n\x01k\x011\x00"
"""An entry of `nodes` that is the beginning of a text's format, which yrs cannot make a value of."""


def test_an_entry_that_yrs_cannot_name_stops_nothing() -> None:
    """FOLLOW-3: reading the names of what changed panics inside yrs; then everything is looked at."""
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    copy.apply(operations(with_node({"label": "there"}, "other").get_update()))
    copy.step()
    copy.apply(operations(ENTRY_THAT_IS_A_FORMAT, first=2))
    step = copy.step()

    assert not step.is_whole
    assert [node.label for node in step.nodes.written] == ["there"]
    assert step.nodes.count == 1


def test_what_waits_is_in_the_compaction_by_its_id_until_its_turn_comes() -> None:
    """COMPACT-4."""
    doc, (first, second) = recorded(7)[0], _two_edits()
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    copy.apply([StoredOperation(5, second)])
    copy.step()
    compaction = copy.compaction()
    assert compaction is not None
    assert (compaction.through, compaction.pending_ids) == (5, [5])
    copy.compacted(compaction)
    copy.apply([StoredOperation(6, first)])
    copy.step()
    compaction = copy.compaction()
    assert compaction is not None
    assert (compaction.since, compaction.through, compaction.pending_ids) == (5, 6, [])
    doc.apply_update(compaction.state)
    assert str(doc.get("t", type=Text)) == "one two"


def _two_edits() -> tuple[bytes, bytes]:
    doc, updates = recorded(7)
    text = doc.get("t", type=Text)
    text += "one"
    text += " two"
    return updates[0], updates[1]


def test_an_operation_that_yrs_fails_on_is_found_among_those_it_came_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """FOLLOW-7: a copy fails on all of them; looking closer finds the one, and a copy without it can be compacted."""
    first, second = _two_edits()
    bad = with_node({}).get_update()
    panic_on(monkeypatch, bad)
    log = operations(first, bad, second)
    with pytest.raises(PoisonedDocumentError):
        DocumentCopy(GRAPH, NEW, WAITING_BYTES).apply(log)
    assert list(examine([DocumentChunk((first, bad, second), (1, 2, 3))])) == [2]
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    copy.apply([log[0], log[2]])
    copy.step()
    assert copy.compaction() is not None


def test_an_operation_that_may_not_touch_the_document_is_left_out_and_told() -> None:
    """FOLLOW-7."""
    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    copy.apply(operations(nested_arrays(40), b"no update"))

    assert list(copy.take_refused()) == [1, 2]
    assert copy.take_refused() == {}
    assert copy.step().warnings == 0


def test_a_state_that_would_load_as_something_else_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPACT-6."""
    import collab.projection as module

    copy = DocumentCopy(GRAPH, NEW, WAITING_BYTES)
    doc = with_node({"label": "there"})
    copy.apply(operations(doc.get_update()))
    copy.step()
    assert copy.compaction() is not None
    doc.get("nodes", type=Map)["n"]["label"] = "other"

    class Forgetful(module.LiveDocument):
        def load(self, updates: Any) -> None:
            super().load((doc.get_update(),))

    monkeypatch.setattr(module, "LiveDocument", Forgetful)
    assert copy.compaction() is None
