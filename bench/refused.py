"""`make bench-refused`: the rights of 1,000 people end at once, and their clients come again and again.

`python -m bench.refused [--clients 1000]`. Somebody edits another graph all the while.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
from rich.console import Console
from rich.table import Table

from bench.processes import Generator
from persistence.embedded import EmbeddedServer
from persistence.identifiers import new_id
from persistence.migrate import migrate
from persistence.records import EVERYONE_GROUP_ID
from tests.clients.yclient import YClient
from tests.faults.harness import free_port

CLIENTS = 1_000
PHASE_S = 10.0
EDIT_EVERY_S = 0.02
CLOSED_WITHIN_S = 1.0
EDIT_P95_WITHIN_MS = 150.0

ADD_USERS = "INSERT INTO users (id, username) SELECT id, id::text FROM unnest($1::uuid[]) AS id"
ADD_MEMBERS = (
    "INSERT INTO group_memberships (group_id, user_id, role) SELECT $2, id, 'member' FROM unnest($1::uuid[]) AS id"
)
ADD_SESSIONS = """
    INSERT INTO sessions (id, user_id, refresh_token_hash, expires_at, access_expires_at)
    SELECT id, id, hash, now() + interval '1 day', now() + interval '1 day'
    FROM unnest($1::uuid[], $2::bytea[]) AS s (id, hash)
"""
ADD_PROJECT = "INSERT INTO projects (id, name, group_id, created_by) VALUES ($1, 'p', $2, $3)"
ADD_GRAPH = "INSERT INTO graphs (id, project_id, name) VALUES ($1, $2, 'g')"
LOSSES = {
    "removed": "DELETE FROM group_memberships WHERE user_id = ANY($1)",
    "signed out": "UPDATE sessions SET revoked = true WHERE id = ANY($1)",
}
TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Phase:
    """What a while cost."""

    edit_p95_ms: float
    edit_max_ms: float
    server_share: float
    database_share: float
    transactions_per_s: float
    refusals_per_s: float

    @property
    def refusal_ms(self) -> float | None:
        """CPU time of the server for each refusal, all else that it did included."""
        return 1000 * self.server_share / self.refusals_per_s if self.refusals_per_s else None


class Bench:
    """A server, its database, and an editor with a graph of their own."""

    def __init__(self, owner: asyncpg.Connection, port: int, server: psutil.Process, database: psutil.Process) -> None:
        self.owner, self._port, self._server, self._database = owner, port, server, database

    async def people(self, count: int) -> tuple[str, list[Any]]:
        """Return a new graph and the ids of its new people, which are those of their sessions too."""
        ids, project, graph = [new_id() for _ in range(count)], new_id(), new_id()
        await self.owner.execute(ADD_USERS, ids)
        await self.owner.execute(ADD_MEMBERS, ids, EVERYONE_GROUP_ID)
        await self.owner.execute(ADD_SESSIONS, ids, [sha256(one.bytes).digest() for one in ids])
        await self.owner.execute(ADD_PROJECT, project, EVERYONE_GROUP_ID, ids[0])
        await self.owner.execute(ADD_GRAPH, graph, project)
        return str(graph), ids

    def door(self, graph: str, session: Any) -> str:
        return f"ws://127.0.0.1:{self._port}/sync/{graph}?token={session}"

    async def phase(self, editor: YClient, seconds: float = PHASE_S) -> Phase:
        """Edit for a while."""
        began, latencies = time.monotonic(), []
        before = await self._spent()
        while time.monotonic() < began + seconds:
            sent = time.monotonic()
            await editor.edit(["map.set", "k", sent])
            await editor.saved()
            latencies.append(time.monotonic() - sent)
            await asyncio.sleep(EDIT_EVERY_S)
        spent = [
            (after - one) / (time.monotonic() - began) for one, after in zip(before, await self._spent(), strict=True)
        ]
        return Phase(1000 * sorted(latencies)[int(0.95 * len(latencies))], 1000 * max(latencies), *spent)

    async def _spent(self) -> tuple[float, ...]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", timeout=30) as http:
            metrics = (await http.get("/metrics")).text
        refusals = re.findall(r"(?m)^layercake_connections_refused_total (\S+)", metrics)[0]
        database = [self._database, *self._database.children(recursive=True)]
        transactions = await self.owner.fetchval(TRANSACTIONS)
        return _cpu_s([self._server]), _cpu_s(database), float(transactions), float(refusals)


_FIGURES: dict[str, Callable[[Phase], float | None]] = {
    "edit saved, p95, ms": lambda phase: phase.edit_p95_ms,
    "edit saved, max, ms": lambda phase: phase.edit_max_ms,
    "server CPU, %": lambda phase: 100 * phase.server_share,
    "database CPU, %": lambda phase: 100 * phase.database_share,
    "transactions/s": lambda phase: phase.transactions_per_s,
    "refusals/s": lambda phase: phase.refusals_per_s,
    "server CPU for a refusal, ms": lambda phase: phase.refusal_ms,
}


def _cpu_s(processes: list[psutil.Process]) -> float:
    spent = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in spent)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Bench]:
    """Start what is measured."""
    port = free_port()
    postgres = await EmbeddedServer.start(folder)
    try:
        await migrate(postgres.url)
        owner = await asyncpg.connect(postgres.url)
        database = psutil.Process(await owner.fetchval("SELECT pg_backend_pid()")).parent()
        assert database is not None
        async with Generator.ready("bench.refused_server", database_url=postgres.url, port=port) as server:
            yield Bench(owner, port, psutil.Process(server.pid), database)
        await owner.close()
    finally:
        await postgres.stop()


async def run_round(bench: Bench, loss: str, clients: int) -> tuple[list[float], dict[str, int], dict[str, Phase]]:
    """Return when clients were closed, in seconds since the loss; how they were answered; and what it cost."""
    graph, people = await bench.people(clients)
    own_graph, (editor_id,) = await bench.people(1)
    doors = [bench.door(graph, person) for person in people]
    async with (
        YClient(bench.door(own_graph, editor_id)) as editor,
        Generator.ready("bench.storm", doors=doors) as storm,
    ):
        storm.go()
        phases = {"all are in": await bench.phase(editor)}
        await bench.owner.execute(LOSSES[loss], people)
        began = time.monotonic()
        phases["all are let go"] = await bench.phase(editor, 2 * CLOSED_WITHIN_S)
        phases["all come again"] = await bench.phase(editor)
        storm.stop()
        await storm.done()
        report = await storm.report()
    return [at - began for at in report["closed_at"]], report["answers"], phases


async def measure(clients: int) -> list[str]:
    """Print a table for each loss, and return what misses its bar."""
    complaints, console = [], Console(width=130)
    for loss in LOSSES:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder)) as bench:
                closed_s, answers, phases = await run_round(bench, loss, clients)
        console.print(_table(f"{clients:,} people are {loss}", phases))
        console.print(f"closed: {len(closed_s)}, the last after {max(closed_s):.3f} s; answers {answers}")
        if len(closed_s) < clients or max(closed_s) > CLOSED_WITHIN_S:
            complaints.append(f"{loss}: not all were let go within {CLOSED_WITHIN_S:g} s")
        if phases["all come again"].edit_p95_ms > EDIT_P95_WITHIN_MS:
            complaints.append(f"{loss}: the edit p95 is above {EDIT_P95_WITHIN_MS:g} ms")
    return complaints


def _table(title: str, phases: dict[str, Phase]) -> Table:
    shown = Table(title=title)
    shown.add_column("")
    for name in phases:
        shown.add_column(name, justify="right")
    for label, figure in _FIGURES.items():
        values = [figure(phase) for phase in phases.values()]
        shown.add_row(label, *("-" if value is None else f"{value:.2f}" for value in values))
    return shown


def main() -> None:
    """Exit with 1 if a bar is missed."""
    asked = argparse.ArgumentParser(prog="python -m bench.refused", description=__doc__)
    asked.add_argument("--clients", type=int, default=CLIENTS)
    complaints = asyncio.run(measure(asked.parse_args().clients))
    if complaints:
        sys.exit("; ".join(complaints))


if __name__ == "__main__":
    main()
