"""Copies of graphs: the whole document, and in it what makes its entities known as those of the source."""

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from pycrdt import Doc, Map

from auth.policy import Action, Principal
from persistence.document import DocumentUpdate, clocks, effective_lineage, read_content, transact
from persistence.records import Graph, Origin
from persistence.replay_records import GraphBase
from workspace.catalogue import Catalogue
from workspace.meta import write_fields
from workspace.ports import GraphStore, WholeDocument, Worker

MAX_NAME_CHARACTERS = 200
_SUFFIX = " (copy)"

_LINEAGES_PER_UPDATE = 600
"""How many entities one update gives their lineage: 100 bytes each at most, 64 KB together."""


class Copies:
    """Makes copies of graphs, for whoever may read the source and edit the project that the copy goes to."""

    def __init__(self, catalogue: Catalogue, graphs: GraphStore, document: WholeDocument, worker: Worker) -> None:
        self._catalogue = catalogue
        self._graphs = graphs
        self._document = document
        self._worker = worker

    async def copy(
        self, principal: Principal, graph_id: UUID, *, name: str | None = None, project_id: UUID | None = None
    ) -> Graph:
        """Create a graph with the document of another as it is now, in the same project unless another is named.

        All that is applied is copied, deletions and what nobody knows included; updates that wait for others are
        not. Raises NotFoundError, ForbiddenError, and InvalidValueError for a bad name or a source purged meanwhile.
        """
        source = await self._catalogue.graph(principal, graph_id)
        target_id = project_id or source.project_id
        await self._catalogue.authorise_project(principal, target_id, Action.EDIT)
        name = name or source.name[: MAX_NAME_CHARACTERS - len(_SUFFIX)] + _SUFFIX
        document = await self._document(graph_id)
        copied = await self._worker.run(copy_document, document, graph_id, name)
        base = None if source.graph_type == "plan" else copied.base
        origin = Origin("graph.copied", {"parent_graph_id": str(graph_id)}, parent_graph_id=graph_id, base=base)
        return await self._graphs.create(
            principal.caller, target_id, name, source.graph_type, source.description, copied.updates, origin
        )


class Copied(NamedTuple):
    """The updates that make the document of a copy, and the graph in it: what its edits are edits of."""

    updates: tuple[DocumentUpdate, ...]
    base: GraphBase


def copy_document(document: bytes, source_id: UUID, name: str | None) -> Copied:
    """Make a copy of a document (`copied_updates`), and the base of its graph. Pure."""
    updates = copied_updates(document, source_id, name)
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update.data)
    content = orjson.dumps(read_content(doc, source_id))
    return Copied(updates, GraphBase(content, digest(str(source_id).encode()), digest(content)))


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def copied_updates(document: bytes, source_id: UUID, name: str | None) -> tuple[DocumentUpdate, ...]:
    """Return updates that make the document of a copy of the graph `source_id`: its own `document`, then edits of it.

    Afterwards every node and edge says by itself what lineage it had in the source, and `meta` has `name` unless that
    is None. The first update is the document as it is, however large; the others have at most MAX_UPDATE_BYTES. Pure.
    """
    source: Doc[Any] = Doc()
    source.apply_update(document)
    state = source.get_state()
    doc: Doc[Any] = Doc(client_id=unused_client_id(state))
    doc.apply_update(document)
    edits = list(_write_lineages(doc, source_id))
    meta = doc.get("meta", type=Map)
    if name is not None and meta.get("name") != name:
        edits.append(write_fields(doc, {"name": name}))
    return (*_whole(document, state), *edits)


def unused_client_id(state: bytes) -> int:
    """Return the lowest id that no client of the encoded state vector has: lower than people's, who win a conflict."""
    used = clocks(state)
    return next(client_id for client_id in count(1) if client_id not in used)


def _whole(document: bytes, state: bytes) -> Iterator[DocumentUpdate]:
    advanced = clocks(state)
    if advanced:
        vector_clock = orjson.dumps({str(client): clock for client, clock in advanced.items()}).decode()
        yield DocumentUpdate(document, min(advanced), vector_clock, 0)


def _write_lineages(doc: Doc[Any], source_id: UUID) -> Iterator[DocumentUpdate]:
    missing = list(_without_lineage(doc, source_id))
    for start in range(0, len(missing), _LINEAGES_PER_UPDATE):
        yield transact(doc, missing[start : start + _LINEAGES_PER_UPDATE], _write_lineage)


def _write_lineage(missing: tuple[Map[Any], str]) -> None:
    entity, lineage_id = missing
    entity["lineage_id"] = lineage_id


def _without_lineage(doc: Doc[Any], source_id: UUID) -> Iterator[tuple[Map[Any], str]]:
    """Find the nodes and edges that do not say their lineage themselves, and what it is."""
    with doc.transaction():
        for root in ("nodes", "edges"):
            for id_, entity in doc.get(root, type=Map).items():
                if isinstance(entity, Map):
                    value = entity.get("lineage_id")
                    lineage_id = str(effective_lineage(source_id, id_, value))
                    if value != lineage_id:
                        yield entity, lineage_id
