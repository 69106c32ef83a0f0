"""A real browser, and what one sees of the page in it."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

CHROMIUM = os.environ.get("CHROME", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WITHIN_MS = 20_000

expect.set_options(timeout=WITHIN_MS)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a profile, gone after the block."""
    if shutil.which(CHROMIUM) is None:
        pytest.fail(
            f"there is no browser at {CHROMIUM}; install Debian's package chromium, or set CHROME to another one"
        )
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


@dataclass
class Visit:
    """A page in a browser profile of its own, and what it did that it should not."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self, allowed: str) -> None:
        """Note requests outside `allowed`, messages on the console that are no mere notes, and errors."""
        host = allowed.removeprefix("http://")

        def note_request(url: str) -> None:
            if not re.match(rf"(https?://{re.escape(host)}/|wss?://{re.escape(host)}/|data:|blob:)", url):
                self.complaints.append(f"asked {url}")

        self.page.on("request", lambda request: note_request(request.url))
        self.page.on("websocket", lambda socket: note_request(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error {error}"))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{message.type} {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )

    def node(self, label: str) -> Locator:
        return self.page.locator(".node", has_text=re.compile(f"^{re.escape(label)}"))

    @property
    def saved(self) -> Locator:
        return self.page.get_by_test_id("saved")

    async def add_node(self, label: str) -> None:
        await self.page.get_by_role("button", name="Add node").click()
        name = self.page.get_by_role("textbox", name=re.compile("New name for"))
        await name.fill(label)
        await name.press("Enter")
        await expect(self.node(label)).to_be_visible()
