"""What must hold in a graph after a replay, and which edits are to blame where it does not.

Pure. Ends of edges and parents of nodes exist, and no node contains itself. Of the edits that wrote the ends or parents
of the entities concerned, the latest is to blame; without it, the one before; and so on, until it holds.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from persistence.document import Edge, Node
from persistence.document_edits import Change, Entity
from replay.applicability import Reason
from replay.graph_state import GraphState
from replay.partitions import containment_cycles


@dataclass(frozen=True, slots=True)
class Violation:
    """What does not hold: the reason, and a sentence."""

    reason: Reason
    message: str


@dataclass(slots=True)
class Written:
    """The edits, by position in their order, that wrote ends and parents: of each entity, with what it was before."""

    edits: set[int] = field(default_factory=set)
    _of: defaultdict[tuple[str, str], list[tuple[int, Entity | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def note(self, edit: int, changes: Iterable[Change]) -> None:
        """Remember which of the changes of an edit write ends or parents."""
        for change in changes:
            if change.after is not None and _links(change.before) != (links := _links(change.after)) and links:
                self.edits.add(edit)
                self._of[change.root, change.id].append((edit, change.before))

    def pass_on(self, gone: str, changes: Iterable[Change]) -> None:
        """Remember that what belonged to the node `gone` belongs now to where its own latest edit put that."""
        edit = self.latest("nodes", gone)
        for change in changes:
            if edit >= 0 and isinstance(change.after, Node) and isinstance(change.before, Node):
                self._of[change.root, change.id].append((edit, replace(change.before, belongs_to=None)))

    def latest(self, root: str, id_: str) -> int:
        """Return the latest edit that wrote an entity's ends or parent, -1 if none is left."""
        written = self._of.get((root, id_))
        return written[-1][0] if written else -1

    def take(self, root: str, id_: str) -> Entity | None:
        """Forget the latest one, and return what the entity was before it."""
        return self._of[root, id_].pop()[1]


def _links(entity: Entity | None) -> tuple[str, ...]:
    if isinstance(entity, Edge):
        return entity.source, entity.target
    return (entity.belongs_to,) if isinstance(entity, Node) and entity.belongs_to is not None else ()


@dataclass(slots=True)
class Integrity:
    """What does not hold in a graph: which edits are `blamed`, by position; what the base brought is `unblamed`."""

    blamed: dict[int, Violation] = field(default_factory=dict)
    unblamed: list[Violation] = field(default_factory=list)

    @classmethod
    def of(cls, state: GraphState, written: Written) -> "Integrity":
        """Return what does not hold in `state`, which the edits in `written` made; `written` is used up."""
        integrity = cls()
        integrity._check_parents(state, written)
        integrity._check_ends(state, written)
        return integrity

    def _check_parents(self, state: GraphState, written: Written) -> None:
        parents = {id_: node.belongs_to for id_, node in state.nodes.items()}
        open_ = deque([*_lost(parents), *(cycle[0] for cycle in containment_cycles(parents))])
        while open_:
            open_.extend(self._mend(open_.popleft(), parents, state, written))

    def _mend(self, node_id: str, parents: dict[str, str | None], state: GraphState, written: Written) -> Iterator[str]:
        """Take edits back until the node's parent is in order; yield the nodes that concerns."""
        while node_id in parents and (found := _violation(node_id, parents)):
            violation, nodes = found
            to_blame = max(nodes, key=lambda id_: (written.latest("nodes", id_), id_))
            edit = written.latest("nodes", to_blame)
            if edit < 0:
                self.unblamed.append(violation)
                return
            self.blamed[edit] = violation
            before = written.take("nodes", to_blame)
            if isinstance(before, Node):
                parents[to_blame] = before.belongs_to
            else:
                del parents[to_blame]
                yield from (child.id for child in state.children(to_blame))
            if to_blame != node_id:
                yield to_blame

    def _check_ends(self, state: GraphState, written: Written) -> None:
        for id_, edge in state.edges.items():
            present: Entity | None = edge
            while isinstance(present, Edge) and (end := _lost_end(present, state)) is not None:
                violation = Violation(
                    Reason.EDGE_END_LOST, f'the edge "{id_}" needs the node "{end}", which is not there'
                )
                edit = written.latest("edges", id_)
                if edit < 0:
                    self.unblamed.append(violation)
                    break
                self.blamed[edit] = violation
                present = written.take("edges", id_)


def _lost_end(edge: Edge, state: GraphState) -> str | None:
    return next((end for end in (edge.source, edge.target) if end not in state.nodes), None)


def _violation(node_id: str, parents: Mapping[str, str | None]) -> tuple[Violation, list[str]] | None:
    """Return what is wrong with the parent of a node, and which nodes have a part in it."""
    parent = parents[node_id]
    if parent is not None and parent not in parents:
        message = f'the node "{node_id}" belongs to the node "{parent}", which is not there'
        return Violation(Reason.PARENT_LOST, message), [node_id]
    cycle = _cycle_through(node_id, parents)
    if cycle is None:
        return None
    return Violation(Reason.CONTAINMENT_CYCLE, f'the node "{node_id}" would contain itself'), cycle


def _cycle_through(node_id: str, parents: Mapping[str, str | None]) -> list[str] | None:
    passed = {node_id: None}
    parent = parents[node_id]
    while parent is not None and parent not in passed:
        passed[parent] = None
        parent = parents.get(parent)
    return list(passed) if parent == node_id else None


def _lost(parents: Mapping[str, str | None]) -> Iterator[str]:
    return (id_ for id_, parent in parents.items() if parent is not None and parent not in parents)


def contains_itself(node_id: str, state: GraphState) -> bool:
    """Whether a node would belong to itself, at whatever distance."""
    passed: set[str] = set()
    node = state.nodes.get(node_id)
    while node is not None and node.belongs_to is not None and node.belongs_to not in passed:
        passed.add(node.belongs_to)
        node = state.nodes.get(node.belongs_to)
    return node_id in passed
