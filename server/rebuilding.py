"""The parts that rebuild graphs, put together on a node."""

from collab.audience import Audience
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.replays import Replays
from replay.ports import Capture
from replay.service import Rebuilds
from server.node import Node


def build_rebuilds(database: Database, node: Node, capture: Capture) -> Rebuilds:
    """Put the parts together; nothing runs yet."""
    return Rebuilds(
        live=node.edits,
        store=Replays(database),
        roles=Graphs(database),
        capture=capture,
        documents=node.whole,
        worker=node.workers,
        audience=Audience(node.hub),
        new_id=new_id,
        timeout_s=node.edits.timeout_s,
    )
