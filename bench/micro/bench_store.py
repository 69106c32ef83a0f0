"""What one commit of the log costs, and what the follower makes of a thousand operations."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pycrdt import Map
from pytest_benchmark.fixture import BenchmarkFixture

from bench.micro.conftest import Store
from collab.projection import DocumentCopy
from persistence.identifiers import new_id
from persistence.operations import write_flush
from persistence.ports import GraphCursor, StoredOperation
from persistence.records import ANONYMOUS_USER_ID, Operation
from tests.unit.documents import recorded

OPERATIONS, NODES = 1_000, 50
START = datetime(2026, 1, 1, tzinfo=UTC)


def drags() -> list[bytes]:
    """NODES made in one transaction, then dragged in turn."""
    doc, updates = recorded(1_000)
    nodes: Any = doc.get("nodes", type=Map)
    with doc.transaction():
        for number in range(NODES):
            nodes[f"n{number}"] = Map({"label": "Node", "position": {"x": 1.0, "y": 2.0}})
    for number in range(OPERATIONS):
        nodes[f"n{number % NODES}"]["position"] = {"x": float(number), "y": 0.5}
    return updates


def operation(graph_id: UUID, update: bytes) -> Operation:
    """An update as a room hands it to the log."""
    return Operation(graph_id, update, '{"1000":1}', ANONYMOUS_USER_ID, "session", "1000", START, START)


@pytest.mark.parametrize("count", [10, 500])
def bench_flush(benchmark: BenchmarkFixture, store: Store, count: int) -> None:
    operations = [operation(store.graph_id, update) for update in drags()[:count]]
    connection = store.runner.run(store.database.connect_log())

    def flush() -> None:
        store.runner.run(write_flush(connection, new_id(), operations, [], forget_old=False, timeout_s=10))

    benchmark.pedantic(flush, rounds=50, warmup_rounds=5)
    store.runner.run(connection.close())


def bench_project(benchmark: BenchmarkFixture) -> None:
    first, *updates = drags()
    stored = [StoredOperation(number, update) for number, update in enumerate(updates, 2)]

    def made() -> tuple[tuple[DocumentCopy], dict[str, object]]:
        copy = DocumentCopy(UUID(int=1), GraphCursor(0, 0, None), waiting_bytes=1_000_000)
        copy.apply([StoredOperation(1, first)])
        copy.step()
        return (copy,), {}

    def project(copy: DocumentCopy) -> None:
        copy.apply(stored)
        assert len(copy.step().nodes.written) == NODES

    benchmark.pedantic(project, setup=made, rounds=20)
