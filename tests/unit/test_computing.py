"""What nodes of plans make of graphs: rules PLAN-11 to PLAN-20, PLAN-24 and PLAN-25 of SPEC.md."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from plans import data, node, plan
from pycrdt import Doc

from persistence.document import Edge, GraphContent, Layer, Node, build_updates, read_content
from replay.computation_errors import ComputationError
from replay.computing import check_graph, compute
from replay.node_configs import DataFormat, DataType, InputConfig
from replay.plan import Plan, PlanNode
from replay.transforms import in_lines
from workspace.issues import TableErrors
from workspace.plan_inputs import count_rows, read_inline, read_input
from workspace.plan_outputs import render

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "graphs"
GRAPH_ID = UUID(int=9)
FIRST = GraphContent(
    nodes=(Node("a", "A"), Node("b", "B", belongs_to="box"), Node("box", "Box", is_partition=True)),
    edges=(Edge("ab", "a", "b"), Edge("box", "a", "box")),
    layers=(Layer("l", "L"),),
)
SECOND = GraphContent(
    nodes=(Node("a", "Other", comment="x", properties={"p": 1}), Node("b", "B", belongs_to="box"), Node("c", "C")),
    edges=(Edge("ab", "a", "b"), Edge("ac", "a", "c")),
    layers=(Layer("l", "L"), Layer("m", "M")),
)


def step(type_: str, **config: Any) -> PlanNode:
    inputs = [data("i"), data("j")]
    wires = ["i>x", "j>x"] if type_ in {"MergeNode", "GraphNode"} else ["i>x"]
    return plan([*inputs, node("x", type_, **config)], *wires).node("x")


def transformed(content: GraphContent, **settings: Any) -> GraphContent:
    return compute(step("TransformNode", transformConfig=settings), [content])


def merged(*inputs: GraphContent, **config: Any) -> GraphContent:
    return compute(step("MergeNode", **config), inputs)


def ids(entities: Any) -> list[str]:
    return [one.id for one in entities]


@pytest.mark.parametrize(
    ("strategy", "nodes", "edges", "layers"),
    [
        ("Union", ["a", "b", "box", "c"], ["ab", "ac", "box"], ["l", "m"]),
        ("Intersection", ["a", "b"], ["ab"], ["l", "m"]),
        ("Difference", ["box"], [], ["l"]),
    ],
)
def test_plan_12_what_a_merge_keeps(strategy: str, nodes: list[str], edges: list[str], layers: list[str]) -> None:
    content = merged(FIRST, SECOND, mergeStrategy=strategy)
    assert (ids(content.nodes), ids(content.edges), ids(content.layers)) == (nodes, edges, layers)
    check_graph("x", content)


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        ("PreferFirst", Node("a", "A")),
        ("PreferLast", Node("a", "Other", comment="x", properties={"p": 1})),
        ("Merge", Node("a", "A", comment="x", properties={"p": 1})),
    ],
)
def test_plan_13_what_several_inputs_have(resolution: str, expected: Node) -> None:
    assert merged(FIRST, SECOND, conflictResolution=resolution).nodes[0] == expected


def test_plan_13_of_each_property_the_first_counts() -> None:
    inputs = [GraphContent((Node("a", properties=one),)) for one in ({"p": 1}, {"p": 2, "q": 2})]
    assert merged(*inputs, conflictResolution="Merge").nodes[0].properties == {"p": 1, "q": 2}


@pytest.mark.parametrize("united", [step("MergeNode", conflictResolution="Error"), step("GraphNode")])
def test_plan_13_what_differs_is_an_error_that_names_it(united: PlanNode) -> None:
    with pytest.raises(ComputationError) as caught:
        compute(united, [FIRST, SECOND])
    assert [one.split(";")[0] for one in caught.value.problems] == [
        "node 'a' differs between inputs in comment, label, properties"
    ]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.node_id, again.problems) == ("x", caught.value.problems)


def test_plan_13_layout_and_lineage_do_not_differ() -> None:
    moved = replace(
        FIRST, nodes=tuple(replace(one, position={"x": 1, "y": 1}, lineage_id=GRAPH_ID) for one in FIRST.nodes)
    )
    assert compute(step("GraphNode"), [FIRST, moved]) == FIRST


def test_plan_14_what_stays_belongs_to_what_stays() -> None:
    nodes = (Node("in", belongs_to="x"), Node("out"), Node("x", belongs_to="y"), Node("y", belongs_to="out"))
    kept = GraphContent((Node("in"), Node("out")))
    content = merged(GraphContent(nodes, (Edge("e", "in", "x"),)), kept, mergeStrategy="Intersection")
    assert content == GraphContent((Node("in", belongs_to="out"), Node("out")))


def test_plan_14_containers_that_contain_each_other_and_go_leave_nothing() -> None:
    nodes = (Node("in", belongs_to="x"), Node("x", belongs_to="y"), Node("y", belongs_to="x"))
    assert merged(GraphContent(nodes), GraphContent((Node("in"),)), mergeStrategy="intersection").nodes == (Node("in"),)


NESTED = GraphContent(
    nodes=(
        Node("deep", belongs_to="three"),
        Node("one", is_partition=True),
        Node("three", is_partition=True, belongs_to="two"),
        Node("twin", belongs_to="two"),
        Node("two", is_partition=True, belongs_to="one"),
        Node("z"),
    ),
    edges=(
        Edge("1", "deep", "z"),
        Edge("2", "twin", "z"),
        Edge("3", "deep", "twin"),
        Edge("4", "z", "z"),
        Edge("5", "deep", "two"),
    ),
)


def test_plan_15_deep_containers_fold_into_the_one_at_the_limit() -> None:
    content = transformed(NESTED, maxPartitionDepth=2)
    assert ids(content.nodes) == ["one", "twin", "two", "z"]
    assert content.edges == (
        Edge("1", "two", "z"),
        Edge("2", "twin", "z"),
        Edge("3", "two", "twin"),
        Edge("4", "z", "z"),
    )
    assert content.nodes[2].is_partition
    flat = transformed(NESTED, maxPartitionDepth=1, aggregateEdges=True)
    assert flat.nodes == (Node("one"), Node("z"))
    assert flat.edges == (Edge("1", "one", "z", weight=2), Edge("4", "z", "z"))
    assert transformed(NESTED, maxPartitionDepth=3) == NESTED


def test_plan_15_nodes_that_contain_themselves_have_no_depth() -> None:
    with pytest.raises(ComputationError, match="p in q in p"):
        transformed(GraphContent((Node("p", belongs_to="q"), Node("q", belongs_to="p"))), maxPartitionDepth=1)


def test_plan_16_unconnected_nodes_go_but_not_what_contains_connected_ones() -> None:
    content = replace(FIRST, nodes=(*FIRST.nodes, Node("c")), edges=(Edge("bb", "b", "b"),))
    assert ids(transformed(content, dropUnconnectedNodes=True).nodes) == ["b", "box"]


def test_plan_17_parallel_edges_become_one() -> None:
    edges = (
        Edge("e1", "a", "b", "x", weight=0.5, comment="c"),
        Edge("e2", "a", "b", "y", properties={"p": 2, "q": 2}),
        Edge("e3", "a", "b", "x", weight=1.5, properties={"p": 3}),
        Edge("e4", "b", "a"),
        Edge("e5", "a", "b", layer="l"),
    )
    joined = Edge("e1", "a", "b", "x, y", weight=3, comment="c", properties={"p": 2, "q": 2})
    content = GraphContent(FIRST.nodes, edges)
    assert transformed(content, aggregateEdges=True).edges == (joined, edges[3], edges[4])


def test_plan_18_settings_have_an_order() -> None:
    content = GraphContent(
        (Node("a", "one two three"), Node("b")), (Edge("e", "a", "a", "a label"), Edge("f", "a", "a", "b"))
    )
    changed = transformed(
        content,
        aggregateEdges=True,
        dropUnconnectedNodes=True,
        nodeLabelMaxLength=7,
        nodeLabelInsertNewlinesAt=3,
        edgeLabelMaxLength=9,
        edgeLabelInsertNewlinesAt=2,
    )
    assert changed == GraphContent((Node("a", "one\ntwo"),), (Edge("e", "a", "a", "a\nlabel,", weight=2),))


def test_plan_18_lines_are_made_of_words() -> None:
    assert in_lines("a bb ccc dddddd e", 4) == "a bb\nccc\ndddddd\ne"


def test_plan_19_what_becomes_a_graph_is_whole() -> None:
    check_graph("x", FIRST)
    broken = GraphContent(
        nodes=(
            Node("a", belongs_to="gone"),
            Node("b", belongs_to="c"),
            Node("c", belongs_to="b"),
            Node("d", belongs_to="d"),
        ),
        edges=(Edge("e", "a", "nowhere"),),
    )
    with pytest.raises(ComputationError) as caught:
        check_graph("x", broken)
    assert [one.split(";")[0] for one in caught.value.problems] == [
        "edge 'e': its target 'nowhere' is no node",
        "node 'a': it belongs to 'gone', which is no node",
        "nodes contain themselves: b in c in b",
        "nodes contain themselves: d in d",
    ]
    many = GraphContent(edges=tuple(Edge(f"{number:03}") for number in range(200)))
    with pytest.raises(ComputationError) as caught:
        check_graph("x", many)
    assert len(caught.value.problems) == 101


def test_plan_20_a_copy_has_the_lineage_of_its_source() -> None:
    told = replace(FIRST, nodes=(replace(FIRST.nodes[0], lineage_id=UUID(int=5)), *FIRST.nodes[1:]))
    doc: Doc[Any] = Doc()
    for update in build_updates(told, 1):
        doc.apply_update(update.data)
    content = compute(step("CopyNode"), [read_content(doc, GRAPH_ID)])
    assert [one.lineage_id for one in content.nodes] == [UUID(int=5), uuid5(GRAPH_ID, "b"), uuid5(GRAPH_ID, "box")]
    assert [one.lineage_id for one in content.edges] == [uuid5(GRAPH_ID, "ab"), uuid5(GRAPH_ID, "box")]


@pytest.mark.parametrize(
    ("text", "data_format", "data_type", "expected"),
    [
        ("id,label,layer\nb,B,\na,A,x\n", "CSV", "Nodes", GraphContent((Node("a", "A", "x"), Node("b", "B")))),
        ("source\ttarget\na,\tb\n", "TSV", "Edges", GraphContent(edges=(Edge("a,->b", "a,", "b"),))),
        ("layer,label,background,\nx,X,fff,\n", "CSV", "Layers", GraphContent(layers=(Layer("x", "X", "fff"),))),
        ('[{"id":"a"}]', "JSON", "Nodes", GraphContent((Node("a"),))),
        ('{"nodes":[{"id":"a"}],"layers":[{"id":"x"}]}', "JSON", "Nodes", GraphContent((Node("a"),))),
        (
            '{"edges":[{"id":"e","source":"a","target":"b"}]}',
            "JSON",
            "Graph",
            GraphContent(edges=(Edge("e", "a", "b"),)),
        ),
    ],
)
def test_plan_24_an_input_may_be_part_of_a_graph(
    text: str, data_format: str, data_type: str, expected: GraphContent
) -> None:
    assert read_input("in", text.encode(), DataFormat(data_format), DataType(data_type)) == expected
    assert count_rows("in", text.encode(), DataFormat(data_format)) >= expected.entities
    inline = InputConfig(DataFormat(data_format), DataType(data_type), None, text)
    assert read_inline("in", inline) == expected


def test_plan_24_inline_json_needs_no_text() -> None:
    inline = InputConfig(DataFormat.JSON, DataType.GRAPH, None, {"nodes": [{"id": "a"}]})
    assert read_inline("in", inline) == GraphContent((Node("a"),))


@pytest.mark.parametrize(
    ("text", "data_format", "data_type", "count"),
    [
        ("name\na\n", "CSV", "Nodes", 1),
        ("id,label,weight\na,A,much\na,B,1\n", "CSV", "Nodes", 2),
        ("", "CSV", "Edges", 2),
        ("{", "JSON", "Graph", 1),
        ("[1]", "JSON", "Graph", 1),
        ('{"nodes":[]}', "JSON", "Edges", 1),
        ("[1, {}]", "JSON", "Nodes", 2),
    ],
)
def test_plan_24_all_that_is_wrong_with_an_input_is_told(
    text: str, data_format: str, data_type: str, count: int
) -> None:
    with pytest.raises(TableErrors) as caught:
        read_input("in", text.encode(), DataFormat(data_format), DataType(data_type))
    assert caught.value.count == count


@pytest.mark.parametrize(("text", "data_format"), [("{", "JSON"), ("{}", "JSON"), ("a\0", "CSV")])
def test_plan_24_rows_of_what_is_no_input_are_not_counted(text: str, data_format: str) -> None:
    with pytest.raises(TableErrors):
        count_rows("in", text.encode(), DataFormat(data_format))


def outcome(read: Plan, contents: dict[str, GraphContent]) -> dict[str, Any]:
    """Run a plan whose inputs are `contents`."""
    done: dict[str, Any] = dict(contents)
    for id_ in read.order:
        inputs = [done[one] for one in read.inputs_of(id_)]
        if id_.startswith("as "):
            done[id_] = render(read.node(id_), inputs[0], id_)
        elif id_ not in done:
            done[id_] = compute(read.node(id_), inputs)
            check_graph(id_, done[id_])
    return done


def sample_plan() -> Plan:
    targets = [node(f"as {one}", "OutputNode", renderTarget=one, sourceGraphRef="limited") for one in ("DOT", "JSON")]
    settings = {"maxPartitionDepth": 2, "aggregateEdges": True, "dropUnconnectedNodes": True, "nodeLabelMaxLength": 10}
    kinds = ("Nodes", "Edges", "Layers")
    return plan(
        [
            *(data(kind.lower(), kind, outputGraphRef="graph") for kind in kinds),
            node("graph", "GraphNode"),
            node("limited", "TransformNode", inputGraphRef="graph", transformConfig=settings),
            node("rest", "MergeNode", inputRefs=["graph", "limited"], mergeStrategy="Difference"),
            *targets,
        ]
    )


@pytest.mark.parametrize("name", ["attack_tree", "distributed-monolith", "kvm_control_flow", "ref"])
def test_plan_11_real_graphs_run_as_plans_and_always_become_the_same(name: str) -> None:
    folder = SAMPLES / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not at ../shared/data/graphs")
    edges = "edges.csv" if (folder / "edges.csv").exists() else "links.csv"
    files = {"nodes": "nodes.csv", "edges": edges, "layers": "layers.csv"}
    contents = {
        kind: read_input(file, (folder / file).read_bytes(), DataFormat.CSV, DataType(kind.capitalize()))
        for kind, file in files.items()
    }
    for kind, file in files.items():
        assert count_rows(file, (folder / file).read_bytes(), DataFormat.CSV) == contents[kind].entities > 0
    done = outcome(sample_plan(), contents)
    reversed_inputs = {
        kind: GraphContent(one.nodes[::-1], one.edges[::-1], one.layers[::-1]) for kind, one in contents.items()
    }
    assert outcome(sample_plan(), reversed_inputs) | contents == done
    assert (done["graph"].nodes, done["graph"].edges) == (contents["nodes"].nodes, contents["edges"].edges)
    assert len(done["limited"].nodes) <= len(done["graph"].nodes)


@pytest.mark.timeout(60)
def test_plan_25_large_graphs_take_seconds() -> None:
    """50,000 nodes, one in the other a hundred deep, read, united, limited and drawn: what is not linear never ends."""
    count = 50_000
    nodes = [
        {"id": f"n{number:05}", "label": "A label", "belongs_to": f"n{number - 1:05}" if number % 100 else None}
        for number in range(count)
    ]
    edges = [{"id": f"e{n}", "source": f"n{n:05}", "target": f"n{n * 7 % count:05}"} for n in range(count)]
    contents = {
        "nodes": read_input("n", orjson.dumps(nodes), DataFormat.JSON, DataType.NODES),
        "edges": read_input("e", orjson.dumps(edges), DataFormat.JSON, DataType.EDGES),
        "layers": GraphContent(),
    }
    done = outcome(sample_plan(), contents)
    assert len(done["limited"].nodes) == 1_000
