"""Whether what nodes and edges point to is there, once what files say is so.

Pure. Each check notes what is missing in `Issues`, where a file says it. What pointed to nothing before
and is left as it was is none of the file's faults.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from persistence.document import Node
from replay.partitions import containment_cycles
from workspace.issues import Issues
from workspace.statements import Entity, Statement, Statements

_IDS_SHOWN_OF_CYCLE = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """An entity before (None if there was none) and after what a file says of it."""

    statement: Statement
    before: Entity | None
    after: Entity


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All that one kind of statements makes."""

    statements: Statements
    all: tuple[Outcome, ...]

    def note(self, issues: Issues, outcome: Outcome, field: str, message: str) -> None:
        """Note what is wrong with a field of one of them."""
        self.statements.note(issues, outcome.statement, field, message)


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids that there were, and those that there will be."""

    before: Container[str]
    after: Container[str]

    def missing(self, outcome: Outcome, field: str) -> str | None:
        """Return the id that a field points to, if there is no such thing and it is the file that says so."""
        id_: str | None = getattr(outcome.after, field)
        if not id_ or id_ in self.after:
            return None
        was_so = outcome.before is not None and id_ == getattr(outcome.before, field) and id_ not in self.before
        return None if was_so else id_


def check_ends(edges: Outcomes, nodes: Ids, issues: Issues) -> None:
    """Every edge has a source and a target among `nodes`."""
    for outcome in edges.all:
        for end in ("source", "target"):
            if not getattr(outcome.after, end) and (outcome.before is None or getattr(outcome.before, end)):
                edges.note(issues, outcome, end, "expected the id of a node")
            elif missing := nodes.missing(outcome, end):
                edges.note(issues, outcome, end, f"there is no node {missing!r}")


def check_layers(nodes: Outcomes, layers: Ids, issues: Issues) -> None:
    """Every layer of a node is among `layers`.

    Edges are not held to it: their layer column is used for kinds of edges that have no layer row.
    """
    for outcome in nodes.all:
        if missing := layers.missing(outcome, "layer"):
            nodes.note(issues, outcome, "layer", f"there is no layer {missing!r}")


def check_parents(nodes: Outcomes, ids: Ids, parents: Mapping[str, str | None], issues: Issues) -> None:
    """Every node belongs to one that is there, and no node to itself, however far around.

    `parents` are those of all nodes that there will be, the ones that files speak of first.
    """
    by_id: dict[str, Outcome] = {}
    for outcome in nodes.all:
        by_id.setdefault(outcome.after.id, outcome)
        if missing := ids.missing(outcome, "belongs_to"):
            nodes.note(issues, outcome, "belongs_to", f"there is no node {missing!r}")
    for *cycle, _ in containment_cycles({id_: parent or None for id_, parent in parents.items()}):
        moved = [by_id[id_] for id_ in cycle if id_ in by_id and _is_moved(by_id[id_])]
        if moved:
            start = cycle.index(moved[0].after.id)
            nodes.note(issues, moved[0], "belongs_to", _describe(cycle[start:] + cycle[:start]))


def _is_moved(outcome: Outcome) -> bool:
    return outcome.before is None or parent_of(outcome.before) != parent_of(outcome.after)


def parent_of(node: Entity) -> str | None:
    """Return what a node belongs to, if anything."""
    return node.belongs_to if isinstance(node, Node) else None


def _describe(cycle: list[str]) -> str:
    shown = cycle[:_IDS_SHOWN_OF_CYCLE]
    dots = ["…"] if len(cycle) > len(shown) else []
    return "expected no node to belong to itself: " + " in ".join([*shown, *dots, cycle[0]])
