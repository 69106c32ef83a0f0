"""HOC-1 to HOC-14: the Hocuspocus dialect, byte by byte, through real sockets."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog
from pycrdt import Map, Text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from collab.websocket import Connection
from collab.wire.awareness import Entry, decode_awareness, encode_awareness
from collab.wire.varuint import read_bytes
from persistence.database import Database
from persistence.identifiers import new_id
from tests.clients import hclient
from tests.clients.eventually import eventually
from tests.clients.hclient import (
    AUTHENTICATED,
    NOT_SAVED,
    READ_ONLY,
    SAVED,
    STEP1,
    STEP2,
    UPDATE,
    Frame,
    HClient,
    auth,
    sync,
)
from tests.clients.yclient import YClient
from tests.integration.served import Served, serving
from tests.unit.documents import nested_arrays, recorded

NO_SUCH_GRAPH = hclient.denied("there is no such graph")
EMPTY = b"\x00"


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Served]:
    async with serving(database, database_url) as server:
        yield server


@pytest.fixture
async def client(served: Served) -> AsyncIterator[HClient]:
    async with HClient.connected(served.hocuspocus_url) as client:
        yield client


def entry(key: str, value: Any = 1, client_id: int = 7) -> bytes:
    """An update that sets one key of the map."""
    doc, updates = recorded(client_id)
    doc.get("map", type=Map)[key] = value
    return updates[0]


async def map_of(served: Served, graph: str) -> dict[str, Any]:
    async with YClient(served.url(graph)) as late:
        return (await late.content()).map


async def metric(served: Served, name: str) -> float:
    async with served.http() as http:
        return float(re.findall(rf"(?m)^layercake_{name} (\S+)", (await http.get("/metrics")).text)[0])


async def status_of(url: str, **options: Any) -> int:
    try:
        async with connect(url, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_HOC_1_the_path_is_exact_and_nobody_is_asked_who_it_is(served: Served) -> None:
    assert await status_of(served.hocuspocus_url) == 101
    assert await status_of(served.hocuspocus_url + "/?any=query") == 101
    assert await status_of(served.hocuspocus_url + "/other") == 401
    assert await status_of(served.hocuspocus_url + "s?token=admin") == 404


async def test_HOC_1_an_address_is_split_at_its_first_nul_and_echoed(served: Served, client: HClient) -> None:
    graph = await served.create_graph()
    addresses = [graph, f"{graph}\0one", f"{graph}\0one\0two", f"{graph}\0", graph.upper()]
    for address in addresses:
        await client.send(address, auth("admin"))
        assert await client.hear() == Frame(address, AUTHENTICATED)
    assert await metric(served, "sessions") == len(addresses)
    assert await metric(served, "hocuspocus_documents") == len(addresses)
    await client.send(addresses[1], sync(UPDATE, entry("k")))
    heard = [frame for _ in addresses for frame in [await client.hear()]]
    assert sorted(frame.address for frame in heard if frame.message[:2] == bytes((0, UPDATE))) == sorted(
        set(addresses) - {addresses[1]}
    )
    assert Frame(addresses[1], SAVED) in heard


async def test_HOC_2_what_came_before_the_token_is_taken_in_order_after_it(served: Served, client: HClient) -> None:
    graph = await served.create_graph()
    await client.send(graph, sync(UPDATE, entry("early")), sync(STEP1, EMPTY), auth("admin"), sync(UPDATE, entry("x")))
    heard = [(await client.hear()).message for _ in range(4)]
    assert heard[0] == AUTHENTICATED
    assert [message[:2] for message in heard[1:3]] == [bytes((0, STEP1)), bytes((0, STEP2))]
    assert hclient.payload_of(heard[2]) == entry("early")
    assert heard[3] == SAVED


async def test_HOC_3_unknown_graphs_are_denied_in_the_same_words_whatever_their_name(
    served: Served, client: HClient
) -> None:
    graph = await served.create_graph()
    names = ["a:b", "*", "%2F", "\0", "", "constructor", "__proto__", f"{{{graph}}}", f"{graph}/x", "x" * 300]
    for address in (*names, str(new_id()), graph.replace("-", ""), f" {graph}"):
        await client.send(address, auth("admin"))
        assert await client.hear() == Frame(address, NO_SUCH_GRAPH)
    await client.send(graph, auth("stranger"))
    assert await client.hear() == Frame(graph, NO_SUCH_GRAPH), "as if it did not exist"
    await client.send(graph, auth("nobody"))
    unknown = await client.hear()
    assert unknown.message.startswith(b"\x02\x01")
    assert b"sign in" in unknown.message


async def test_HOC_3_a_denied_document_may_be_tried_again_while_others_go_on(served: Served, client: HClient) -> None:
    graph, other = await served.create_graph(), await served.create_graph()
    await client.send(graph, auth("nobody"), sync(STEP1, EMPTY), sync(UPDATE, entry("kept")))
    await client.until(graph, b"\x02\x01")
    await client.open(other)
    await client.send(other, sync(UPDATE, entry("k")))
    assert await client.hear() == Frame(other, SAVED)
    await client.send(graph, auth("admin"))
    heard = await client.until(graph, SAVED)
    assert [frame.message[:2] for frame in heard] == [b"\x02\x02", b"\x00\x00", b"\x00\x01", SAVED]
    assert await map_of(served, graph) == {"kept": 1}


async def test_HOC_4_a_denied_client_that_sends_on_disturbs_no_other_document(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, unopened_bytes=10_000) as served:
        denied, other = str(new_id()), await served.create_graph()
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.send(denied, auth("admin"))
            await client.until(denied, b"\x02\x01")
            for _ in range(300):
                await client.send(denied, sync(UPDATE, entry("k", "x" * 500)))
            await client.send(other, sync(UPDATE, entry("k")), auth("admin"))
            await client.until(other, SAVED)


async def test_HOC_4_what_comes_without_a_token_is_bounded(database: Database, database_url: str) -> None:
    async with serving(database, database_url, unopened_bytes=10_000, socket_documents=5) as served:
        graph = await served.create_graph()
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.send(graph, sync(UPDATE, entry("k", "x" * 20_000)))
            assert (await client.closed())[0] == 4400
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.send(graph, *[bytes((3,))] * 1_001)
            assert (await client.closed())[0] == 4400
        async with HClient.connected(served.hocuspocus_url) as client:
            for number in range(10):
                await client.send(f"unknown {number}", auth("admin"))
                await client.hear()
            for number in range(5):
                await client.open(f"{graph}\0{number}")
            await client.send(f"{graph}\0last straw", auth("admin"))
            code, reason = await client.closed()
            assert (code, "at most 5 documents" in reason) == (4400, True)
        assert await metric(served, "hocuspocus_documents") == 0


async def test_HOC_4_a_socket_without_a_token_is_closed_in_time(database: Database, database_url: str) -> None:
    async with serving(database, database_url, authentication_timeout_s=0.1) as served:
        graph = await served.create_graph()
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.send(graph, sync(STEP1, EMPTY))
            code, reason = await client.closed()
            assert (code, "token" in reason) == (4504, True)
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.open(graph)
            await asyncio.sleep(0.2)
            await client.send(graph, sync(UPDATE, entry("k")))
            await client.until(graph, SAVED)


async def test_HOC_4_while_a_document_opens_the_socket_is_not_read_from_and_nothing_is_lost(
    database: Database, database_url: str
) -> None:
    doc, updates = recorded(6)
    entries = doc.get("map", type=Map)
    for number in range(300):
        entries[str(number)] = "x" * 10_000
    blocker = await asyncpg.connect(database_url)
    async with serving(database, database_url, unopened_bytes=20_000) as served:
        graph = await served.create_graph()
        async with HClient.connected(served.hocuspocus_url) as client:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE graphs IN ACCESS EXCLUSIVE MODE")
                await client.send(graph, auth("admin"))
                sending = asyncio.create_task(client.send(graph, *[sync(UPDATE, update) for update in updates]))
                await asyncio.wait([sending], timeout=0.5)
                assert await metric(served, "messages_received_total") < 100, "the bound and what one read brought in"
            await sending
            for _ in updates:
                await client.until(graph, SAVED)
        assert len(await map_of(served, graph)) == 300
    await blocker.close()


async def test_HOC_5_what_cannot_be_opened_now_closes_the_socket_for_a_while(
    database: Database, database_url: str
) -> None:
    blocker = await asyncpg.connect(database_url)
    async with serving(database, database_url, load_timeout_s=0.2) as served:
        graph, other = await served.create_graph(), await served.create_graph()
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.open(other)
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE crdt_operations IN ACCESS EXCLUSIVE MODE")
                await client.send(graph, auth("admin"))
                code, reason = await client.closed()
            assert (code, bool(reason)) == (4503, True)
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.open(graph)
    await blocker.close()


async def test_HOC_6_the_server_asks_only_after_it_was_asked_and_tells_who_is_present(
    served: Served, client: HClient
) -> None:
    graph = await served.create_graph()
    async with YClient(served.url(graph)) as other, HClient.connected(served.hocuspocus_url) as late:
        await client.open(graph)
        await client.send(graph, hclient.awareness(encode_awareness([Entry(5, 1, b'{"a":1}')])))
        await client.until(graph, bytes((1,)))
        await late.open(graph)
        told = await late.hear()
        ((number, clock, state),) = decode_awareness(read_bytes(told.message, 1)[0], 10)
        assert (number, clock) == (5, 1)
        assert state.startswith(b'{"a":1,"principal":')
        await other.edit(["map.set", "k", 1])
        assert (await late.hear()).message[:2] == bytes((0, UPDATE)), "and no Step1"
        for _ in range(2):
            await late.send(graph, sync(STEP1, EMPTY))
            assert [(await late.hear()).message[:2] for _ in range(2)] == [bytes((0, STEP1)), bytes((0, STEP2))]
        await late.send(graph, bytes((3,)))
        assert (await late.hear()).message == told.message


async def statuses(served: Served, client: HClient, graph: str) -> list[bytes]:
    """Return the statuses of all that was sent; the client asks by two Step1 meanwhile, and answers none."""
    await client.send(graph, sync(STEP1, EMPTY))
    heard = await client.until(graph, bytes((0, STEP2)))
    await eventually(lambda: metric(served, "uncommitted_bytes"), lambda count: count == 0)
    await client.send(graph, sync(STEP1, EMPTY))
    heard += await client.until(graph, bytes((0, STEP2)))
    return [frame.message for frame in heard if frame.message[0] == hclient.SYNC_STATUS]


async def test_HOC_7_one_status_for_each_update_and_for_the_answer_that_the_client_counts_on(
    served: Served, client: HClient
) -> None:
    graph = await served.create_graph()
    await client.open(graph)
    await client.send(graph, sync(STEP2, entry("unasked", client_id=1)))
    assert await statuses(served, client, graph) == []
    await client.send(graph, *[sync(UPDATE, entry("a", client_id=2))] * 2)
    await client.send(graph, *[sync(STEP2, entry(str(one), client_id=one)) for one in range(3, 8)])
    assert await statuses(served, client, graph) == [SAVED] * 4, "two updates, and two answers of five"
    assert len(await map_of(served, graph)) == 7


async def test_HOC_7_an_update_that_waits_for_another_has_no_status_before_that_one(
    served: Served, client: HClient
) -> None:
    graph = await served.create_graph()
    doc, updates = recorded(3)
    text = doc.get("text", type=Text)
    text += "a"
    text += "b"
    await client.open(graph)
    await client.send(graph, sync(UPDATE, updates[1]))
    assert (await client.hear()).message[:2] == bytes((0, STEP1)), "it is asked for what is missing"
    assert await statuses(served, client, graph) == []
    await client.send(graph, sync(STEP2, updates[0]))
    assert await statuses(served, client, graph) == [SAVED], "none for the answer to the server's own question"


async def test_HOC_8_who_may_only_read_is_told_and_refused(served: Served, client: HClient) -> None:
    graph = await served.create_graph()
    async with YClient(served.url(graph)) as editor:
        await editor.send_update(entry("there"))
        await editor.saved()
        await client.send(graph, auth("viewer"), sync(STEP1, EMPTY))
        heard = [frame.message for frame in await client.until(graph, bytes((0, STEP2)))]
        assert heard[0] == READ_ONLY
        assert hclient.payload_of(heard[-1]) == entry("there")
        await client.send(graph, sync(STEP2, b"\x00\x00"))
        assert (await client.hear()).message == SAVED, "an answer with nothing new is no attempt to write"
        await client.send(graph, sync(UPDATE, entry("forbidden", client_id=9)), sync(UPDATE, entry("there")))
        assert [(await client.hear()).message for _ in range(2)] == [NOT_SAVED, SAVED]
        await client.send(graph, sync(STEP1, EMPTY), sync(STEP2, entry("forbidden", client_id=9)))
        assert (await client.until(graph, bytes((8,))))[-1].message == NOT_SAVED
        await editor.edit(["map.set", "news", 1])
        await client.until(graph, bytes((0, UPDATE)))
    assert await map_of(served, graph) == {"there": 1, "news": 1}


async def test_HOC_9_stateless_messages_go_to_all_others_who_speak_this_dialect(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, stateless_bytes=100) as served:
        graph, other = await served.create_graph(), await served.create_graph()
        async with (
            HClient.connected(served.hocuspocus_url) as sender,
            HClient.connected(served.hocuspocus_url) as receiver,
            HClient.connected(served.hocuspocus_url) as viewer,
            YClient(served.url(graph)) as stock,
        ):
            await sender.open(graph)
            await sender.open(f"{graph}\0second")
            await receiver.open(other)
            await receiver.open(graph)
            await viewer.open(graph, "viewer")
            frames = stock.inbound_frames
            await viewer.send(graph, hclient.stateless("dropped"))
            await viewer.send(graph, sync(STEP1, EMPTY))
            await viewer.until(graph, bytes((0, STEP2)))
            await sender.send(graph, hclient.stateless("wörld"))
            assert await receiver.hear() == Frame(graph, hclient.stateless("wörld"))
            assert await viewer.hear() == Frame(graph, hclient.stateless("wörld"))
            assert await sender.hear() == Frame(f"{graph}\0second", hclient.stateless("wörld"))
            await stock.saved()
            assert stock.inbound_frames == frames + 1
            await sender.send(graph, hclient.stateless("x" * 101))
            assert (await sender.closed())[0] == 4413
            await receiver.send(graph, sync(UPDATE, entry("k")))
            await receiver.until(graph, SAVED)


async def test_HOC_10_close_ends_one_document_and_is_answered_to_who_can_read_it(
    served: Served, client: HClient
) -> None:
    graph, other = await served.create_graph(), await served.create_graph()
    await client.open(other)
    for version, answers in (("4.8.0", 1), (None, 0)):
        await client.open(graph, version=version)
        await client.send(graph, bytes((7,)), hclient.awareness(EMPTY))
        await client.send(other, sync(UPDATE, entry("k")))
        heard = await client.until(other, SAVED)
        assert [frame.message[0] for frame in heard].count(7) == answers
    assert await metric(served, "hocuspocus_documents") == 1
    await client.send(str(new_id()), bytes((7,)))
    await client.open(graph)


async def test_HOC_10_a_deleted_graph_closes_its_document_or_the_socket_of_who_cannot_read_that(
    served: Served, client: HClient
) -> None:
    graph, other = await served.create_graph(), await served.create_graph()
    async with HClient.connected(served.hocuspocus_url) as old, served.http() as http:
        await client.open(graph)
        await client.open(other)
        await old.open(graph, version=None)
        assert (await http.delete(f"/api/graphs/{graph}")).status_code == 204
        assert (await client.hear()).message == bytes((7,)) + hclient.string("this graph was deleted")
        assert await old.closed() == (4404, "this graph was deleted")
        await client.send(graph, sync(UPDATE, entry("late")), auth("admin"))
        assert await client.hear() == Frame(graph, NO_SUCH_GRAPH)
        await client.send(other, sync(UPDATE, entry("k")))
        assert await client.hear() == Frame(other, SAVED)


async def test_HOC_11_a_second_token_counts(served: Served, client: HClient) -> None:
    graph = await served.create_graph()
    await client.open(graph)
    await client.send(graph, auth("admin"), sync(UPDATE, entry("a", client_id=1)))
    assert (await client.hear()).message == SAVED, "and nothing else"

    async def told(update: bytes) -> bytes:
        await client.send(graph, sync(UPDATE, update))
        return (await client.until(graph, bytes((8,))))[-1].message

    await client.send(graph, auth("viewer"))
    numbers = iter(range(2, 10_000))

    async def refusal() -> bytes:
        return await told(entry("b", client_id=next(numbers)))

    await eventually(refusal, lambda status: status == NOT_SAVED)
    async with YClient(served.url(graph)) as other:
        await other.edit(["map.set", "c", 1])
        await client.until(graph, bytes((0, UPDATE)))
        await client.send(graph, auth("admin"))
        await eventually(refusal, lambda status: status == SAVED)
    await client.send(graph, auth("stranger"))
    assert await client.until(graph, b"\x02\x01")
    assert await metric(served, "hocuspocus_documents") == 0


async def test_HOC_12_who_hears_nothing_is_sent_a_ping_or_an_empty_presence(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, liveness_tick_s=0.02) as served:
        graph = await served.create_graph()
        async with (
            HClient.connected(served.hocuspocus_url) as new,
            HClient.connected(served.hocuspocus_url) as old,
            HClient.connected(served.hocuspocus_url) as denied,
        ):
            await new.open(graph)
            await old.open(graph, version=None)
            await denied.send("x", auth("admin"))
            await denied.hear()
            for _ in range(3):
                async with asyncio.timeout(hclient.WAIT_S):
                    assert await new.socket.recv() == hclient.PING
                await new.socket.send(hclient.PONG)
                assert await old.hear() == Frame(graph, hclient.awareness(EMPTY))
                assert await denied.hear() == Frame("x", hclient.awareness(EMPTY))


def malformed(graph: str) -> list[bytes | str]:
    address = hclient.string(graph)
    bodies = [
        bytes((4, 0)) + hclient.string(EMPTY),  # SyncReply
        bytes((6,)) + hclient.string("all"),  # BroadcastStateless
        bytes((8, 1)),
        bytes((9,)),
        bytes((10,)),
        bytes((11,)),
        bytes((102,)),
        bytes((0, 3)) + hclient.string(EMPTY),
        bytes((2, 1)) + hclient.string("denied"),
        bytes((2, 0)) + hclient.string(b"\xff"),
        bytes((5,)) + hclient.string(b"\xff"),
        sync(STEP1, EMPTY) + b"\x00",
        auth("admin", "4") + b"\x00",
        bytes((3, 0)),
        bytes((7, 0)),
        sync(UPDATE, entry("k"))[:-1],
        sync(STEP1, b"\x05"),
        hclient.awareness(b"\x05"),
        sync(UPDATE, nested_arrays(30_000)),
        bytes((2, 0)) + hclient.string("x" * 70_000),
        b"",
    ]
    others = [
        b"",
        hclient.PING,
        b"\xff" * 20,
        hclient.string(b"\xff") + auth("admin"),
        hclient.string("x" * 5_000) + b"\x07",
    ]
    return [*[address + body for body in bodies], *others, "text"]


async def test_HOC_13_what_no_client_sends_closes_its_connection_and_nobody_elses(
    served: Served, client: HClient
) -> None:
    graph = await served.create_graph()
    await client.open(graph)
    for frame in malformed(graph):
        async with HClient.connected(served.hocuspocus_url) as hostile:
            await hostile.open(graph)
            await hostile.socket.send(frame)
            code, reason = await hostile.closed()
            assert (code, bool(reason)) == (4400, True), frame
    await client.send(graph, sync(UPDATE, entry("alive")))
    await client.until(graph, SAVED)
    assert await map_of(served, graph) == {"alive": 1}


async def test_HOC_13_what_was_kept_and_turns_out_malformed_closes_its_connection(
    served: Served, client: HClient
) -> None:
    await client.send(await served.create_graph(), sync(UPDATE, nested_arrays(30_000)), auth("admin"))
    assert (await client.closed())[0] == 4400


async def test_LIMIT_1_and_HOC_2_of_what_was_kept_nothing_is_taken_after_what_is_too_large(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, update_bytes=2_000, stateless_bytes=100) as served:
        graph = await served.create_graph()
        for too_large in (sync(UPDATE, entry("k", "x" * 3_000)), hclient.stateless("x" * 101)):
            async with HClient.connected(served.hocuspocus_url) as client:
                await client.send(graph, too_large, sync(UPDATE, entry("late")), auth("admin"))
                assert (await client.closed())[0] == 4413
        assert await map_of(served, graph) == {}


async def test_HOC_2_what_was_kept_takes_turns(database: Database, database_url: str, monkeypatch: Any) -> None:
    taken: list[int] = []
    take_turn = Connection.take_turn

    def counted(connection: Connection) -> bool:
        taken.append(connection._report.messages)
        return take_turn(connection)

    monkeypatch.setattr(Connection, "take_turn", counted)
    async with serving(database, database_url) as served:
        graph = await served.create_graph()
        async with HClient.connected(served.hocuspocus_url) as client:
            kept = [entry("k", "x" * 10_000, client_id=number) for number in range(1, 21)]
            await client.send(graph, *[sync(UPDATE, update) for update in kept], auth("admin"))
            for _ in kept:
                await client.until(graph, SAVED)
    assert len(taken) >= 9, "two of them are more than a turn takes"


async def test_HOC_14_and_DOOR_10_a_line_tells_of_each_document_and_one_of_the_connection(served: Served) -> None:
    graph = await served.create_graph()
    with structlog.testing.capture_logs() as lines:
        async with HClient.connected(served.hocuspocus_url) as client:
            await client.open(graph, "viewer")
            await client.open(f"{graph}\0two")
            await client.send(f"{graph}\0two", bytes((7,)))
            await client.until(f"{graph}\0two", bytes((7,)))

        async def ended() -> list[Any]:
            return [line for line in lines if line["event"] == "connection ended"]

        (connection,) = await eventually(ended, bool)
    documents = [line for line in lines if line["event"] == "document left"]
    assert [(line["graph"], line["read_only"], line["code"], line["reason"]) for line in documents] == [
        (graph, False, None, "the client left"),
        (graph, True, 1000, ""),
    ]
    assert {line["connection"] for line in documents} == {connection["connection"]}
    assert (connection["documents"], connection["graph"], connection["code"]) == (2, None, 1000)
    assert all(UUID(line["user"]) for line in documents)


async def test_HOC_5_a_stop_closes_the_socket_with_1012(database: Database, database_url: str) -> None:
    async with serving(database, database_url) as served:
        graph = await served.create_graph()
        connection = HClient.connected(served.hocuspocus_url)
        client = await connection.__aenter__()
        await client.open(graph)
        await client.send(graph, sync(UPDATE, entry("last")))
    assert (await client.closed())[0] == 1012
    await connection.__aexit__(None, None, None)


async def test_HOC_7_statuses_of_one_document_may_not_pile_up_and_hold_up_no_other(served: Served) -> None:
    graph, other = await served.create_graph(), await served.create_graph()
    doc, updates = recorded(3)
    text = doc.get("text", type=Text)
    text += "missing"
    text += "waits"
    empty = sync(UPDATE, b"\x00\x00")
    async with HClient.connected(served.hocuspocus_url) as client:
        await client.open(graph)
        await client.open(other)
        for _ in range(6_000):
            await client.send(other, empty)
        for _ in range(6_000):
            assert await client.hear() == Frame(other, SAVED)
        await client.send(graph, sync(UPDATE, updates[1]))
        with suppress(ConnectionClosed):
            for _ in range(5_000):
                await client.send(graph, empty)
                await client.send(other, empty)
        assert (await client.closed())[0] == 4500, "what they wait for would have to be read"


async def test_ROOM_8_a_document_opened_while_its_socket_reads_too_slowly_is_queued_nothing(
    database: Database, database_url: str
) -> None:
    doc, updates = recorded(6)
    entries = doc.get("map", type=Map)
    for number in range(1_000):
        entries[f"k{number % 20}"] = f"{number} " + "x" * 10_000
    async with serving(database, database_url, write_buffer_bytes=20_000) as served:
        first, second = await served.create_graph(), await served.create_graph()
        async with (
            connect(served.hocuspocus_url, max_queue=1, max_size=None, close_timeout=0.1) as socket,
            HClient.connected(served.hocuspocus_url) as author,
        ):
            slow = HClient(socket)
            await slow.open(first)
            for graph in (first, second):
                await author.open(graph)
            for update in updates:
                await author.send(first, sync(UPDATE, update))
            await author.until(first, SAVED)
            await slow.send(second, auth("admin"), sync(STEP1, EMPTY))
            await eventually(lambda: metric(served, "hocuspocus_documents"), lambda count: count == 4)
            for update in updates:
                await author.send(second, sync(UPDATE, update))
            for _ in updates:
                await author.until(second, SAVED)
            copies = {graph: recorded(7)[0] for graph in (first, second)}
            heard = 0
            last = {key: entries[key] for key in ("k18", "k19")}
            while any(copy.get("map", type=Map).get(key) != last[key] for copy in copies.values() for key in last):
                frame = await slow.hear()
                if frame.message[:2] in (bytes((0, STEP2)), bytes((0, UPDATE))):
                    copies[frame.address].apply_update(hclient.payload_of(frame.message))
                    heard += len(frame.message)
            assert heard < 15_000_000, "of 20 MB that were written"
