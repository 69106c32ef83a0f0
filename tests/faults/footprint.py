"""What a server holds at a moment, as seen from outside."""

import re
from dataclasses import dataclass

import httpx
import psutil

from tests.clients.eventually import eventually
from tests.faults.harness import Server

BACKENDS = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'layercake' AND datname = current_database()
"""
_GAUGE = re.compile(r"^layercake_(\w+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What has to come back to where it was, exactly."""

    rooms: int
    leases: int
    sessions: int
    connections: int
    tasks: int
    files: int
    database_connections: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a server holds, and the memory that it takes: of its process and those beside it but for PostgreSQL's."""

    holdings: Holdings
    memory_bytes: int


async def footprint(server: Server) -> Footprint:
    """Look at a running server."""
    process = psutil.Process(server.pid)
    async with httpx.AsyncClient(base_url=server.base_url, timeout=30) as http:
        gauges = dict(_GAUGE.findall((await http.get("/metrics")).raise_for_status().text))
        files = process.num_fds()  # with the connection of this question, every time
    postgres = server.postgres()
    memory = sum(one.memory_info().rss for one in (process, *process.children(recursive=True)) if one not in postgres)
    counts = (int(float(gauges[name])) for name in ("rooms", "leases", "sessions", "connections", "tasks"))
    return Footprint(Holdings(*counts, files, await _backends(server)), memory)


async def settled(server: Server, within_s: float = 30) -> Footprint:
    """Wait until no room is left and two looks in a row find the same; return what is left."""
    previous: Holdings | None = None

    async def look() -> tuple[Footprint, bool]:
        nonlocal previous
        seen = await footprint(server)
        is_steady, previous = seen.holdings == previous, seen.holdings
        return seen, is_steady and seen.holdings.rooms == 0

    seen, _ = await eventually(look, lambda answer: answer[1], within_s)
    return seen


async def _backends(server: Server) -> int:
    async with server.database() as connection:
        return int(await connection.fetchval(BACKENDS))
