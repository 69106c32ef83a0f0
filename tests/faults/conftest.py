"""A server of one's own for every test that hurts it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.harness import Server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server.started(tmp_path) as server:
        yield server
        print(server.log())  # shown when the test fails
