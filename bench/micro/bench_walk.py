"""Walks of updates as clients send them."""

from typing import Any

import pytest
from pycrdt import Map, Text
from pytest_benchmark.fixture import BenchmarkFixture

from collab.wire.update import walk
from tests.unit.documents import recorded

STRUCTS = 100


def keystroke() -> bytes:
    """One letter typed into a text."""
    doc, updates = recorded(1_000)
    text = doc.get("text", type=Text)
    text += "typed"
    text += "."
    return updates[-1]


def drag() -> bytes:
    """One move of a node."""
    doc, updates = recorded(1_000)
    nodes: Any = doc.get("nodes", type=Map)
    nodes["n1"] = Map({"label": "Node 1", "position": {"x": 1.0, "y": 2.0}})
    nodes["n1"]["position"] = {"x": 3.0, "y": 4.0}
    return updates[-1]


def many_structs() -> bytes:
    """One transaction that makes STRUCTS structs."""
    doc, updates = recorded(1_000)
    nodes = doc.get("nodes", type=Map)
    with doc.transaction():
        for number in range(STRUCTS):
            nodes[f"n{number}"] = f"value {number}"
    return updates[-1]


@pytest.mark.parametrize("update", [keystroke(), drag(), many_structs()], ids=["keystroke", "drag", "100 structs"])
def bench_walk(benchmark: BenchmarkFixture, update: bytes) -> None:
    shape = benchmark(walk, update)
    assert shape.struct_ends
