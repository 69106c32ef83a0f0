"""The parts that run plans, put together on a node."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from auth.errors import AuthError
from collab.hub import MemoryFullError
from persistence.database import Database
from persistence.errors import StoreError
from persistence.executions import Executions as ExecutionRows
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.plan_results import PlanResults
from persistence.plans import Plans
from persistence.project_turns import ProjectTurns
from persistence.projects import Projects
from persistence.replay_rules import StoredReplayRules
from replay.automatic_runs import AutomaticRuns
from replay.computation_errors import ComputationError
from replay.errors import NoBaseError
from replay.execution_ports import ProjectAccess
from replay.execution_views import ExecutionViews
from replay.executions import ExecutionLimits, Executions
from replay.node_steps import StepParts
from replay.service import Rebuilds
from server.node import Node
from server.settings import Settings
from server.workers import WorkerLostError
from workspace.issues import TableErrors
from workspace.plan_inputs import input_content
from workspace.plan_outputs import file_name, output_data

_EXPLAINABLE = (
    ComputationError,
    TableErrors,
    StoreError,
    AuthError,
    NoBaseError,
    MemoryFullError,
    WorkerLostError,
)


@dataclass(frozen=True, slots=True)
class PlanRuns:
    """What runs plans, what people see of that, and what begins by itself."""

    executions: Executions
    views: ExecutionViews
    automatic: AutomaticRuns

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what has to run."""
        return self.executions.run(), self.automatic.run()


def build_plan_runs(
    settings: Settings, database: Database, node: Node, access: ProjectAccess, rebuilds: Rebuilds
) -> PlanRuns:
    """Put the parts together; nothing runs yet."""
    parts = StepParts(
        executions=ExecutionRows(database),
        results=PlanResults(database),
        plans=Plans(database),
        graphs=Graphs(database),
        document=node.whole,
        rebuild=rebuilds.rebuild,
        worker=node.workers,
        read_input=input_content,
        render=output_data,
        file_name=file_name,
    )
    limits = ExecutionLimits(settings.executions_at_once, settings.execution_timeout_s)
    executions = Executions(parts, ProjectTurns(database), access, explain, new_id, limits)
    automatic = AutomaticRuns(executions, Projects(database), StoredReplayRules(database))
    return PlanRuns(executions, ExecutionViews(executions), automatic)


def explain(error: Exception) -> str | None:
    """Say what a person can do about an error of a run, None if nobody but who runs the server can."""
    return str(error) if isinstance(error, _EXPLAINABLE) else None
