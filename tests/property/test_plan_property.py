"""Any JSON is a plan or has problems, and what is computed of any graphs is whole: PLAN-2, PLAN-4, PLAN-9, PLAN-14."""

import os
import random
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import given, settings

from persistence.document import Edge, GraphContent, Node
from replay.computing import check_graph, compute
from replay.hashing import data_digest, hashes
from replay.node_configs import ConflictResolution, GraphSettings, MergeConfig, MergeStrategy, TransformConfig
from replay.partitions import levels_of
from replay.plan import NodeType, Plan, PlanErrors, PlanNode
from replay.plan_reading import read_plan

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60"))
_IDS = st.sampled_from(["a", "b", "c", "d", "e"])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("\ud800") | _IDS
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
_WORDS = st.sampled_from(
    ["Union", "csv", "CSVNodesFromFile", "Inline", "JSON", "DOT", "aggregate_edges", "nodes", 2, 0]
)
_MEMBERS = [
    *("inputType", "source", "dataType", "inline", "format", "graphId", "isReference", "name", "metadata"),
    *("inputRefs", "inputGraphRef", "sourceGraphRef", "outputGraphRef", "mergeStrategy", "conflictResolution"),
    *("transformType", "transformConfig", "maxPartitionDepth", "aggregateEdges", "renderTarget", "graph_config"),
]
_CONFIGS = st.dictionaries(st.sampled_from(_MEMBERS), _WORDS | _IDS | st.lists(_IDS, max_size=3) | _JSON, max_size=4)
_NODES = st.fixed_dictionaries(
    {"id": _IDS, "type": st.sampled_from(list(NodeType)) | _JSON},
    optional={"config": _CONFIGS | _JSON, "metadata": _JSON, "position": _JSON},
)
_EDGES = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=3), "source": _IDS, "target": _IDS},
    optional={"order": _JSON, "metadata": _JSON},
)
_PLANS = st.fixed_dictionaries(
    {}, optional={"nodes": st.lists(_NODES, max_size=5), "edges": st.lists(_EDGES, max_size=5), "metadata": _JSON}
)


@settings(max_examples=ROUNDS * 4, print_blob=True)
@given(_JSON | _PLANS)
def test_plan_2_and_4_any_json_is_a_plan_or_has_problems(told: Any) -> None:
    read = _read(told)
    if isinstance(read, PlanErrors):
        assert read.count >= len(read.problems) > 0
    else:
        assert read_plan(orjson.loads(orjson.dumps(read.to_json()))) == read
        assert sorted(read.order) == [one.id for one in read.nodes]


def _read(told: Any) -> Plan | PlanErrors:
    try:
        return read_plan(told)
    except PlanErrors as errors:
        return errors


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A valid plan: every node is wired to some before it."""
    nodes: list[dict[str, Any]] = [_data(str(number)) for number in range(draw(st.integers(2, 3)))]
    edges = []
    for number in range(len(nodes), len(nodes) + draw(st.integers(1, 5))):
        type_ = draw(st.sampled_from(["GraphNode", "CopyNode", "MergeNode", "TransformNode"]))
        most = {"CopyNode": 1, "TransformNode": 1}.get(type_, 3)
        least = 2 if type_ == "MergeNode" else 1
        sources = draw(st.lists(st.sampled_from(range(number)), unique=True, min_size=least, max_size=most))
        edges += [{"id": f"{one}-{number}", "source": str(one), "target": str(number)} for one in sources]
        nodes.append({"id": str(number), "type": type_, "config": {}})
    return {"nodes": nodes, "edges": edges}


def _data(id_: str) -> dict[str, Any]:
    return {"id": id_, "type": "InputNode", "config": {"inputType": "JSON", "source": id_}}


@settings(max_examples=ROUNDS, print_blob=True)
@given(plans(), st.randoms(use_true_random=False))
def test_plan_9_hashes_change_downstream_of_a_change_and_nowhere_else(
    told: dict[str, Any], any_: random.Random
) -> None:
    read = read_plan(told)
    shuffled = {"nodes": any_.sample(told["nodes"], len(told["nodes"])), "edges": told["edges"]}
    assert hashes(read_plan(shuffled)) == hashes(read_plan(read.to_json())) == hashes(read)
    changed_id = any_.choice([one["id"] for one in told["nodes"] if one["type"] == "InputNode"])
    nodes = [
        _data(changed_id) | {"config": {"inputType": "JSON", "source": "x"}} if one["id"] == changed_id else one
        for one in told["nodes"]
    ]
    _changed_are(read, read_plan({"nodes": nodes, "edges": told["edges"]}), changed_id)


def _changed_are(before: Plan, after: Plan, changed_id: str) -> None:
    old, new = hashes(before), hashes(after)
    assert {one for one in old if old[one] != new[one]} == before.downstream([changed_id])
    digests = [{one: data_digest(before, one, {changed_id: digest}) for one in old} for digest in ("1", "2")]
    assert {one for one in old if digests[0][one] != digests[1][one]} == before.downstream([changed_id])


@st.composite
def graphs(draw: st.DrawFn) -> GraphContent:
    """A graph that is whole: parents come before their children."""
    ids = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1))
    nodes = [
        Node(
            id_,
            draw(st.sampled_from(["", "x"])),
            is_partition=draw(st.booleans()),
            belongs_to=draw(st.sampled_from([None, *ids[:number]])),
        )
        for number, id_ in enumerate(ids)
    ]
    ends = st.sampled_from(ids)
    edges = (Edge(id_, draw(ends), draw(ends)) for id_ in sorted(draw(st.sets(st.sampled_from("123456")))))
    return GraphContent(tuple(sorted(nodes, key=lambda one: one.id)), tuple(edges))


@settings(max_examples=ROUNDS, print_blob=True)
@given(st.lists(graphs(), min_size=2, max_size=3), st.sampled_from(MergeStrategy))
def test_plan_14_merges_lose_no_ends_and_no_parents(inputs: list[GraphContent], strategy: MergeStrategy) -> None:
    config = MergeConfig(strategy, ConflictResolution.PREFER_FIRST)
    content = compute(PlanNode("m", NodeType.MERGE, config), inputs)
    ids = {node.id for node in content.nodes}
    assert all({edge.source, edge.target} <= ids for edge in content.edges)
    assert all(node.belongs_to in {None, *ids} for node in content.nodes)
    assert [node.id for node in content.nodes] == sorted(ids)


@settings(max_examples=ROUNDS, print_blob=True)
@given(graphs(), st.integers(1, 3))
def test_plan_15_no_container_lies_deeper_than_the_limit(content: GraphContent, depth: int) -> None:
    limited = compute(PlanNode("t", NodeType.TRANSFORM, TransformConfig(GraphSettings(depth))), [content])
    check_graph("t", limited)
    levels = levels_of(limited)
    containers = {node.id for node in limited.nodes if node.is_partition} | {node.belongs_to for node in limited.nodes}
    assert all(levels[one] <= depth for one in containers if one is not None)
