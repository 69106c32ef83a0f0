"""One real server for all tests of this tier that only add graphs of their own."""

from collections.abc import Iterator

import pytest

from tests.conftest import LoopThread
from tests.faults.harness import Server


@pytest.fixture(scope="session")
def live_server(session_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`layercake serve --open` in a process of its own; `base_url`, `ws_url`, `create_graph()`."""
    server = Server(tmp_path_factory.mktemp("live"))
    session_loop.run(server.start())
    yield server
    session_loop.run(server.destroy())
