"""WEBSEC-1 to WEBSEC-4 and WEBSEC-6: names, pages and proxies, at both doors of a server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.policy import Principal
from collab.doorkeeper import Visitor
from persistence.database import Database
from server.app import bind, running
from server.settings import Settings
from server.visitors import ACCESS_COOKIE
from tests.clients.eventually import eventually
from tests.integration.served import Served, by_token
from tests.integration.test_doorkeeping import NOBODYS_GRAPH, handshake

APP = "https://app.example"
EVIL = "https://evil.example"
SYNC, HOCUSPOCUS = f"/sync/{NOBODYS_GRAPH}?token=admin", "/hocuspocus"
NO_SUCH_GRAPH, ADMITTED = 404, 101


class Doors(Served):
    """Both doors of a server, and whom its authenticator was shown."""

    seen: list[Visitor]

    async def websocket(self, path: str, headers: Mapping[str, str]) -> int:
        url = f"ws://127.0.0.1:{self.port}{path}"
        try:
            async with connect(url, additional_headers=headers, compression=None, close_timeout=1):
                return ADMITTED
        except InvalidStatus as error:
            return error.response.status_code


@asynccontextmanager
async def doors(database: Database, **changed: Any) -> AsyncIterator[Doors]:
    seen: list[Visitor] = []

    async def authenticate(visitor: Visitor, token: str | None) -> Principal:
        seen.append(visitor)
        return await by_token(visitor, token)

    with bind("127.0.0.1", 0) as bound:
        async with running(Settings.with_options(**changed), database, authenticate, bound) as listener:
            await asyncio.sleep(0)
            served = Doors(listener.port)
            object.__setattr__(served, "seen", seen)
            yield served


async def test_WEBSEC_1_no_page_elsewhere_opens_a_socket_or_changes_anything(database: Database) -> None:
    async with doors(database) as served, served.http(None) as http:
        for origin in (EVIL, "null", f"https://127.0.0.1:{served.port}", f"http://127.0.0.1:{served.port + 1}"):
            headers = {"origin": origin}
            assert await served.websocket(SYNC, headers) == 403
            assert await served.websocket(HOCUSPOCUS, headers) == 403
            for refused in (
                await http.post("/api/projects", headers=headers, json={"name": "p"}),
                await http.post("/nothing/there", headers=headers),
                await http.get("/api/projects", headers=headers | {"authorization": "Bearer admin"}),
                await http.get("/api/projects", headers=headers | {"cookie": f"{ACCESS_COOKIE}=admin"}),
            ):
                assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
                assert "LAYERCAKE_ALLOWED_ORIGINS" in refused.json()["detail"]
            assert (await http.get("/", headers=headers)).status_code == 200
            assert (await http.get("/api/projects", headers=headers)).status_code == 401
        assert all(visitor.cookie is None for visitor in served.seen)


async def test_WEBSEC_1_our_own_page_does(database: Database) -> None:
    async with doors(database, public_url="https://layercake.example") as served, served.http() as http:
        assert (await http.get("/api/projects")).status_code == 200
        for origin in (f"https://127.0.0.1:{served.port}", "https://layercake.example"):
            assert await served.websocket(SYNC, {"origin": origin}) == NO_SUCH_GRAPH
            assert await served.websocket(HOCUSPOCUS, {"origin": origin}) == ADMITTED
            assert (await http.get("/api/projects", headers={"origin": origin})).status_code == 200


async def test_WEBSEC_1_our_own_page_does_without_any_setting(database: Database) -> None:
    async with doors(database) as served, served.http() as http:
        headers = {"origin": f"http://127.0.0.1:{served.port}"}
        assert await served.websocket(SYNC, headers) == NO_SUCH_GRAPH
        assert await served.websocket(HOCUSPOCUS, headers) == ADMITTED
        assert (await http.get("/api/projects", headers=headers)).status_code == 200


async def test_WEBSEC_2_other_names_are_refused_at_every_door(database: Database) -> None:
    async with doors(database, allowed_hosts="layercake.internal") as served, served.http() as http:
        for path in (SYNC, HOCUSPOCUS):
            assert (await handshake(served, path, "host: evil.example\r\n")).startswith("HTTP/1.1 403")
        for path in ("/", "/healthz", "/api/projects", "/nothing"):
            refused = await http.get(path, headers={"host": "evil.example"})
            assert (refused.status_code, "LAYERCAKE_ALLOWED_HOSTS" in refused.text) == (403, True)
        for host in ("layercake.internal", f"127.0.0.1:{served.port}"):
            assert (await http.get("/api/projects", headers={"host": host})).status_code == 200
        first = await handshake(served, SYNC, "host: layercake.internal\r\n")
        assert first.startswith("HTTP/1.1 404")


async def test_WEBSEC_3_a_page_that_is_allowed_uses_tokens_and_no_cookies(database: Database) -> None:
    cookie = {"cookie": f"{ACCESS_COOKIE}=admin"}
    async with doors(database, allowed_origins=APP) as served, served.http(None) as http:
        bearer = {"authorization": "Bearer admin", "origin": APP}
        allowed = await http.get("/api/projects", headers=bearer | cookie)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == APP
        assert "access-control-allow-credentials" not in allowed.headers
        assert await served.websocket(SYNC, {"origin": APP, **cookie}) == NO_SUCH_GRAPH
        assert await served.websocket(HOCUSPOCUS, {"origin": APP, **cookie}) == ADMITTED
        assert [visitor.cookie for visitor in served.seen] == [None, None]
        await http.get("/api/projects", headers=cookie)
        await served.websocket(SYNC, {"origin": f"http://127.0.0.1:{served.port}", **cookie})
        await served.websocket(SYNC, cookie)
        assert [visitor.cookie for visitor in served.seen[-3:]] == ["admin", "admin", None]


async def test_WEBSEC_3_cors_is_answered_for_pages_that_are_allowed_only(database: Database) -> None:
    asked = {"access-control-request-method": "DELETE", "access-control-request-headers": "authorization"}
    async with doors(database, allowed_origins=APP) as served, served.http(None) as http:
        allowed = await http.options("/api/projects", headers={"origin": APP, **asked})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == APP
        assert "DELETE" in allowed.headers["access-control-allow-methods"]
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        for answer in (
            await http.options("/api/projects", headers={"origin": EVIL, **asked}),
            await http.get("/api/projects", headers={"origin": EVIL}),
        ):
            assert "access-control-allow-origin" not in answer.headers
    async with doors(database) as served, served.http(None) as http:
        answer = await http.options("/api/projects", headers={"origin": APP, **asked})
        assert not [name for name in answer.headers if name.startswith("access-control")]


FORWARDED = {
    "x-forwarded-for": "6.6.6.6, 192.0.2.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "layercake.example",
    "origin": "https://layercake.example",
}


async def test_WEBSEC_4_behind_a_trusted_proxy_both_doors_see_the_client(database: Database) -> None:
    async with doors(database, trusted_proxies="127.0.0.0/8") as served, served.http() as http:
        with structlog.testing.capture_logs() as logs:
            assert (await http.get("/api/projects", headers=FORWARDED)).status_code == 200
            assert await served.websocket(SYNC, FORWARDED) == NO_SUCH_GRAPH
            assert await served.websocket(HOCUSPOCUS, FORWARDED) == ADMITTED

            async def addresses() -> list[str]:
                return [line["address"] for line in logs if line["event"] == "connection ended"]

            assert await eventually(addresses, lambda found: len(found) == 2) == ["192.0.2.7", "192.0.2.7"]
        assert {(visitor.address, visitor.host, visitor.is_secure) for visitor in served.seen} == {
            ("192.0.2.7", "layercake.example", True)
        }


async def test_WEBSEC_4_of_anybody_else_nothing_is_believed(database: Database) -> None:
    forwarded = {name: value for name, value in FORWARDED.items() if name != "origin"}
    async with doors(database, trusted_proxies="10.0.0.0/8") as served, served.http() as http:
        await http.get("/api/projects", headers=forwarded)
        await served.websocket(SYNC, forwarded)
        await served.websocket(HOCUSPOCUS, forwarded)
        assert {(visitor.address, visitor.host, visitor.is_secure) for visitor in served.seen} == {
            ("127.0.0.1", f"127.0.0.1:{served.port}", False)
        }
        assert await served.websocket(SYNC, FORWARDED) == 403


async def test_WEBSEC_4_malformed_headers_break_nothing(database: Database) -> None:
    async with doors(database, trusted_proxies="127.0.0.0/8") as served, served.http() as http:
        for address in ("", ",", "unknown", "[::1", "x" * 5_000, "1.2.3.4, ,"):
            forwarded = {"x-forwarded-for": address, "x-forwarded-host": "", "x-forwarded-proto": ","}
            assert (await http.get("/api/projects", headers=forwarded)).status_code == 200
            assert await served.websocket(SYNC, forwarded) == NO_SUCH_GRAPH
        assert {visitor.address for visitor in served.seen} == {"127.0.0.1"}


async def test_WEBSEC_4_clients_of_one_proxy_have_a_share_each(database: Database) -> None:
    def client(number: int) -> dict[str, str]:
        return {"x-forwarded-for": f"192.0.2.{number}"}

    changed = {"trusted_proxies": "127.0.0.0/8", "connections_per_address": 1}
    async with doors(database, **changed) as served:
        url = f"ws://127.0.0.1:{served.port}{HOCUSPOCUS}"
        async with connect(url, additional_headers=client(1), close_timeout=1):
            assert await served.websocket(HOCUSPOCUS, client(2)) == ADMITTED
            assert await served.websocket(HOCUSPOCUS, client(1)) == 429
        await eventually(lambda: served.websocket(HOCUSPOCUS, client(1)), lambda status: status == ADMITTED)


PROTECTING = (
    "content-security-policy",
    "permissions-policy",
    "referrer-policy",
    "x-content-type-options",
    "cross-origin-opener-policy",
)


async def test_WEBSEC_6_every_answer_is_protected(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one to a request at which the server fails."""

    async def fails(*_: object) -> None:
        raise RuntimeError("at work")

    monkeypatch.setattr("persistence.projects.Projects.of_user", fails)
    monkeypatch.setattr("server.http.problems._log", structlog.testing.CapturingLogger())
    async with doors(database) as served, served.http() as http:
        for path, status in (
            ("/", 200),
            ("/docs", 200),
            ("/api/graphs/x", 404),
            ("/api/nothing", 404),
            ("/api/projects", 500),
        ):
            answer = await http.get(path)
            assert answer.status_code == status
            assert [name for name in PROTECTING if name not in answer.headers] == [], path
            assert (answer.headers.get("cache-control") == "no-store") is path.startswith("/api/")
            assert "strict-transport-security" not in answer.headers
        refused = await http.post("/api/projects", headers={"origin": EVIL})
        assert [name for name in PROTECTING if name not in refused.headers] == []


async def test_WEBSEC_6_where_people_come_by_tls_they_are_told_to(database: Database) -> None:
    async with doors(database, public_url="https://layercake.example") as served, served.http() as http:
        for path in ("/", "/api/projects", "/nothing"):
            assert (await http.get(path)).headers["strict-transport-security"] == "max-age=31536000"
