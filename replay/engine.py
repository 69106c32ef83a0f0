"""Edits applied again to a new base, one after the other, each as a whole or not at all.

Pure and deterministic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from persistence.document import GraphContent
from persistence.replay_records import ConflictPolicy
from replay.applicability import CONFLICTS, FieldConflict, Reason, Verdict, judge_edit, signature
from replay.effects import effects
from replay.graph_state import GraphState
from replay.integrity import Integrity, Violation, Written
from replay.operations import ROOTS, Act, EditOperation, value_of

THEIRS = "theirs"
"""Why an edit is deactivated that lost a conflict."""

_MAX_PASSES = 8
"""After so many, all edits that wrote ends or parents fail; what people do takes two or three."""

MAX_BASE_WARNINGS = 100
"""How many things that the base brought are told; one is as good as a thousand."""


@dataclass(frozen=True, slots=True)
class NumberedEdit:
    """An active edit, with its number in the graph and the signature of what it relied on."""

    id: UUID
    number: int
    operation: EditOperation
    signature: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an edit, and why; of a conflict, the fields that changed and whether it is settled."""

    edit_id: UUID
    reason: Reason
    message: str = ""
    fields: Mapping[str, FieldConflict] = field(default_factory=dict)
    is_settled: bool = True


@dataclass(frozen=True, slots=True)
class ReplayWarning:
    """What does not hold, though no edit failed for it; `edit_id` is None if the base brought it."""

    edit_id: UUID | None
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class RebasedEdit:
    """An edit whose old values, or entity, are now those that upstream has."""

    id: UUID
    operation: EditOperation
    signature: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The graph after a replay; what became of each edit, in their order; and what becomes of the edits themselves.

    Every edit has one outcome. `deactivated` tells why, by edit.
    """

    content: GraphContent
    outcomes: tuple[Outcome, ...]
    warnings: tuple[ReplayWarning, ...]
    rebased: tuple[RebasedEdit, ...]
    deactivated: Mapping[UUID, str]


def replay(base: GraphContent, edits: Sequence[NumberedEdit], policy: ConflictPolicy) -> Replayed:
    """Apply `edits`, which are in order of number, to `base`.

    What does not fit is left out and told. Where ends, parents or containment do not hold at the end, the latest edits
    that wrote them fail, and all others are applied again without those. What the base itself brought is a warning.
    """
    failed: dict[int, Violation] = {}
    for _ in range(_MAX_PASSES):
        run = _Pass.of(base, edits, policy, failed)
        integrity = Integrity.of(run.state, run.written)
        if not integrity.blamed:
            return run.result(integrity.unblamed)
        failed |= integrity.blamed
    failed = dict.fromkeys(run.written.edits, next(iter(integrity.blamed.values()))) | failed
    run = _Pass.of(base, edits, policy, failed)
    return run.result(Integrity.of(run.state, run.written).unblamed)


class _Pass:
    """One way through all edits."""

    def __init__(self, base: GraphContent, policy: ConflictPolicy) -> None:
        self.state = GraphState.of(base)
        self.written = Written()
        self._policy = policy
        self._outcomes: list[Outcome] = []
        self._without_layer: list[tuple[NumberedEdit, str]] = []
        self._rebased: list[RebasedEdit] = []
        self._deactivated: dict[UUID, str] = {}

    @classmethod
    def of(
        cls, base: GraphContent, edits: Sequence[NumberedEdit], policy: ConflictPolicy, failed: Mapping[int, Violation]
    ) -> "_Pass":
        run = cls(base, policy)
        for position, edit in enumerate(edits):
            if violation := failed.get(position):
                run._outcomes.append(Outcome(edit.id, violation.reason, violation.message))
            else:
                run._take(position, edit)
        return run

    def _take(self, position: int, edit: NumberedEdit) -> None:
        verdict = judge_edit(edit.operation, edit.signature, self.state)
        is_conflict = verdict.reason in CONFLICTS
        is_settled = not is_conflict or self._policy != "ask"
        self._outcomes.append(Outcome(edit.id, verdict.reason, verdict.message, verdict.fields, is_settled))
        if is_conflict and self._policy == THEIRS:
            self._deactivated[edit.id] = THEIRS
            return
        if is_conflict and is_settled:
            self._rebased.append(_rebased(edit, self.state))
        if is_conflict or verdict.reason is Reason.APPLIED:
            self._apply(position, edit, verdict)

    def _apply(self, position: int, edit: NumberedEdit, verdict: Verdict) -> None:
        changes = effects(edit.operation, self.state)
        if edit.operation.act is not Act.DELETE:
            self.written.note(position, changes)
        elif edit.operation.kind == "node":
            self.written.pass_on(edit.operation.entity_id, changes)
        self.state.apply(changes)
        if verdict.missing_layer is not None:
            self._without_layer.append((edit, verdict.missing_layer))

    def result(self, unblamed: Sequence[Violation]) -> Replayed:
        """Return what came of it, with what does not hold and no edit is to blame for."""
        layers = [
            ReplayWarning(edit.id, Reason.LAYER_MISSING, f'there is no layer "{layer}", which the edit names')
            for edit, layer in self._without_layer
            if layer not in self.state.layers
        ]
        brought = [ReplayWarning(None, one.reason, one.message) for one in unblamed[:MAX_BASE_WARNINGS]]
        return Replayed(
            content=self.state.content(),
            outcomes=tuple(self._outcomes),
            warnings=(*layers, *brought),
            rebased=tuple(self._rebased),
            deactivated=self._deactivated,
        )


def _rebased(edit: NumberedEdit, state: GraphState) -> RebasedEdit:
    """Return the edit as if it had been made in the graph as it is, in which its entity is."""
    operation = edit.operation
    present = state.get(ROOTS[operation.kind], operation.entity_id)
    if present is not None and operation.act is Act.UPDATE:
        rebased = replace(operation, old_values={name: value_of(present, name) for name in operation.new_values})
    elif operation.kind == "node":
        children = tuple(child.id for child in state.children(operation.entity_id))
        edges = tuple(state.incident(operation.entity_id))
        rebased = replace(operation, entity=present, edges=edges, children=children)
    else:
        rebased = replace(operation, entity=present)
    return RebasedEdit(edit.id, rebased, signature(rebased, state))
