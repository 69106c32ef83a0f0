"""Runs of plans: begun by people or by a change, one of a project at a time, and none is ever left behind."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from auth.policy import Action, Principal
from persistence.errors import StoreError
from persistence.execution_records import Execution, ExecutionType, NewExecution, NodeRun
from persistence.records import Caller
from replay.execution_ports import Explain, ProjectAccess, Turn, TurnStore
from replay.node_steps import StepParts
from replay.plan import Plan
from replay.plan_reading import read_plan
from replay.plan_run import UNEXPECTED, PlanRun
from replay.schedule import checked_targets, scheduled

MAX_WAITING = 20
"""Executions that may wait on one server for those before them."""

SUPERSEDED_WITHIN_S = 10.0
"""How long a run waits for the end of an older one that began by itself."""

RECONCILE_EVERY_S = 5.0
"""How often runs are looked for whose server is gone; PostgreSQL may notice that a while after it went."""

_POLL_S = 0.1

CANCELLED = "it was cancelled"
SUPERSEDED = "a newer run took its place"
STOPPING = "the server stopped while it ran; run it again"

_log = structlog.get_logger("layercake.executions")


class ExecutionRunningError(Exception):
    """The project's plan is being run already."""

    def __init__(self, project_id: UUID) -> None:
        super().__init__("the plan of this project is being run already; wait for the end of that, or cancel it")
        self.project_id = project_id


class ExecutionsBusyError(Exception):
    """More executions wait on this server than may."""

    def __init__(self) -> None:
        super().__init__(f"{MAX_WAITING} runs of plans are waiting already; try again later")


@dataclass(frozen=True, slots=True)
class ExecutionLimits:
    """What bounds runs: how many go on at once on this server, and how long one may take."""

    at_once: int
    timeout_s: float


@dataclass(slots=True)
class ExecutionStatistics:
    """What has ended since the start: how many, by status, and how long those took together."""

    ended: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(slots=True)
class Executions:
    """The runs of this server, and what is known of all others."""

    parts: StepParts
    turns: TurnStore
    access: ProjectAccess
    explain: Explain
    new_id: Callable[[], UUID]
    limits: ExecutionLimits
    statistics: ExecutionStatistics = field(default_factory=ExecutionStatistics)
    _runs: dict[UUID, PlanRun] = field(default_factory=dict)
    _tasks: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    _beginning: int = 0
    _group: asyncio.TaskGroup | None = None
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.limits.at_once)

    @property
    def running(self) -> int:
        """How many runs are under way on this server, or wait for their turn."""
        return len(self._runs)

    async def run(self) -> None:
        """Hold all runs until this is cancelled; those that a crash left behind, here or elsewhere, are told so."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                await self.reconcile()
                await asyncio.sleep(RECONCILE_EVERY_S)

    async def stop(self, timeout_s: float) -> None:
        """Cancel what runs and wait until that is stored, `timeout_s` at most. Nothing can begin any more."""
        self._group = None
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)

    async def start(self, principal: Principal, project_id: UUID, targets: Sequence[str] = ()) -> Execution:
        """Begin to run a project's plan, and return the run at once.

        A run that began by itself gives way. Raises NotFoundError, ForbiddenError, PlanErrors, UnknownTargetsError,
        ExecutionRunningError, ExecutionsBusyError.
        """
        await self.access.authorise_project(principal, project_id, Action.EDIT)
        return await self.begin(principal.caller, project_id, await self.plan_of(project_id), targets, "manual")

    async def plan_of(self, project_id: UUID) -> Plan:
        """Return the plan of a project. Raises NotFoundError, PlanErrors."""
        stored = await self.parts.plans.read(project_id)
        return await self.parts.worker.run(read_plan, stored.plan_dag)

    async def begin(
        self, caller: Caller, project_id: UUID, plan: Plan, targets: Sequence[str], execution_type: ExecutionType
    ) -> Execution:
        """Do the same for a plan that is known already, on behalf of somebody who may."""
        targets = checked_targets(plan, targets)
        with self._room():
            turn = await self._turn(project_id)
            try:
                await self.parts.executions.reconcile_project(project_id)
                nodes = tuple(map(NodeRun, scheduled(plan, targets)))
                new = NewExecution(
                    self.new_id(), project_id, execution_type, plan.to_json(), targets, nodes, caller.user_id
                )
                execution = await self.parts.executions.begin(new)
                run = PlanRun(self.parts, self.explain, plan, execution, caller, lambda: turn.is_held)
                self._hold(run, turn)
            except BaseException:
                await turn.give_back()
                raise
        return execution

    async def cancel(self, principal: Principal, execution_id: UUID) -> None:
        """Have a run end before its next node, wherever it runs; one that has ended stays as it is.

        Raises NotFoundError, ForbiddenError.
        """
        execution = await self.authorised(principal, execution_id, Action.EDIT)
        if execution.is_running:
            await self._ask_to_stop(execution_id, CANCELLED)
        if execution_id not in self._runs:
            await self.reconcile()

    async def authorised(self, principal: Principal, execution_id: UUID, action: Action) -> Execution:
        """Return a run as it is stored, if the principal may do `action`. Raises NotFoundError, ForbiddenError."""
        execution = await self.parts.executions.read(principal.caller, execution_id)
        await self.access.authorise_project(principal, execution.project_id, action)
        return execution

    def live(self, execution_id: UUID) -> PlanRun | None:
        """Return a run that is under way on this server."""
        return self._runs.get(execution_id)

    @contextmanager
    def _room(self) -> Iterator[None]:
        if self._group is None or len(self._runs) + self._beginning >= self.limits.at_once + MAX_WAITING:
            raise ExecutionsBusyError
        self._beginning += 1
        try:
            yield
        finally:
            self._beginning -= 1

    async def _turn(self, project_id: UUID) -> Turn:
        """Take the project's turn; a run that began by itself gives it up for a newer one."""
        deadline = asyncio.get_running_loop().time() + SUPERSEDED_WITHIN_S
        while (turn := await self.turns.take(project_id)) is None:
            older = await self.parts.executions.running_in(project_id)
            is_in_the_way = older is not None and older.execution_type != "automatic"
            if is_in_the_way or asyncio.get_running_loop().time() > deadline:
                raise ExecutionRunningError(project_id)
            if older is not None:
                await self._ask_to_stop(older.id, SUPERSEDED)
            await asyncio.sleep(_POLL_S)
        return turn

    async def _ask_to_stop(self, execution_id: UUID, reason: str) -> None:
        await self.parts.executions.ask_to_stop(execution_id, reason)
        run = self._runs.get(execution_id)
        if run is not None:
            run.stop(reason)
            if not run.has_begun:
                self._tasks[execution_id].cancel()

    def _hold(self, run: PlanRun, turn: Turn) -> None:
        if self._group is None:
            raise ExecutionsBusyError
        id_ = run.execution.id
        self._runs[id_] = run
        self._tasks[id_] = self._group.create_task(self._execute(run, turn), name=f"execution {id_}")

    async def _execute(self, run: PlanRun, turn: Turn) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with self._slots, asyncio.timeout(self.limits.timeout_s):
                await run.run()
        except TimeoutError:
            run.failed(f"it took longer than {self.limits.timeout_s} s (LAYERCAKE_EXECUTION_TIMEOUT_S)")
        except asyncio.CancelledError:
            run.cancelled(run.stop_reason or STOPPING)
            raise
        except Exception as error:  # noqa: BLE001 - a run that fails ends no other
            _log.error("a run of a plan failed", execution=str(run.execution.id), exc_info=error)
            run.failed(self.explain(error) or UNEXPECTED)
        finally:
            await self._end(run, turn)
            self.statistics.ended[run.execution.status] += 1
            self.statistics.seconds += asyncio.get_running_loop().time() - began

    async def _end(self, run: PlanRun, turn: Turn) -> None:
        try:
            run.execution = await self.parts.executions.end(run.execution)
        except StoreError as error:  # the row says running until whoever comes next finds the turn free
            _log.warning("the end of a run was not stored", execution=str(run.execution.id), error=str(error))
        finally:
            del self._runs[run.execution.id], self._tasks[run.execution.id]
            run.feed.publish(run.execution)
            await turn.give_back()

    async def reconcile(self) -> None:
        """Have runs that say they go on, and which nobody runs, be told to have failed. Never raises StoreError."""
        try:
            count = await self.parts.executions.reconcile()
        except StoreError as error:
            _log.warning("runs that a crash left behind are not looked for", error=str(error))
        else:
            if count:
                _log.warning("runs were left behind by a server that stopped", count=count)
