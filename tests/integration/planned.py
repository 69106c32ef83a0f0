"""A project with a plan and its data, run over HTTP."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import asyncpg
import httpx
import orjson

from persistence.database import Database
from persistence.records import ANONYMOUS_USER_ID
from tests.clients.eventually import eventually
from tests.integration.served import Served, serving

WRITE_PLAN = "UPDATE projects SET plan_dag = convert_from($2, 'UTF8')::jsonb WHERE id = $1"
WRITE_INPUT = """
    INSERT INTO project_inputs (project_id, name, format, content, digest, row_count, uploaded_by)
    VALUES ($1, $2, 'csv', $3, $4, 1, $5)
    ON CONFLICT (project_id, name) DO UPDATE SET content = EXCLUDED.content, digest = EXCLUDED.digest
"""
NODES = b"id,label,layer\nn1,Pier,steel\nn2,Deck,steel\nn3,Rail,wood\n"
EDGES = b"id,source,target,label\ne1,n1,n2,carries\ne2,n2,n3,holds\n"
LAYERS = b"id,name\nsteel,Steel\nwood,Wood\n"
FILES = {"nodes.csv": NODES, "edges.csv": EDGES, "layers.csv": LAYERS}


def table(node_id: str, name: str, kind: str) -> dict[str, Any]:
    """Return an input node that reads a table."""
    return {
        "id": node_id,
        "type": "InputNode",
        "config": {"inputType": f"CSV{kind}FromFile", "source": name, "dataType": kind},
    }


def step(node_id: str, node_type: str, label: str | None = None, **config: Any) -> dict[str, Any]:
    """Return a node of another type."""
    return {"id": node_id, "type": node_type, "config": config, "metadata": {"label": label} if label else {}}


def plan_of(nodes: Sequence[Mapping[str, Any]], *wires: str) -> dict[str, Any]:
    """Return a plan; each wire is `source target`."""
    edges = [{"id": f"{a}-{b}", "source": a, "target": b} for a, b in (wire.split() for wire in wires)]
    return {"version": "1.0", "nodes": nodes, "edges": edges, "metadata": {}}


BRIDGE = plan_of(
    [
        table("nodes", "nodes.csv", "Nodes"),
        table("edges", "edges.csv", "Edges"),
        table("layers", "layers.csv", "Layers"),
        step("all", "MergeNode", mergeStrategy="Union", conflictResolution="PreferFirst"),
        step("bridge", "GraphNode", "Bridge"),
        step("short", "TransformNode", transformConfig={"nodeLabelMaxLength": 3}),
        step("labels", "GraphNode", "Short labels"),
        step("dot", "OutputNode", renderTarget="DOT"),
        step("json", "OutputNode", renderTarget="JSON", outputPath="bridge.json"),
    ],
    "nodes all", "edges all", "layers all", "all bridge", "bridge short", "short labels", "labels dot", "all json",
)  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A project and who asks about it."""

    served: Served
    http: httpx.AsyncClient
    database_url: str
    project_id: str

    @property
    def path(self) -> str:
        """The address of its runs."""
        return f"/api/projects/{self.project_id}/executions"

    async def write(self, plan: Mapping[str, Any] | None = None, **files: bytes) -> None:
        """Make this the plan, and these the files, a name's `_csv` being `.csv`."""
        owner = await asyncpg.connect(self.database_url)
        try:
            if plan is not None:
                await owner.execute(WRITE_PLAN, self.project_id, orjson.dumps(plan))
            for name, content in files.items():
                digest = sha256(content).hexdigest()
                name = name.replace("_csv", ".csv")
                await owner.execute(WRITE_INPUT, self.project_id, name, content, digest, ANONYMOUS_USER_ID)
        finally:
            await owner.close()

    async def start(self, *targets: str) -> str:
        """Begin a run and return its id."""
        answer = await self.http.post(self.path, json={"targets": targets})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return a run as it is answered."""
        answer = await self.http.get(f"/api/executions/{execution_id}")
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    async def ended(self, execution_id: str) -> dict[str, Any]:
        """Return a run once it has ended."""
        return await eventually(lambda: self.execution(execution_id), lambda one: one["status"] != "running")

    async def run(self, *targets: str) -> dict[str, Any]:
        """Run the plan and return how that ended."""
        return await self.ended(await self.start(*targets))

    async def graph(self, graph_id: str) -> dict[str, Any]:
        """Return a graph with its content."""
        answer = await self.http.get(f"/api/graphs/{graph_id}")
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    async def post(self, graph_id: str, **operation: Any) -> None:
        """Edit a graph."""
        answer = await self.http.post(f"/api/graphs/{graph_id}/operations", json=operation)
        assert answer.status_code == 200, answer.text

    async def relabel(self, graph_id: str, node_id: str, old: str, new: str) -> None:
        """Give a node of a graph another label."""
        values = {"old_values": {"label": old}, "new_values": {"label": new}}
        await self.post(graph_id, type="node_update", node_id=node_id, **values)


def statuses(execution: Mapping[str, Any]) -> dict[str, str]:
    """Return the status of each node of a run."""
    return {node["id"]: node["status"] for node in execution["nodes"]}


def labels(graph: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a graph's nodes."""
    return {node["id"]: node["label"] for node in graph["nodes"]}


@asynccontextmanager
async def planning(
    database: Database, database_url: str, plan: Mapping[str, Any] = BRIDGE, **settings: Any
) -> AsyncIterator[Planned]:
    """Serve a project with a plan and FILES for the length of the block."""
    async with serving(database, database_url, **settings) as served, served.http() as http:
        project = (await http.post("/api/projects", json={"name": "River"})).raise_for_status().json()
        planned = Planned(served, http, database_url, project["id"])
        await planned.write(plan, **FILES)
        yield planned
