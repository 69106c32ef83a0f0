"""Plans are read, or all that is wrong with them is told: rules PLAN-1 to PLAN-8 of SPEC.md."""

import json
import pickle
from typing import Any
from uuid import UUID

import pytest
from plans import CHAIN, WIRES, codes, data, node, plan, problems, told

from replay.node_configs import (
    ConflictResolution,
    DataFormat,
    DataType,
    GraphNodeConfig,
    GraphSettings,
    InputConfig,
    MergeConfig,
    MergeStrategy,
    Orientation,
    OutputConfig,
    RenderTarget,
    TransformConfig,
)
from replay.plan import MAX_EDGES, MAX_ID_BYTES, MAX_NODES, MAX_PROBLEMS_SHOWN, NodeType, Plan, PlanErrors
from replay.plan_reading import read_plan

GRAPH_ID = "0198f1a0-0000-7000-8000-000000000001"
DATA = [data("a"), data("b"), data("c")]
GRAPHS = [node("g", "GraphNode"), node("h", "GraphNode")]
MERGE = [data("a"), data("b"), node("m", "MergeNode")]


def config(type_: str, **told_config: Any) -> Any:
    """Read one config, in a plan where its node has as many inputs as it needs."""
    inputs = {"MergeNode": ["a", "b"], "InputNode": [], "GraphNode": [] if "graphId" in told_config else ["a"]}
    wires = [f"{one}>x" for one in inputs.get(type_, ["a"])]
    return plan([data("a"), data("b"), node("x", type_, **told_config)], *wires).node("x").config


def field_problems(type_: str, **told_config: Any) -> list[tuple[str, str | None]]:
    wires = {"InputNode": (), "GraphNode": (), "MergeNode": ("a>x", "b>x")}.get(type_, ("a>x",))
    found = problems(told([data("a"), data("b"), node("x", type_, **told_config)], *wires))
    return [(one.code, one.field) for one in found if one.node_id == "x"]


def test_a_plan_that_says_nothing_is_empty() -> None:
    assert read_plan({}) == Plan()
    assert read_plan({"version": "1.0", "nodes": [], "edges": [], "metadata": {}}) == Plan()


def test_plan_1_all_problems_are_told_at_once() -> None:
    bad = told(
        [
            node("a", "Nonsense"),
            node("m", "MergeNode", mergeStratgy="union"),
            node("o", "OutputNode", renderTarget="GIF"),
            data("o"),
        ],
        "a>m",
        "m>gone",
        "o>o",
    )
    assert sorted(codes(bad)) == [
        "arity",
        "arity",
        "duplicate_id",
        "invalid_value",
        "missing_end",
        "self_edge",
        "unknown_member",
        "unknown_type",
    ]
    by_code = {problem.code: problem for problem in problems(bad)}
    assert by_code["unknown_member"].field == "config.mergeStratgy"
    assert by_code["unknown_member"].node_id == "m"
    assert "did you mean 'mergeStrategy'?" in by_code["unknown_member"].message
    assert by_code["missing_end"].edge_id == "m>gone"


def test_plan_1_so_many_problems_are_described_and_all_counted() -> None:
    with pytest.raises(PlanErrors) as caught:
        read_plan(told([node(str(number), "Nonsense") for number in range(150)]))
    assert (len(caught.value.problems), caught.value.count) == (MAX_PROBLEMS_SHOWN, 150)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.problems, again.count) == (caught.value.problems, caught.value.count)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ([], "invalid_plan"),
        (None, "invalid_plan"),
        ({"version": "2"}, "unknown_version"),
        ({"nodes": {}, "edges": []}, "invalid_value"),
        ({"nodes": ""}, "invalid_value"),
        ({"nodes": [1]}, "invalid_id"),
        ({"nodes": [{"id": "x" * (MAX_ID_BYTES + 1)}]}, "invalid_id"),
        ({"nodes": [{"id": "\ud800"}]}, "invalid_value"),
        ({"nodes": [{**data("a"), "metadata": {"x": float("nan")}}]}, "invalid_value"),
        ({"nodes": [{**data("a"), "metadata": {"x": 10**30}}]}, "invalid_value"),
        ({"nodes": [{**data("a"), "metadata": {"x": "a\0b"}}]}, "invalid_value"),
        ({"nodes": [{**data("a"), "position": {"x": 1}}]}, "invalid_value"),
        ({"nodes": [{**data("a"), "lable": "A"}]}, "unknown_member"),
        ({"edges": [{"id": "e", "source": "a"}]}, "missing_end"),
        ({"metadata": {"deep": json.loads("[" * 100 + "]" * 100)}}, "invalid_value"),
        ({"name": "x"}, "unknown_member"),
        ({"nodes": [data(str(number)) for number in range(MAX_NODES + 1)]}, "too_many"),
        ({"edges": [{}] * (MAX_EDGES + 1)}, "too_many"),
        ({"edges": [3]}, "invalid_id"),
        ({"nodes": [node("a", "InputNode", inputType="Inline", inline=["x" * 300_000])]}, "too_large"),
    ],
)
def test_plan_2_what_no_plan_can_have_is_a_problem(bad: Any, code: str) -> None:
    assert [one.code for one in problems(bad)] == [code]


def test_plan_2_a_plan_has_a_size() -> None:
    inline = {"inputType": "Inline", "format": "CSV", "dataType": "Nodes", "inline": "x" * 250_000}
    assert codes(told([node(str(number), "InputNode", **inline) for number in range(9)])) == ["too_large"]


@pytest.mark.parametrize(
    ("type_", "told_config", "expected"),
    [
        (
            "InputNode",
            {"inputType": "CSVNodesFromFile", "source": "s"},
            InputConfig(DataFormat.CSV, DataType.NODES, "s"),
        ),
        (
            "InputNode",
            {"input_type": "tsv_edges_from_file", "source": "s", "dataType": "edges"},
            InputConfig(DataFormat.TSV, DataType.EDGES, "s"),
        ),
        (
            "InputNode",
            {"inputType": "CSV", "source": "s", "dataType": "Layers"},
            InputConfig(DataFormat.CSV, DataType.LAYERS, "s"),
        ),
        ("InputNode", {"inputType": "json", "source": "s"}, InputConfig(DataFormat.JSON, DataType.GRAPH, "s")),
        (
            "InputNode",
            {"inputType": "Inline", "inline": {"nodes": []}},
            InputConfig(DataFormat.JSON, DataType.GRAPH, None, {"nodes": []}),
        ),
        (
            "InputNode",
            {"inputType": "Inline", "inline": "id,label\n", "format": "csv", "dataType": "nodes"},
            InputConfig(DataFormat.CSV, DataType.NODES, None, "id,label\n"),
        ),
        ("GraphNode", {"name": "G", "metadata": {"x": 1}}, GraphNodeConfig(None, "G", {"x": 1})),
        ("GraphNode", {"graphId": GRAPH_ID, "isReference": True}, GraphNodeConfig(UUID(GRAPH_ID))),
        ("MergeNode", {}, MergeConfig()),
        (
            "MergeNode",
            {"MergeStrategy": "INTERSECTION", "conflict_resolution": "prefer last"},
            MergeConfig(MergeStrategy.INTERSECTION, ConflictResolution.PREFER_LAST),
        ),
        ("TransformNode", {"transformType": "aggregate_edges"}, TransformConfig(GraphSettings(aggregate_edges=True))),
        (
            "TransformNode",
            {"maxPartitionDepth": 2.0, "transformConfig": {"aggregate_edges": False, "nodeLabelMaxLength": None}},
            TransformConfig(GraphSettings(max_partition_depth=2)),
        ),
        (
            "OutputNode",
            {"renderTarget": "csv_nodes", "graph_config": {"invertGraph": False}},
            OutputConfig(RenderTarget.CSV_NODES),
        ),
        (
            "OutputNode",
            {
                "renderTarget": "dot",
                "outputPath": "out/x.dot",
                "render_config": {"orientation": "lr", "contain_nodes": False},
                "graph_config": {"max_partition_depth": 3},
            },
            OutputConfig(
                RenderTarget.DOT,
                "out/x.dot",
                contain_nodes=False,
                orientation=Orientation.LEFT_RIGHT,
                settings=GraphSettings(max_partition_depth=3),
            ),
        ),
    ],
)
def test_plan_3_configs_are_read_as_people_write_them(type_: str, told_config: Any, expected: Any) -> None:
    assert config(type_, **told_config) == expected


@pytest.mark.parametrize(
    ("type_", "told_config", "expected"),
    [
        ("InputNode", {}, [("missing_member", "config.inputType")]),
        ("InputNode", {"inputType": "XML", "source": "s"}, [("invalid_value", "config.inputType")]),
        ("InputNode", {"inputType": "CSV", "source": "s"}, [("missing_member", "config.dataType")]),
        ("InputNode", {"inputType": "JSON"}, [("missing_member", "config.source")]),
        (
            "InputNode",
            {"inputType": "CSVNodesFromFile", "source": "s", "dataType": "Edges"},
            [("contradiction", "config.dataType")],
        ),
        ("InputNode", {"inputType": "JSON", "source": "s", "format": "CSV"}, [("contradiction", "config.format")]),
        ("InputNode", {"inputType": "JSON", "source": "s", "inline": {}}, [("contradiction", "config.inline")]),
        ("InputNode", {"inputType": "Inline", "source": "s", "inline": {}}, [("contradiction", "config.source")]),
        ("InputNode", {"inputType": "Inline"}, [("missing_member", "config.inline")]),
        ("InputNode", {"inputType": "Inline", "inline": 7}, [("invalid_value", "config.inline")]),
        ("InputNode", {"inputType": "Inline", "inline": "id,label"}, [("missing_member", "config.format")]),
        ("GraphNode", {"graphId": 7}, [("invalid_value", "config.graphId")]),
        ("GraphNode", {"graphId": "mine"}, [("invalid_value", "config.graphId")]),
        ("GraphNode", {"isReference": True}, [("missing_member", "config.graphId")]),
        ("GraphNode", {"graphId": GRAPH_ID, "isReference": False}, [("contradiction", "config.isReference")]),
        ("CopyNode", {"copyType": "Shallow"}, [("invalid_value", "config.copyType")]),
        ("CopyNode", {"preserveMetadata": False}, [("not_supported", "config.preserveMetadata")]),
        ("MergeNode", {"mergeStrategy": "Xor"}, [("invalid_value", "config.mergeStrategy")]),
        ("TransformNode", {"transformType": "PartitionDepthLimit"}, [("missing_member", "config.maxPartitionDepth")]),
        (
            "TransformNode",
            {"transformType": "AggregateEdges", "aggregateEdges": False},
            [("contradiction", "config.aggregateEdges")],
        ),
        ("TransformNode", {"maxPartitionDepth": -1}, [("invalid_value", "config.maxPartitionDepth")]),
        ("TransformNode", {"maxPartitionDepth": True}, [("invalid_value", "config.maxPartitionDepth")]),
        ("TransformNode", {"invertGraph": True}, [("not_supported", "config.invertGraph")]),
        ("TransformNode", {"transformConfig": 3}, [("invalid_value", "config.transformConfig")]),
        (
            "TransformNode",
            {"aggregateEdges": True, "transformConfig": {"aggregate_edges": True}},
            [("duplicate_member", "config.transformConfig.aggregateEdges")],
        ),
        (
            "TransformNode",
            {"transformConfig": {"maxPartitionDepht": 3}},
            [("unknown_member", "config.transformConfig.maxPartitionDepht")],
        ),
        ("OutputNode", {}, [("missing_member", "config.renderTarget")]),
        ("OutputNode", {"renderTarget": "Custom"}, [("not_supported", "config.renderTarget")]),
        ("OutputNode", {"renderTarget": "DOT", "outputPath": 3}, [("invalid_value", "config.outputPath")]),
        (
            "OutputNode",
            {"renderTarget": "DOT", "renderConfig": {"orientation": "up", "colour": 1}},
            [("invalid_value", "config.renderConfig.orientation"), ("unknown_member", "config.renderConfig.colour")],
        ),
        ("OutputNode", {"renderTarget": "DOT", "render_target": "DOT"}, [("duplicate_member", "config.render_target")]),
    ],
)
def test_plan_3_what_a_config_cannot_say_is_named(
    type_: str, told_config: Any, expected: list[tuple[str, str]]
) -> None:
    found = [one for one in field_problems(type_, **told_config) if one[0] != "arity"]
    assert found == expected


def test_plan_3_a_type_may_be_called_node_type() -> None:
    read = read_plan({"nodes": [{"id": "a", "nodeType": "input_node", "config": {"inputType": "json", "source": "s"}}]})
    assert read.node("a").type is NodeType.INPUT


def test_plan_4_a_plan_reads_back_equal() -> None:
    read = plan(CHAIN, *WIRES)
    again = read_plan(json.loads(json.dumps(read.to_json())))
    assert again == read
    assert again.to_json() == read.to_json()


def test_plan_4_the_order_of_members_nodes_and_single_edges_does_not_matter() -> None:
    shuffled = [dict(reversed(one.items())) for one in reversed(CHAIN)]
    assert plan(shuffled, *WIRES[2:], *WIRES[:2]).to_json() == plan(CHAIN, *WIRES).to_json()


def test_plan_4_numbers_without_a_fraction_are_integers_as_far_as_those_are_exact() -> None:
    read = read_plan({"metadata": {"a": 2.0, "b": -0.0, "c": 1e30, "d": 2.0**53, "e": 0.5}})
    assert json.dumps(read.metadata) == '{"a": 2, "b": 0, "c": 1e+30, "d": 9007199254740992, "e": 0.5}'
    assert read_plan(read.to_json()) == read


def test_plan_1_long_names_are_not_repeated_whole() -> None:
    long = told([{**data("a"), "x" * 10_000: 1}])
    long["edges"] = [{"id": "e", "source": "a", "target": "b" * 10_000}]
    assert codes(long) == ["unknown_member", "missing_end"]
    assert all(len(problem.message) < 1_000 for problem in problems(long))


def test_plan_5_references_become_edges() -> None:
    read = plan(
        [
            data("a", outputGraphRef="g"),
            data("b", outputGraphRef="g"),
            node("g", "GraphNode"),
            node("c", "CopyNode", sourceGraphRef="g"),
            node("m", "MergeNode", inputRefs=["c", "a"], outputGraphRef="h"),
            node("h", "GraphNode"),
            node("o", "OutputNode", sourceGraphRef="h", renderTarget="json"),
        ]
    )
    assert {node_id: read.inputs_of(node_id) for node_id in ("g", "c", "m", "h", "o")} == {
        "g": ("a", "b"),
        "c": ("g",),
        "m": ("c", "a"),
        "h": ("m",),
        "o": ("h",),
    }
    assert all("Ref" not in name for one in read.nodes for name in one.config.to_json())


def test_plan_5_references_that_edges_repeat_are_no_problem_and_give_the_order() -> None:
    nodes = [data("a", outputGraphRef="m"), data("b"), node("m", "MergeNode", inputRefs=["b", "a"])]
    assert plan(nodes, "a>m", "b>m").inputs_of("m") == ("b", "a")


def test_plan_5_a_reference_makes_an_edge_with_an_id_of_its_own() -> None:
    nodes = [
        data("a", outputGraphRef="m"),
        data("b", outputGraphRef="m"),
        node("m", "MergeNode"),
        node("g", "GraphNode"),
    ]
    edges = [{"id": "a->m", "source": "m", "target": "g"}]
    assert [edge.id for edge in read_plan({"nodes": nodes, "edges": edges}).edges] == ["a->m", "a->m#2", "b->m"]


@pytest.mark.parametrize(
    ("nodes", "wires", "code"),
    [
        ([*DATA, node("m", "MergeNode", inputRefs=["a", "c"])], ["a>m", "b>m"], "reference_disagrees"),
        ([*DATA, node("t", "TransformNode", inputGraphRef="b")], ["a>t"], "reference_disagrees"),
        ([data("a", outputGraphRef="h"), *GRAPHS, data("b")], ["a>g", "b>h"], "reference_disagrees"),
        ([data("a"), data("b", outputGraphRef="g"), node("g", "GraphNode")], ["a>g"], "reference_disagrees"),
        ([data("a"), node("t", "TransformNode", inputGraphRef="gone")], ["a>t"], "missing_end"),
        ([data("a", outputGraphRef="gone")], [], "missing_end"),
        ([data("a"), node("m", "MergeNode", inputRefs=["a", "a"])], [], "invalid_reference"),
        ([data("a"), node("m", "MergeNode", inputRefs=["m", "a"])], [], "invalid_reference"),
    ],
)  # fmt: skip
def test_plan_5_references_that_disagree_with_edges_are_problems(nodes: Any, wires: list[str], code: str) -> None:
    assert codes(told(nodes, *wires))[0] == code


def test_plan_5_numbered_edges_and_references_in_another_order_disagree() -> None:
    bad = told([data("a"), data("b"), node("m", "MergeNode", inputRefs=["b", "a"])], "a>m", "b>m")
    bad["edges"][0]["order"] = 0
    assert codes(bad) == ["reference_disagrees"]


def test_plan_6_inputs_are_in_declared_order() -> None:
    assert plan(MERGE, "b>m", "a>m").inputs_of("m") == ("b", "a")
    numbered = told([*MERGE, data("c")], "c>m", "b>m", "a>m")
    numbered["edges"][1]["order"] = 7
    numbered["edges"][2]["order"] = 3
    assert read_plan(numbered).inputs_of("m") == ("a", "b", "c")


def test_plan_6_inputs_come_before_what_they_go_into() -> None:
    read = plan([*CHAIN, data("z"), data("b")], *WIRES)
    assert read.order == ("b", "edges", "nodes", "graph", "change", "file", "z")
    assert read.upstream("change") == {"edges", "nodes", "graph", "change"}
    assert read.downstream(["graph", "b"]) == {"graph", "change", "file", "b"}
    assert read.outputs_of("nodes") == ("graph",)


@pytest.mark.parametrize(
    ("nodes", "wires", "expected"),
    [
        ([data("a"), node("g", "GraphNode")], ["g>a", "a>g"], ["arity", "cycle"]),
        ([data("a"), node("g", "GraphNode")], ["a>g", "g>x"], ["missing_end"]),
        ([data("a"), data("b"), node("m", "MergeNode")], ["a>m"], ["arity"]),
        ([data("a"), node("o", "OutputNode", renderTarget="JSON"), node("g", "GraphNode")], ["a>o", "o>g"], ["arity"]),
        ([data("a"), data("b"), node("c", "CopyNode")], ["a>c", "b>c"], ["arity"]),
        ([node("t", "TransformNode")], [], ["arity"]),
        ([node("g", "GraphNode")], [], ["arity"]),
        ([data("a"), node("g", "GraphNode", graphId=GRAPH_ID)], ["a>g"], ["arity"]),
    ],
)
def test_plan_7_what_cannot_be_wired_is_a_problem(nodes: Any, wires: list[str], expected: list[str]) -> None:
    assert sorted(codes(told(nodes, *wires))) == expected


def test_plan_7_double_edges_and_ids_are_problems() -> None:
    double = told([data("a"), node("g", "GraphNode")], "a>g")
    double["edges"] += [{"id": "again", "source": "a", "target": "g"}, dict(double["edges"][0])]
    assert codes(double) == ["duplicate_id", "duplicate_edge"]


def test_plan_7_every_cycle_is_named() -> None:
    graphs = [node(one, "GraphNode") for one in "abcdefgh"]
    wires = ["a>b", "b>c", "c>a", "c>d", "e>f", "f>e", "d>e", "g>a", "h>g"]
    found = [one.message for one in problems(told(graphs, *wires)) if one.code == "cycle"]
    assert found == ["remove an edge of the cycle a -> b -> c -> a", "remove an edge of the cycle e -> f -> e"]


def test_plan_8_what_makes_a_graph() -> None:
    read = plan(
        [
            *CHAIN,
            node("copy", "CopyNode"),
            node("after", "OutputNode", renderTarget="JSON"),
            node("merge", "MergeNode"),
            node("old", "GraphNode", graphId=GRAPH_ID),
        ],
        *WIRES, "graph>copy", "copy>after", "copy>merge", "old>merge",
    )  # fmt: skip
    assert {one.id for one in read.nodes if read.makes_graph(one.id)} == {"graph", "copy", "merge"}
    assert {one.id for one in read.nodes if read.is_reference(one.id)} == {"old"}
