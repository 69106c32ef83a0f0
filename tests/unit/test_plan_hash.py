"""Hashes of plans and of data: rules PLAN-9 and PLAN-10 of SPEC.md."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from plans import CHAIN, WIRES, data, node, plan, told

from replay.hashing import SHOWN_DIGITS, data_digest, data_sources, hashes, target_hash
from replay.plan_reading import read_plan

ROOT = Path(__file__).parents[2]
GRAPH_ID = "0198f1a0-0000-7000-8000-000000000001"
PLAN = told(
    [
        *CHAIN,
        data("other"),
        node("old", "GraphNode", graphId=GRAPH_ID),
        node("both", "MergeNode", mergeStrategy="Union"),
        node("aside", "CopyNode"),
    ],
    *WIRES,
    *("change>both", "old>both", "other>aside"),
    metadata={"name": "A plan"},
)
HASH_OF_STDIN = """
import sys, orjson
from replay.hashing import target_hash
from replay.plan_reading import read_plan
print(target_hash(read_plan(orjson.loads(sys.stdin.read())), "both"))
"""


def the_hash(plan_told: dict[str, Any]) -> str:
    return target_hash(read_plan(plan_told), "both")


def of(plan_told: dict[str, Any], id_: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in plan_told["nodes"] if one["id"] == id_)
    return found


def test_plan_9_a_hash_is_of_what_the_design_says() -> None:
    small = plan([data("n"), node("g", "GraphNode", name="G")], "n>g")
    closure = (
        '[{"config":{},"id":"g","inputs":["n"],"type":"GraphNode"},{"config":{"dataType":"Nodes",'
        '"inputType":"CSVNodesFromFile","source":"n"},"id":"n","inputs":[],"type":"InputNode"}]'
    )
    assert target_hash(small, "g") == sha256(f'{{"closure":{closure},"target":"g","v":1}}'.encode()).hexdigest()
    assert hashes(small) == {one: target_hash(small, one) for one in ("g", "n")}
    assert SHOWN_DIGITS == 16


def test_plan_9_a_hash_is_equal_in_every_process_and_order() -> None:
    shuffled = json.dumps({name: PLAN[name] for name in reversed(PLAN)} | {"nodes": list(reversed(PLAN["nodes"]))})
    found = {
        subprocess.run(
            [sys.executable, "-c", HASH_OF_STDIN],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed, text in (("1", json.dumps(PLAN)), ("2", shuffled))
    }
    assert found == {the_hash(PLAN)}


def rename(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(one: dict[str, Any]) -> None:
        of(one, old)["id"] = new
        for edge in one["edges"]:
            edge |= {end: new for end in ("source", "target") if edge[end] == old}

    return change


def rewire(edge_id: str, **ends: str) -> Callable[[dict[str, Any]], None]:
    return lambda one: next(edge for edge in one["edges"] if edge["id"] == edge_id).update(ends)


def swap_inputs(one: dict[str, Any]) -> None:
    one["edges"].reverse()


RELEVANT: dict[str, Callable[[dict[str, Any]], None]] = {
    "source": lambda one: of(one, "nodes")["config"].update(source="others"),
    "format": lambda one: of(one, "nodes")["config"].update(inputType="TSVNodesFromFile"),
    "data type": lambda one: of(one, "nodes")["config"].update(inputType="CSVLayersFromFile"),
    "setting": lambda one: of(one, "change")["config"]["transformConfig"].update(maxPartitionDepth=3),
    "another setting": lambda one: of(one, "change")["config"]["transformConfig"].update(aggregateEdges=True),
    "strategy": lambda one: of(one, "both")["config"].update(mergeStrategy="Difference"),
    "resolution": lambda one: of(one, "both")["config"].update(conflictResolution="Error"),
    "graph": lambda one: of(one, "old")["config"].update(graphId=GRAPH_ID.replace("1", "2")),
    "id": rename("nodes", "renamed"),
    "type": lambda one: of(one, "change").update(type="CopyNode", config={}),
    "wire": rewire("change>both", source="graph"),
    "order of inputs": swap_inputs,
    "a further input": lambda one: one["edges"].append({"id": "x", "source": "other", "target": "both"}),
}
IRRELEVANT: dict[str, Callable[[dict[str, Any]], None]] = {
    "position": lambda one: of(one, "graph").update(position={"x": 1, "y": 2}),
    "label": lambda one: of(one, "graph").update(metadata={"label": "Graph"}),
    "name": lambda one: of(one, "graph")["config"].update(name="Graph", metadata={"nodeCount": 3}),
    "metadata": lambda one: one.update(metadata={}),
    "metadata of an edge": lambda one: one["edges"][0].update(metadata={"label": "in"}),
    "id of an edge": lambda one: one["edges"][0].update(id="another"),
    "what comes after": lambda one: of(one, "file")["config"].update(renderTarget="JSON"),
    "another branch": lambda one: of(one, "other")["config"].update(source="others"),
    "spelling": lambda one: of(one, "both")["config"].update(mergeStrategy="UNION"),
    "a default": lambda one: of(one, "both")["config"].update(conflictResolution="prefer_first"),
    "a float": lambda one: of(one, "change")["config"]["transformConfig"].update(maxPartitionDepth=2.0),
    "a further node": lambda one: one["nodes"].append(data("further")),
    "null": lambda one: of(one, "both")["config"].update(outputGraphRef=None),
}


@pytest.mark.parametrize("name", RELEVANT)
def test_plan_9_a_hash_changes_with_what_is_upstream(name: str) -> None:
    changed = deepcopy(PLAN)
    RELEVANT[name](changed)
    assert the_hash(changed) != the_hash(PLAN)


@pytest.mark.parametrize("name", IRRELEVANT)
def test_plan_9_a_hash_does_not_change_with_anything_else(name: str) -> None:
    changed = deepcopy(PLAN)
    IRRELEVANT[name](changed)
    assert repr(changed) != repr(PLAN)
    assert the_hash(changed) == the_hash(PLAN)


def test_plan_10_the_digest_is_of_the_data_upstream() -> None:
    read = read_plan(PLAN)
    digests = {"nodes": "1", "edges": "2", "other": "3", GRAPH_ID: "4"}
    digest = data_digest(read, "both", digests)
    assert data_sources(read, "both") == (("edges", "nodes"), (GRAPH_ID,))
    for name in ("nodes", "edges", GRAPH_ID):
        assert data_digest(read, "both", digests | {name: "5"}) != digest
        assert data_digest(read, "both", {one: digests[one] for one in digests if one != name}) != digest
    assert data_digest(read, "both", dict(reversed(digests.items())) | {"other": "6", "further": "7"}) == digest
    assert len(digest) == 64
