"""WEBSEC-8: no secret is in anything that a server writes, to its logs, to its folder or to its clients."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.typing import Subprotocol

from persistence.embedded import attach
from tests.clients.eventually import eventually
from tests.clients.hclient import HClient, auth
from tests.faults.harness import STOP_WITHIN_S, free_port
from tests.integration.test_backend_doors import add_graphs
from tests.unit.backend_signing import BAD, GRAPH, ISSUER, OTHER_GRAPH, SECRET, now, signed

CRASHING = "01994f3c-5d2a-7b1e-8c4f-00000000dead"
PROGRAM = f"""
from persistence.graphs import Graphs
from persistence.projects import Projects
role_in_graph = Graphs.role_in_graph

async def crash(self, caller):
    raise RuntimeError("a crash at work")

async def crash_at_one(self, caller, graph_id):
    if str(graph_id) == "{CRASHING}":
        raise RuntimeError("a crash at the door")
    return await role_in_graph(self, caller, graph_id)

Projects.of_user, Graphs.role_in_graph = crash, crash_at_one
from server.commands import main
main()
"""
MARK = "seCret0"
"""Is in every secret that is made up here; tokens are looked for by their claims and signatures."""
WAIT_S = 30


@dataclass
class Written:
    """What a server was told in confidence, and what it said."""

    secrets: set[str] = field(default_factory=lambda: {SECRET, MARK})
    said: list[str] = field(default_factory=list)

    def token(self, token: str) -> str:
        self.secrets |= set(token.split(".")[1:]) - {""}
        return token


def environment(**more: str) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "LAYERCAKE_LOG_FORMAT": "json", **more}


@asynccontextmanager
async def serving_backend(folder: Path) -> AsyncIterator[str]:
    """Run a server that knows people by the backend's tokens and crashes here and there; give its address."""
    port = free_port()
    backend = {"LAYERCAKE_BACKEND_ISSUER": ISSUER, "LAYERCAKE_BACKEND_SECRET": SECRET}
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, "serve", "--port", str(port), "--data-dir", str(folder / "data")),
            env=environment(**backend),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def is_ready() -> bool:
                with suppress(httpx.TransportError):
                    return (await http.get("/readyz")).status_code == httpx.codes.OK
                return False

            await eventually(is_ready, bool, 60)
        yield f"127.0.0.1:{port}"
        process.terminate()
        assert await asyncio.wait_for(process.wait(), STOP_WITHIN_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ask_by_http(address: str, written: Written, token: str) -> None:
    password = {"username": "ada", "password": f"{MARK} password", "refresh_token": f"lcr_{MARK}"}
    headers = {"authorization": f"Bearer {token}", "cookie": f"layercake_access={MARK}; layercake_refresh=lcr_{MARK}"}
    limits = httpx.Limits(max_keepalive_connections=0)  # a crash ends its connection
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=WAIT_S, limits=limits) as http:
        for path in ("/api/auth/login", "/api/auth/refresh", "/api/auth/password", "/api/invitations/accept"):
            written.said.append((await http.post(path, json=password)).text)
            written.said.append((await http.post(path, json=[password])).text)
            written.said.append((await http.post(path, content=f'{{"password": "{MARK}')).text)
        for path in ("/api/projects", f"/api/graphs/{GRAPH}", f"/api/graphs/{OTHER_GRAPH}", f"/api/graphs/{CRASHING}"):
            answer = await http.get(path, params={"token": f"{MARK} in a query"}, headers=headers)
            written.said.append(answer.text + str(answer.headers))
            await http.get(path, headers={"authorization": f"Basic {MARK}"})
        crash = await http.get("/api/projects", headers=headers)
        assert crash.status_code == 500


async def ask_by_websocket(address: str, written: Written, token: str) -> None:
    for graph_id in (GRAPH, OTHER_GRAPH, CRASHING, "nothing", MARK * 100):
        for sent in (token, f"{MARK}%", f"lcs_{MARK}", "x" * 9_000 + MARK):
            await handshake(f"ws://{address}/sync/{graph_id}?token={sent}")
    await handshake(f"ws://{address}/{MARK}?token={MARK}")
    await handshake(f"ws://{address}/hocuspocus?token={MARK}")
    await handshake(f"ws://{address}/sync/{GRAPH}", authorization=f"Bearer {token}", cookie=f"layercake_access={MARK}")
    await handshake(f"ws://{address}/sync/{OTHER_GRAPH}", authorization=f"Bearer {MARK}")
    with suppress(InvalidHandshake):
        async with connect(f"ws://{address}/sync/{OTHER_GRAPH}", subprotocols=[Subprotocol(MARK)]):
            pass
    for graph_id in (GRAPH, OTHER_GRAPH, CRASHING):
        for sent in (token, f"lcp_{MARK}"):
            async with HClient.connected(f"ws://{address}/hocuspocus") as client:
                await client.send(str(graph_id), auth(sent, "4.8.0"))
                with suppress(ConnectionClosed):
                    written.said.append(repr(await client.hear()))


async def handshake(url: str, **headers: str) -> None:
    with suppress(InvalidHandshake, InvalidMessage):
        async with connect(url, additional_headers=headers):
            pass


async def send_nonsense(address: str, written: Written) -> None:
    host, port = address.split(":")
    upgrade = "upgrade: websocket\r\nconnection: upgrade\r\n"
    for nonsense in (
        f"GET //[?token={MARK} HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n",
        (
            f"GET /sync/x?token={MARK} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {MARK}\r\n{upgrade}"
            f"authorization: Bearer {MARK}\r\n\r\n"
        ),
        f"{MARK} {MARK}\r\n\r\n",
        f"GET / HTTP/1.1\r\nhost: x\r\nauthorization Bearer {MARK}\r\n\r\n",
        f"GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {MARK * 10_000}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(nonsense.encode())
        with suppress(ConnectionResetError):  # what is too large is not read to its end
            async with asyncio.timeout(WAIT_S):
                written.said.append((await reader.read()).decode())
        writer.close()


def files_with(folder: Path, secrets: set[str]) -> list[tuple[str, str]]:
    """The files that hold a secret, and which."""
    found = []
    for file in (path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        found += [(str(file.relative_to(folder)), secret) for secret in secrets if secret.encode() in content]
    return found


async def test_WEBSEC_8_nothing_that_was_said_in_confidence_is_written_anywhere(tmp_path: Path) -> None:
    written = Written()
    async with serving_backend(tmp_path) as address:
        url = await attach(tmp_path / "data")
        assert url is not None
        owner = await asyncpg.connect(url)
        await add_graphs(owner)
        await owner.close()
        token = written.token(signed(now()))
        await ask_by_http(address, written, token)
        await ask_by_websocket(address, written, token)
        await send_nonsense(address, written)
        for make in BAD.values():
            sent = written.token(make(now()))
            await handshake(f"ws://{address}/sync/{GRAPH}?token={sent}")
            await handshake(f"ws://{address}/sync/{GRAPH}", authorization=f"Bearer {sent}")
    log = (tmp_path / "server.log").read_text()
    for event in ("a crash at work", "a crash at the door", "connection ended", "stopping"):
        assert event in log
    assert files_with(tmp_path, written.secrets) == []
    assert [one for one in written.said if any(secret in one for secret in written.secrets)] == []


@pytest.mark.parametrize(
    ("url", "program"),
    [
        ("postgresql://ada:{}@[::1/none", "main()"),
        ("postgresql://ada@127.0.0.1:1/none?password={}", "main()"),
        ("postgresql://ada:{}@127.0.0.1:1/none", "serving.open_store = None; main()"),
    ],
)
def test_WEBSEC_8_the_password_of_the_database_is_not_told(tmp_path: Path, url: str, program: str) -> None:
    """Whether the database cannot be reached, the URL makes no sense, or the command crashes with it in its hands."""
    ended = subprocess.run(
        [sys.executable, "-c", f"from server.commands import main, serving; {program}", "serve", "--port", "0"],
        env=environment(LAYERCAKE_DATABASE_URL=url.format(MARK), LAYERCAKE_DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert ended.returncode != 0
    assert ended.stderr
    assert MARK not in ended.stdout + ended.stderr
