"""DOOR-1 to DOOR-8, and the rules of rooms that a client sees, through real sockets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from pycrdt import Map, Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from collab.wire import sync
from collab.wire.awareness import Entry, decode_awareness, encode_awareness
from persistence.database import Database
from persistence.identifiers import new_id
from tests.clients.eventually import eventually
from tests.clients.messages import messages
from tests.clients.yclient import YClient
from tests.integration.served import Served, serving
from tests.unit.documents import nested_arrays, recorded

WAIT_S = 20


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Served]:
    async with serving(database, database_url) as server:
        yield server


async def status_of(url: str, **options: Any) -> int:
    try:
        async with connect(url, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def receive(socket: ClientConnection, kind: type[Any]) -> Any:
    """Return the next message of this kind."""
    async with asyncio.timeout(WAIT_S):
        while True:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            for message in messages(frame):
                if isinstance(message, kind):
                    return message


async def close_of(socket: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(WAIT_S):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return socket.close_code or 0, socket.close_reason or ""


async def test_DOOR_1_who_may_not_come_in_is_told_at_the_upgrade(served: Served) -> None:
    graph = await served.create_graph()
    assert await status_of(served.url(graph)) == 101
    assert await status_of(served.url(graph, None)) == 401
    assert await status_of(served.url(graph, "nobody")) == 401
    assert await status_of(served.url(graph, "stranger")) == 404, "as if it did not exist"
    assert await status_of(served.url(new_id())) == 404
    for name in ("constructor", "__proto__", "a%2Fb", "*", "%00", f"{graph}%00", f"{{{graph}}}", f"{graph}/x", ""):
        assert await status_of(served.url(name)) == 404, name
    assert await status_of(served.url("x" * 300)) == 414
    assert await status_of(served.url(graph).replace("/sync/", "/elsewhere/")) == 404


async def test_DOOR_1_the_token_also_comes_as_header_or_sub_protocol(served: Served) -> None:
    url = served.url(await served.create_graph(), None)
    assert await status_of(url, additional_headers={"Authorization": "Bearer admin"}) == 101
    async with connect(url, subprotocols=["admin"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "admin", "browsers insist on it"
    assert await status_of(url, subprotocols=["nobody"]) == 401


async def test_DOOR_3_a_malformed_message_closes_its_connection_with_a_reason_and_nobody_elses(served: Served) -> None:
    url = served.url(await served.create_graph())
    killers = {
        "bricks the document": bytes.fromhex(
            "0101fff685989401010080000100010180a1de0b00040101741268656c6c6f20f09f87bfc3a920776f726c6400"
        ),
        "overflows the stack": nested_arrays(30_000),
        "trailing bytes": b"\x00\x00\x00",
    }
    async with YClient(url) as witness:
        for update in killers.values():
            async with connect(url) as socket:
                await socket.send(sync.update(update).payload)
                code, reason = await close_of(socket)
                assert code == 4400
                assert reason
        for frame in (b"\x00\x07\x00", b"\x00", b"\x01\x05abc", b"\x00\x00\x01\x05"):
            async with connect(url) as socket:
                await socket.send(frame)
                assert (await close_of(socket))[0] == 4400, frame
        async with connect(url) as socket:
            await socket.send("text")
            assert (await close_of(socket))[0] == 4400
        await witness.edit(["map.set", "alive", True])
        await witness.saved()
    async with YClient(url) as late:
        assert (await late.content()).map == {"alive": True}


async def test_ROOM_4_more_acknowledgements_than_a_client_may_have_outstanding_all_come(served: Served) -> None:
    doc, updates = recorded(3)
    entries = doc.get("map", type=Map)
    for number in range(3_000):
        entries["k"] = number
    async with connect(served.url(await served.create_graph())) as socket:
        sending = b"".join(sync.update(update).payload for update in updates[:100])
        for number, update in enumerate(updates):
            await socket.send(sync.update(update).payload if number else sending)
            await socket.send(b"\x66%d" % number)
        for number in range(len(updates)):
            assert (await receive(socket, sync.Acknowledge)).frame == b"\x66%d" % number


async def test_ROOM_5_acknowledgements_for_what_never_becomes_whole_are_bounded(served: Served) -> None:
    doc, updates = recorded(3)
    text = doc.get("text", type=Text)
    text += "missing"
    text += "waits"
    async with connect(served.url(await served.create_graph())) as socket:
        await socket.send(sync.update(updates[1]).payload)
        with suppress(ConnectionClosed):
            for number in range(5_000):
                await socket.send(b"\x66%d" % number)
        assert (await close_of(socket))[0] == 4500


async def test_WIRE_6_an_unknown_message_is_skipped(served: Served) -> None:
    async with connect(served.url(await served.create_graph())) as socket:
        await socket.send(b"\x63whatever")
        await socket.send(b"\x66still here")
        assert (await receive(socket, sync.Acknowledge)).frame == b"\x66still here"


async def test_WIRE_5_a_frame_without_a_message_is_none(served: Served) -> None:
    async with connect(served.url(await served.create_graph())) as socket:
        await socket.send(b"")
        await socket.send(b"\x66still here")
        assert (await receive(socket, sync.Acknowledge)).frame == b"\x66still here"


async def test_WIRE_5_several_messages_in_one_frame_are_taken_in_order(served: Served) -> None:
    doc, updates = recorded(3)
    text = doc.get("text", type=Text)
    text += "a"
    text += "b"
    async with connect(served.url(await served.create_graph())) as socket:
        await socket.send(
            sync.update(updates[0]).payload + sync.update(updates[1]).payload + sync.step1(b"\x00").payload + b"\x66x"
        )
        step2 = await receive(socket, sync.Update)
        assert step2.update == doc.get_update()
        assert (await receive(socket, sync.Acknowledge)).frame == b"\x66x"


@pytest.mark.parametrize("fragmented", [False, True])
async def test_DOOR_4_a_message_that_is_too_large_closes_with_4413(
    database: Database, database_url: str, fragmented: bool
) -> None:
    message = sync.update(b"\x00" * 20_000).payload
    parts = [message[at : at + 4_000] for at in range(0, len(message), 4_000)]
    async with serving(database, database_url, message_bytes=10_000) as served:
        graph = await served.create_graph()
        async with connect(served.url(graph)) as socket:
            with suppress(ConnectionClosed):
                await socket.send(iter(parts) if fragmented else message)
            assert (await close_of(socket))[0] == 4413


async def test_DOOR_5_large_updates_take_turns_and_survive_their_clients_leave(served: Served) -> None:
    url = served.url(await served.create_graph())

    async def push(number: int) -> None:
        doc, updates = recorded(100 + number)
        entries = doc.get("map", type=Map)
        for part in range(4):
            entries[f"{number}.{part}"] = "x" * 50_000
        async with connect(url) as socket:
            for update in updates:
                await socket.send(sync.update(update).payload)

    await asyncio.gather(*(push(number) for number in range(5)))
    async with YClient(url) as late:
        while len((await late.content()).map) < 20:
            await late.arrival()


def masked(opcode: int, payload: bytes) -> bytes:
    """One frame of a client, with a mask of zeros."""
    length = len(payload)
    head = bytes((0x80 | opcode, 0x80 | (length if length < 126 else 127)))
    return head + (b"" if length < 126 else length.to_bytes(8)) + b"\x00" * 4 + payload


async def raw(served: Served, graph: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose bytes are the test's, after its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        f"GET /sync/{graph}?token=admin HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    async with asyncio.timeout(WAIT_S):
        await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_DOOR_5_a_large_update_and_a_goodbye_in_one_write_are_both_heard(served: Served) -> None:
    graph = await served.create_graph()
    doc, updates = recorded(8)
    doc.get("map", type=Map)["large"] = "x" * 50_000
    reader, writer = await raw(served, graph)
    writer.write(masked(2, sync.update(updates[0]).payload) + masked(8, b"\x03\xe8"))
    async with asyncio.timeout(WAIT_S):
        await reader.read()
    writer.close()
    async with YClient(served.url(graph)) as late:
        assert "large" in (await late.content()).map


async def test_DOOR_5_a_refused_client_does_not_hold_up_the_line(served: Served) -> None:
    graph = await served.create_graph()
    reader, writer = await raw(served, graph)
    writer.write(masked(2, sync.update(b"\x00" * 50_000).payload) + masked(1, b"text"))
    async with asyncio.timeout(WAIT_S):
        await reader.read()
    writer.close()
    async with YClient(served.url(graph)) as other:
        await other.edit(["map.set", "large", "x" * 50_000])
        await other.saved()


async def test_DOOR_3_a_client_that_says_goodbye_and_does_not_read_is_gone_in_time(served: Served) -> None:
    graph = await served.create_graph()
    _reader, writer = await raw(served, graph)
    writer.write(masked(2, sync.awareness(encode_awareness([Entry(5, 1, b"{}")])).payload))
    async with connect(served.url(graph)) as other:
        while not decode_awareness((await receive(other, sync.Awareness)).update, 10):
            pass  # an empty presence
        writer.write(masked(8, b"\x03\xe8"))
        while decode_awareness((await receive(other, sync.Awareness)).update, 10)[0].state != b"null":
            pass
    writer.close()


async def test_DOOR_26_deleting_an_open_graph_leaves_the_server_alive(served: Served) -> None:
    for _ in range(3):
        graph = await served.create_graph()
        async with connect(served.url(graph)) as socket, served.http() as http:
            assert (await http.delete(f"/api/graphs/{graph}")).status_code == 204
            await close_of(socket)
    await asyncio.sleep(1.2)  # one look over the rooms
    async with served.http() as http:
        assert (await http.get("/healthz")).status_code == 200


async def test_LOG_5_while_nothing_can_be_committed_writers_are_not_read_from_and_nothing_is_lost(
    database: Database, database_url: str
) -> None:
    doc, updates = recorded(6)
    entries = doc.get("map", type=Map)
    for number in range(1_000):
        entries[str(number)] = "x" * 10_000
    blocker = await asyncpg.connect(database_url)
    async with serving(database, database_url, log_buffer_bytes=100_000, log_behind_s=0.1) as served:
        graph = await served.create_graph()

        async def uncommitted_bytes() -> float:
            async with served.http() as http:
                return float(
                    re.findall(r"(?m)^layercake_uncommitted_bytes (\S+)", (await http.get("/metrics")).text)[0]
                )

        async with connect(served.url(graph)) as socket:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
                sending = asyncio.gather(*(socket.send(sync.update(update).payload) for update in [*updates]))
                await eventually(uncommitted_bytes, lambda held: held >= 100_000)
                async with served.http() as http:
                    await eventually(lambda: _status(http, "/readyz"), lambda status: status == 503)
                assert await uncommitted_bytes() < 1_000_000, "the bound and what one read brought in"
            await sending
            await socket.send(b"\x66all")
            await receive(socket, sync.Acknowledge)
        assert await uncommitted_bytes() == 0
        async with YClient(served.url(graph)) as late:
            assert len((await late.content()).map) == 1_000
    await blocker.close()


async def _status(http: httpx.AsyncClient, path: str) -> int:
    return (await http.get(path)).status_code


async def test_ROOM_8_a_client_that_does_not_read_is_queued_nothing_and_converges_when_it_does(
    database: Database, database_url: str
) -> None:
    doc, updates = recorded(6)
    entries = doc.get("map", type=Map)
    for number in range(1_500):
        entries[f"k{number % 20}"] = f"{number} " + "x" * 10_000
    async with serving(database, database_url, write_buffer_bytes=20_000) as served:
        graph = await served.create_graph()
        async with connect(served.url(graph), max_queue=1, max_size=None) as slow:
            await slow.send(sync.step1(b"\x00").payload)
            async with connect(served.url(graph)) as author:
                for update in updates:
                    await author.send(sync.update(update).payload)
                await author.send(b"\x66done")
                await receive(author, sync.Acknowledge)
            async with served.http() as http:
                metrics = (await http.get("/metrics")).text
            assert float(re.findall(r"(?m)^layercake_times_behind_total (\S+)", metrics)[0]) >= 1
            copy, _ = recorded(7)
            heard = 0
            while copy.get("map", type=Map).to_py() != entries.to_py():
                copy.apply_update((await receive(slow, sync.Update)).update)
                heard += 1
            assert heard < len(updates)


async def test_ROOM_7_a_viewer_is_refused_and_told_while_its_presence_works(served: Served) -> None:
    graph = await served.create_graph()
    doc, updates = recorded(9)
    doc.get("map", type=Map)["forbidden"] = 1
    async with (
        connect(served.url(graph, "viewer")) as viewer,
        connect(served.url(graph)) as editor,
        YClient(served.url(graph)) as witness,
    ):
        await viewer.send(sync.step1(b"\x00").payload)
        await receive(viewer, sync.Update)
        await viewer.send(sync.update(updates[0]).payload + b"\x66never")
        async with asyncio.timeout(WAIT_S):
            while (denial := await viewer.recv())[:2] != b"\x02\x00":
                pass
        assert b"read" in bytes(denial)  # type: ignore[arg-type]
        await viewer.send(sync.awareness(encode_awareness([Entry(9, 1, b'{"user":"v"}')])).payload)
        seen = await receive(editor, sync.Awareness)
        (shown,) = decode_awareness(seen.update, 10)
        assert (shown.client, shown.clock, json.loads(shown.state)["user"]) == (9, 1, "v")
        await witness.edit(["map.set", "allowed", 1])
        update = await receive(viewer, sync.Update)
        fresh, _ = recorded(1)
        fresh.apply_update(update.update)
        assert fresh.get("map", type=Map).to_py() == {"allowed": 1}


async def test_DOOR_6_a_client_that_hears_nothing_is_sent_an_empty_presence(
    database: Database, database_url: str
) -> None:
    async with (
        serving(database, database_url, liveness_tick_s=0.02) as served,
        connect(served.url(await served.create_graph()), ping_interval=None) as socket,
    ):
        for _ in range(3):
            assert (await receive(socket, sync.Awareness)).update == b"\x00"


async def test_DOOR_6_a_client_that_answers_no_ping_is_cut(database: Database, database_url: str) -> None:
    async with serving(database, database_url, liveness_tick_s=0.02) as served:
        request = served.url(await served.create_graph()).removeprefix(f"ws://127.0.0.1:{served.port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            f"GET {request} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        with suppress(ConnectionResetError):
            async with asyncio.timeout(WAIT_S):
                heard = await reader.read(-1)
            assert b"\x89\x00" in heard, "it was pinged first"
        writer.close()


async def test_DOOR_7_health_readiness_and_metrics_answer(served: Served) -> None:
    async with served.http(None) as http:
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        assert (await http.get("/readyz")).status_code == 200
        metrics = (await http.get("/metrics")).text
        assert "layercake_oldest_unsaved_edit_age_seconds 0.0" in metrics
        docs = await http.get("/docs")
        assert docs.status_code == 200
        assert "http" not in docs.text.replace("https://", "").replace("<!doctype html", "")


async def test_DOOR_8_large_heads_are_refused_and_silent_connections_closed(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, header_bytes=2_000, request_timeout_s=0.2) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with asyncio.timeout(WAIT_S):
            assert await reader.read() == b"", "closed without a word"
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * 5_000)
        async with asyncio.timeout(WAIT_S):
            assert (await reader.read()).startswith(b"HTTP/1.1 431")
        writer.close()
        async with served.http() as http:
            assert (await http.get("/healthz", headers={"x-long": "y" * 1_000})).status_code == 200


async def test_DOOR_10_one_line_is_logged_when_a_connection_ends(served: Served) -> None:
    graph = await served.create_graph()
    with structlog.testing.capture_logs() as lines:
        async with connect(served.url(graph)) as socket:
            await socket.send(b"\x66hello")
            await receive(socket, sync.Acknowledge)
        assert await status_of(served.url(new_id())) == 404
        await eventually(lambda: _ended(lines), lambda ended: len(ended) == 2)
    joined, refused = await _ended(lines)
    assert (joined["graph"], joined["status"], joined["code"], joined["messages"]) == (graph, 101, 1000, 1)
    assert joined["received_bytes"] > 0
    assert joined["sent_bytes"] > 0
    assert (refused["graph"], refused["status"], refused["reason"]) == (None, 404, "there is no such graph")
    assert "token" not in str(lines)


async def _ended(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["event"] == "connection ended"]


async def test_a_deleted_graph_closes_its_connections_with_4404(served: Served) -> None:
    graph = await served.create_graph()
    async with connect(served.url(graph)) as socket, served.http() as http:
        assert (await http.delete(f"/api/graphs/{graph}")).status_code == 204
        assert (await close_of(socket))[0] == 4404
    assert await status_of(served.url(graph)) == 404


async def test_a_read_over_http_is_that_of_the_live_document(served: Served) -> None:
    graph = await served.create_graph()
    doc, updates = recorded(4)
    nodes = doc.get("nodes", type=Map)
    nodes["b"] = Map({"label": "B", "weight": 2.0})
    nodes["a"] = Map({"label": "A"})
    async with connect(served.url(graph)) as socket, served.http() as http:
        for update in updates:
            await socket.send(sync.update(update).payload)
        await socket.send(b"\x66")
        await receive(socket, sync.Acknowledge)
        live = (await http.get(f"/api/graphs/{graph}")).json()
    assert [(node["id"], node["label"], node["weight"]) for node in live["nodes"]] == [("a", "A", None), ("b", "B", 2)]


async def test_HUB_5_a_stop_stores_what_came_in_and_says_1012(database: Database, database_url: str) -> None:
    doc, updates = recorded(4)
    entries = doc.get("map", type=Map)
    for number in range(200):
        entries[f"k{number}"] = number
    async with serving(database, database_url) as served:
        graph = await served.create_graph()
        socket = await connect(served.url(graph))
        for update in updates:
            await socket.send(sync.update(update).payload)
        await socket.send(b"\x66all")
        await receive(socket, sync.Acknowledge)
        closing = asyncio.create_task(close_of(socket))
    assert (await closing)[0] == 1012
