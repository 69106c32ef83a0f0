"""What files say, laid over a graph: what comes, what changes, what goes.

Pure. What files say of references is checked against the graph as it will be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from persistence.document import GraphContent, Node
from persistence.document_edits import Change
from replay.partitions import nearest_kept
from workspace.issues import Issues
from workspace.reading import FilesRead
from workspace.references import Ids, Outcome, Outcomes, check_ends, check_layers, check_parents, parent_of
from workspace.statements import Entity, Statements, entity_after
from workspace.tables import TableKind


@dataclass(frozen=True, slots=True)
class Merge:
    """All changes, layers before nodes before edges, and how many of each kind are as the files say already."""

    changes: tuple[Change, ...]
    unchanged: Mapping[str, int]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many entities of each kind are added, changed, deleted and unchanged."""
        counts = {act: {kind.value: 0 for kind in TableKind} for act in ("added", "changed", "deleted")}
        for change in self.changes:
            act = "added" if change.before is None else "deleted" if change.after is None else "changed"
            counts[act][change.root] += 1
        return counts | {"unchanged": dict(self.unchanged)}


def plan_merge(files: FilesRead, content: GraphContent, issues: Issues, *, is_replacing: bool = False) -> Merge:
    """Return the changes that make of `content` what `files` say, having noted what they cannot say.

    `is_replacing`: of each kind that they speak of, what they do not name is deleted. With a node go its edges;
    what it contained, unless the files say otherwise, moves to the nearest container around it that stays.
    """
    layers, nodes, edges = (
        _Side.of(kind, files.statements.get(kind), entities, is_replacing=is_replacing)
        for kind, entities in (
            (TableKind.LAYERS, content.layers),
            (TableKind.NODES, content.nodes),
            (TableKind.EDGES, content.edges),
        )
    )
    nodes.move_up()
    incident = (edge.id for edge in content.edges if {edge.source, edge.target} & nodes.deleted)
    edges.deleted.update(id_ for id_ in incident if id_ not in edges.named)
    _check(nodes, edges, layers, issues)
    changes = {side.kind: side.changes() for side in (layers, nodes, edges)}
    unchanged = {side.kind.value: side.unchanged(changes[side.kind]) for side in (nodes, edges, layers)}
    return Merge(tuple(change for of_kind in changes.values() for change in of_kind), unchanged)


@dataclass(slots=True)
class _Side:
    """One kind of entities: those there were, what files make of the ones they name, and those that go."""

    kind: TableKind
    said: Outcomes | None
    before: Mapping[str, Entity]
    named: set[str]
    deleted: set[str]

    @classmethod
    def of(
        cls, kind: TableKind, statements: Statements | None, entities: Sequence[Entity], *, is_replacing: bool
    ) -> "_Side":
        before = {entity.id: entity for entity in entities}
        if statements is None:
            return cls(kind, None, before, set(), set())
        outcomes = tuple(
            Outcome(one, before.get(one.id), entity_after(kind, one, before.get(one.id))) for one in statements.all
        )
        named = {one.id for one in statements.all}
        deleted = set(before) - named - statements.broken_ids if is_replacing else set()
        return cls(kind, Outcomes(statements, outcomes), before, named, deleted)

    @property
    def ids(self) -> Ids:
        broken = self.said.statements.broken_ids if self.said else frozenset()
        return Ids(self.before.keys(), (self.before.keys() - self.deleted) | self.named | broken)

    def move_up(self) -> None:
        """Let nodes that are not said to belong elsewhere belong to what stays."""
        if self.said is not None and self.deleted:
            parents = {id_: parent_of(self.before[id_]) for id_ in self.deleted}
            self.said = replace(self.said, all=tuple(self._moved_up(outcome, parents) for outcome in self.said.all))

    def _moved_up(self, outcome: Outcome, parents: Mapping[str, str | None]) -> Outcome:
        node = outcome.after
        parent = parent_of(node)
        if not isinstance(node, Node) or parent not in self.deleted or "belongs_to" in outcome.statement.fields:
            return outcome
        return replace(outcome, after=replace(node, belongs_to=nearest_kept(parent, parents, self.deleted)))

    def changes(self) -> list[Change]:
        outcomes = self.said.all if self.said else ()
        changes = [Change(self.kind.value, one.after.id, one.before, one.after) for one in outcomes]
        changes = [change for change in changes if change.before is None or change.fields()]
        changes += [Change(self.kind.value, id_, self.before[id_], None) for id_ in self.deleted]
        return sorted(changes, key=lambda change: change.id)

    def unchanged(self, changes: Sequence[Change]) -> int:
        return len(self.named) - sum(change.after is not None for change in changes)


def _check(nodes: _Side, edges: _Side, layers: _Side, issues: Issues) -> None:
    is_broken = issues.count > 0  # a file that could not be read may have had what seems to be missing
    if nodes.said is not None:
        parents = {outcome.after.id: parent_of(outcome.after) for outcome in nodes.said.all}
        for id_, node in nodes.before.items():
            if id_ not in nodes.deleted:
                parents.setdefault(id_, parent_of(node))
        check_parents(nodes.said, nodes.ids, parents, issues)
        if layers.ids.after:
            check_layers(nodes.said, layers.ids, issues)
    if edges.said is not None and (nodes.said is not None or not is_broken):
        check_ends(edges.said, nodes.ids, issues)
