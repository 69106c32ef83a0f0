"""What is to be told of a plan and of the document that people edit it in, and what that makes of it.

Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from replay.hashing import SHOWN_DIGITS, hashed_nodes, hashes
from replay.plan import Plan, PlanErrors, PlanProblem
from replay.plan_document import etag_of, read_document
from replay.plan_reading import read_plan

Told = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlanStatus:
    """What is to be told of a plan: the hash of each node, shortened, and what is wrong with the live document.

    `etag` is that of the latter, the plan as people edit it; of the stored one if there is no document yet.
    """

    etag: str
    hashes: Mapping[str, str]
    problems: tuple[PlanProblem, ...]


@dataclass(frozen=True, slots=True)
class DocumentPlan:
    """The plan that a document says, as JSON in bytes, and whether any node's hash is another than before."""

    plan_dag: bytes
    version: str
    has_other_hashes: bool


def plan_status(stored: Told, document: bytes | None) -> PlanStatus:
    """Return what is to be told of a project's plan and its live document, if it has one."""
    told = stored if document is None else read_document(document)
    return PlanStatus(etag_of(told), _shown_hashes(stored), tuple(_problems(told)))


def plan_of_document(stored: Told, document: bytes) -> DocumentPlan | None:
    """Return the plan that a document says, None if that is no sound plan or is the stored one already."""
    try:
        plan = read_plan(read_document(document))
    except PlanErrors:
        return None
    told = plan.to_json()
    if told == stored:
        return None
    return DocumentPlan(orjson.dumps(told), plan.version, has_other_hashes(stored, told))


def has_other_hashes(before: Told, after: Told) -> bool:
    """Return whether one of two plans computes anything that the other does not."""
    return before != after and _read(before, hashed_nodes) != _read(after, hashed_nodes)


def _shown_hashes(stored: Told) -> dict[str, str]:
    return {node_id: hash_[:SHOWN_DIGITS] for node_id, hash_ in _read(stored, hashes).items()}


def _read(stored: Told, of_plan: Callable[[Plan], dict[str, T]]) -> dict[str, T]:
    try:
        return of_plan(read_plan(stored))
    except PlanErrors:  # stored by a version with other rules
        return {}


def _problems(told: Told) -> Iterator[PlanProblem]:
    try:
        read_plan(told)
    except PlanErrors as errors:
        yield from errors.problems
