"""Edits of a plan that the server makes for somebody, in the plan's live document.

Pure. Each is a `Build` of the live editor: it is made of the document as it is in that moment, with all that people are
just editing, and carries what `plan_dag` becomes with it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from pycrdt import Doc

from persistence.document import DocumentUpdate
from persistence.records import ServerEdit
from persistence.replay_records import PlanRecord
from replay.plan_document import etag_of, read_told, write_told
from replay.plan_patch import patched
from replay.plan_reading import parse_json, read_plan

Told = Mapping[str, Any]
Change = Callable[[Told], Any]
"""Returns what somebody wants a plan to be. Raises NotJsonError, PlanErrors."""


class PlanChangedError(Exception):
    """The plan is not any more the one that somebody means to change; `etag` is that of the plan as it is."""

    def __init__(self, etag: str) -> None:
        super().__init__("somebody changed the plan since you read it; read it again and repeat your change")
        self.etag = etag

    def __reduce__(self) -> tuple[type["PlanChangedError"], tuple[str]]:
        """Let the worker process that finds it raise it here."""
        return PlanChangedError, (self.etag,)


def put(body: bytes) -> Change:
    """Return the change that makes the plan what `body`, JSON, says."""
    return partial(_replaced, body)


def patch(body: bytes) -> Change:
    """Return the change that makes a patch of the plan (`replay.plan_patch`) that `body`, JSON, says."""
    return partial(_patched, body)


def edit_plan(
    project_id: UUID, change: Change, expected: frozenset[str] | None, document: bytes, client_id: int
) -> ServerEdit:
    """Make the plan's document say what `change` makes of it, and `plan_dag` with it.

    Raises PlanErrors with all that would be wrong, PlanChangedError if its tag is none of `expected`.
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.apply_update(document)
    told = changed_plan(change, expected, read_told(doc))
    updates = tuple(write_told(doc, told))
    summary = {"etag": etag_of(told), "nodes": len(told["nodes"]), "edges": len(told["edges"])}
    return ServerEdit(updates, summary, PlanRecord(project_id, orjson.dumps(told), told["version"]))


def changed_plan(change: Change, expected: frozenset[str] | None, before: Told) -> dict[str, Any]:
    """Return what `change` makes of a plan, in its one form. Raises as `edit_plan` does."""
    if expected is not None and (etag := etag_of(before)) not in expected:
        raise PlanChangedError(etag)
    return read_plan(change(before)).to_json()


def first_updates(change: Change, expected: frozenset[str] | None, before: Told) -> tuple[DocumentUpdate, ...]:
    """Return updates that make an empty document say `before`, the plan that `change` is about to change.

    Raises as `edit_plan` does, so that no document is made for a change that cannot be.
    """
    changed_plan(change, expected, before)
    return tuple(write_told(Doc(client_id=1), before))


def _replaced(body: bytes, _: Told) -> Any:
    return parse_json(body)


def _patched(body: bytes, before: Told) -> Told:
    return patched(parse_json(body), before)
