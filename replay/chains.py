"""The active edits of one entity, and what becomes of them when it is edited again.

Pure. However often an entity is edited, what is active of it afterwards is at most a deletion of what upstream has, a
creation, and updates of which no two have the same field. Applied in order they make the entity what it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from persistence.document import ABSENT, Edge
from persistence.document_edits import Entity, same_value
from persistence.replay_records import CapturedEdit
from replay.effects import with_values
from replay.operations import EDITED_FIELDS, UNEDITED_FIELDS, Act, EditOperation, value_of

SUPERSEDED = "superseded"
"""Why an edit is inactive of which a later one left nothing."""

NODE_REFERENCES = frozenset({"source", "target", "belongs_to"})
"""The fields that name a node; when that is deleted, edges go and children move."""

CANCELLED_OUT = "cancelled_out"
"""Why an edit is inactive that left, or was made into, what upstream says anyway."""


@dataclass(frozen=True, slots=True)
class Link:
    """An active edit with its operation."""

    edit: CapturedEdit
    operation: EditOperation


class Rewritten(NamedTuple):
    """What an earlier edit becomes: less of an update, or inactive for a `reason`, with the operation it had."""

    link: Link
    operation: EditOperation
    reason: str | None


class Settled(NamedTuple):
    """What an operation becomes as part of its chains, whether it stays active, and what earlier edits become."""

    operation: EditOperation
    reason: str | None
    earlier: Sequence[Rewritten]


@dataclass(frozen=True, slots=True)
class Chain:
    """The active edits of an entity in order, and what upstream says of it: None if it has no such entity.

    `is_deleted_after(node_id, number)` tells whether an active edit after that number deletes a node; `is_named`
    whether another active edit names this entity.
    """

    links: Sequence[Link]
    upstream: Entity | None
    is_deleted_after: Callable[[str, int], bool]
    is_named: bool

    def settle(self, operation: EditOperation, target: Link | None) -> Settled:
        """Return what `operation`, just made, becomes as an edit of its own, or as part of the open edit `target`.

        A creation that is a target comes as it is now.
        """
        others = [link for link in self.links if link is not target]
        if operation.act is Act.CREATE:
            return self._create(operation, others)
        if operation.act is Act.UPDATE:
            return self._update(operation, target, [link for link in self._since_deletion() if link is not target])
        return self._delete(operation)

    @property
    def creation(self) -> Link | None:
        """Return the creation that the entity is there by, rather than by what upstream has."""
        has_deletion = any(link.operation.act is Act.DELETE for link in self.links)
        creations = [link for link in self.links if link.operation.act is Act.CREATE]
        return creations[-1] if creations and (has_deletion or self.upstream is None) else None

    def _since_deletion(self) -> Sequence[Link]:
        """Return the edits of the entity that is there now: those before were of one that was deleted."""
        deletions = [place for place, link in enumerate(self.links) if link.operation.act is Act.DELETE]
        return self.links[deletions[-1] + 1 :] if deletions else self.links

    def _create(self, operation: EditOperation, others: Sequence[Link]) -> Settled:
        """Settle a creation: of what upstream has, and was deleted here, it is a change of that.

        Deletion and creation in its place would take the edges along that upstream has there. An edge between other
        nodes is another edge.
        """
        if self.upstream is None or operation.entity is None or _ends(self.upstream) != _ends(operation.entity):
            ended = [] if self.is_named else [link for link in others if link.operation.act is not Act.DELETE]
            return Settled(operation, None, [_ended(link, SUPERSEDED) for link in ended])
        undone = [_ended(link, CANCELLED_OUT) for link in others]
        new = _difference(operation.entity, self.upstream)
        if not new:
            return Settled(operation, CANCELLED_OUT, undone)
        old = {name: value_of(self.upstream, name) for name in new}
        changed = replace(operation, act=Act.UPDATE, entity=None, old_values=old, new_values=new)
        return Settled(changed, None, undone)

    def _update(self, operation: EditOperation, target: Link | None, others: Sequence[Link]) -> Settled:
        made = operation.new_values
        told = target.operation if target is not None else replace(operation, old_values={}, new_values={})
        old = {name: value for name, value in told.old_values.items() if name not in made}
        new = {name: value for name, value in told.new_values.items() if name not in made}
        for name, value in made.items():
            if not self._is_without_effect(name, value, others):
                old[name], new[name] = self._first_old(name, operation.old_values[name], value, target), value
        earlier = list(self._overwritten(others, made))
        if not new:
            return Settled(operation if target is None else told, CANCELLED_OUT, earlier)
        return Settled(replace(told, old_values=old, new_values=new), None, earlier)

    def _delete(self, operation: EditOperation) -> Settled:
        deletions = [link for link in self.links if link.operation.act is Act.DELETE]
        others = [link for link in self.links if link.operation.act is not Act.DELETE]
        is_made_here = self.upstream is None or self.creation is not None
        if is_made_here and self.is_named:
            return Settled(operation, None, ())  # what others made with it is made again, and led elsewhere
        if is_made_here:
            return Settled(operation, CANCELLED_OUT, [_ended(link, CANCELLED_OUT) for link in others])
        entity = operation.entity
        assert entity is not None, "a deletion was made of something"
        old = {
            name: self._before_chain(name, value_of(entity, name), is_whole=True)
            for name in EDITED_FIELDS[operation.kind]
        }
        earlier = [_ended(link, SUPERSEDED) for link in (*deletions, *others)]
        return Settled(replace(operation, entity=with_values(entity, old)), None, earlier)

    def _foundation(self) -> Entity | None:
        """Return the entity as it is without any update."""
        return self.upstream if (creation := self.creation) is None else creation.operation.entity

    def _is_foundation(self, name: str, value: Any) -> bool:
        foundation = self._foundation()
        return foundation is not None and same_value(value_of(foundation, name), value)

    def _is_without_effect(self, name: str, value: Any, others: Sequence[Link]) -> bool:
        """Return whether a field is `value` without the last update: by one that stays, or by its foundation."""
        kept = self._kept(name, others)
        if kept is not None:
            return same_value(kept.operation.new_values[name], value)
        return self._is_foundation(name, value)

    def _first_old(self, name: str, before: Any, value: Any, target: Link | None) -> Any:
        """Return what a chain begins with that ends in `value`, which is not what it would be without."""
        first, foundation = self._before_chain(name, before, target), self._foundation()
        if foundation is not None and same_value(first, value):
            return value_of(foundation, name)
        return first

    def _before_chain(self, name: str, before: Any, target: Link | None = None, *, is_whole: bool = False) -> Any:
        """Return what a field was before the updates by which it became `before`, all of them if `is_whole`.

        Else those that stay are not gone behind, but for the open edit `target`, whose field changes in place. What
        upstream has become meanwhile too begins anew, and so does what no replay could apply.
        """
        for link in reversed(self._since_deletion()):
            if name not in (new := link.operation.new_values):
                continue
            is_broken = self._is_foundation(name, before) or not same_value(new[name], before)
            if is_broken or (not is_whole and link is not target and self._is_kept(link, name)):
                break
            before = link.operation.old_values[name]
        return before

    def _overwritten(self, links: Sequence[Link], made: Mapping[str, Any]) -> Iterator[Rewritten]:
        """Yield what updates become whose fields `made` overwrites."""
        for link in links:
            old, new = link.operation.old_values, link.operation.new_values
            left = [name for name in new if name not in made or self._is_kept(link, name)]
            if not left and new:
                yield _ended(link, SUPERSEDED)
            elif len(left) < len(new):
                fewer = {name: old[name] for name in left}, {name: new[name] for name in left}
                yield Rewritten(link, replace(link.operation, old_values=fewer[0], new_values=fewer[1]), None)

    def _kept(self, name: str, links: Sequence[Link]) -> Link | None:
        """Return the last update of a field that stays, although others follow."""
        updates = (link for link in reversed(links) if name in link.operation.new_values)
        return next((link for link in updates if self._is_kept(link, name)), None)

    def _is_kept(self, link: Link, name: str) -> bool:
        """Return whether the update leads away from a node that is deleted afterwards, and the entity with it."""
        left = link.operation.old_values.get(name)
        return name in NODE_REFERENCES and left is not None and self.is_deleted_after(left, link.edit.number)


def _ended(link: Link, reason: str) -> Rewritten:
    return Rewritten(link, link.operation, reason)


def _ends(entity: Entity) -> tuple[str, ...]:
    return (entity.source, entity.target) if isinstance(entity, Edge) else ()


def _difference(entity: Entity, other: Entity) -> dict[str, Any]:
    """Return the edited fields of an entity that are not what they are in another one of its kind."""
    values = ((name, value_of(entity, name)) for name in ABSENT[type(entity)] if name not in UNEDITED_FIELDS)
    return {name: value for name, value in values if not same_value(value, value_of(other, name))}
