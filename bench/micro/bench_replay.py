"""A thousand edits applied again to a base that changed under them."""

from uuid import UUID

from pytest_benchmark.fixture import BenchmarkFixture

from persistence.document import GraphContent, Node
from replay.applicability import signature
from replay.engine import NumberedEdit, replay
from replay.graph_state import GraphState
from replay.operations import Act, EditOperation

EDITS = 1_000


def bench_replay(benchmark: BenchmarkFixture) -> None:
    base = GraphContent(nodes=tuple(Node(f"n{number}", "Before") for number in range(EDITS)), edges=())
    changed = GraphContent(nodes=tuple(Node(f"n{number}", "Before", weight=2) for number in range(EDITS)), edges=())
    state = GraphState.of(base)
    renames = [
        EditOperation("node", Act.UPDATE, node.id, None, {"label": "Before"}, {"label": "Mine"}) for node in base.nodes
    ]
    edits = [
        NumberedEdit(UUID(int=number), number, rename, signature(rename, state))
        for number, rename in enumerate(renames, 1)
    ]
    replayed = benchmark.pedantic(replay, (changed, edits, "mine"), rounds=30)
    assert {node.label for node in replayed.content.nodes} == {"Mine"}
