"""What people see of runs of plans: how far they are, and what they made that is not hidden from them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from uuid import UUID

from auth.policy import Action, Principal
from persistence.errors import NotFoundError
from persistence.execution_records import Execution, OutputFile
from persistence.records import Caller
from replay.executions import Executions

_WATCH_ELSEWHERE_S = 1.0
"""How often a run of another server is looked at, and whether that is still there."""


class ExecutionViews:
    """Runs as they may be seen; those of other servers as far as they are stored."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        self._parts = executions.parts

    async def read(self, principal: Principal, execution_id: UUID) -> Execution:
        """Return a run as far as it is, with the graphs and files that the principal may read.

        Raises NotFoundError.
        """
        execution = await self._executions.authorised(principal, execution_id, Action.READ)
        (visible,) = await self._visible(principal.caller, execution.project_id, (self._latest(execution),))
        return visible

    async def of_project(self, principal: Principal, project_id: UUID) -> Sequence[Execution]:
        """Return the runs of a project that are kept, newest first. Raises NotFoundError."""
        await self._executions.access.authorise_project(principal, project_id, Action.READ)
        found = await self._parts.executions.of_project(principal.caller, project_id)
        return await self._visible(principal.caller, project_id, [*map(self._latest, found)])

    async def output(self, principal: Principal, execution_id: UUID, node_id: str) -> tuple[OutputFile, bytes]:
        """Return a file that a run wrote. Raises NotFoundError, also if it is not kept any more."""
        execution = await self.read(principal, execution_id)
        file = next((output for output in execution.outputs if output.node_id == node_id), None)
        content = await self._parts.executions.output(principal.caller, execution_id, node_id)
        if content is None or file is None:
            raise NotFoundError("output of the execution", execution_id)
        return file, content

    async def watch(self, principal: Principal, execution_id: UUID) -> AsyncGenerator[Execution]:
        """Yield a run as it is, and again when it has changed, until it has ended; graphs and files only then.

        Whoever reads slowly misses what was in between. Raises NotFoundError before the first.
        """
        execution = await self.read(principal, execution_id)
        yield execution
        seen = run.feed.latest if (run := self._executions.live(execution_id)) else execution
        while seen.is_running:
            if run is not None:
                seen = await run.feed.after(seen)
            else:
                await asyncio.sleep(_WATCH_ELSEWHERE_S)
                await self._executions.reconcile()
                seen = await self._parts.executions.read(principal.caller, execution_id)
            yield seen if seen.is_running else await self.read(principal, execution_id)

    def _latest(self, execution: Execution) -> Execution:
        run = self._executions.live(execution.id)
        return execution if run is None or not execution.is_running else run.feed.latest

    async def _visible(self, caller: Caller, project_id: UUID, executions: Sequence[Execution]) -> Sequence[Execution]:
        """Return runs without the graphs that are hidden from the caller, and the files that show one."""
        graphs = {str(graph.id) for graph in await self._parts.graphs.of_project(caller, project_id)}
        files = await self._parts.executions.visible_outputs(caller, [execution.id for execution in executions])
        return [
            replace(
                one,
                graphs={node_id: graph_id for node_id, graph_id in one.graphs.items() if graph_id in graphs},
                outputs=tuple(output for output in one.outputs if (one.id, output.node_id) in files),
            )
            for one in executions
        ]
