"""REPLAY-16 and REPLAY-17 of SPEC.md: whatever is posted, there is an operation that reads back, or what is wrong."""

import contextlib
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given, settings
from pycrdt import Doc

from persistence.document import Edge, GraphContent, Layer, Node, build_updates, read_content
from persistence.document_edits import same_value
from replay.operations import EDITED_FIELDS, KINDS, ROOTS, Act, value_of
from replay.posted import InapplicableError, OperationErrors, check_operation, post_operation

GRAPH_ID = UUID(int=7)
GRAPH = GraphContent(
    nodes=(Node("a"), Node("b", belongs_to="a")), edges=(Edge("ab", "a", "b"),), layers=(Layer("l", "L"),)
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["a", "b", "ab", "l"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_ID = st.sampled_from(["a", "b"])
_IDS = {
    "node": st.sampled_from(["a", "b", "new"]),
    "edge": st.sampled_from(["ab", "new"]),
    "layer": st.sampled_from(["l", "new"]),
}
_VALID = {
    **dict.fromkeys(("source", "target", "belongs_to", "layer"), _ID),
    "is_partition": st.booleans(),
    "weight": st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
    "properties": st.dictionaries(st.text(max_size=3), st.integers(0, 2) | st.booleans(), max_size=2),
    "lineage_id": st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper()),
    "position": st.just({"x": 1, "y": 2}),
}


def _fields(kind: str, *needed: str) -> st.SearchStrategy[Any]:
    """Fields of an entity, one in ten of them anything."""
    names = [*EDITED_FIELDS[kind], *(("position", "content") if kind == "node" else ())]
    some = {name: _rarely(_JSON, _VALID.get(name, st.text(max_size=3)) | st.none()) for name in names}
    required = {name: _VALID[name] for name in needed}
    return st.fixed_dictionaries(required, optional={n: one for n, one in some.items() if n not in needed})


def _rarely(one: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda chance: one if chance == 9 else other)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([f"{kind}_{act}" for kind in KINDS for act in Act]), st.data())
def test_whatever_is_posted_is_made_as_it_was_told_or_refused(type_: str, data: st.DataObject) -> None:
    """REPLAY-16, REPLAY-17: nothing else is raised, and a second time there is nothing to do."""
    kind, _, act = type_.partition("_")
    ends = _fields(kind, *(("source", "target") if kind == "edge" else ()))
    entity = st.builds(lambda id_, fields: {"id": id_, **fields}, _IDS[kind], ends)
    members = {
        "create": {kind: entity},
        "update": {
            f"{kind}_id": _IDS[kind],
            "new_values": _fields(kind),
            "old_values": _rarely(_fields(kind), st.none()),
        },
        "delete": {f"{kind}_id": _IDS[kind], kind: st.none() | entity},
    }[act]
    told = {"type": type_, **{name: data.draw(_rarely(_JSON, one)) for name, one in members.items()}}
    doc: Doc[Any] = Doc(client_id=2_000_000)
    for update in build_updates(GRAPH, 1):
        doc.apply_update(update.data)
    with contextlib.suppress(OperationErrors, InapplicableError):
        operation = check_operation(told)
        for update in post_operation(operation, GRAPH_ID, doc.get_update(), 5).updates:
            doc.apply_update(update.data)
        entities = getattr(read_content(doc, GRAPH_ID), ROOTS[kind])
        present = next((one for one in entities if one.id == operation.entity_id), None)
        for name, value in operation.new_values.items():
            assert present is not None
            assert same_value(value_of(present, name), value)
        assert (present is None) == (operation.act is Act.DELETE)
        assert post_operation(operation, GRAPH_ID, doc.get_update(), 6).updates == ()
