"""EDIT-5, LIFE-5: the server changes graphs that people have open, through its real doors."""

import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pycrdt import Map

from server.commands.remote import merge_remotely
from server.commands.sentences import UsageError
from server.settings import Settings
from tests.clients.eventually import eventually
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.faults.harness import COMMAND, Server
from workspace.tables import TableFile

NODES = 3_000


def table(label: str) -> bytes:
    rows = "".join(f"n{number},{label} {number}\n" for number in range(NODES))
    return f"id,label\n{rows}".encode()


async def merge(server: Server, graph: str, nodes: bytes, *, replace: bool = False) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as http:
        answer = await http.post(
            f"/api/graphs/{graph}/import", params={"replace": replace}, files={"nodes": ("nodes.csv", nodes)}
        )
        summary: dict[str, Any] = answer.raise_for_status().json()
        return summary


def labels(client: YClient) -> dict[str, str]:
    assert isinstance(client.replica, PycrdtReplica)
    nodes = client.replica.doc.get("nodes", type=Map)
    return {id_: nodes[id_]["label"] for id_ in nodes}


def rename(client: YClient, id_: str, label: str) -> bytes:
    """Change one node as a person would, in place, and return the update."""
    assert isinstance(client.replica, PycrdtReplica)
    nodes = client.replica.doc.get("nodes", type=Map)
    (update,) = client.replica.recording(lambda: nodes[id_].__setitem__("label", label))
    return update


@asynccontextmanager
async def two_people(server: Server, graph: str) -> AsyncIterator[tuple[YClient, YClient]]:
    async with YClient(server.sync_url(graph)) as one, YClient(server.sync_url(graph)) as two:
        yield one, two


async def edit_until(merged: asyncio.Event, person: YClient, ids: list[str], word: str) -> None:
    """Rename nodes all along the merge, and each of them once after it."""
    for id_ in itertools.cycle(ids):
        await person.send_update(rename(person, id_, "meanwhile"))
        await asyncio.sleep(0.001)
        if merged.is_set():
            break
    for id_ in ids:
        await person.send_update(rename(person, id_, f"{word} {id_}"))
    await person.saved()


async def test_EDIT_5_people_go_on_while_files_are_merged_into_their_graph(live_server: Server) -> None:
    graph = await live_server.create_graph()
    await merge(live_server, graph, table("first"))
    mine, yours = ([f"n{number}" for number in range(start, start + 10)] for start in (0, 10))
    merged = asyncio.Event()
    async with two_people(live_server, graph) as (one, two), asyncio.TaskGroup() as editing:
        editing.create_task(edit_until(merged, one, mine, "mine"))
        editing.create_task(edit_until(merged, two, yours, "yours"))
        summary = await merge(live_server, graph, table("second") + b"new,New\n")
        merged.set()
        assert summary["added"]["nodes"] == 1
        assert summary["changed"]["nodes"] >= NODES - 20

        expected = {f"n{number}": f"second {number}" for number in range(NODES)} | {"new": "New"}
        expected |= {id_: f"mine {id_}" for id_ in mine} | {id_: f"yours {id_}" for id_ in yours}

        async def seen() -> list[dict[str, str]]:
            return [labels(person) for person in (one, two)]

        await eventually(seen, lambda both: both == [expected, expected])
    async with httpx.AsyncClient(base_url=live_server.base_url) as http:
        events = (await http.get(f"/api/graphs/{graph}/events")).json()["items"]
    assert [event["event_type"] for event in events][:2] == ["graph.imported", "graph.imported"]
    assert events[0]["payload"]["added"]["nodes"] == 1


async def test_EDIT_5_a_command_merges_into_a_graph_that_is_open(live_server: Server, tmp_path: Path) -> None:
    graph = await live_server.create_graph()
    (tmp_path / "nodes.csv").write_bytes(b"id,label\na,A\nb,B\n")
    (tmp_path / "wrong.csv").write_bytes(b"id,label,belongs_to\nc,C,nobody\n")
    command = (COMMAND, "import", "--into", graph, "--data-dir", str(live_server.data_dir))
    async with YClient(live_server.sync_url(graph)) as person:
        done = await asyncio.to_thread(_run, *command, str(tmp_path / "nodes.csv"))
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "added: 2 nodes, 0 edges, 0 layers"), done.stderr

        async def seen() -> dict[str, str]:
            return labels(person)

        await eventually(seen, lambda labels: labels == {"a": "A", "b": "B"})
        refused = await asyncio.to_thread(_run, *command, str(tmp_path / "wrong.csv"))
        assert refused.returncode == 1
        assert "there is no node 'nobody'" in refused.stderr
        elsewhere = await asyncio.to_thread(
            _run, *command, "--server", "http://127.0.0.1:1", str(tmp_path / "nodes.csv")
        )
        assert elsewhere.returncode == 1
        assert "--server" in elsewhere.stderr


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", "[]"),
        ("200 OK", '"x"'),
        ("200 OK", "{}"),
        ("200 OK", "<html>"),
        ("302 Found", ""),
        ("404 Not Found", '{"code":"invalid_tables"}'),
        ("422 Unprocessable", '{"detail":[{"loc":["body"]}]}'),
        ("500 Internal Server Error", "[]"),
    ],
)
async def test_IMPORT_23_a_server_of_another_kind_is_told_from_ours(status: str, body: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nLocation: /\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        address = "http://{}:{}".format(*other.sockets[0].getsockname())
        with pytest.raises(UsageError, match="is no Layercake server") as raised:
            await merge_remotely(Settings(server=address), UUID(int=5), [TableFile("n.csv", b"id\na\n")], replace=False)
    assert status[:3] in str(raised.value)


async def test_IMPORT_23_an_address_that_is_none_is_told() -> None:
    for address in ("foo", "http://[", f"http://{'a' * 300}"):
        with pytest.raises(UsageError, match="--server"):
            await merge_remotely(Settings(server=address), UUID(int=5), [], replace=False)


def _run(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


async def test_LIFE_5_a_new_name_reaches_whoever_has_the_graph_open(live_server: Server) -> None:
    graph = await live_server.create_graph()
    async with (
        YClient(live_server.sync_url(graph)) as person,
        httpx.AsyncClient(base_url=live_server.base_url) as http,
    ):
        (await http.patch(f"/api/graphs/{graph}", json={"name": "Ferry", "description": "both"})).raise_for_status()
        assert isinstance(person.replica, PycrdtReplica)
        doc = person.replica.doc

        async def meta() -> dict[str, Any]:
            read: dict[str, Any] = doc.get("meta", type=Map).to_py() or {}
            return read

        await eventually(meta, lambda found: found == {"name": "Ferry", "description": "both"})


@pytest.mark.parametrize("replace", [False, True])
async def test_EDIT_5_a_client_that_was_away_during_imports_brings_its_edits_and_wipes_nothing(
    live_server: Server, replace: bool
) -> None:
    """Nothing is doubled, nothing that others did meanwhile is wiped, whatever was imported again."""
    graph = await live_server.create_graph()
    await merge(live_server, graph, b"id,label\na,A\nb,B\nc,C\n")
    async with YClient(live_server.sync_url(graph)) as person:
        await person.disconnect()
        kept = [rename(person, "a", "mine"), rename(person, "b", "mine")]
        assert kept
        await merge(live_server, graph, b"id,label\na,A\nb,again\nd,D\n", replace=replace)
        await merge(live_server, graph, b"id,label\na,A\nb,again\nd,D\n", replace=replace)
        await person.connect()
        await person.saved()
        expected = {"a": "mine", "b": "mine", "d": "D"} | ({} if replace else {"c": "C"})
        assert labels(person) == expected
        async with YClient(live_server.sync_url(graph)) as other:
            assert labels(other) == expected
