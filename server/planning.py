"""The parts that keep plans and their data, put together on a node."""

from dataclasses import dataclass

from persistence.database import Database
from persistence.graphs import Graphs
from persistence.inputs import Inputs as InputRows
from persistence.notices import Notices
from persistence.plans import Plans as PlanRows
from server.node import Node
from server.plan_projection import CHANNEL, PlanProjection
from workspace.catalogue import Catalogue
from workspace.inputs import Inputs
from workspace.plans import Changed, Plans


@dataclass(frozen=True, slots=True)
class Planning:
    """Plans as people read and change them, the data that they read, and what follows live plans."""

    plans: Plans
    inputs: Inputs
    projection: PlanProjection


def build_planning(database: Database, node: Node, catalogue: Catalogue, changed: Changed) -> Planning:
    """Put the parts together; nothing runs yet. `changed` hears of what runs should follow."""
    rows, notices = PlanRows(database), Notices(database, CHANNEL, "plans")
    return Planning(
        Plans(catalogue, rows, Graphs(database), node.edits, node.whole, node.workers, changed),
        Inputs(catalogue, InputRows(database), node.workers, changed),
        PlanProjection(rows, notices, node.whole, node.workers, changed),
    )
