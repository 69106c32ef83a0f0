"""Many people at many graphs: all at once, or one visit after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import httpx
from pycrdt import Map

from tests.clients.yclient import YClient
from tests.faults.harness import Server

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = 32
"""Visits, or requests, under way at the same time."""


async def create_graphs(server: Server, count: int) -> list[str]:
    """Create graphs in one project and return where their clients connect."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=30) as http:
        project = (await http.post("/api/projects", json={"name": "many"})).raise_for_status().json()["id"]

        async def create(name: str) -> str:
            answer = await http.post(f"/api/projects/{project}/graphs", json={"name": name})
            return server.sync_url(answer.raise_for_status().json()["id"])

        return await _in_turn(create, (f"graph {number}" for number in range(count)))


async def open_all(urls: Sequence[str]) -> list[YClient]:
    """Open every graph by a client of its own, which edits it, and return the clients, still there."""

    async def arrive(url: str) -> YClient:
        client = YClient(url)
        await client.connect()
        await _edit(client)
        return client

    return await _in_turn(arrive, urls)


async def leave_all(clients: Sequence[YClient]) -> None:
    """Close the connections, saved or not."""
    await _in_turn(YClient.disconnect, clients)


async def visit_all(urls: Iterable[str]) -> None:
    """Open, edit, wait until it is saved, and close, for each of `urls`."""

    async def visit(url: str) -> None:
        async with YClient(url) as client:
            await _edit(client)
            await client.saved()

    await _in_turn(visit, urls)


async def _edit(client: YClient) -> None:
    replica: Any = client.replica
    nodes = replica.doc.get("nodes", type=Map)
    for update in replica.recording(lambda: nodes.__setitem__("visited", Map({"label": "Visited"}))):
        await client.send_update(update)


async def _in_turn(act: Callable[[T], Awaitable[R]], arguments: Iterable[T]) -> list[R]:
    """Await `act` for each argument, _AT_ONCE at a time; the first failure ends the others."""
    waiting = iter(arguments)
    done: list[R] = []

    async def work() -> None:
        for argument in waiting:
            result = await act(argument)
            done.append(result)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(work())
    return done
