"""One run of a plan: its nodes one after the other, until all are done or it has to stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from persistence.execution_records import Execution, ExecutionStatus, NodeRun, NodeStatus
from persistence.records import Caller
from replay.execution_ports import Explain
from replay.feed import Feed
from replay.node_steps import Before, Done, NodeSteps, StepParts
from replay.node_work import NodeFailedError
from replay.plan import Plan, PlanNode

PROGRESS_EVERY_S = 0.2
"""How often progress is stored, at most, and it is looked whether the run should stop; who listens hears of it all."""

TURN_LOST = "the connection to the database was lost while it ran; run it again"
UNEXPECTED = "the server failed at this; its log says why"

_log = structlog.get_logger("layercake.executions")


@dataclass(slots=True)
class PlanRun:
    """A run under way; `is_turn_held` tells whether nobody else runs the plan meanwhile."""

    parts: StepParts
    explain: Explain
    plan: Plan
    execution: Execution
    caller: Caller
    is_turn_held: Callable[[], bool]
    feed: Feed = field(init=False)
    has_begun: bool = False
    stop_reason: str | None = None
    _stored_at: float = 0.0

    def __post_init__(self) -> None:
        self.feed = Feed(self.execution)

    async def run(self) -> None:
        """Go through all nodes. Afterwards `execution` says how that ended, which is not stored yet.

        Raises StoreError if the store cannot be asked what there is, or told how far it is.
        """
        self.has_begun = True
        before = await Before.of(self.parts, self.execution.project_id, self.plan)
        steps = NodeSteps(self.parts, self.plan, self.execution, self.caller, before)
        for node in self.execution.nodes:
            if await self._must_stop():
                return
            await self._run_node(steps, self.plan.node(node.id))
        await self.parts.results.forget_others(self.execution.project_id, [node.id for node in self.plan.nodes])
        self._end_by_nodes()

    def stop(self, reason: str) -> None:
        """Have the run end before its next node."""
        self.stop_reason = self.stop_reason or reason

    def cancelled(self, reason: str) -> None:
        """Make the execution one that was cancelled: what did not run does not any more."""
        self._end("cancelled", reason, "cancelled")

    def failed(self, reason: str) -> None:
        """Make the execution one that failed as a whole."""
        self._end("failed", reason, "skipped")

    async def _must_stop(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._stored_at >= PROGRESS_EVERY_S:
            self._stored_at = now
            reason = await self.parts.executions.progress(self.execution)
            self.stop_reason = self.stop_reason or reason
        if self.stop_reason is not None:
            self.cancelled(self.stop_reason)
        elif not self.is_turn_held():
            self.failed(TURN_LOST)
        return not self.execution.is_running

    async def _run_node(self, steps: NodeSteps, node: PlanNode) -> None:
        if not steps.can_run(node):
            self._tell(NodeRun(node.id, "skipped"))
            return
        self._tell(NodeRun(node.id, "running"))
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            done = await steps.run(node)
        except Exception as error:  # noqa: BLE001 - one node fails, whatever it fails on; other branches go on
            self._tell(NodeRun(node.id, "failed", _ms(clock() - began), self._sentence(node, error)))
        else:
            self._take(node, done)
            self._tell(NodeRun(node.id, done.status, _ms(clock() - began), None, done.change, done.replay))

    def _take(self, node: PlanNode, done: Done) -> None:
        if done.graph_id is not None:
            self.execution = replace(self.execution, graphs={**self.execution.graphs, node.id: str(done.graph_id)})
        if done.output is not None:
            self.execution = replace(self.execution, outputs=(*self.execution.outputs, done.output))

    def _sentence(self, node: PlanNode, error: Exception) -> str:
        sentence = str(error) if isinstance(error, NodeFailedError) else self.explain(error)
        if sentence is None:
            _log.error("a node of a plan failed", execution=str(self.execution.id), node=node.id, exc_info=error)
        return sentence or UNEXPECTED

    def _tell(self, run: NodeRun) -> None:
        self.execution = self.execution.with_node(run)
        self.feed.publish(self.execution)

    def _end_by_nodes(self) -> None:
        failed = [node for node in self.execution.nodes if node.status == "failed"]
        if failed:
            told = f"{len(failed)} node(s) failed; the first is {failed[0].id!r}: {failed[0].error}"
            self.execution = replace(self.execution, status="failed", error=told)
        else:
            self.execution = replace(self.execution, status="completed")

    def _end(self, status: ExecutionStatus, reason: str, of_nodes: NodeStatus) -> None:
        nodes = tuple(
            replace(node, status=of_nodes) if node.status in ("waiting", "running") else node
            for node in self.execution.nodes
        )
        self.execution = replace(self.execution, status=status, error=reason, nodes=nodes)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
