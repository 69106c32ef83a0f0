"""Roles in single graphs, and links into them, on HTTP and both websocket dialects."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from auth.policy import Role
from persistence.records import EVERYONE_GROUP_ID
from tests.clients import hclient
from tests.clients.hclient import READ_ONLY, HClient, auth
from tests.clients.yclient import YClient
from tests.integration.people import Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Scene:
    """A graph of ada's, an admin of its group; bob is a member of it, carol in another group with ada."""

    town: Town
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    carol: httpx.AsyncClient
    ids: dict[str, str]
    graph_id: str

    @property
    def graph(self) -> str:
        return f"/api/graphs/{self.graph_id}"

    async def give(self, name: str, role: str, by: httpx.AsyncClient | None = None) -> int:
        answer = await (by or self.ada).put(f"{self.graph}/access/{self.ids[name]}", json={"role": role})
        return answer.status_code

    async def link(self, role: str, by: httpx.AsyncClient | None = None, **more: float | None) -> dict[str, str]:
        answer = await (by or self.ada).post(f"{self.graph}/share-links", json={"role": role, **more})
        assert answer.status_code == 201
        body: dict[str, str] = answer.json()
        return body


@pytest_asyncio.fixture(loop_scope="module")
async def scene(empty_town: Town) -> AsyncIterator[Scene]:
    roles = {"ada": Role.ADMIN, "bob": Role.MEMBER, "carol": None}
    ids = {name: str(await empty_town.add(name, role, is_admin=name == "ada")) for name, role in roles.items()}
    async with AsyncExitStack() as clients:
        ada, bob, carol = [
            await clients.enter_async_context(empty_town.client((await empty_town.tokens(name))["access_token"]))
            for name in roles
        ]
        group = (await ada.post("/api/groups", json={"name": "Everyone"})).json()["id"]
        await ada.put(f"/api/groups/{group}/members/{ids['carol']}", json={"role": "viewer"})
        await empty_town.owner.execute("UPDATE users SET role = 'user' WHERE username = 'ada'")
        project = (await ada.post("/api/projects", json={"name": "p"})).json()["id"]
        graph = (await ada.post(f"/api/projects/{project}/graphs", json={"name": "g"})).json()["id"]
        yield Scene(empty_town, ada, bob, carol, ids, graph)


async def test_PEOPLE_7_a_role_in_a_graph_counts_instead_of_that_in_its_group(scene: Scene) -> None:
    rename = {"name": "h"}
    assert (await scene.bob.patch(scene.graph, json=rename)).status_code == 200
    assert await scene.give("bob", "viewer") == 204
    assert (await scene.bob.patch(scene.graph, json=rename)).status_code == 403
    assert (await scene.bob.get(scene.graph)).json()["role"] == "viewer"
    assert await scene.give("bob", "none") == 204
    assert (await scene.bob.get(scene.graph)).status_code == 404
    assert await scene.give("ada", "none") == 204
    assert (await scene.ada.get(scene.graph)).json()["role"] == "admin"
    access = (await scene.ada.get(f"{scene.graph}/access")).json()["items"]
    assert [(one["username"], one["role"], one["source"]) for one in access] == [
        ("ada", "admin", "group"),
        ("bob", "none", "graph"),
    ]
    mine = f"{scene.graph}/access/{scene.ids['bob']}"
    assert (await scene.ada.delete(mine)).status_code == 204
    assert (await scene.ada.delete(mine)).status_code == 404
    assert (await scene.bob.get(scene.graph)).json()["role"] == "member"


async def test_PEOPLE_7_only_admins_of_the_graph_give_roles_to_people_they_see(scene: Scene) -> None:
    assert (await scene.bob.get(f"{scene.graph}/access")).status_code == 403
    assert await scene.give("bob", "admin", by=scene.bob) == 403
    assert await scene.give("bob", "admin", by=scene.carol) == 404
    stranger = str(await scene.town.add("dave", None))
    for unknown in (stranger, "01890000-0000-7000-8000-000000000000"):
        answer = await scene.ada.put(f"{scene.graph}/access/{unknown}", json={"role": "viewer"})
        assert (answer.status_code, answer.json()["detail"]) == (404, f"there is no person {unknown}")
    assert await scene.give("bob", "admin") == 204
    assert await scene.give("carol", "viewer", by=scene.bob) == 404
    assert await scene.give("carol", "viewer") == 204
    assert await scene.give("carol", "member", by=scene.bob) == 204
    access = (await scene.bob.get(f"{scene.graph}/access")).json()["items"]
    assert [one["username"] for one in access] == ["ada", "bob", "carol"]
    assert await scene.give("carol", "admin") == 204
    assert (await scene.carol.delete(f"{scene.graph}/access/{scene.ids['carol']}")).status_code == 204
    assert (await scene.carol.get(scene.graph)).status_code == 404


async def test_PEOPLE_9_what_is_shared_across_groups_is_listed(scene: Scene) -> None:
    assert (await scene.carol.get("/api/graphs")).json() == {"items": []}
    assert await scene.give("carol", "member") == 204

    shared = (await scene.carol.get("/api/graphs")).json()["items"]

    assert [(graph["id"], graph["role"]) for graph in shared] == [(scene.graph_id, "member")]
    assert (await scene.carol.patch(scene.graph, json={"name": "h"})).status_code == 200
    assert (await scene.carol.get(f"/api/projects/{shared[0]['project_id']}")).status_code == 404
    assert (await scene.bob.get("/api/graphs")).json() == {"items": []}


async def test_PEOPLE_8_a_link_opens_its_graph_by_http_and_nothing_else(scene: Scene) -> None:
    viewer, member = await scene.link("viewer"), await scene.link("member", expires_in_days=None)
    assert viewer["expires_at"] is not None
    assert member["expires_at"] is None
    async with scene.town.client(viewer["token"]) as guest:
        assert (await guest.get(scene.graph)).json()["role"] == "viewer"
        assert (await guest.patch(scene.graph, json={"name": "h"})).status_code == 403
        assert (await guest.get(f"{scene.graph}/share-links")).status_code == 403
        assert [graph["id"] for graph in (await guest.get("/api/graphs")).json()["items"]] == [scene.graph_id]
        assert (await guest.get("/api/projects")).json() == {"items": []}
        assert (await guest.get("/api/groups")).json() == {"items": []}
        assert (await guest.get("/api/users")).status_code == 403
        assert (await guest.get("/api/audit")).status_code == 403
        assert (await guest.post("/api/projects", json={"name": "x"})).status_code == 403
    async with scene.town.client(member["token"]) as guest:
        assert (await guest.patch(scene.graph, json={"name": "h"})).status_code == 200
        assert (await guest.delete(scene.graph)).status_code == 403
    listed = (await scene.ada.get(f"{scene.graph}/share-links")).json()["items"]
    assert [link["id"] for link in listed] == [viewer["id"], member["id"]]
    assert "token" not in listed[0]


async def test_PEOPLE_8_a_link_opens_its_graph_on_both_dialects_until_it_is_revoked(scene: Scene) -> None:
    viewer, member = await scene.link("viewer"), await scene.link("member")
    async with YClient(scene.town.url(scene.graph_id, member["token"])) as guest:
        await guest.edit(["map.set", "by", "a guest"])
        await guest.saved()
    async with HClient.connected(scene.town.hocuspocus_url) as guest:
        await guest.send(scene.graph_id, auth(viewer["token"]))
        *_, answer = await guest.until(scene.graph_id, auth("")[:1])
        assert answer.message == READ_ONLY

    for link in (viewer, member):
        assert (await scene.ada.delete(f"/api/share-links/{link['id']}")).status_code == 204
        assert (await scene.ada.delete(f"/api/share-links/{link['id']}")).status_code == 404
        async with scene.town.client(link["token"]) as guest:
            assert (await guest.get(scene.graph)).status_code == 401
    with pytest.raises(InvalidStatus) as refused:
        await YClient(scene.town.url(scene.graph_id, member["token"])).connect()
    assert refused.value.response.status_code == 401
    async with HClient.connected(scene.town.hocuspocus_url) as guest:
        await guest.send(scene.graph_id, auth(viewer["token"]))
        *_, answer = await guest.until(scene.graph_id, auth("")[:1])
        assert answer.message.startswith(hclient.denied("")[:2])


async def test_PEOPLE_8_a_link_into_a_graph_in_the_bin_is_revoked(scene: Scene) -> None:
    """PEOPLE-8: also while the graph is in the bin."""
    link = await scene.link("viewer")
    one = f"/api/share-links/{link['id']}"
    assert (await scene.ada.delete(scene.graph)).status_code == 204

    assert [(await who.delete(one)).status_code for who in (scene.bob, scene.carol, scene.ada)] == [404, 404, 204]

    assert (await scene.ada.post(f"{scene.graph}/restore")).status_code == 200
    assert (await scene.town.me(link["token"])).status_code == 401


async def test_PEOPLE_8_only_admins_of_the_graph_make_and_revoke_links(scene: Scene) -> None:
    link = await scene.link("viewer")
    for client, status in ((scene.bob, 403), (scene.carol, 404)):
        assert (await client.post(f"{scene.graph}/share-links", json={"role": "viewer"})).status_code == status
        assert (await client.get(f"{scene.graph}/share-links")).status_code == status
        assert (await client.delete(f"/api/share-links/{link['id']}")).status_code == 404
    refused = await scene.ada.post(f"{scene.graph}/share-links", json={"role": "admin"})
    assert refused.status_code == 422


async def test_PEOPLE_8_a_link_ends_when_its_maker_may_not_share_the_graph_any_more(scene: Scene) -> None:
    """PEOPLE-8: or whoever made it is no admin of the graph any more."""
    dave_id = await scene.town.add("dave", Role.ADMIN)
    member, own = f"/api/groups/{EVERYONE_GROUP_ID}/members/{dave_id}", f"{scene.graph}/access/{scene.ids['bob']}"
    async with scene.town.client((await scene.town.tokens("dave"))["access_token"]) as dave:
        await scene.give("bob", "admin")
        await scene.give("carol", "admin")
        makers = {"ada": scene.ada, "bob": scene.bob, "carol": scene.carol, "dave": dave}
        links = {name: await scene.link("member", by=maker, expires_in_days=None) for name, maker in makers.items()}

        assert await scene.give("ada", "none") == 204
        assert await scene.give("carol", "none") == 204
        assert (await scene.bob.delete(own)).status_code == 204
        assert (await dave.put(member, json={"role": "viewer"})).status_code == 204

    assert {name: (await scene.town.me(link["token"])).status_code for name, link in links.items()} == {
        "ada": 200,
        "bob": 401,
        "carol": 401,
        "dave": 401,
    }
