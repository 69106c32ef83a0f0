"""An update that arrives before the one it depends on."""

import pytest

from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.faults.harness import Server


@pytest.fixture
def first_and_second() -> tuple[bytes, bytes]:
    """Two updates of one author, the second of which cannot be applied without the first."""
    author = PycrdtReplica()
    (first,) = author.edit(["text.insert", 0, "one"])
    (second,) = author.edit(["text.insert", 3, " two"])
    return first, second


async def test_it_is_acknowledged_only_when_both_are_there(
    server: Server, first_and_second: tuple[bytes, bytes]
) -> None:
    """SAVED-3: an update that cannot be applied yet is not called saved; once it can, it is."""
    first, second = first_and_second
    url = server.sync_url(await server.create_graph())
    async with YClient(url) as early, YClient(url) as other:
        await early.send_update(second)
        heard = await early.ask_saved()
        await other.edit(["map.set", "later", True])
        await other.saved()  # a whole round through the log: an answer to `early` would be here
        assert not heard.done()

        await other.send_update(first)
        await other.saved()
        await early.saved()
        assert heard.done()
        assert (await other.content()).text == "one two"


async def test_it_survives_a_restart_in_between(server: Server, first_and_second: tuple[bytes, bytes]) -> None:
    """SAVED-3: the early update is kept through a restart and takes effect when the missing one comes."""
    first, second = first_and_second
    graph = await server.create_graph()
    async with YClient(server.sync_url(graph)) as early:
        await early.send_update(second)
    await server.restart()

    assert (await server.content(graph)).text == ""
    async with YClient(server.sync_url(graph)) as late:
        await late.send_update(first)
        await late.saved()
    assert (await server.content(graph)).text == "one two"

    await server.restart()
    assert (await server.content(graph)).text == "one two"
