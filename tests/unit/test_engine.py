"""Edits are applied again to a new base: rules REPLAY-4 to REPLAY-10 of SPEC.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from persistence.document import Edge, GraphContent, Layer, Node
from persistence.replay_records import ConflictPolicy
from replay import engine
from replay.applicability import Reason, signature
from replay.effects import effects
from replay.engine import NumberedEdit, Replayed, replay
from replay.graph_state import GraphState
from replay.integrity import Violation
from replay.operations import Act, EditOperation

BASE = GraphContent(
    nodes=(Node("a", "A"), Node("b", "B", belongs_to="a"), Node("c", "C", belongs_to="b"), Node("d", "D")),
    edges=(Edge("bc", "b", "c"), Edge("bd", "b", "d")),
)


def create(entity: Node | Edge | Layer) -> EditOperation:
    return EditOperation(type(entity).__name__.lower(), Act.CREATE, entity.id, entity)


def update(kind: str, id_: str, **values: tuple[Any, Any]) -> EditOperation:
    old, new = ({name: pair[side] for name, pair in values.items()} for side in (0, 1))
    return EditOperation(kind, Act.UPDATE, id_, None, old, new)


def delete(entity: Node | Edge | Layer) -> EditOperation:
    return EditOperation(type(entity).__name__.lower(), Act.DELETE, entity.id, entity)


def captured(operations: Iterable[EditOperation], base: GraphContent) -> list[NumberedEdit]:
    """Return operations as edits that were made one after the other in `base`."""
    state = GraphState.of(base)
    edits = []
    for number, operation in enumerate(operations, 1):
        edits.append(NumberedEdit(UUID(int=number), number, operation, signature(operation, state)))
        state.apply(effects(operation, state))
    return edits


def replayed(
    *operations: EditOperation, base: GraphContent = BASE, upstream: GraphContent | None = None, policy: Any = "mine"
) -> Replayed:
    return replay(base if upstream is None else upstream, captured(operations, base), policy)


def reasons(result: Replayed) -> list[str]:
    return [outcome.reason.value for outcome in result.outcomes]


def with_nodes(*nodes: Node) -> GraphContent:
    changed = {node.id: node for node in nodes}
    return replace(BASE, nodes=tuple(changed.get(node.id, node) for node in BASE.nodes))


def node(result: Replayed, id_: str) -> Node:
    return next(one for one in result.content.nodes if one.id == id_)


RENAMED = update("node", "a", label=("A", "Mine"))
THEIRS = with_nodes(Node("a", "Theirs"))


def test_REPLAY_5_mine_is_applied_and_told_once() -> None:
    """REPLAY-5: afterwards the edit is one of upstream's new value."""
    first = replayed(RENAMED, upstream=THEIRS)
    (rebased,) = first.rebased
    again = replay(THEIRS, [NumberedEdit(rebased.id, 1, rebased.operation, rebased.signature)], "mine")

    assert (node(first, "a").label, first.outcomes[0].is_settled, first.deactivated) == ("Mine", True, {})
    assert rebased.operation.old_values == {"label": "Theirs"}
    assert (reasons(again), again.rebased, again.content) == (["applied"], (), first.content)


def test_REPLAY_5_a_deletion_is_rebased_with_what_goes_now() -> None:
    upstream = replace(with_nodes(Node("b", "B2")), edges=(Edge("bd", "b", "d"),))
    (rebased,) = replayed(delete(BASE.nodes[1]), upstream=upstream).rebased

    assert rebased.operation.entity == Node("b", "B2")
    assert (rebased.operation.edges, rebased.operation.children) == ((Edge("bd", "b", "d"),), ("c",))


def test_REPLAY_5_theirs_is_kept_and_the_edit_rests() -> None:
    """REPLAY-5: an edit is made as a whole or not at all."""
    both = update("node", "a", label=("A", "Mine"), comment=(None, "mine too"))
    result = replayed(both, upstream=THEIRS, policy="theirs")

    assert result.content == THEIRS
    assert reasons(result) == ["value_changed"]
    assert (result.deactivated, result.rebased) == ({UUID(int=1): "theirs"}, ())


def test_REPLAY_5_what_is_asked_is_mine_until_it_is_settled() -> None:
    for _ in range(2):
        result = replayed(RENAMED, upstream=THEIRS, policy="ask")
        assert (node(result, "a").label, result.outcomes[0].is_settled) == ("Mine", False)
        assert (result.rebased, result.deactivated) == ((), {})


def test_REPLAY_6_edits_are_applied_in_order_to_the_graph_as_it_evolves() -> None:
    """REPLAY-6: each meets what those before it left."""
    again = update("node", "a", label=("Mine", "Mine again"))
    result = replayed(RENAMED, again, create(Node("x", belongs_to="a")), create(Edge("ax", "a", "x")), upstream=THEIRS)

    assert reasons(result) == ["value_changed", "applied", "applied", "applied"]
    assert node(result, "a").label == "Mine again"


def test_REPLAY_7_with_a_node_go_the_edges_it_has_then_and_its_children_move_up() -> None:
    upstream = replace(
        BASE,
        nodes=(*BASE.nodes, Node("e", belongs_to="b")),
        edges=(*BASE.edges, Edge("loop", "b", "b"), Edge("new", "d", "b")),
    )
    result = replayed(delete(BASE.nodes[1]), upstream=upstream)

    assert [(one.id, one.belongs_to) for one in result.content.nodes] == [
        ("a", None),
        ("c", "a"),
        ("d", None),
        ("e", "a"),
    ]
    assert result.content.edges == ()
    assert reasons(result) == ["applied"]


def test_REPLAY_7_what_contained_the_node_that_contained_it_contains_nothing_then() -> None:
    circle = GraphContent((Node("a", belongs_to="b"), Node("b", belongs_to="a")))
    result = replayed(delete(circle.nodes[0]), base=circle)

    assert (result.content.nodes, result.warnings) == ((Node("b"),), ())


def test_REPLAY_8_the_latest_edit_that_closes_a_circle_fails_and_the_others_stay() -> None:
    """REPLAY-8: and what depended on it is judged without it."""
    upstream = with_nodes(Node("a", "A", belongs_to="d"))
    operations = (
        update("node", "a", comment=(None, "kept")),
        update("node", "d", belongs_to=(None, "c")),
        update("node", "d", comment=(None, "kept")),
    )
    result = replayed(*operations, upstream=upstream)

    assert reasons(result) == ["applied", "containment_cycle", "applied"]
    assert (node(result, "d").belongs_to, node(result, "d").comment) == (None, "kept")
    assert "contain itself" in result.outcomes[1].message


def test_REPLAY_8_a_circle_that_a_later_edit_opens_again_is_none() -> None:
    upstream = with_nodes(Node("a", "A", belongs_to="d"))
    operations = (update("node", "d", belongs_to=(None, "c")), update("node", "c", belongs_to=("b", None)))

    assert reasons(replayed(*operations, upstream=upstream)) == ["applied", "applied"]


def test_REPLAY_8_what_hangs_on_a_node_that_failed_does_not_fit_either() -> None:
    """REPLAY-8: a node made in a container that is not there, and an edge to it."""
    lost = replace(BASE, nodes=(*BASE.nodes, Node("gone")))
    dangling = NumberedEdit(
        UUID(int=1),
        1,
        create(Node("x", belongs_to="z")),
        signature(create(Node("x", belongs_to="z")), GraphState.of(BASE)),
    )
    edge = NumberedEdit(UUID(int=2), 2, create(Edge("ax", "a", "x")), "0" * 16)
    child = NumberedEdit(UUID(int=3), 3, create(Node("y", belongs_to="x")), "0" * 16)
    result = replay(lost, [dangling, edge, child], "mine")

    assert result.content == lost
    assert reasons(result) == ["parent_lost", "end_missing", "parent_lost"]


def test_REPLAY_8_an_edge_without_an_end_fails() -> None:
    operation = create(Edge("x", "a", "nowhere"))
    result = replayed(operation)

    assert (reasons(result), result.content) == (["edge_end_lost"], BASE)
    assert '"nowhere"' in result.outcomes[0].message


def test_REPLAY_8_edits_fail_from_the_latest_until_it_holds() -> None:
    """REPLAY-8: two edits of one node, either of which closes the circle."""
    upstream = with_nodes(Node("a", "A", belongs_to="d"))
    operations = (
        update("node", "d", comment=(None, "first")),
        update("node", "d", belongs_to=(None, "c")),
        update("node", "d", belongs_to=("c", "b")),
    )
    assert reasons(replayed(*operations, upstream=upstream)) == ["applied", "containment_cycle", "containment_cycle"]


def test_REPLAY_8_one_circle_may_hide_another() -> None:
    """REPLAY-8: each edit that fails lets upstream's next one close."""
    base = GraphContent(nodes=tuple(Node(f"n{number:02}") for number in range(30)))
    chain = GraphContent(
        nodes=tuple(Node(f"n{i:02}", belongs_to=f"n{i + 1:02}" if i < 29 else None) for i in range(30))
    )
    operations = [update("node", f"n{i + 1:02}", belongs_to=(None, f"n{i:02}")) for i in range(29)]
    result = replayed(*operations, base=base, upstream=chain)

    assert set(reasons(result)) == {"containment_cycle"}
    assert result.content == chain


@pytest.mark.parametrize(("parent", "reason"), [("nowhere", "parent_lost"), ("d", "containment_cycle")])
def test_REPLAY_8_a_deletion_does_not_hide_who_is_to_blame(parent: str, reason: str) -> None:
    """REPLAY-8: what moved up is where an edit of the node that went put it."""
    base = replace(BASE, nodes=(*BASE.nodes[:3], Node("d", "D", belongs_to="c")))
    operations = (update("node", "a", belongs_to=(None, parent)), delete(Node("a", "A", belongs_to=parent)))
    result = replayed(*operations, base=base)

    assert reasons(result) == [reason, "entity_changed"]
    assert [(one.id, one.belongs_to) for one in result.content.nodes] == [("b", None), ("c", "b"), ("d", "c")]


def test_REPLAY_8_what_moved_up_for_a_deletion_was_rightly_where_it_was() -> None:
    """REPLAY-8: the edit that put it under the node that went does not fail for what was wrong with that node."""
    operations = (
        update("node", "d", belongs_to=(None, "a")),
        update("node", "a", belongs_to=(None, "nowhere")),
        delete(Node("a", "A", belongs_to="nowhere")),
    )
    result = replayed(*operations)

    assert reasons(result) == ["applied", "parent_lost", "entity_changed"]
    assert [(one.id, one.belongs_to) for one in result.content.nodes] == [("b", None), ("c", "b"), ("d", None)]


def test_REPLAY_8_where_it_takes_too_many_attempts_all_that_wrote_parents_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_MAX_PASSES", 1)
    upstream = with_nodes(Node("a", "A", belongs_to="d"))
    operations = (RENAMED, update("node", "c", belongs_to=("b", "a")), update("node", "d", belongs_to=(None, "c")))

    assert reasons(replayed(*operations, upstream=upstream)) == ["applied", "containment_cycle", "containment_cycle"]


@pytest.mark.timeout(60)
def test_REPLAY_8_ten_thousand_bad_edits_take_two_ways_through_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """REPLAY-8: circles that hide one another, and many that do not."""
    count = 10_000
    ids = [f"n{i:05}" for i in range(count)]
    base = GraphContent(nodes=tuple(Node(id_) for id_ in ids))
    good = captured((update("node", id_, comment=(None, "c")) for id_ in ids), base)
    hidden = captured((update("node", ids[i + 1], belongs_to=(None, ids[i])) for i in range(count - 1)), base)
    chain = GraphContent(
        nodes=tuple(Node(id_, belongs_to=following) for id_, following in zip(ids, [*ids[1:], None], strict=True))
    )
    pairs = captured((update("node", ids[i], belongs_to=(None, ids[i ^ 1])) for i in range(count)), base)

    passes: list[Sequence[NumberedEdit]] = []

    class Counted(engine._Pass):
        @classmethod
        def of(
            cls, base: GraphContent, edits: Any, policy: ConflictPolicy, failed: Mapping[int, Violation]
        ) -> engine._Pass:
            passes.append(edits)
            return super().of(base, edits, policy, failed)

    monkeypatch.setattr(engine, "_Pass", Counted)
    for content, edits in ((base, good), (chain, hidden), (base, pairs)):
        replay(content, edits, "mine")
    assert [sum(taken is edits for taken in passes) for edits in (good, hidden, pairs)] == [1, 2, 2]


def test_REPLAY_9_what_the_base_brings_is_a_warning() -> None:
    base = GraphContent(
        nodes=(Node("a", belongs_to="b"), Node("b", belongs_to="a"), Node("c", belongs_to="x")),
        edges=(Edge("e", "a", "nowhere"),),
    )
    result = replayed(update("node", "c", comment=(None, "c")), base=base)

    assert reasons(result) == ["applied"]
    assert [(one.edit_id, one.reason) for one in result.warnings] == [
        (None, Reason.PARENT_LOST),
        (None, Reason.CONTAINMENT_CYCLE),
        (None, Reason.EDGE_END_LOST),
    ]


def test_REPLAY_9_a_layer_that_is_made_later_is_not_missed() -> None:
    layered = update("node", "a", layer=(None, "l"))

    assert [one.reason for one in replayed(layered).warnings] == [Reason.LAYER_MISSING]
    assert replayed(layered, create(Layer("l"))).warnings == ()


def test_REPLAY_10_a_replay_depends_on_nothing_but_base_edits_and_policy() -> None:
    operations = (RENAMED, create(Node("x", belongs_to="a")), delete(BASE.nodes[2]))

    assert replayed(*operations, upstream=THEIRS) == replayed(*operations, upstream=THEIRS)
