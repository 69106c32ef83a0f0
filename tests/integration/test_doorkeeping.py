"""What is turned away at the door before anybody asks who it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from persistence.database import Database
from server.app import bind, running
from server.door import everyone_is_admin
from server.settings import Settings
from tests.integration.served import Served, serving

WAIT_S = 20
NOBODYS_GRAPH = "01890000-0000-7000-8000-000000000000"
UPGRADE = (
    "upgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
PATHS = ["/", "/index.html", "/docs", "/docs/start.js", "/openapi.json", "/metrics", "/healthz", "/readyz"]
PATHS += ["/api/projects", "/nothing/here"]


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Served]:
    async with serving(database, database_url) as served:
        yield served


@pytest.fixture
async def opened(database: Database) -> AsyncIterator[Served]:
    """A server as `--open` makes it."""
    with bind("127.0.0.1", 0) as bound:
        async with running(Settings.with_options(open=True), database, everyone_is_admin, bound) as listener:
            await asyncio.sleep(0)
            yield Served(listener.port)


async def handshake(served: Served, path: str, headers: str) -> str:
    """The first line of the answer to a websocket handshake that is refused."""
    return await first_line(served, f"GET {path} HTTP/1.1\r\n{UPGRADE}{headers}\r\n")


async def first_line(served: Served, request: str) -> str:
    """The first line of the answer to a request, after which the connection has ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request.encode())
    try:
        async with asyncio.timeout(WAIT_S):
            return (await reader.read()).decode().partition("\r\n")[0]
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("//[", "host: x\r\n"),
        ("//[/sync/x", "host: x\r\n"),
        (f"/sync/{NOBODYS_GRAPH}", "host: x\r\nhost: x\r\n"),
        (f"/sync/{NOBODYS_GRAPH}", "host: x\r\norigin: http://x\r\norigin: http://x\r\n"),
        (f"/sync/{NOBODYS_GRAPH}", "host: x\r\nauthorization: Bearer admin\r\nauthorization: Bearer admin\r\n"),
        ("/hocuspocus", "host: x\r\nhost: x\r\n"),
        ("/hocuspocus", "host: x\r\norigin: http://x\r\norigin: http://x\r\n"),
    ],
)
async def test_DOOR_9_a_malformed_handshake_is_a_bad_request(served: Served, path: str, headers: str) -> None:
    assert (await handshake(served, path, headers)).startswith("HTTP/1.1 400")


async def test_DOOR_9_is_about_malformed_handshakes_only(served: Served) -> None:
    headers = "host: x\r\norigin: http://x\r\nauthorization: Bearer admin\r\n"
    assert (await handshake(served, f"/sync/{NOBODYS_GRAPH}", headers)).startswith("HTTP/1.1 404")


@pytest.mark.parametrize("path", [f"/sync/{NOBODYS_GRAPH}", "/hocuspocus"])
async def test_DOOR_2_and_HOC_1_no_page_elsewhere_opens_a_socket_of_an_open_server(opened: Served, path: str) -> None:
    own = f"127.0.0.1:{opened.port}"
    for headers in (f"host: evil.example:{opened.port}\r\n", f"host: {own}\r\norigin: http://evil.example\r\n"):
        assert (await handshake(opened, path, headers)).startswith("HTTP/1.1 403")


@pytest.mark.parametrize("path", PATHS)
async def test_DOOR_2_an_open_server_answers_no_path_to_others(opened: Served, path: str) -> None:
    foreign = [
        {"host": f"evil.example:{opened.port}"},
        {"origin": "http://evil.example"},
        {"origin": f"http://127.0.0.1:{opened.port + 1}"},
        {"origin": "null"},
    ]
    async with opened.http(None) as http:
        for headers in foreign:
            answer = await http.get(path, headers=headers)
            assert answer.status_code == 403, headers
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "forbidden"
            assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_DOOR_2_an_open_server_answers_this_machine(opened: Served, path: str) -> None:
    expected = 404 if path == "/nothing/here" else 200
    async with opened.http(None) as http:
        assert (await http.get(path)).status_code == expected
        assert (await http.get(path, headers={"origin": f"http://127.0.0.1:{opened.port}"})).status_code == expected


@pytest.mark.parametrize("name", ["host", "origin"])
async def test_DOOR_2_a_second_host_or_origin_is_foreign(opened: Served, name: str) -> None:
    own = f"host: 127.0.0.1:{opened.port}\r\norigin: http://127.0.0.1:{opened.port}\r\nconnection: close\r\n"
    foreign = {"host": "evil.example", "origin": "http://evil.example"}
    assert (await first_line(opened, f"GET /metrics HTTP/1.1\r\n{own}\r\n")).startswith("HTTP/1.1 200")
    doubled = f"GET /metrics HTTP/1.1\r\n{own}{name}: {foreign[name]}\r\n\r\n"
    assert (await first_line(opened, doubled)).startswith("HTTP/1.1 403")
