"""A changed parent flows to its copies by lineage: rule REPLAY-19 of SPEC.md."""

from uuid import UUID

from persistence.document import Edge, GraphContent, Layer, Node
from replay.lineage import base_for_copy

ONE, TWO, THREE, FOUR = (UUID(int=number) for number in range(1, 5))


def test_REPLAY_19_what_has_the_same_ids_stays_as_the_parent_has_it() -> None:
    parent = GraphContent(
        nodes=(Node("a", "New", belongs_to="b", lineage_id=ONE), Node("b", lineage_id=TWO)),
        edges=(Edge("ab", "a", "b", lineage_id=THREE),),
        layers=(Layer("l", "New"),),
    )
    child = GraphContent((Node("a", "Old", lineage_id=ONE), Node("own", lineage_id=FOUR)))

    assert base_for_copy(parent, child) == parent


def test_REPLAY_19_what_the_copy_calls_otherwise_is_called_so_wherever_it_is_named() -> None:
    parent = GraphContent(
        nodes=(Node("a", lineage_id=ONE), Node("b", belongs_to="a", lineage_id=TWO)),
        edges=(Edge("ab", "a", "b", lineage_id=THREE),),
    )
    child = GraphContent((Node("z", lineage_id=ONE),), (Edge("e", "z", "z", lineage_id=THREE),))

    assert base_for_copy(parent, child) == GraphContent(
        nodes=(Node("b", belongs_to="z", lineage_id=TWO), Node("z", lineage_id=ONE)),
        edges=(Edge("e", "z", "b", lineage_id=THREE),),
    )


def test_REPLAY_19_what_the_copy_has_something_else_for_gets_an_id_of_its_own() -> None:
    """REPLAY-19: always the same, and no two alike."""
    parent = GraphContent(
        nodes=(Node("a", lineage_id=ONE), Node("b", lineage_id=TWO), Node("c", "twin", lineage_id=TWO)),
        edges=(Edge("ab", "a", "b", lineage_id=THREE),),
    )
    child = GraphContent((Node("a", lineage_id=FOUR), Node("c", lineage_id=TWO)))
    base = base_for_copy(parent, child)
    (made,) = (node.id for node in base.nodes if node.lineage_id == ONE)

    assert [node.id for node in base.nodes if node.lineage_id == TWO] == ["b", "c"]
    assert made not in ("a", "b", "c")
    assert base.edges == (Edge("ab", made, "b", lineage_id=THREE),)
    assert base_for_copy(parent, child) == base
