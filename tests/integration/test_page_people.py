"""The page of a server with accounts, in real browsers."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.clients.eventually import eventually
from tests.conftest import LoopThread
from tests.faults.harness import Server
from tests.integration.browsing import Visit, chromium

PASSWORD = "a few words of one's own"
ACCESS_COOKIE = "layercake_access"
REDUCED = 'layercake_rights_changes_total{change="read_only"}'
EXPECTED = re.compile(r"status of 401 ")
"""The browser notes each refusal; that one is not signed in is none of the page's faults."""


class AccountServer(Server):
    """`layercake serve` with accounts."""

    options = ()

    async def owners_link(self) -> str:
        """The link that the first start prints, as `#/invitation/{token}`."""

        async def found() -> str | None:
            match = re.search(r"#/invitation/\S+", self.said_path.read_text())
            return match and match[0]

        link = await eventually(found, lambda link: link is not None)
        assert link is not None
        return link


@dataclass
class Town:
    """A server whose owner is signed in."""

    server: AccountServer
    token: str
    group_id: str

    async def ask(self, method: str, path: str, body: object = None, token: str | None = None) -> Any:
        """What the server answers the owner, or whose token it is."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with httpx.AsyncClient(base_url=self.server.base_url, headers=headers) as http:
            answer = (await http.request(method, path, json=body)).raise_for_status()
        return answer.json() if answer.content else None

    async def invite(self, role: str) -> str:
        """Return the token of a new invitation."""
        made = await self.ask("POST", f"/api/groups/{self.group_id}/invitations", {"role": role})
        return str(made["token"])

    async def person(self, username: str) -> str:
        """Make an account in the group, and return its access token."""
        return await accept(self.server, await self.invite("member"), username, username.title())

    async def graph(self, name: str) -> str:
        """Make a graph in a project of its own, and return its id."""
        project = await self.ask("POST", "/api/projects", {"name": f"About {name}", "group_id": self.group_id})
        return str((await self.ask("POST", f"/api/projects/{project['id']}/graphs", {"name": name}))["id"])


async def accept(server: Server, token: str, username: str, name: str) -> str:
    """Make an account with an invitation, and return its access token."""
    body = {"token": token, "username": username, "name": name, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=server.base_url) as http:
        return str((await http.post("/api/invitations/accept", json=body)).raise_for_status().json()["access_token"])


async def settled(server: AccountServer) -> Town:
    """Start a server, and let its owner follow the link that it prints."""
    await server.start()
    async with chromium() as browser:
        page = await (context := await browser.new_context()).new_page()
        await page.goto(f"{server.base_url}/{await server.owners_link()}")
        await make_account(page, "olive", "Olive Owner")
        await expect(page.get_by_role("heading", name="Projects")).to_be_visible()
        assert "invitation" not in page.url
        [token] = [cookie["value"] for cookie in await context.cookies() if cookie["name"] == ACCESS_COOKIE]
    town = Town(server, token, "")
    [group] = (await town.ask("GET", "/api/groups"))["items"]
    return replace(town, group_id=group["id"])


async def make_account(page: Page, username: str, name: str) -> None:
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Full name").fill(name)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("The same again").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()


@pytest.fixture(scope="module")
def town(session_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    server = AccountServer(tmp_path_factory.mktemp("town"))
    try:
        yield session_loop.run(settled(server))
    finally:
        session_loop.run(server.destroy())


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


class Visitor(Protocol):
    """Opens the page of a server, each time in another browser profile, as nobody or as whose access token it is."""

    async def __call__(self, server: Server, address: str, token: str | None = None) -> Visit: ...


@pytest.fixture
def visit(browser: Browser) -> Visitor:
    async def open_page(server: Server, address: str, token: str | None = None) -> Visit:
        context = await browser.new_context(viewport={"width": 1200, "height": 800})
        if token is not None:
            await context.add_cookies([{"name": ACCESS_COOKIE, "value": token, "url": server.base_url}])
        visit = Visit(await context.new_page())
        visit.watch(server.base_url)
        await visit.page.goto(f"{server.base_url}/{address}")
        return visit

    return open_page


async def sign_in(page: Page, username: str) -> None:
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")


async def test_web_13_16_18_who_is_invited_to_view_is_raised_and_then_removed(town: Town, visit: Visitor) -> None:
    """WEB-13 invitations, WEB-16 rights that change in an open page, WEB-18 members."""
    olive = await visit(town.server, "", town.token)
    await olive.page.get_by_role("button", name="New project").click()
    await olive.page.get_by_role("textbox").fill("Signals")
    await olive.page.keyboard.press("Enter")
    await olive.page.get_by_role("region", name="Signals").get_by_role("button", name="New graph").click()
    await olive.page.get_by_role("textbox").fill("Interlocking")
    await olive.page.keyboard.press("Enter")
    await olive.add_node("Orders")
    await expect(olive.saved).to_have_text("Saved")

    await olive.page.get_by_role("link", name="All graphs").click()
    await olive.page.get_by_role("link", name=re.compile("^Members")).click()
    await olive.page.get_by_label("Role", exact=True).select_option("viewer")
    await olive.page.get_by_role("button", name="Make a link").click()
    link = await olive.page.get_by_role("textbox", name="The invitation's link").input_value()

    vera = await visit(town.server, f"#{link.partition('#')[2]}")
    await expect(vera.page.get_by_text("You are invited as a viewer.")).to_be_visible()
    await make_account(vera.page, "vera", "Vera")
    await vera.page.get_by_role("link", name="Interlocking").click()
    await expect(vera.node("Orders")).to_be_visible()
    await expect(vera.saved).to_have_text("View only")
    await vera.node("Orders").dblclick()
    await expect(vera.page.get_by_role("region", name="Selected node")).to_be_visible()
    for control in ("Add node", "Rename", "Delete", "Share"):
        await expect(vera.page.get_by_role("button", name=control)).to_have_count(0)

    await olive.page.reload()
    await olive.page.get_by_label("Role of Vera").select_option("member")
    await expect(vera.page.get_by_text("You can edit this graph now.")).to_be_visible()
    await vera.add_node("Invoices")
    await expect(vera.saved).to_have_text("Saved")

    await olive.page.get_by_role("button", name="Remove Vera").click()
    await olive.page.get_by_role("button", name="Really remove Vera").click()
    await expect(vera.page.get_by_role("alert")).to_contain_text("You may no longer open this graph")

    await vera.page.goto(f"{town.server.base_url}/#/invitation/{await town.invite('member')}")
    await vera.page.get_by_role("button", name="Join as Vera").click()
    await expect(vera.page.get_by_role("link", name="Interlocking")).to_be_visible()
    for seen in (olive, vera):
        assert [words for words in seen.complaints if not EXPECTED.search(words)] == []


async def test_web_11_a_session_ended_elsewhere_leads_to_the_sign_in_and_back(town: Town, visit: Visitor) -> None:
    """WEB-11, WEB-17: ended in the account of another browser."""
    token = await town.person("pat")
    graph = f"#/graphs/{await town.graph('Shunting')}"
    here = await visit(town.server, graph)
    await sign_in(here.page, "pat")
    await expect(here.saved).to_have_text("Saved")
    there = await visit(town.server, "#/account", token)
    await there.page.get_by_role("button", name="End all others").click()
    await there.page.get_by_role("button", name="Really end all others").click()

    await expect(here.page.get_by_text("Your session ended, Pat.")).to_be_visible()
    assert here.page.url.endswith(graph)
    await here.page.get_by_label("Password").fill(PASSWORD)
    await here.page.keyboard.press("Enter")
    await expect(here.saved).to_have_text("Saved")
    await here.add_node("Back again")
    await expect(here.saved).to_have_text("Saved")


async def test_web_16_who_may_suddenly_only_view_is_told_at_the_first_edit(town: Town, visit: Visitor) -> None:
    """WEB-16, WEB-15: the refused edit is sent when it may be made again; others see the name of the account."""
    token, graph_id = await town.person("rae"), await town.graph("Depot")
    rae = await visit(town.server, f"#/graphs/{graph_id}", token)
    olive = await visit(town.server, f"#/graphs/{graph_id}", town.token)
    await expect(rae.saved).to_have_text("Saved")
    await expect(olive.page.get_by_title("Rae", exact=True)).to_be_visible()

    access = f"/api/graphs/{graph_id}/access/{(await town.ask('GET', '/api/auth/me', token=token))['id']}"
    await town.ask("PUT", access, {"role": "viewer"})
    await eventually(town.server.metrics, lambda seen: seen[REDUCED] == 1)
    await rae.page.get_by_role("button", name="Add node").click()
    await expect(rae.page.get_by_text("You can only view this graph now.")).to_be_visible()
    await expect(rae.page.get_by_role("button", name="Add node")).to_have_count(0)
    await expect(rae.saved).to_have_text("View only, 1 edit not saved")
    await town.ask("DELETE", access)
    await expect(rae.saved).to_have_text("Saved")
    await expect(olive.page.get_by_test_id("counts")).to_have_text("1 node, 0 edges")


async def test_web_14_a_share_link_opens_its_graph_until_it_is_revoked(town: Town, visit: Visitor) -> None:
    """WEB-14: made in the dialog (WEB-18), opened by a guest, and said to be over."""
    graph_id = await town.graph("Timetable")
    olive = await visit(town.server, f"#/graphs/{graph_id}", town.token)
    await olive.page.get_by_role("button", name="Share").click()
    links = olive.page.get_by_role("region", name="Links")
    await links.get_by_role("button", name="Make a link").click()
    link = await links.get_by_role("textbox").input_value()

    guest = await visit(town.server, f"#{link.partition('#')[2]}")
    await expect(guest.saved).to_have_text("View only")
    assert guest.page.url.endswith(f"#/graphs/{graph_id}")
    await guest.page.reload()
    await expect(guest.saved).to_have_text("View only")
    await expect(olive.page.get_by_title("Guest", exact=True)).to_be_visible()
    await links.get_by_role("button", name="Revoke").click()
    await links.get_by_role("button", name="Really revoke").click()
    await expect(guest.page.get_by_role("alert")).to_contain_text("This link no longer works")
    assert guest.complaints == []


async def test_web_17_an_access_token_is_shown_once_and_works(town: Town, visit: Visitor) -> None:
    """WEB-17: until it is revoked."""
    toni = await visit(town.server, "#/account", town.token)
    tokens = toni.page.get_by_role("region", name="Access tokens")
    await tokens.get_by_label("Name of the new token").fill("nightly import")
    await tokens.get_by_role("button", name="Create token").click()
    token = await tokens.get_by_role("textbox", name="Your new access token").input_value()
    assert (await town.ask("GET", "/api/auth/me", token=token))["scopes"] == ["read"]
    await toni.page.reload()
    revoke = tokens.get_by_role("button", name="Revoke nightly import")
    await expect(revoke).to_be_visible()
    assert token not in await toni.page.content()
    await revoke.click()
    await tokens.get_by_role("button", name="Really revoke nightly import").click()
    await expect(tokens.get_by_text("You have no access tokens.")).to_be_visible()
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        await town.ask("GET", "/api/auth/me", token=token)


async def test_web_19_refusals_are_said_where_they_happen(town: Town, visit: Visitor) -> None:
    """WEB-19, and WEB-13: of a password, of an invitation that was used, of the last admin."""
    token = await town.invite("member")
    page = (await visit(town.server, f"#/invitation/{token}")).page
    await page.get_by_label("Username").fill("una")
    await page.get_by_label("Full name").fill("Una")
    await page.get_by_label("Password", exact=True).fill("short")
    await page.get_by_label("The same again").fill("short")
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("alert")).to_contain_text("this one has 5")
    await make_account(page, "una", "Una")
    await expect(page.get_by_role("heading", name="Projects")).to_be_visible()

    page = (await visit(town.server, f"#/invitation/{token}")).page
    await expect(page.get_by_role("alert")).to_contain_text("This invitation no longer works")
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Username").fill("una")
    await page.get_by_label("Password").fill("not the right one")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("The username or the password is wrong")

    await sign_in(page, "olive")
    await page.get_by_role("link", name=re.compile("^Members")).click()
    await page.get_by_label("Role of Olive Owner").select_option("member")
    await expect(page.get_by_role("alert")).to_contain_text("There must be one admin at least")


async def test_web_16_who_was_reduced_while_the_server_was_away_is_told_when_it_is_back(
    town: Town, visit: Visitor, session_loop: LoopThread
) -> None:
    """WEB-16: nobody has to try an edit first."""
    token, graph_id = await town.person("sid"), await town.graph("Siding")
    sid = await visit(town.server, f"#/graphs/{graph_id}", token)
    await sid.add_node("Buffer stop")
    await expect(sid.saved).to_have_text("Saved")
    access = f"/api/graphs/{graph_id}/access/{(await town.ask('GET', '/api/auth/me', token=token))['id']}"
    await town.ask("PUT", access, {"role": "viewer"})
    await asyncio.to_thread(session_loop.run, town.server.kill())
    await asyncio.to_thread(session_loop.run, town.server.start())

    await expect(sid.page.get_by_text("You can only view this graph now.")).to_be_visible()
    await expect(sid.saved).to_have_text("View only")
