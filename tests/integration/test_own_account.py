"""One's own account over HTTP, and what tokens and cookies are good for on both doors."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.policy import Role
from auth.tokens import Prefix, hash_token, make_opaque_token
from persistence.identifiers import new_id
from tests.clients import hclient
from tests.clients.eventually import eventually
from tests.clients.yclient import YClient
from tests.integration.people import PASSWORD, WRONG, Town, moment

NEW = "a new horse battery"
PAGE = {"X-Layercake": "page"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def served(adas_town: Town) -> Town:
    """The server, as if Ada alone had an account."""
    return adas_town


@pytest_asyncio.fixture(loop_scope="module")
async def ada(served: Town) -> AsyncIterator[httpx.AsyncClient]:
    """Ada, signed in by a program."""
    async with served.client((await served.tokens("Ada"))["access_token"]) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def page(served: Town) -> AsyncIterator[httpx.AsyncClient]:
    """Ada's page, signed in by cookies."""
    async with served.client() as client:
        body = {"username": "Ada", "password": PASSWORD, "browser": True}
        (await client.post("/api/auth/login", json=body, headers=PAGE)).raise_for_status()
        yield client


async def made(client: httpx.AsyncClient, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = await client.post("/api/auth/tokens", json={"name": "script", "scopes": scopes, **more})
    assert (answer.status_code, answer.headers.get("cache-control")) == (201, "no-store"), answer.text
    body: dict[str, Any] = answer.json()
    return body


async def graph_of(client: httpx.AsyncClient) -> str:
    project = (await client.post("/api/projects", json={"name": "Bridge"})).raise_for_status().json()
    graph = await client.post(f"/api/projects/{project['id']}/graphs", json={"name": "Deck"})
    return str(graph.raise_for_status().json()["id"])


async def refused(url: str, **headers: str) -> int:
    """The status by which a handshake is refused."""
    with pytest.raises(InvalidStatus) as raised:
        async with connect(url, additional_headers=headers):
            pass
    return raised.value.response.status_code


async def test_AUTH_8_sessions_are_listed_with_where_they_are(served: Town, ada: httpx.AsyncClient) -> None:
    async with served.client(address="127.0.0.9") as other:
        body = {"username": "Ada", "password": PASSWORD, "device": "Phone"}
        await other.post("/api/auth/login", json=body, headers={"user-agent": "x" * 600})

    here, there = (await ada.get("/api/auth/sessions")).json()["items"]

    assert (here["is_current"], here["device"], here["address"]) == (True, None, "127.0.0.1")
    assert here["user_agent"].startswith("python-httpx")
    assert (there["is_current"], there["device"], there["address"]) == (False, "Phone", "127.0.0.9")
    assert there["user_agent"] == "x" * 500
    assert moment(there["expires_at"]) - moment(there["created_at"]) == timedelta(days=30)


async def test_AUTH_8_and_AUTH_11_a_session_is_ended_from_another_device(served: Town, ada: httpx.AsyncClient) -> None:
    async with served.client((await served.tokens("Ada"))["access_token"]) as other:
        _, session = (await ada.get("/api/auth/sessions")).json()["items"]
        assert (await ada.delete(f"/api/auth/sessions/{session['id']}")).status_code == 204
        assert (await other.get("/api/auth/me")).status_code == 401
    assert (await ada.delete(f"/api/auth/sessions/{session['id']}")).status_code == 404
    assert len((await ada.get("/api/auth/sessions")).json()["items"]) == 1


async def test_AUTH_8_all_other_sessions_end_at_once(served: Town, ada: httpx.AsyncClient) -> None:
    others = [(await served.tokens("Ada"))["access_token"] for _ in range(2)]

    assert (await ada.delete("/api/auth/sessions")).status_code == 204
    assert (await ada.get("/api/auth/me")).status_code == 200
    for token in others:
        async with served.client(token) as other:
            assert (await other.get("/api/auth/me")).status_code == 401


async def test_AUTH_8_nobody_sees_or_ends_anothers_sessions_and_tokens(served: Town, ada: httpx.AsyncClient) -> None:
    await served.add("Eve", Role.ADMIN, is_admin=True)
    session = (await ada.get("/api/auth/sessions")).json()["items"][0]
    token = await made(ada, "read")
    async with served.client((await served.tokens("Eve"))["access_token"]) as eve:
        for path in (f"sessions/{session['id']}", f"tokens/{token['id']}"):
            theirs, nothing = (
                (await eve.delete(f"/api/auth/{path}")),
                await eve.delete(f"/api/auth/{path[:-36]}{UUID(int=7)}"),
            )
            assert theirs.status_code == nothing.status_code == 404
            assert theirs.text.replace(path[-36:], "") == nothing.text.replace(str(UUID(int=7)), "")
        assert len((await eve.get("/api/auth/sessions")).json()["items"]) == 1
        assert (await eve.get("/api/auth/tokens")).json()["items"] == []
    assert (await ada.get("/api/auth/me")).status_code == 200


async def test_AUTH_20_a_name_is_changed(ada: httpx.AsyncClient) -> None:
    assert (await ada.patch("/api/auth/me", json={})).json()["name"] == "Ada"
    assert (await ada.patch("/api/auth/me", json={"name": "Ada L."})).json()["name"] == "Ada L."
    known = (await ada.get("/api/auth/me")).json()
    assert (known["name"], known["username"]) == ("Ada L.", "Ada")


async def test_AUTH_21_a_password_is_changed_by_who_knows_the_old_one(served: Town, ada: httpx.AsyncClient) -> None:
    other = (await served.tokens("Ada"))["access_token"]

    async def change(old: str, new: str) -> httpx.Response:
        return await ada.put("/api/auth/password", json={"old_password": old, "new_password": new})

    assert (await change(WRONG, NEW)).json()["code"] == "wrong_password"
    assert (await change(PASSWORD, "x" * 11)).status_code == 422
    assert (await change(PASSWORD, "x" * 1025)).status_code == 422
    assert (await change(PASSWORD, NEW)).status_code == 204

    assert (await served.login("Ada")).status_code == 401
    assert (await served.login("Ada", NEW)).status_code == 200
    assert (await ada.get("/api/auth/me")).status_code == 200
    async with served.client(other) as client:
        assert (await client.get("/api/auth/me")).status_code == 401
    assert ("password.changed", None) in await served.audited()


async def test_AUTH_21_old_passwords_are_not_guessed_either(ada: httpx.AsyncClient) -> None:
    body = {"old_password": WRONG, "new_password": NEW}
    statuses = [(await ada.put("/api/auth/password", json=body)).status_code for _ in range(11)]

    assert statuses == [403] * 10 + [429]


async def test_AUTH_19_a_personal_access_token_is_shown_once(served: Town, ada: httpx.AsyncClient) -> None:
    token = await made(ada, "edit", "read", expires_in_days=2)

    assert token["token"].startswith("lcp_")
    assert token["scopes"] == ["read", "edit"]
    assert moment(token["expires_at"]) - moment(token["created_at"]) == timedelta(days=2)
    (listed,) = (await ada.get("/api/auth/tokens")).json()["items"]
    assert listed == {name: value for name, value in token.items() if name != "token"}
    async with served.client(token["token"]) as script:
        known = (await script.get("/api/auth/me")).json()
    assert (known["username"], known["credential"], known["scopes"]) == ("Ada", "token", ["read", "edit"])
    (used,) = (await ada.get("/api/auth/tokens")).json()["items"]
    assert datetime.now(UTC) - moment(used["last_used_at"]) < timedelta(minutes=2)
    assert moment(used["last_used_at"]).second == 0


async def test_AUTH_19_scopes_bound_what_a_token_does_over_http(served: Town, ada: httpx.AsyncClient) -> None:
    graph = f"/api/graphs/{await graph_of(ada)}"
    reading, editing, managing = [(await made(ada, scope))["token"] for scope in ("read", "edit", "manage")]
    async with served.client(reading) as script:
        assert (await script.get(graph)).status_code == 200
        assert (await script.patch(graph, json={"name": "x"})).status_code == 403
        assert (await script.post("/api/projects", json={"name": "x"})).status_code == 403
    for token in (editing, managing):
        async with served.client(token) as script:
            assert (await script.get(graph)).status_code == 404, "who may not read does not learn that it exists"
    async with served.client((await made(ada, "read", "edit"))["token"]) as script:
        assert (await script.patch(graph, json={"name": "x"})).status_code == 200


async def test_AUTH_19_a_read_token_is_a_read_only_socket(served: Town, ada: httpx.AsyncClient) -> None:
    graph = await graph_of(ada)
    reading, editing = [(await made(ada, *scopes))["token"] for scopes in (["read"], ["read", "edit"])]
    async with YClient(served.url(graph, editing)) as writer, YClient(served.url(graph, reading)) as reader:
        await reader.edit(["map.set", "forbidden", 1])
        await writer.edit(["map.set", "allowed", 1])
        await writer.saved()
        await eventually(reader.content, lambda content: "allowed" in content.map)
        assert "forbidden" not in (await writer.content()).map
    assert await refused(served.url(graph, "lcp_" + "A" * 43)) == 401


async def test_AUTH_19_a_revoked_or_expired_token_is_refused(served: Town, ada: httpx.AsyncClient) -> None:
    revoked, expired = await made(ada, "read"), await made(ada, "read", expires_in_days=1)
    assert (await ada.delete(f"/api/auth/tokens/{revoked['id']}")).status_code == 204
    await served.owner.execute(
        "UPDATE personal_access_tokens SET expires_at = now() - interval '1 second' WHERE id = $1", UUID(expired["id"])
    )
    for token in (revoked, expired):
        async with served.client(token["token"]) as script:
            assert (await script.get("/api/auth/me")).status_code == 401
    assert (await ada.get("/api/auth/tokens")).json()["items"] == []
    assert [action for action, _ in await served.audited()] == [
        "session.signed_in",
        *["token.created"] * 2,
        "token.revoked",
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["own"]},
        {"name": " ", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "expires_in_days": 0},
        {"name": "x", "scopes": ["read"], "expires_in_days": 99_999},
    ],
)
async def test_AUTH_19_a_token_that_makes_no_sense_is_refused(ada: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await ada.post("/api/auth/tokens", json=body)).status_code == 422


async def test_AUTH_19_a_person_has_a_hundred_tokens_at_most(served: Town, ada: httpx.AsyncClient) -> None:
    many = """
        INSERT INTO personal_access_tokens (id, user_id, name, token_hash, scopes)
        SELECT gen_random_uuid(), u.id, 'x', sha256(i::text::bytea), '{read}' FROM users u, generate_series(1, 99) i
        WHERE u.username = 'Ada'
    """
    await served.owner.execute(many)
    await made(ada, "read")

    answer = await ada.post("/api/auth/tokens", json={"name": "x", "scopes": ["read"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_tokens")


async def test_AUTH_20_a_token_changes_nothing_of_the_account(served: Town, ada: httpx.AsyncClient) -> None:
    token = await made(ada, "read", "edit", "manage")
    session = (await ada.get("/api/auth/sessions")).json()["items"][0]
    async with served.client(token["token"]) as script:
        answers = [
            await script.post("/api/auth/tokens", json={"name": "x", "scopes": ["read"]}),
            await script.delete(f"/api/auth/tokens/{token['id']}"),
            await script.patch("/api/auth/me", json={"name": "x"}),
            await script.put("/api/auth/password", json={"old_password": PASSWORD, "new_password": NEW}),
            await script.delete("/api/auth/sessions"),
            await script.delete(f"/api/auth/sessions/{session['id']}"),
        ]
        assert (await script.get("/api/auth/sessions")).status_code == 200
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "signed_in_only")}
    assert (await ada.get("/api/auth/me")).json()["name"] == "Ada"


async def test_AUTH_22_a_page_gets_cookies_that_its_scripts_do_not_see(served: Town) -> None:
    async with served.client() as client:
        body = {"username": "Ada", "password": PASSWORD, "browser": True}
        answer = await client.post("/api/auth/login", json=body, headers=PAGE)

    assert answer.json() == {"token_type": "Cookie", "expires_in": 600}
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)
    assert {name: cookie["path"] for name, cookie in cookies.items()} == {
        "layercake_access": "/",
        "layercake_refresh": "/api/auth",
        "layercake_device": "/api/auth",
    }
    assert all(cookie["httponly"] and cookie["samesite"] == "strict" for cookie in cookies.values())
    assert not any(cookie["secure"] for cookie in cookies.values()), "this was no TLS"


async def test_AUTH_22_a_page_goes_on_by_its_cookies_and_signs_out(page: httpx.AsyncClient) -> None:
    assert (await page.get("/api/auth/me")).json()["credential"] == "session"
    before = dict(page.cookies)
    refreshed = await page.post("/api/auth/refresh", headers=PAGE)
    assert refreshed.json() == {"token_type": "Cookie", "expires_in": 600}
    assert page.cookies["layercake_refresh"] != before["layercake_refresh"]
    assert (await page.post("/api/auth/logout", headers=PAGE)).status_code == 204
    assert set(page.cookies) == {"layercake_device"}
    assert (await page.get("/api/auth/me")).status_code == 401
    page.cookies.set("layercake_access", before["layercake_access"])
    assert (await page.get("/api/auth/me")).status_code == 401


@pytest.mark.parametrize(
    "headers", [{}, {"X-Layercake": "other"}, PAGE | {"origin": "http://evil.example"}, PAGE | {"origin": "null"}]
)
async def test_AUTH_23_a_page_of_somebody_else_changes_nothing(
    served: Town, page: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    body = {"username": "Ada", "password": PASSWORD, "browser": True}
    answers = [
        await page.post("/api/projects", json={"name": "x"}, headers=headers),
        await page.delete("/api/auth/sessions", headers=headers),
        await page.post("/api/auth/refresh", headers=headers),
        await page.post("/api/auth/logout", headers=headers),
        await page.post("/api/auth/login", json=body, headers=headers),
    ]

    code = "forbidden" if "origin" in headers else "cross_site"
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, code)}
    assert (await page.get("/api/projects")).status_code == 200
    own = PAGE | {"origin": f"http://127.0.0.1:{served.port}"}
    assert (await page.post("/api/projects", json={"name": "x"}, headers=own)).status_code == 201


async def test_AUTH_23_a_token_counts_and_the_cookie_beside_it_does_not(
    served: Town, page: httpx.AsyncClient, ada: httpx.AsyncClient
) -> None:
    bearer = ada.headers["authorization"]
    assert (await page.post("/api/projects", json={"name": "x"}, headers={"authorization": bearer})).status_code == 201
    assert (await page.get("/api/auth/me", headers={"authorization": "Bearer x"})).status_code == 401


async def test_AUTH_23_a_socket_by_cookie_needs_our_own_origin(served: Town, page: httpx.AsyncClient) -> None:
    graph = await graph_of_page(page)
    url, own = served.url(graph, None), f"http://127.0.0.1:{served.port}"
    cookie = f"a=b; layercake_access={page.cookies['layercake_access']}"

    assert await refused(url, Cookie=cookie) == 401
    assert await refused(url, Cookie=cookie, Origin="http://evil.example") == 403
    assert await refused(url, Cookie=cookie, Origin="null") == 403
    assert await refused(url, Origin=own) == 401
    async with connect(url, additional_headers={"Cookie": cookie, "Origin": own}) as socket:
        assert isinstance(await socket.recv(), bytes)


async def graph_of_page(page: httpx.AsyncClient) -> str:
    project = (await page.post("/api/projects", json={"name": "Bridge"}, headers=PAGE)).raise_for_status().json()
    graph = await page.post(f"/api/projects/{project['id']}/graphs", json={"name": "Deck"}, headers=PAGE)
    return str(graph.raise_for_status().json()["id"])


async def test_AUTH_24_nobody_is_nobody(served: Town) -> None:
    for token in (None, "x"):
        answer = await served.me(token)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["code"] == "unauthenticated"


async def test_AUTH_23_a_document_by_cookie_needs_our_own_origin(served: Town, page: httpx.AsyncClient) -> None:
    """The Hocuspocus dialect, with an empty token."""
    graph, own = await graph_of_page(page), f"http://127.0.0.1:{served.port}"
    cookie = f"layercake_access={page.cookies['layercake_access']}"

    assert await refused(served.hocuspocus_url, Cookie=cookie, Origin="http://evil.example") == 403
    for headers, answer in (({}, hclient.denied("")[:2]), ({"Origin": own}, hclient.AUTHENTICATED)):
        async with connect(served.hocuspocus_url, additional_headers={"Cookie": cookie} | headers) as socket:
            await socket.send(hclient.string(graph) + hclient.auth(""))
            assert answer in bytes(await socket.recv())


async def test_AUTH_25_a_share_link_lets_a_guest_into_its_graph(served: Town, ada: httpx.AsyncClient) -> None:
    graph, other = await graph_of(ada), await graph_of(ada)
    token = make_opaque_token(Prefix.SHARE_LINK, b"s" * 32)
    link, author = new_id(), UUID((await ada.get("/api/auth/me")).json()["id"])
    add = "INSERT INTO share_links (id, graph_id, role, token_hash, created_by) VALUES ($1, $2, 'viewer', $3, $4)"
    await served.owner.execute(add, link, UUID(graph), hash_token(token), author)
    async with served.client(token) as guest:
        known = (await guest.get("/api/auth/me")).json()
        assert (known["name"], known["credential"]) == ("Guest", "share")
        assert known["graph"] == {"id": graph, "role": "viewer"}
        assert known["groups"] == []
        assert (await guest.get(f"/api/graphs/{graph}")).status_code == 200
        assert (await guest.patch(f"/api/graphs/{graph}", json={"name": "x"})).status_code == 403
        assert (await guest.get(f"/api/graphs/{other}")).status_code == 404
        assert (await guest.get("/api/auth/sessions")).status_code == 403
        await served.owner.execute("UPDATE share_links SET revoked_at = now() WHERE id = $1", link)
        assert (await guest.get("/api/auth/me")).status_code == 401
