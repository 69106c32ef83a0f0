"""Links that open once: into a group, to an account, to the choice of a password."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from auth.passwords import Passwords
from auth.policy import Role
from persistence.records import EVERYONE_GROUP_ID
from tests.integration.people import PASSWORD, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVITATIONS = f"/api/groups/{EVERYONE_GROUP_ID}/invitations"
OTHER_PASSWORD = "a staple of another battery"


@pytest_asyncio.fixture(loop_scope="module")
async def served(empty_town: Town) -> Town:
    await empty_town.add("ada", Role.ADMIN, is_admin=True)
    return empty_town


@pytest_asyncio.fixture(loop_scope="module")
async def ada(served: Town) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client((await served.tokens("ada"))["access_token"]) as client:
        yield client


async def invited(ada: httpx.AsyncClient, role: str = "member") -> dict[str, Any]:
    answer = await ada.post(INVITATIONS, json={"role": role})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    body: dict[str, Any] = answer.json()
    return body


async def accept(served: Town, token: str, signed_in_as: str | None = None, **body: Any) -> httpx.Response:
    async with served.client(signed_in_as) as client:
        return await client.post("/api/invitations/accept", json={"token": token, **body})


async def look(served: Town, token: str) -> httpx.Response:
    async with served.client() as client:
        return await client.post("/api/invitations/look", json={"token": token})


async def test_PEOPLE_5_an_invitation_makes_an_account_and_signs_it_in(served: Town, ada: httpx.AsyncClient) -> None:
    token = (await invited(ada, "viewer"))["token"]
    seen = (await look(served, token)).json()
    assert (seen["kind"], seen["group_name"], seen["role"]) == ("group", "Everyone", "viewer")

    answer = await accept(served, token, username="bob", password=PASSWORD, name="Bob")

    assert answer.status_code == 200
    async with served.client(answer.json()["access_token"]) as bob:
        me = (await bob.get("/api/auth/me")).json()
    assert (me["username"], me["name"], me["is_admin"]) == ("bob", "Bob", False)
    assert [group["role"] for group in me["groups"]] == ["viewer"]
    assert (await served.login("bob")).status_code == 200
    assert (await ada.get(INVITATIONS)).json() == {"items": []}


async def test_PEOPLE_5_a_page_gets_its_tokens_as_cookies(served: Town, ada: httpx.AsyncClient) -> None:
    token = (await invited(ada))["token"]
    async with served.client() as page:
        page.headers["X-Layercake"] = "page"
        body = {"token": token, "username": "bob", "password": PASSWORD, "browser": True}
        answer = await page.post("/api/invitations/accept", json=body)
        assert (answer.status_code, answer.json()["token_type"]) == (200, "Cookie")
        assert (await page.get("/api/auth/me")).json()["username"] == "bob"


async def test_PEOPLE_4_a_used_expired_revoked_or_wrong_one_is_answered_alike(
    served: Town, ada: httpx.AsyncClient
) -> None:
    used, expired, revoked = [(await invited(ada)) for _ in range(3)]
    assert (await accept(served, used["token"], username="bob", password=PASSWORD)).status_code == 200
    await served.owner.execute(
        "UPDATE invitations SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' "
        "WHERE id = $1",
        expired["id"],
    )
    assert (await ada.delete(f"/api/invitations/{revoked['id']}")).status_code == 204
    assert (await ada.delete(f"/api/invitations/{revoked['id']}")).status_code == 404

    tokens = [used["token"], expired["token"], revoked["token"], "lci_nothing"]
    accepted = [await accept(served, token, username="carol", password=PASSWORD) for token in tokens]
    looked = [await look(served, token) for token in tokens]

    assert {(answer.status_code, answer.text) for answer in accepted + looked} == {(404, accepted[0].text)}
    assert (await served.login("carol")).status_code == 401


async def test_PEOPLE_4_of_two_who_accept_at_once_one_is_let_in(served: Town, ada: httpx.AsyncClient) -> None:
    token = (await invited(ada))["token"]

    answers = await asyncio.gather(
        *(accept(served, token, username=name, password=PASSWORD) for name in ("bob", "carol"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 404]
    assert await served.owner.fetchval("SELECT count(*) FROM users WHERE username IN ('bob', 'carol')") == 1


async def test_PEOPLE_5_a_taken_name_leaves_the_invitation_open(served: Town, ada: httpx.AsyncClient) -> None:
    token = (await invited(ada))["token"]

    taken = await accept(served, token, username="Ada", password=PASSWORD)

    assert (taken.status_code, taken.json()["code"]) == (409, "username_taken")
    short = await accept(served, token, username="bob", password="too short")
    assert short.status_code == 422
    assert (await accept(served, token, username="bob", password=PASSWORD)).status_code == 200


async def test_PEOPLE_18_a_taken_name_is_told_without_hashing_and_not_for_ever(
    served: Town, ada: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    hash_password = Passwords.hash

    async def noted(self: Passwords, password: str) -> str:
        hashed.append(password)
        return await hash_password(self, password)

    monkeypatch.setattr(Passwords, "hash", noted)
    token = (await invited(ada))["token"]
    answers = [await accept(served, token, username="ADA", password=PASSWORD) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [409] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert hashed == []
    other = (await invited(ada))["token"]
    assert (await accept(served, other, username="bob", password=PASSWORD)).status_code == 200
    assert hashed == [PASSWORD]


async def test_PEOPLE_19_a_name_is_one_however_it_is_typed_and_hides_nothing(
    served: Town, ada: httpx.AsyncClient
) -> None:
    token = (await invited(ada))["token"]
    for name in ("ada\u200b", "\u202eada", "ada\ufeff", "a\u00adda", "ada\ue000", "\u3000", "\u200b", "\ufdfa" * 20):
        assert (await accept(served, token, username=name, password=PASSWORD)).status_code == 422
        assert (await ada.post("/api/users", json={"username": name})).status_code == 422
    assert (await accept(served, token, username="bob", password=PASSWORD, name="Ada\u200b")).status_code == 422
    assert (await ada.post("/api/users", json={"username": "bob", "name": "\u202eadA"})).status_code == 422
    assert (await ada.patch("/api/auth/me", json={"name": "Ada\u200b"})).status_code == 422

    assert (await accept(served, token, username="re\u0301mi", password=PASSWORD)).status_code == 200
    for name in ("r\u00e9mi", "re\u0301mi", "\uff32\u00c9mi"):
        assert (await served.login(name)).status_code == 200
        assert (await ada.post("/api/users", json={"username": name})).status_code == 409


async def test_PEOPLE_5_who_is_signed_in_joins_and_never_becomes_less(served: Town, ada: httpx.AsyncClient) -> None:
    await served.add("bob", None)
    bob = (await served.tokens("bob"))["access_token"]

    assert (await accept(served, (await invited(ada))["token"])).status_code == 401
    assert (await accept(served, (await invited(ada, "member"))["token"], bob)).status_code == 200
    assert (await accept(served, (await invited(ada, "viewer"))["token"], bob)).status_code == 200

    members = (await ada.get(f"/api/groups/{EVERYONE_GROUP_ID}/members")).json()["items"]
    assert [(member["username"], member["role"]) for member in members] == [("ada", "admin"), ("bob", "member")]


async def test_PEOPLE_5_a_password_link_sets_the_password_and_ends_all_sessions(
    served: Town, ada: httpx.AsyncClient
) -> None:
    user_id = await served.add("bob", None)
    old = (await served.tokens("bob"))["access_token"]
    first, second = [(await ada.post(f"/api/users/{user_id}/password-link")).json()["token"] for _ in range(2)]
    assert (await look(served, first)).status_code == 404
    seen = (await look(served, second)).json()
    assert (seen["kind"], seen["username"], seen["group_name"]) == ("password", "bob", None)
    assert (await accept(served, second)).status_code == 422

    answer = await accept(served, second, password=OTHER_PASSWORD)

    assert answer.status_code == 200
    async with served.client(old) as session:
        assert (await session.get("/api/auth/me")).status_code == 401
    assert (await served.login("bob")).status_code == 401
    assert (await served.login("bob", OTHER_PASSWORD)).status_code == 200
    assert (await accept(served, second, password=PASSWORD)).status_code == 404


async def test_PEOPLE_3_an_invitation_works_as_long_as_its_maker_may_invite(
    served: Town, ada: httpx.AsyncClient
) -> None:
    user_id = await served.add("bob", Role.ADMIN)
    async with served.client((await served.tokens("bob"))["access_token"]) as bob:
        token = (await invited(bob))["token"]
    for role, status in (("member", 404), ("admin", 200)):
        await ada.put(f"/api/groups/{EVERYONE_GROUP_ID}/members/{user_id}", json={"role": role})
        assert (await look(served, token)).status_code == status
        assert len((await ada.get(INVITATIONS)).json()["items"]) == (status == 200)
    await ada.patch(f"/api/users/{user_id}", json={"is_active": False})
    assert (await accept(served, token, username="eve", password=PASSWORD)).status_code == 404


async def test_PEOPLE_4_only_who_manages_the_group_invites_and_revokes(served: Town, ada: httpx.AsyncClient) -> None:
    made = await invited(ada)
    assert [item["id"] for item in (await ada.get(INVITATIONS)).json()["items"]] == [made["id"]]
    assert "token" not in (await ada.get(INVITATIONS)).json()["items"][0]
    await served.add("bob", Role.MEMBER)
    async with served.client((await served.tokens("bob"))["access_token"]) as bob:
        assert (await bob.post(INVITATIONS, json={"role": "admin"})).status_code == 403
        assert (await bob.get(INVITATIONS)).status_code == 403
        assert (await bob.delete(f"/api/invitations/{made['id']}")).status_code == 404
    assert (await look(served, made["token"])).status_code == 200
