"""What becomes of an edit when upstream changed: rules REPLAY-1 to REPLAY-7 of SPEC.md."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from persistence.document import Edge, GraphContent, Layer, Node
from persistence.document_edits import Change, Entity
from replay.applicability import Reason, judge, judge_edit, signature
from replay.effects import effects
from replay.engine import NumberedEdit, Replayed, replay
from replay.graph_state import GraphState
from replay.operations import ROOTS, Act, EditOperation

BASE = GraphContent(
    nodes=(Node("m"), Node("n", "N", belongs_to="p", properties={"cost": 1}), Node("p"), Node("q"), Node("z")),
    edges=(Edge("e", "n", "z", "E"),),
    layers=(Layer("l", "L"),),
)
CREATED: dict[str, Entity] = {
    "layer": Layer("new", "Mine"),
    "node": Node("new", "Mine", layer="l", belongs_to="p"),
    "edge": Edge("new", "n", "m", "Mine", layer="l"),
}
UPDATED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "layer": ("l", {"name": "L"}, {"name": "Mine"}),
    "node": (
        "n",
        {"label": "N", "layer": None, "belongs_to": "p"},
        {"label": "Mine", "layer": "l", "belongs_to": "q"},
    ),
    "edge": ("e", {"label": "E", "layer": None, "target": "z"}, {"label": "Mine", "layer": "l", "target": "m"}),
}
DELETED = {"layer": BASE.layers[0], "node": BASE.nodes[1], "edge": BASE.edges[0]}
OPERATIONS = [
    *(EditOperation(kind, Act.CREATE, entity.id, entity) for kind, entity in CREATED.items()),
    *(EditOperation(kind, Act.UPDATE, id_, None, old, new) for kind, (id_, old, new) in UPDATED.items()),
    *(EditOperation(kind, Act.DELETE, entity.id, entity) for kind, entity in DELETED.items()),
]

ITSELF = "the layer is what the edit is about: see entity gone"
NEVER_WAS = "what the edit makes was not there before: nothing to lose"
NO_ENDS = "only edges have ends"
NO_PARENT = "only nodes belong to something"

# columns: unchanged, same change, different change, entity gone, entity new, end gone, parent gone, layer gone;
# a sentence where a combination makes no sense; "+" where it is applied with the warning layer_missing
TABLE: dict[str, tuple[str, ...]] = {
    "layer_create": (
        "applied", "already_applied", "entity_exists", NEVER_WAS,
        "applied", NO_ENDS, NO_PARENT, "applied",
    ),
    "node_create": (
        "applied", "already_applied", "entity_exists", NEVER_WAS,
        "applied", NO_ENDS, "parent_missing", "applied +",
    ),
    "edge_create": (
        "applied", "already_applied", "entity_exists", NEVER_WAS,
        "applied", "end_missing", NO_PARENT, "applied +",
    ),
    "layer_update": (
        "applied", "already_applied", "value_changed", "entity_missing",
        "applied", NO_ENDS, NO_PARENT, ITSELF,
    ),
    "node_update": (
        "applied", "already_applied", "value_changed", "entity_missing",
        "applied", NO_ENDS, "parent_missing", "applied +",
    ),
    "edge_update": (
        "applied", "already_applied", "value_changed", "entity_missing",
        "applied", "end_missing", NO_PARENT, "applied +",
    ),
    "layer_delete": (
        "applied", "already_applied", "entity_changed", "already_applied",
        "applied", NO_ENDS, NO_PARENT, ITSELF,
    ),
    "node_delete": (
        "applied", "already_applied", "entity_changed", "already_applied",
        "applied", NO_ENDS, "entity_changed", "applied",
    ),
    "edge_delete": (
        "applied", "already_applied", "entity_changed", "already_applied",
        "applied", "already_applied", NO_PARENT, "applied",
    ),
}  # fmt: skip
UPSTREAM = (
    "unchanged",
    "same change",
    "different change",
    "entity gone",
    "entity new",
    "end gone",
    "parent gone",
    "layer gone",
)


def graph(content: GraphContent, *changes: Change) -> GraphContent:
    state = GraphState.of(content)
    state.apply(changes)
    return state.content()


def deleted(content: GraphContent, kind: str, id_: str) -> GraphContent:
    """Return the graph without an entity, as upstream leaves it: whatever is left has its ends and its parent."""
    return graph(content, *effects(EditOperation(kind, Act.DELETE, id_), GraphState.of(content)))


def upstream(operation: EditOperation, change: str) -> GraphContent:
    """Return what became of BASE upstream."""
    root, id_ = ROOTS[operation.kind], operation.entity_id
    if change == "same change":
        return graph(BASE, *effects(operation, GraphState.of(BASE)))
    if change == "different change":
        present = operation.entity or GraphState.of(BASE).get(root, id_)
        assert present is not None
        named = "name" if operation.kind == "layer" else "label"
        return graph(BASE, Change(root, id_, None, replace(present, **{named: "Theirs"})))
    if change == "entity new":
        strangers = (Node("s", belongs_to="n"), Edge("t", "s", "n"), Layer("u"))
        return graph(BASE, *(Change(f"{type(one).__name__.lower()}s", one.id, None, one) for one in strangers))
    gone = {
        "unchanged": None,
        "entity gone": (operation.kind, id_),
        "end gone": ("node", "z" if operation.act is Act.DELETE else "m"),
        "parent gone": ("node", "q" if operation.act is Act.UPDATE else "p"),
        "layer gone": ("layer", "l"),
    }[change]
    return deleted(BASE, *gone) if gone else BASE


def edit(operation: EditOperation, number: int = 1, base: GraphContent = BASE) -> NumberedEdit:
    return NumberedEdit(UUID(int=number), number, operation, signature(operation, GraphState.of(base)))


def replayed(operation: EditOperation, change: str, policy: Any = "mine") -> Replayed:
    return replay(upstream(operation, change), [edit(operation)], policy)


CELLS = [
    (operation, change, expected)
    for operation in OPERATIONS
    for change, expected in zip(UPSTREAM, TABLE[operation.type], strict=True)
    if expected not in (ITSELF, NEVER_WAS, NO_ENDS, NO_PARENT)
]


@pytest.mark.parametrize(
    ("operation", "change", "expected"), CELLS, ids=[f"{one.type}-{change}" for one, change, _ in CELLS]
)
def test_REPLAY_1_an_edit_meets_what_upstream_did(operation: EditOperation, change: str, expected: str) -> None:
    result = replayed(operation, change)
    reason, _, warning = expected.partition(" ")
    present = GraphState.of(result.content).get(ROOTS[operation.kind], operation.entity_id)

    assert [outcome.reason for outcome in result.outcomes] == [reason]
    assert [one.reason for one in result.warnings] == ([Reason.LAYER_MISSING] if warning else [])
    if reason in ("applied", "already_applied", "value_changed", "entity_changed"):
        assert is_done(operation, present)
    else:
        assert result.content == upstream(operation, change)
        assert operation.entity_id in result.outcomes[0].message


def is_done(operation: EditOperation, present: Entity | None) -> bool:
    if operation.act is Act.CREATE:
        return present == operation.entity
    if operation.act is Act.DELETE:
        return present is None
    return all(getattr(present, name) == value for name, value in operation.new_values.items())


def test_REPLAY_1_the_table_speaks_of_all_nine_operations() -> None:
    assert {operation.type for operation in OPERATIONS} == TABLE.keys()


def test_REPLAY_2_an_edit_that_relies_on_nothing_that_changed_applies() -> None:
    """REPLAY-2: an edge that somebody made without its end is not refused for what was missing then."""
    dangling = EditOperation("edge", Act.CREATE, "new", Edge("new", "n", "nowhere"))
    told = signature(dangling, GraphState.of(BASE))

    assert judge(dangling, GraphState.of(BASE)).reason is Reason.END_MISSING
    assert judge_edit(dangling, told, GraphState.of(BASE)).reason is Reason.APPLIED
    assert judge_edit(dangling, told, GraphState.of(deleted(BASE, "node", "n"))).reason is Reason.END_MISSING


def test_REPLAY_2_an_edit_that_found_what_is_there_is_in_no_conflict_whatever_it_says() -> None:
    """REPLAY-2: such as one whose old values are older than its signature."""
    stale = EditOperation("node", Act.UPDATE, "n", None, {"label": "older"}, {"label": "Mine"})

    assert judge(stale, GraphState.of(BASE)).reason is Reason.VALUE_CHANGED
    assert replay(BASE, [edit(stale)], "mine").outcomes[0].reason is Reason.APPLIED


@pytest.mark.parametrize("operation", OPERATIONS, ids=[one.type for one in OPERATIONS])
def test_REPLAY_2_a_signature_tells_what_the_edit_relies_on_and_nothing_else(operation: EditOperation) -> None:
    state = GraphState.of(BASE)
    told = signature(operation, state)
    elsewhere = graph(BASE, Change("nodes", "s", None, Node("s")), Change("edges", "t", None, Edge("t", "s", "z")))
    moved = graph(BASE, Change("nodes", "n", None, replace(BASE.nodes[1], position={"x": 1, "y": 2}, content="t")))

    assert len(told) == 16
    assert int(told, 16) >= 0
    assert signature(operation, GraphState.of(elsewhere)) == told
    assert signature(operation, GraphState.of(moved)) == told
    relied = [upstream(operation, change) for change in ("same change", "different change")]
    assert all(signature(operation, GraphState.of(content)) != told for content in relied)


def test_REPLAY_2_numbers_and_orders_that_read_alike_have_one_signature() -> None:
    one = Node("n", weight=2, properties={"a": 1, "b": [1.0]})
    other = Node("n", weight=2.0, properties={"b": [1], "a": 1.0})
    gone = EditOperation("node", Act.DELETE, "n", one)

    assert signature(gone, GraphState.of(GraphContent((one,)))) == signature(
        gone, GraphState.of(GraphContent((other,)))
    )
    truth = Node("n", weight=2, properties={"a": True, "b": [1.0]})
    assert signature(gone, GraphState.of(GraphContent((one,)))) != signature(
        gone, GraphState.of(GraphContent((truth,)))
    )


def test_REPLAY_3_positions_and_texts_are_no_difference() -> None:
    placed = replace(CREATED["node"], position={"x": 1, "y": 1}, content="text")
    content = graph(BASE, Change("nodes", "new", None, placed))

    assert judge(EditOperation("node", Act.CREATE, "new", CREATED["node"]), GraphState.of(content)).reason == (
        Reason.ALREADY_APPLIED
    )


def test_REPLAY_3_values_are_compared_as_they_read() -> None:
    update = EditOperation("node", Act.UPDATE, "n", None, {"properties": {"cost": 1.0}}, {"properties": {"cost": True}})

    assert judge(update, GraphState.of(BASE)).reason is Reason.APPLIED
    done = graph(BASE, Change("nodes", "n", None, replace(BASE.nodes[1], properties={"cost": True})))
    assert judge(update, GraphState.of(done)).reason is Reason.ALREADY_APPLIED


def test_REPLAY_4_a_conflict_names_only_the_fields_that_changed() -> None:
    """REPLAY-4: with what each was, is upstream and becomes; others of the same edit are no part of it."""
    operation = OPERATIONS[4]
    result = replayed(operation, "different change")
    (outcome,) = result.outcomes

    assert {name: (one.old, one.upstream, one.mine) for name, one in outcome.fields.items()} == {
        "label": ("N", "Theirs", "Mine")
    }
    assert (
        outcome.message
        == 'node "n" was changed here, and otherwise upstream: its label was "N", and upstream it is "Theirs"'
    )


def test_REPLAY_4_a_deletion_in_conflict_names_the_fields_that_changed() -> None:
    (outcome,) = replayed(OPERATIONS[7], "different change").outcomes

    assert {name: (one.old, one.upstream, one.mine) for name, one in outcome.fields.items()} == {
        "label": ("N", "Theirs", None)
    }
