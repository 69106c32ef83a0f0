"""What each node of a run does: nothing if that would give what is there already."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from persistence.errors import NotFoundError
from persistence.execution_records import Change, Execution, NewOutput, NodeStatus, OutputFile, PlanGraph
from persistence.records import Caller, Origin
from persistence.replay_records import GraphBase
from replay.execution_ports import (
    ExecutionStore,
    FileName,
    GraphStore,
    ReadInput,
    Rebuild,
    Render,
    ResultStore,
    WholeDocument,
    Worker,
)
from replay.hashing import data_digest, hashes
from replay.node_configs import GraphNodeConfig, InputConfig, OutputConfig
from replay.node_work import NodeFailedError, computed, first_updates, graph_now, read_input_of, rendered
from replay.plan import Plan, PlanNode
from replay.ports import PlanSource
from replay.schedule import change_of, result_key

_MAX_NAME_CHARACTERS = 200

NOT_NEEDED = ""
"""What comes out of a graph that nothing in this run is computed from."""


class Done(NamedTuple):
    """What came of a node. `flow` tells what comes out of it: the digest of a graph's content, for all else its key."""

    status: NodeStatus
    flow: str
    change: Change | None = None
    graph_id: UUID | None = None
    output: OutputFile | None = None
    replay: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StepParts:
    """What nodes are run with."""

    executions: ExecutionStore
    results: ResultStore
    plans: PlanSource
    graphs: GraphStore
    document: WholeDocument
    rebuild: Rebuild
    worker: Worker
    read_input: ReadInput
    render: Render
    file_name: FileName


@dataclass(frozen=True, slots=True)
class Before:
    """What there is when a run begins.

    By node: what the plan says of it, what it computed last, the graph it made; and the digests of inputs by name.
    """

    hashes: Mapping[str, str]
    keys: Mapping[str, str]
    graphs: Mapping[str, PlanGraph]
    digests: Mapping[str, str]

    @classmethod
    async def of(cls, parts: StepParts, project_id: UUID, plan: Plan) -> "Before":
        """Read it. Raises StoreError."""
        return cls(
            await parts.worker.run(hashes, plan),
            await parts.results.keys(project_id),
            await parts.results.graphs(project_id),
            {one.name: one.digest for one in await parts.plans.inputs(project_id)},
        )


@dataclass(frozen=True, slots=True)
class NodeSteps:
    """Runs the nodes of one execution, each after those that go into it, on behalf of `caller`."""

    parts: StepParts
    plan: Plan
    execution: Execution
    caller: Caller
    before: Before
    _done: dict[str, Done] = field(default_factory=dict)
    _contents: dict[str, bytes] = field(default_factory=dict)

    def can_run(self, node: PlanNode) -> bool:
        """Return whether all that goes into a node is there."""
        return all(source in self._done for source in self.plan.inputs_of(node.id))

    async def run(self, node: PlanNode) -> Done:
        """Do what a node is for. Afterwards what comes out of it is stored, if it is no graph.

        Raises NodeFailedError, ComputationError, and what the parts raise.
        """
        self._done[node.id] = done = await self._run(node)
        return done

    async def _run(self, node: PlanNode) -> Done:
        match node.config:
            case InputConfig() as config:
                return await self._read_input(node, config)
            case GraphNodeConfig(graph_id=UUID() as graph_id):
                return await self._refer(node, graph_id)
            case OutputConfig() as config:
                return await self._write_output(node, config)
            case _ if self.plan.makes_graph(node.id):
                return await self._make_graph(node)
            case _:
                return await self._compute(node)

    async def _read_input(self, node: PlanNode, config: InputConfig) -> Done:
        source, digest, file = config.source, None, b""
        if source is not None:
            digest = self.before.digests.get(source)
        key = result_key(self.before.hashes[node.id], [digest])
        if self._is_unchanged(node, key):
            return Done("unchanged", key)
        if source is not None:
            file = await self._file(source)
        arguments = (self.parts.read_input, source or node.id, config, file, digest)
        return await self._store(node, key, await self.parts.worker.run(read_input_of, *arguments))

    async def _file(self, source: str) -> bytes:
        try:
            return (await self.parts.plans.content(self.execution.project_id, source)).content
        except NotFoundError:
            message = f"there is no input {source!r}; upload it, or let the node name another one"
            raise NodeFailedError(message) from None

    async def _refer(self, node: PlanNode, graph_id: UUID) -> Done:
        graph = await self.parts.graphs.read(self.caller, graph_id)
        if graph.project_id != self.execution.project_id:
            raise NodeFailedError(f"the graph {graph_id} is of another project; name one of this project")
        digest = await self._flow_of_graph(node, graph_id)
        if self._is_unchanged(node, digest):
            return Done("unchanged", digest, graph_id=graph_id)
        return (await self._store(node, digest, b""))._replace(graph_id=graph_id)

    async def _compute(self, node: PlanNode) -> Done:
        key = self._key(node)
        if self._is_unchanged(node, key):
            return Done("unchanged", key)
        return await self._store(node, key, await self._computed(node, is_graph=False))

    async def _make_graph(self, node: PlanNode) -> Done:
        key, plan_hash = self._key(node), self.before.hashes[node.id]
        data, graph = data_digest(self.plan, node.id, self.before.digests), self.before.graphs.get(node.id)
        is_same = graph is not None and (graph.dag_state_hash, graph.data_digest) == (plan_hash, data)
        if graph and is_same and self._is_unchanged(node, key):
            return Done("unchanged", await self._flow_of_graph(node, graph.id), graph_id=graph.id)
        base = GraphBase(await self._computed(node, is_graph=True), plan_hash, data, node.id)
        graph_id, summary = await self._made(node, base) if graph is None else await self._rebuilt(graph.id, base)
        await self._store(node, key, b"")
        flow, change = await self._flow_of_graph(node, graph_id), change_of(graph, plan_hash)
        return Done("completed", flow, change, graph_id, replay=summary)

    async def _made(self, node: PlanNode, base: GraphBase) -> tuple[UUID, None]:
        updates = await self.parts.worker.run(first_updates, base.content)
        details = {"plan_node_id": node.id, "execution_id": str(self.execution.id)}
        origin = Origin("graph.computed", details, base=base)
        place = (self.caller, self.execution.project_id, _name(node))
        return (await self.parts.graphs.create(*place, "computed", None, updates, origin)).id, None

    async def _rebuilt(self, graph_id: UUID, base: GraphBase) -> tuple[UUID, Mapping[str, Any]]:
        return graph_id, await self.parts.rebuild(self.caller, graph_id, base, "plan", self.execution.id)

    async def _write_output(self, node: PlanNode, config: OutputConfig) -> Done:
        began = asyncio.get_running_loop().time()
        key, name = self._key(node), _name(node)
        done = Done("unchanged", key)
        if not self._is_unchanged(node, key):
            (content,) = await self._inputs(node)
            done = await self._store(
                node, key, await self.parts.worker.run(rendered, self.parts.render, node, content, name)
            )
        (source,) = self.plan.inputs_of(node.id)
        file = OutputFile(node.id, config.render_target.value, self.parts.file_name(config, name), 0)
        ms = round((asyncio.get_running_loop().time() - began) * 1000)
        shown = self._done[source].graph_id
        output = NewOutput(self.execution.id, file, shown, config.to_json(), self.caller.user_id, ms)
        size_bytes = await self.parts.executions.write_output(self.execution.project_id, output)
        return done._replace(output=replace(file, size_bytes=size_bytes))

    def _key(self, node: PlanNode) -> str:
        flows = [self._done[source].flow for source in self.plan.inputs_of(node.id)]
        return result_key(self.before.hashes[node.id], flows)

    def _is_unchanged(self, node: PlanNode, key: str) -> bool:
        return self.before.keys.get(node.id) == key

    async def _store(self, node: PlanNode, key: str, content: bytes) -> Done:
        await self.parts.results.write(self.execution.project_id, node.id, key, content)
        return Done("completed", key)

    async def _computed(self, node: PlanNode, *, is_graph: bool) -> bytes:
        return await self.parts.worker.run(computed, node, await self._inputs(node), is_graph)

    async def _inputs(self, node: PlanNode) -> Sequence[bytes]:
        """Return what goes into a node: graphs as they are, for all else what was computed last."""
        return [await self._content(source) for source in self.plan.inputs_of(node.id)]

    async def _content(self, node_id: str) -> bytes:
        if node_id in self._contents:
            return self._contents[node_id]
        return await self.parts.results.content(self.execution.project_id, node_id)

    async def _flow_of_graph(self, node: PlanNode, graph_id: UUID) -> str:
        """Return the digest of what a graph holds, people's edits included, which is what comes out of its node."""
        outputs = self.plan.outputs_of(node.id)
        if not any(one.id in outputs for one in self.execution.nodes):
            return NOT_NEEDED
        now = await self.parts.worker.run(graph_now, graph_id, await self.parts.document(graph_id))
        self._contents[node.id] = now.content
        return now.digest


def _name(node: PlanNode) -> str:
    """Return what the graph or file of a node is called."""
    own = node.config.name if isinstance(node.config, GraphNodeConfig) else None
    label = own or node.metadata.get("label")
    return (label if isinstance(label, str) and label.strip() else node.id)[:_MAX_NAME_CHARACTERS]
