"""Groups, their members and accounts, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from auth.policy import Role
from persistence.identifiers import new_id
from persistence.records import EVERYONE_GROUP_ID
from tests.integration.people import Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADD_EXTERNAL = """
    INSERT INTO users (id, username, external_issuer, external_subject)
    VALUES ($1, 'external-ada', 'https://ferries.example', 'ada') RETURNING id
"""
EVERYONE = f"/api/groups/{EVERYONE_GROUP_ID}"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    user_id: UUID
    http: httpx.AsyncClient


class SignIn(Protocol):
    async def __call__(self, username: str, role: Role | None = None, *, is_admin: bool = False) -> Person: ...


@pytest_asyncio.fixture(loop_scope="module")
async def signed_in(empty_town: Town) -> AsyncIterator[SignIn]:
    """Adds a person, in the built-in group if a role is named, and signs them in."""
    async with AsyncExitStack() as clients:

        async def sign_in(username: str, role: Role | None = None, *, is_admin: bool = False) -> Person:
            user_id = await empty_town.add(username, role, is_admin=is_admin)
            client = empty_town.client((await empty_town.tokens(username))["access_token"])
            return Person(user_id, await clients.enter_async_context(client))

        yield sign_in


async def names(person: Person, address: str) -> list[str]:
    return [item.get("username") or item["name"] for item in (await person.http.get(address)).json()["items"]]


async def test_PEOPLE_1_a_group_lives_and_others_see_nothing_of_it(signed_in: SignIn) -> None:
    owner, ada = await signed_in("owner", is_admin=True), await signed_in("ada")
    made = await owner.http.post("/api/groups", json={"name": "Bridges", "description": "over rivers"})
    twin = await owner.http.post("/api/groups", json={"name": "Bridges"})
    group, unknown = f"/api/groups/{made.json()['id']}", f"/api/groups/{new_id()}"

    assert (made.status_code, twin.status_code, made.json()["role"]) == (201, 201, "admin")
    assert (await ada.http.post("/api/groups", json={"name": "Mine"})).status_code == 403
    assert (await ada.http.get("/api/groups")).json() == {"items": []}
    for method, path, body in (
        ("PATCH", "", {"name": "x"}),
        ("GET", "/members", None),
        ("PUT", f"/members/{ada.user_id}", {"role": "admin"}),
        ("DELETE", f"/members/{ada.user_id}", None),
        ("GET", "/invitations", None),
        ("POST", "/invitations", {"role": "admin"}),
    ):
        hidden = await ada.http.request(method, group + path, json=body)
        absent = await ada.http.request(method, unknown + path, json=body)
        assert hidden.status_code == absent.status_code == 404, path
        assert hidden.text.replace(group[-36:], "") == absent.text.replace(unknown[-36:], "")

    assert (await owner.http.put(f"{group}/members/{ada.user_id}", json={"role": "viewer"})).status_code == 204
    assert (await ada.http.get("/api/groups")).json()["items"][0]["role"] == "viewer"
    assert await names(ada, f"{group}/members") == ["owner", "ada"]
    assert (await ada.http.patch(group, json={"name": "x"})).status_code == 403
    changed = (await owner.http.patch(group, json={"name": "Tunnels"})).json()
    assert (changed["name"], changed["description"]) == ("Tunnels", "over rivers")
    assert (await ada.http.delete(f"{group}/members/{ada.user_id}")).status_code == 204
    assert (await ada.http.get(f"{group}/members")).status_code == 404


async def test_PEOPLE_1_an_admin_of_a_group_takes_in_nobody_but_by_invitation(signed_in: SignIn) -> None:
    ada, bob = await signed_in("ada", Role.ADMIN), await signed_in("bob")

    assert (await ada.http.put(f"{EVERYONE}/members/{bob.user_id}", json={"role": "viewer"})).status_code == 404
    assert await names(ada, f"{EVERYONE}/members") == ["ada"]


async def test_PEOPLE_2_the_last_admin_of_a_group_stays(signed_in: SignIn) -> None:
    ada, bob = await signed_in("ada", Role.ADMIN), await signed_in("bob", Role.ADMIN)
    of_ada, of_bob = f"{EVERYONE}/members/{ada.user_id}", f"{EVERYONE}/members/{bob.user_id}"

    leave = await asyncio.gather(ada.http.delete(of_bob), bob.http.delete(of_ada))
    assert sorted(answer.status_code for answer in leave) in ([204, 404], [204, 409])
    left, one = (ada, of_ada) if await names(ada, "/api/groups") else (bob, of_bob)
    for answer in (await left.http.delete(one), await left.http.put(one, json={"role": "member"})):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    assert (await left.http.put(one, json={"role": "admin"})).status_code == 204


async def test_PEOPLE_2_of_two_admins_who_step_down_at_once_one_stays(signed_in: SignIn) -> None:
    ada, bob = await signed_in("ada", Role.ADMIN), await signed_in("bob", Role.ADMIN)

    answers = await asyncio.gather(
        *(one.http.put(f"{EVERYONE}/members/{one.user_id}", json={"role": "viewer"}) for one in (ada, bob))
    )

    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_PEOPLE_2_the_last_admin_of_the_installation_stays(signed_in: SignIn) -> None:
    owner, second = await signed_in("owner", is_admin=True), await signed_in("second", is_admin=True)

    answers = await asyncio.gather(
        *(one.http.patch(f"/api/users/{one.user_id}", json={"role": "user"}) for one in (owner, second))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    left = owner if answers[0].status_code == 409 else second
    one = f"/api/users/{left.user_id}"
    for answer in (await left.http.patch(one, json={"is_active": False}), await left.http.delete(one)):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")


async def test_PEOPLE_2_an_admin_who_cannot_sign_in_does_not_count(empty_town: Town, signed_in: SignIn) -> None:
    """PEOPLE-2: no account of the team's own backend, and for the installation none without a password."""
    owner, ada = await signed_in("owner", is_admin=True), await signed_in("ada", Role.ADMIN)
    await owner.http.post("/api/users", json={"username": "newcomer", "role": "admin"})
    external = await empty_town.owner.fetchval(ADD_EXTERNAL, new_id())

    refused = [
        await owner.http.patch(f"/api/users/{external}", json={"role": "admin"}),
        await owner.http.post(f"/api/users/{external}/password-link"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(409, "external_account")}
    last = await owner.http.patch(f"/api/users/{owner.user_id}", json={"role": "user"})
    assert (last.status_code, last.json()["code"]) == (409, "last_admin")
    assert (await owner.http.put(f"{EVERYONE}/members/{external}", json={"role": "admin"})).status_code == 204
    assert (await ada.http.delete(f"{EVERYONE}/members/{ada.user_id}")).status_code == 409


async def test_PEOPLE_3_who_leaves_a_group_keeps_nothing_in_its_graphs(empty_town: Town, signed_in: SignIn) -> None:
    ada, bob = await signed_in("ada", Role.ADMIN), await signed_in("bob", Role.MEMBER)
    project = (await ada.http.post("/api/projects", json={"name": "p"})).json()["id"]
    graph = "/api/graphs/" + (await ada.http.post(f"/api/projects/{project}/graphs", json={"name": "g"})).json()["id"]
    assert (await ada.http.put(f"{graph}/access/{bob.user_id}", json={"role": "admin"})).status_code == 204
    link = (await bob.http.post(f"{graph}/share-links", json={"role": "member"})).json()["token"]

    assert (await ada.http.delete(f"{EVERYONE}/members/{bob.user_id}")).status_code == 204

    assert (await bob.http.get(graph)).status_code == 404
    assert (await bob.http.get("/api/graphs")).json() == {"items": []}
    async with empty_town.client(link) as guest:
        assert (await guest.get(graph)).status_code == 401


async def test_PEOPLE_3_a_token_that_only_reads_does_not_leave(empty_town: Town, signed_in: SignIn) -> None:
    """PEOPLE-3: to leave, a token needs the scope `manage`."""
    ada = await signed_in("ada", Role.MEMBER)
    for scopes, status in ((["read", "edit"], 403), (["read", "manage"], 204)):
        made = await ada.http.post("/api/auth/tokens", json={"name": "script", "scopes": scopes})
        async with empty_town.client(made.json()["token"]) as script:
            assert (await script.delete(f"{EVERYONE}/members/{ada.user_id}")).status_code == status


async def test_PEOPLE_3_what_was_kept_from_somebody_is_so_when_they_come_back(signed_in: SignIn) -> None:
    """PEOPLE-3: a graph that was kept from them, or from changes of theirs, is hidden from them if they come back."""
    owner, ada = await signed_in("owner", is_admin=True), await signed_in("ada", Role.ADMIN)
    bob = await signed_in("bob", Role.MEMBER)
    project = (await ada.http.post("/api/projects", json={"name": "p"})).json()["id"]
    graphs = {}
    for role in ("none", "viewer", "admin"):
        made = await ada.http.post(f"/api/projects/{project}/graphs", json={"name": role})
        graphs[role] = f"/api/graphs/{made.json()['id']}"
        assert (await ada.http.put(f"{graphs[role]}/access/{bob.user_id}", json={"role": role})).status_code == 204

    assert (await bob.http.delete(f"{EVERYONE}/members/{bob.user_id}")).status_code == 204
    assert (await owner.http.put(f"{EVERYONE}/members/{bob.user_id}", json={"role": "member"})).status_code == 204

    assert [(await bob.http.get(graphs[role])).status_code for role in ("none", "viewer")] == [404, 404]
    assert (await bob.http.get(graphs["admin"])).json()["role"] == "member"


async def test_PEOPLE_9_a_project_goes_to_the_group_that_is_named(signed_in: SignIn) -> None:
    owner, ada = await signed_in("owner", is_admin=True), await signed_in("ada", Role.MEMBER)
    group_id = (await owner.http.post("/api/groups", json={"name": "Everyone"})).json()["id"]
    new = {"name": "p", "group_id": group_id}

    assert (await ada.http.post("/api/projects", json=new)).status_code == 404
    await owner.http.put(f"/api/groups/{group_id}/members/{ada.user_id}", json={"role": "viewer"})
    assert (await ada.http.post("/api/projects", json=new)).status_code == 403
    await owner.http.put(f"/api/groups/{group_id}/members/{ada.user_id}", json={"role": "member"})
    made = (await ada.http.post("/api/projects", json=new)).json()
    assert (made["group_id"], made["role"]) == (group_id, "member")
    own = (await ada.http.post("/api/projects", json={"name": "q"})).json()
    assert UUID(own["group_id"]) == EVERYONE_GROUP_ID
    graph = (await ada.http.post(f"/api/projects/{own['id']}/graphs", json={"name": "g"})).json()
    assert (graph["role"], (await ada.http.get(f"/api/graphs/{graph['id']}")).json()["role"]) == ("member", "member")


async def test_PEOPLE_10_accounts_are_for_admins_of_the_installation(signed_in: SignIn) -> None:
    owner, ada = await signed_in("owner", is_admin=True), await signed_in("ada", Role.ADMIN)
    made = await owner.http.post("/api/users", json={"username": "bob", "name": "Bob"})
    one = f"/api/users/{made.json()['id']}"

    assert (made.status_code, made.json()["name"], made.json()["role"]) == (201, "Bob", "user")
    taken = await owner.http.post("/api/users", json={"username": "BOB"})
    assert (taken.status_code, taken.json()["code"]) == (409, "username_taken")
    assert await names(owner, "/api/users") == ["owner", "ada", "bob"]
    for method, path in (
        ("GET", "/api/users"),
        ("POST", "/api/users"),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}/password-link"),
    ):
        body = {"username": "x"} if path == "/api/users" else {}
        assert (await ada.http.request(method, path, json=body)).status_code == 403, path
    assert (await owner.http.patch(f"/api/users/{new_id()}", json={"is_active": False})).status_code == 404


async def test_PEOPLE_10_who_is_disabled_is_out_until_enabled(empty_town: Town, signed_in: SignIn) -> None:
    owner, ada = await signed_in("owner", is_admin=True), await signed_in("ada", Role.ADMIN)
    one = f"/api/users/{ada.user_id}"

    assert (await owner.http.patch(one, json={"is_active": False})).json()["is_active"] is False
    assert (await ada.http.get("/api/projects")).status_code == 401
    assert (await empty_town.login("ada")).status_code == 401
    assert (await owner.http.patch(one, json={"is_active": True})).status_code == 200
    assert (await ada.http.get("/api/projects")).status_code == 401
    assert (await empty_town.login("ada")).status_code == 200


async def test_PEOPLE_10_who_is_anonymised_is_forgotten(empty_town: Town, signed_in: SignIn) -> None:
    owner, ada = (
        await signed_in("owner", Role.ADMIN, is_admin=True),
        await signed_in("ada", Role.MEMBER),
    )
    await empty_town.add(f"deleted {ada.user_id}", None)
    anna = (await owner.http.post("/api/users", json={"username": "anna"})).json()["id"]
    assert (await owner.http.delete(f"/api/users/{anna}")).status_code == 204

    assert (await owner.http.delete(f"/api/users/{ada.user_id}")).status_code == 204

    assert (await ada.http.get("/api/projects")).status_code == 401
    assert (await empty_town.login("ada")).status_code == 401
    assert await names(owner, f"{EVERYONE}/members") == ["owner"]
    row = await empty_town.owner.fetchrow("SELECT * FROM users WHERE id = $1", ada.user_id)
    assert "ada" not in str(dict(row or {})).replace("metadata", "").replace("layercake", "")
    places = "SELECT address, user_agent FROM audit_log WHERE user_id = $1"
    assert {tuple(row) for row in await empty_town.owner.fetch(places, ada.user_id)} == {(None, None)}
    assert "anna" not in str(await empty_town.owner.fetch("SELECT * FROM audit_log"))
    assert await empty_town.owner.fetchval("SELECT count(*) FROM sessions WHERE user_id = $1", ada.user_id) == 0
