"""Runs that begin by themselves: when a plan or its data changed, and a graph was made of it before."""

import asyncio
from uuid import UUID

import structlog

from persistence.errors import NotFoundError
from persistence.execution_records import Execution
from persistence.records import Caller
from replay.execution_ports import ProjectRoles, Rules
from replay.executions import ExecutionRunningError, Executions, ExecutionsBusyError
from replay.plan import PlanErrors
from replay.quiet import Quiet
from replay.schedule import affected_targets

QUIET_S = 0.5
"""How long nothing may change in a project before a run begins by itself."""

MOST_S = 5.0
"""After so long it begins although something changes all the time."""

EDITORS = ("admin", "member")
"""Who may run a plan. Whoever may only edit the graph that is its document may not."""

_log = structlog.get_logger("layercake.executions")


class AutomaticRuns:
    """Begins a run of what a change affects, once the project is quiet (`replay.quiet`)."""

    def __init__(self, executions: Executions, roles: ProjectRoles, rules: Rules) -> None:
        self._executions = executions
        self._roles = roles
        self._rules = rules
        self._quiet = Quiet(QUIET_S, MOST_S)
        self._heard = asyncio.Event()

    def plan_changed(self, project_id: UUID, user_id: UUID) -> None:
        """Note that the plan of a project, or an input of it, was changed by somebody: the run will be theirs."""
        if not self._quiet.heard(project_id, user_id, asyncio.get_running_loop().time()):
            _log.warning("too many projects change at once; this one is not run by itself", project=str(project_id))
        self._heard.set()

    async def run(self) -> None:
        """Begin runs until this is cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wait_until(self._quiet.next_at())
                for project_id, user_id in self._quiet.take_due(loop.time()):
                    group.create_task(self._follow(project_id, user_id))

    async def _wait_until(self, when: float | None) -> None:
        try:
            async with asyncio.timeout_at(when):
                await self._heard.wait()
        except TimeoutError:
            return
        self._heard.clear()

    async def _follow(self, project_id: UUID, user_id: UUID) -> None:
        try:
            await self.follow(Caller(user_id), project_id)
        except (ExecutionRunningError, ExecutionsBusyError):
            self.plan_changed(project_id, user_id)  # again, when that one may have ended
        except (NotFoundError, PlanErrors):
            return  # gone, not theirs any more, or to be mended first
        except Exception as error:  # noqa: BLE001 - whatever this one fails on, others follow
            _log.warning("no run follows a change", project=str(project_id), error=f"{type(error).__name__}: {error}")

    async def follow(self, caller: Caller, project_id: UUID) -> Execution | None:
        """Begin a run of what changed, and return it; None if nothing did, or none should follow.

        Raises what `Executions.begin` raises, and NotFoundError.
        """
        if await self._roles.role_in_project(caller, project_id) not in EDITORS:
            return None
        if not (await self._rules.read(caller, project_id)).automatic:
            return None
        parts, plan = self._executions.parts, await self._executions.plan_of(project_id)
        digests = {one.name: one.digest for one in await parts.plans.inputs(project_id)}
        targets = affected_targets(plan, digests, await parts.results.graphs(project_id))
        return await self._executions.begin(caller, project_id, plan, targets, "automatic") if targets else None
