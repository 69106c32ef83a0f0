"""Outputs of plans: rules PLAN-21 to PLAN-23 of SPEC.md."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given, settings
from plans import data, node, plan

from persistence.document import Edge, GraphContent, Layer, Node
from replay.computation_errors import ComputationError
from replay.node_configs import DataFormat, DataType
from replay.plan import PlanNode
from workspace.exporting import ExportFormat, write_export
from workspace.plan_inputs import read_input
from workspace.plan_outputs import Rendered, render

GRAPH = GraphContent(
    nodes=(
        Node("a", 'A "quoted"\nlabel & <b>\\', "l", belongs_to="box", weight=2, properties={"x": [1]}),
        Node("b", "B", belongs_to="box", position={"x": 1, "y": 2}, comment="a, comment"),
        Node("box", "Box", is_partition=True),
        Node("c", lineage_id=UUID(int=7)),
    ),
    edges=(Edge("ab", "a", "b", "to"), Edge("cb", "c", "box", weight=0.5)),
    layers=(Layer("l", "L", "ffeeaa", "black", None, {"p": 1}),),
)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|->|[{}\[\],=]|\w+', re.DOTALL)


def output(**config: Any) -> PlanNode:
    return plan([data("i"), node("o", "OutputNode", **config)], "i>o").node("o")


def rendered(content: GraphContent, target: str, **config: Any) -> Rendered:
    return render(output(renderTarget=target, **config), content, "My graph")


def tokens(dot: str) -> Iterator[str]:
    """Yield the tokens of DOT; nothing but space may lie between them, and strings have no raw line ends."""
    position = 0
    for found in _TOKEN.finditer(dot):
        assert not dot[position : found.start()].strip()
        assert "\n" not in found[0]
        assert "\0" not in found[0]
        yield found[0]
        position = found.end()
    assert not dot[position:].strip()


def shown(label: str) -> str:
    """Return what Graphviz shows of a quoted label."""
    text = re.sub(r"\\(.)", lambda found: {"n": "\n", "0": "\0"}.get(found[1], found[1]), label[1:-1], flags=re.DOTALL)
    return text.replace("&amp;", "&")


def statements(dot: str) -> tuple[dict[str, str], list[tuple[str, str]], int]:
    """Parse what `write_dot` writes: node labels by quoted id, edges, and how many clusters; braces must match."""
    all_tokens = list(tokens(dot))
    assert all_tokens[:2] == ["digraph", "{"]
    depth, labels, edges, clusters = 0, {}, [], 0
    for index, token in enumerate(all_tokens):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth > 0 or index in (0, len(all_tokens) - 1)
        clusters += token == "subgraph"
        before = all_tokens[index - 1]
        if token.startswith('"') and all_tokens[index + 1] == "->":
            edges.append((token, all_tokens[index + 2]))
        elif token.startswith('"') and all_tokens[index + 1 : index + 4] == ["[", "label", "="] and before != "->":
            labels[token] = all_tokens[index + 4]
    assert depth == 0
    return labels, edges, clusters


def test_plan_21_json_is_what_an_export_has() -> None:
    out = BytesIO()
    write_export(out, {"name": "My graph"}, GRAPH, ExportFormat.JSON)
    file = rendered(GRAPH, "JSON")
    assert file.data == out.getvalue()
    assert (file.file_name, file.media_type) == ("My graph.json", "application/json")
    assert read_input("g", file.data, DataFormat.JSON, DataType.GRAPH) == GRAPH
    assert orjson.loads(rendered(GraphContent(), "JSON").data) == {
        "name": "My graph",
        "nodes": [],
        "edges": [],
        "layers": [],
    }


@pytest.mark.parametrize(
    ("target", "data_type", "expected"),
    [
        ("CSVNodes", DataType.NODES, GraphContent(nodes=GRAPH.nodes)),
        ("CSVEdges", DataType.EDGES, GraphContent(edges=GRAPH.edges)),
        ("CSVLayers", DataType.LAYERS, GraphContent(layers=GRAPH.layers)),
    ],
)
def test_plan_21_tables_are_read_as_an_equal_graph(target: str, data_type: DataType, expected: GraphContent) -> None:
    file = rendered(GRAPH, target)
    assert read_input("t", file.data, DataFormat.CSV, data_type) == expected
    assert (file.file_name, file.media_type) == ("My graph.csv", "text/csv; charset=utf-8")


def test_plan_21_a_table_cannot_have_nul() -> None:
    with pytest.raises(ComputationError, match="export JSON"):
        rendered(GraphContent((Node("a", "\0"),)), "CSVNodes")


def test_plan_22_dot_draws_containers_layers_and_labels() -> None:
    dot = rendered(GRAPH, "DOT").data.decode()
    labels, edges, clusters = statements(dot)
    assert shown(labels['"a"']) == GRAPH.nodes[0].label
    assert shown(labels['"c"']) == "c"
    assert edges == [('"a"', '"b"'), ('"c"', '"box"')]
    assert clusters == 1
    assert 'fillcolor="#ffeeaa", fontcolor="black"]' in dot
    assert 'lhead="cluster_box"' in dot


def test_plan_22_containers_can_be_left_out() -> None:
    config = {"renderConfig": {"containNodes": False, "orientation": "LR"}, "graphConfig": {"nodeLabelMaxLength": 1}}
    content = GraphContent((*GRAPH.nodes, Node("e", "Empty", is_partition=True)), GRAPH.edges)
    dot = rendered(content, "DOT", **config).data.decode()
    labels, _, clusters = statements(dot)
    assert ({id_: shown(one) for id_, one in labels.items()}, clusters) == (
        {'"a"': "A", '"b"': "B", '"box"': "B", '"c"': "c"},
        0,
    )
    assert "rankdir=LR" in dot


def test_plan_22_nodes_that_contain_themselves_are_drawn() -> None:
    content = GraphContent((Node("a", belongs_to="b"), Node("b", belongs_to="a"), Node("c", belongs_to="a")))
    assert statements(rendered(content, "DOT").data.decode())[0].keys() == {'"b"', '"c"'}


@settings(max_examples=60, print_blob=True)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), unique=True, min_size=2, max_size=6))
def test_plan_22_any_text_makes_dot_that_tells_it(ids: list[str]) -> None:
    texts = sorted([*ids, *(f"{one}\\" for one in ids if f"{one}\\" not in ids)])
    nodes = tuple(Node(one, f'{one}"\\\n&') for one in texts)
    content = GraphContent(nodes, (Edge("e", texts[0], texts[1], texts[0]),))
    labels, edges, _ = statements(rendered(content, "DOT").data.decode())
    labels_told = [one.label.replace("\r\n", "\n").replace("\r", "\n") for one in nodes]
    assert [shown(one) for one in labels.values()] == labels_told
    assert len(labels) == len(nodes)
    assert edges == [tuple(list(labels)[:2])]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("out/deep/model.dot", "x", "model.dot"),
        ("out\\model.gv", "x", "model.gv"),
        ("model", "x", "model.dot"),
        ("../..", "x", "graph.dot"),
        ("out/", "My graph", "My graph.dot"),
        (None, "a/b\n", "a_b.dot"),
        (None, "", "graph.dot"),
        ("x" * 900 + ".dot", "x", "x" * 200 + ".dot"),
    ],
)
def test_plan_23_files_have_names_that_any_system_takes(path: str | None, name: str, expected: str) -> None:
    assert render(output(renderTarget="DOT", outputPath=path), GRAPH, name).file_name == expected
