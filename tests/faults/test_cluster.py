"""What a cluster will have to prove."""

import pytest


@pytest.mark.skip(reason="one server serves a graph at a time; there are no nodes yet that could diverge")
def test_nodes_of_one_graph_do_not_diverge() -> None: ...
