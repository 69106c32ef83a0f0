"""The way to PostgreSQL freezes, breaks, crawls and comes back, in the middle of whatever is being said."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import UUID

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.clients.yclient import YClient
from tests.faults.aftermath import SETTINGS, all_is_well, warmed_up
from tests.faults.figures import figures
from tests.faults.footprint import Holdings
from tests.faults.harness import Server
from tests.faults.load import Load
from tests.faults.proxy import Link, Proxy, Way
from tests.faults.rounds import FEWER_ROUNDS, seeds

pytestmark = [pytest.mark.timeout(120 + 60 * FEWER_ROUNDS), pytest.mark.asyncio(loop_scope="module")]

UPDATES_PER_S = 200
STRIKES = 4
LOADED_OPERATIONS = 500
_COMPACTIONS = "layercake_maintenance_compactions_total"
_RETRIES = "layercake_log_retries_total"
_GIVEN_UP_WITHIN_S = 6  # far less than the log's own 10 s
_LONGEST_S = 0.6
_STATEMENT_TIMEOUT_S = 1
_STORED_TWICE = "SELECT count(*) - count(DISTINCT operation_data) FROM crdt_operations WHERE graph_id = $1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(module_database_url: str) -> AsyncIterator[Proxy]:
    (seed,) = seeds(1)
    async with Proxy.before(module_database_url, seed) as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_server(tmp_path_factory: pytest.TempPathFactory, proxy: Proxy) -> AsyncIterator[Server]:
    settings = {
        **SETTINGS,
        "LAYERCAKE_DATABASE_TIMEOUT_S": str(_STATEMENT_TIMEOUT_S),
        "LAYERCAKE_COMPACTION_OPERATIONS": "50",
    }
    async with Server.started(tmp_path_factory.mktemp("server"), settings, proxy.url) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def before(module_server: Server) -> Holdings:
    """What the server holds when nobody is there."""
    return await warmed_up(module_server)


@pytest.fixture
def server(module_server: Server, proxy: Proxy, before: Holdings) -> Iterator[Server]:
    yield module_server
    proxy.heal()
    print(module_server.log())


def _freeze_one_way(proxy: Proxy) -> None:
    proxy.freeze(proxy.chance.choice(list(Way)))


def _cut_within_a_message(proxy: Proxy) -> None:
    for link in proxy.links:
        link.cut_after(proxy.chance.randrange(2_000), proxy.chance.choice(list(Way)))


def _cut_and_refuse(proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()


def _delay(proxy: Proxy) -> None:
    proxy.delay(proxy.chance.uniform(1, 100))


def _lose_the_answer(link: Link) -> None:
    link.cut_after(0, Way.TO_SERVER)


_A_FLUSH = b'{"'
"""How the vector clocks of a flush begin, which is one statement with its commit; nothing else of the log has any."""

FAULTS: list[Callable[[Proxy], None]] = [
    Proxy.freeze,
    _freeze_one_way,
    Proxy.cut,
    lambda proxy: proxy.cut(reset=False),
    Proxy.abandon,
    _cut_within_a_message,
    _cut_and_refuse,
    _delay,
]


async def test_FAULT_2_freezes_cuts_and_delays_lose_nothing(server: Server, proxy: Proxy, before: Holdings) -> None:
    """FAULT-1, FAULT-2: one after the other at random moments while people type, then all that was taken is saved."""
    with figures("freeze, cut and delay the connection to PostgreSQL") as counted:
        for _ in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            async with Load.running(server.sync_url(graph), UPDATES_PER_S, proxy.chance.randrange(2**31)) as load:
                for fault in proxy.chance.sample(FAULTS, STRIKES):
                    await load.acknowledged_beyond(load.acknowledged)
                    await asyncio.sleep(proxy.chance.uniform(0, _LONGEST_S))  # the random moment
                    fault(proxy)
                    await asyncio.sleep(proxy.chance.uniform(0, _LONGEST_S))
                    proxy.heal()
                await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, graph, [load])
            counted.add(strikes=STRIKES, acknowledged=load.acknowledged, missing=missing)


async def test_FAULT_3_a_commit_whose_answer_is_lost_is_stored_once(
    server: Server, proxy: Proxy, before: Holdings
) -> None:
    """FAULT-3, LOG-4: PostgreSQL commits, the server does not hear of it, and asks before it sends the flush again."""
    with figures("lose the answer to a COMMIT") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
                for _ in range(STRIKES):
                    struck = proxy.watch(_A_FLUSH, _lose_the_answer, log_only=True)
                    await asyncio.wait_for(struck.wait(), 10)
                    await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, graph, [load])
            async with server.database() as connection:
                assert await connection.fetchval(_STORED_TWICE, graph) == 0
            counted.add(strikes=STRIKES, acknowledged=load.acknowledged, missing=missing)


async def test_FAULT_4_a_freeze_longer_than_the_statement_timeout(
    server: Server, proxy: Proxy, before: Holdings
) -> None:
    """FAULT-4: nothing is called saved meanwhile, /readyz says so, and all is saved once it is over."""
    with figures("freeze for longer than a statement may take") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
                await load.acknowledged_beyond(UPDATES_PER_S // 10)
                proxy.freeze()
                sent, retries = load.sent, (await server.metrics())[_RETRIES]
                assert not await server.is_ready()
                await eventually(server.metrics, lambda seen: seen[_RETRIES] > retries, _GIVEN_UP_WITHIN_S)  # noqa: B023
                assert load.acknowledged <= sent, "an update was called saved while nothing could be committed"
                proxy.heal()
                await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, graph, [load])
            counted.add(strikes=1, acknowledged=load.acknowledged, missing=missing)


async def _comes_in(server: Server, graph: str) -> bool:
    try:
        async with YClient(server.sync_url(graph)) as client:
            await client.edit(["map.set", "key", 1])
            await client.saved()
            return True
    except (OSError, InvalidStatus):
        return False


async def test_FAULT_5_a_lease_is_asked_for(server: Server, proxy: Proxy, before: Holdings) -> None:
    """FAULT-5: whoever asked comes in or is told to come again; each graph has one lease, then none."""
    faults = (Link.cut, Link.abandon, _lose_the_answer)
    with figures("cut the connection while a lease is asked for") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graphs = [await server.create_graph() for _ in faults]
            busy = await server.create_graph()
            async with Load.running(server.sync_url(busy), UPDATES_PER_S, seed) as load:
                await load.acknowledged_beyond(UPDATES_PER_S // 10)
                for graph, fault in zip(graphs, faults, strict=True):
                    struck = proxy.watch(UUID(graph).bytes, fault, log_only=True)
                    await eventually(lambda: _comes_in(server, graph), bool)  # noqa: B023
                    assert struck.is_set()
                    proxy.heal()
                await eventually(server.metrics, lambda seen: seen["layercake_leases"] == 1)
                await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, busy, [load])
            assert [(await server.content(graph)).map for graph in graphs] == [{"key": 1}] * len(graphs)
            counted.add(strikes=len(faults), acknowledged=load.acknowledged, missing=missing)


async def _served(server: Server, graph: str) -> Content | int:
    """What a client that comes now sees, or the status with which it is refused."""
    try:
        return await server.content(graph)
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def _only_room(server: Server) -> None:
    await eventually(server.metrics, lambda seen: seen["layercake_rooms"] == 1)


async def _document(server: Server, graph: str) -> Content:
    """Let a client write a document of many operations, and return it."""
    async with YClient(server.sync_url(graph)) as author:
        for number in range(LOADED_OPERATIONS):
            await author.edit(["map.set", f"key {number}", "x" * 100])
        await author.saved()
    return await author.content()


async def _cut_while_it_loads(server: Server, proxy: Proxy, graph: str, document: Content) -> None:
    """Let clients come to a document that nobody has open, until STRIKES of them were refused."""
    refused = 0
    while refused < STRIKES:
        await _only_room(server)
        for link in proxy.links:
            if not link.is_log:
                link.cut_after(proxy.chance.randrange(LOADED_OPERATIONS * 100), Way.TO_SERVER)
        found = await _served(server, graph)
        assert found in (503, document)
        refused += found == 503
    proxy.heal()
    assert await _served(server, graph) == document


async def test_FAULT_6_a_document_is_whole_or_the_join_refused(server: Server, proxy: Proxy, before: Holdings) -> None:
    """FAULT-6, LOG-8: the connection ends after any number of bytes of a document that loads."""
    graph = await server.create_graph()
    document = await _document(server, graph)
    with figures("cut the connection while a document loads") as counted:
        for seed in seeds(FEWER_ROUNDS):
            busy = await server.create_graph()
            async with Load.running(server.sync_url(busy), UPDATES_PER_S, seed) as load:
                await _cut_while_it_loads(server, proxy, graph, document)
                await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, busy, [load])
            counted.add(strikes=STRIKES, acknowledged=load.acknowledged, missing=missing)


async def test_FAULT_7_compaction_is_cut_off(server: Server, proxy: Proxy, before: Holdings) -> None:
    """FAULT-7, COMPACT-1: before its state is written and after; what loads is the same, and compaction goes on."""
    faults = (Link.cut, _lose_the_answer)
    with figures("cut the connection in a compaction") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
                for fault in faults:
                    await asyncio.wait_for(proxy.watch(b"UPDATE graphs SET crdt_state", fault).wait(), 30)
                done = (await server.metrics())[_COMPACTIONS]
                await eventually(server.metrics, lambda seen: seen[_COMPACTIONS] > done)  # noqa: B023
                await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, graph, [load])
            counted.add(strikes=len(faults), acknowledged=load.acknowledged, missing=missing)
