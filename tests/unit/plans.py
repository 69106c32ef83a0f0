"""Plans for tests, in a few words."""

from collections.abc import Mapping
from typing import Any

from replay.plan import Plan, PlanErrors, PlanProblem
from replay.plan_reading import read_plan


def node(id_: str, type_: str, **config: Any) -> dict[str, Any]:
    return {"id": id_, "type": type_, "config": config}


def data(id_: str, kind: str = "Nodes", **config: Any) -> dict[str, Any]:
    return node(id_, "InputNode", inputType=f"CSV{kind}FromFile", source=id_, **config)


def told(nodes: list[dict[str, Any]], *wires: str, **further: Any) -> dict[str, Any]:
    """Say a plan whose wires are written as `source>target`, which are their ids too."""
    edges = [{"id": wire, "source": wire.split(">")[0], "target": wire.split(">")[1]} for wire in wires]
    return {"version": "1.0", "nodes": nodes, "edges": edges, **further}


def plan(nodes: list[dict[str, Any]], *wires: str) -> Plan:
    return read_plan(told(nodes, *wires))


def problems(plan_told: object) -> tuple[PlanProblem, ...]:
    try:
        read_plan(plan_told)
    except PlanErrors as errors:
        return errors.problems
    return ()


def codes(plan_told: Mapping[str, Any]) -> list[str]:
    return [problem.code for problem in problems(plan_told)]


CHAIN = [
    data("nodes"),
    data("edges", "Edges"),
    node("graph", "GraphNode"),
    node("change", "TransformNode", transformConfig={"maxPartitionDepth": 2}),
    node("file", "OutputNode", renderTarget="DOT"),
]
WIRES = ("nodes>graph", "edges>graph", "graph>change", "change>file")
