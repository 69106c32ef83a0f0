"""The page in a real browser, against a real server."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.clients.eventually import eventually
from tests.faults.harness import Server
from tests.integration.browsing import Visit, chromium

WITHIN_S = 20.0
ACKNOWLEDGE = 102


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


Visitor = Callable[[str], Awaitable[Visit]]


@pytest.fixture
def visit(browser: Browser, live_server: Server) -> Visitor:
    """Open the page at an address of its own, each time as somebody else."""

    async def open_page(address: str) -> Visit:
        context = await browser.new_context(viewport={"width": 1200, "height": 800})
        visit = Visit(await context.new_page())
        visit.watch(live_server.base_url)
        await visit.page.goto(f"{live_server.base_url}/{address}")
        return visit

    return open_page


@pytest.fixture
async def http(live_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=live_server.base_url) as client:
        yield client


async def new_graph(http: httpx.AsyncClient) -> str:
    project = (await http.post("/api/projects", json={"name": "Browser tests"})).raise_for_status().json()
    path = f"/api/projects/{project['id']}/graphs"
    graph_id: str = (await http.post(path, json={"name": "Drawn"})).raise_for_status().json()["id"]
    return graph_id


async def test_web_1_two_pages_see_each_other(visit: Visitor, http: httpx.AsyncClient) -> None:
    """WEB-1 edits both ways, WEB-2 presence, WEB-3 "Saved" only of what HTTP then reads, WEB-10 no complaint."""
    graph_id = await new_graph(http)
    ada, bob = await visit(f"#/graphs/{graph_id}"), await visit(f"#/graphs/{graph_id}")
    await expect(ada.saved).to_have_text("Saved")
    await expect(bob.page.get_by_label("People here").get_by_role("listitem")).to_have_count(1)

    await ada.add_node("Orders")
    await expect(bob.node("Orders")).to_be_visible()
    await expect(ada.saved).to_have_text("Saved")
    stored = (await http.get(f"/api/graphs/{graph_id}")).json()
    assert [node["label"] for node in stored["nodes"]] == ["Orders"]

    await bob.node("Orders").dblclick()
    await bob.page.get_by_role("textbox", name="New name for Orders").fill("Invoices")
    await bob.page.keyboard.press("Enter")
    await expect(ada.node("Invoices")).to_be_visible()
    await ada.node("Invoices").click()
    await ada.page.keyboard.press("Delete")
    await expect(bob.page.get_by_test_id("counts")).to_have_text("0 nodes, 0 edges")
    assert ada.complaints == []
    assert bob.complaints == []


async def test_web_2_a_changed_name_reaches_the_others_and_is_kept(visit: Visitor, http: httpx.AsyncClient) -> None:
    """WEB-2, and who leaves is gone from the list."""
    graph_id = await new_graph(http)
    ada, bob = await visit(f"#/graphs/{graph_id}"), await visit(f"#/graphs/{graph_id}")
    await ada.page.get_by_role("button", name="Change your name").click()
    await ada.page.get_by_role("textbox", name="Your name, as others see it").fill("Ada Lovelace")
    await ada.page.keyboard.press("Enter")
    await expect(bob.page.get_by_title("Ada Lovelace", exact=True)).to_be_visible()
    await ada.page.reload()
    await expect(ada.page.get_by_role("button", name="You are Ada Lovelace")).to_be_visible()
    await ada.page.close()
    await expect(bob.page.get_by_title("Ada Lovelace", exact=True)).to_have_count(0)


async def test_web_8_a_dragged_node_stays_where_it_was_dropped(visit: Visitor, http: httpx.AsyncClient) -> None:
    """WEB-8: its position is stored, and the other page draws it there."""
    graph_id = await new_graph(http)
    ada, bob = await visit(f"#/graphs/{graph_id}"), await visit(f"#/graphs/{graph_id}")
    await ada.add_node("Moved")
    before = await ada.node("Moved").get_attribute("transform")
    await ada.node("Moved").hover()
    await ada.page.mouse.down()
    await ada.page.mouse.move(300, 300, steps=5)
    await ada.page.mouse.up()

    async def places() -> list[str | None]:
        """Where it is for Ada, for Bob, and in the store; the pages draw what they are told a frame later."""
        [node] = (await http.get(f"/api/graphs/{graph_id}")).json()["nodes"]
        x, y = (node["position"] or {}).get("x"), (node["position"] or {}).get("y")
        shown = [await page.node("Moved").get_attribute("transform") for page in (ada, bob)]
        return [*shown, f"translate({x} {y})"]

    await eventually(places, lambda seen: before != seen[0] == seen[1] == seen[2])
    await expect(ada.saved).to_have_text("Saved")


class Wire:
    """Stands between a page and the server: echoes of 102 wait while `held`."""

    def __init__(self) -> None:
        self.held = False
        self.kept: list[bytes | str] = []
        self.sockets: list[WebSocketRoute] = []

    def route(self, page_side: WebSocketRoute) -> None:
        server_side = page_side.connect_to_server()
        self.sockets.append(page_side)

        def to_page(message: bytes | str) -> None:
            if self.held and isinstance(message, bytes) and message[0] == ACKNOWLEDGE:
                self.kept.append(message)
            else:
                page_side.send(message)

        server_side.on_message(to_page)

    def release(self) -> None:
        self.held = False
        for message in self.kept:
            self.sockets[-1].send(message)


async def wired(visit: Visitor, graph_id: str) -> tuple[Visit, Wire]:
    ada, wire = await visit(""), Wire()
    await ada.page.route_web_socket(re.compile("/sync/"), wire.route)
    await ada.page.evaluate("address => { location.hash = address }", f"#/graphs/{graph_id}")
    await expect(ada.saved).to_have_text("Saved")
    return ada, wire


async def test_web_3_an_edit_is_not_called_saved_before_its_echo(visit: Visitor, http: httpx.AsyncClient) -> None:
    """WEB-3: stored or not, without the echo it is still being saved."""
    graph_id = await new_graph(http)
    ada, wire = await wired(visit, graph_id)
    wire.held = True
    await ada.add_node("Held")

    async def labels() -> list[str]:
        return [node["label"] for node in (await http.get(f"/api/graphs/{graph_id}")).json()["nodes"]]

    await eventually(labels, lambda found: found == ["Held"], WITHIN_S)
    await eventually(lambda: answer(len(wire.kept)), lambda count: count == 2, WITHIN_S)
    await expect(ada.saved).to_have_text("Saving (2)")
    wire.release()
    await expect(ada.saved).to_have_text("Saved")


async def answer(value: int) -> int:
    return value


async def test_web_4_what_a_lost_connection_left_open_is_asked_again(visit: Visitor, http: httpx.AsyncClient) -> None:
    """WEB-4: the echoes of the first connection never come, the second one's say saved."""
    graph_id = await new_graph(http)
    ada, wire = await wired(visit, graph_id)
    wire.held = True
    await ada.add_node("Unsure")
    await expect(ada.saved).to_have_text("Saving (2)")
    wire.held = False
    await wire.sockets[-1].close(code=1012)
    await expect(ada.saved).to_have_text("Saved")
    assert len(wire.sockets) == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [(4404, "This graph is gone"), (4401, "You are signed out"), (4403, "You may no longer open this graph")],
)
async def test_web_5_a_final_close_is_said_in_words(
    code: int, words: str, visit: Visitor, http: httpx.AsyncClient
) -> None:
    """WEB-5: and the page does not come back by itself."""
    ada, wire = await wired(visit, await new_graph(http))
    await wire.sockets[-1].close(code=code)
    await expect(ada.page.get_by_role("alert")).to_contain_text(words)
    assert len(wire.sockets) == 1


async def test_web_5_an_unknown_graph_is_said_to_be_gone(visit: Visitor) -> None:
    """WEB-5: no socket is opened for it."""
    ada = await visit("#/graphs/0198c0de-0000-7000-8000-000000000000")
    await expect(ada.page.get_by_role("alert")).to_contain_text("This graph is gone")
    await ada.page.get_by_role("link", name="All graphs").click()
    await expect(ada.page.get_by_role("heading", name="Projects")).to_be_visible()


async def test_a_project_and_a_graph_are_made_on_the_page(visit: Visitor) -> None:
    """From the list of projects to an empty graph, by clicks; WEB-11 with nothing of accounts."""
    ada = await visit("#/account")
    await ada.page.get_by_role("link", name="All graphs").click()
    await ada.page.get_by_role("button", name="New project").click()
    await ada.page.get_by_role("textbox", name="Name of the new project").fill("Made by hand")
    await ada.page.keyboard.press("Enter")
    project = ada.page.get_by_role("region", name="Made by hand")
    await project.get_by_role("button", name="New graph").click()
    await project.get_by_role("textbox").fill("First")
    await ada.page.keyboard.press("Enter")
    await expect(ada.page.get_by_role("heading", name="First")).to_be_visible()
    await expect(ada.page.get_by_role("heading", name="An empty graph")).to_be_visible()
    for control in ("Account of", "Share"):
        await expect(ada.page.get_by_role("button", name=control)).to_have_count(0)
    assert ada.complaints == []


async def test_WEBSEC_7_the_page_and_the_api_description_violate_no_policy(
    visit: Visitor, http: httpx.AsyncClient
) -> None:
    """By drawing, arranging and renaming, by an operation of the description that is opened and tried; WEB-10."""
    page = await visit(f"#/graphs/{await new_graph(http)}")
    await page.add_node("Orders")
    await page.add_node("Invoices")
    await expect(page.saved).to_have_text("Saved")
    description = await visit("docs")
    operation = description.page.locator(".opblock", has_text="Is the process alive?")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    policy = (await http.get("/")).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert page.complaints == []
    assert description.complaints == []
