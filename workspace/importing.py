"""Files become a new graph, or are merged into one, or turn out to be wrong in ways that are told all at once.

Pure. These functions take long for large files: a server runs them in a worker process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pycrdt import Doc

from persistence.document import (
    DocumentUpdate,
    Edge,
    GraphContent,
    Layer,
    Node,
    build_updates,
    read_content,
)
from persistence.document_edits import edit_document
from persistence.records import ServerEdit
from workspace.issues import Issues
from workspace.merging import plan_merge
from workspace.reading import read_files
from workspace.tables import TableFile, TableKind

IMPORT_CLIENT_ID = 1
"""The Yjs client that writes an imported graph, which nobody else has written to yet."""

MERGE_EVENT = "graph.imported"
"""The type of the event that tells of a merge."""

Progress = Callable[[int, int], None]
"""Hears how many nodes, edges and layers are done, of how many."""


@dataclass(frozen=True, slots=True)
class GraphRead:
    """A graph made of files, and the names of the files that had no part in it."""

    content: GraphContent
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedGraph:
    """A graph made of files, as the updates that write it; how much is in it, and which files had no part in it."""

    counts: Mapping[str, int]
    left_out: tuple[str, ...]
    updates: tuple[DocumentUpdate, ...]


def prepare_graph(files: Sequence[TableFile], progress: Progress | None = None) -> PreparedGraph:
    """Make a graph of `files`, ready to be stored; `progress` hears of each part that is done.

    Raises TableErrors with all that is wrong.
    """
    read = read_graph(files)
    content = read.content
    updates = []
    done = 0
    for update in build_updates(content, IMPORT_CLIENT_ID):
        updates.append(update)
        done += update.entities
        if progress is not None:
            progress(done, content.entities)
    counts = {"nodes": len(content.nodes), "edges": len(content.edges), "layers": len(content.layers)}
    return PreparedGraph(counts, read.left_out, tuple(updates))


def read_graph(files: Sequence[TableFile]) -> GraphRead:
    """Make a graph of `files`: nodes, and at most one table of edges and one of layers.

    Raises TableErrors with all that is wrong.
    """
    issues = Issues()
    read = read_files(files, issues)
    if TableKind.NODES not in read.statements and issues.count == 0:
        issues.add(None, None, None, "expected a table of nodes: one whose header has the columns id and label")
    changes = plan_merge(read, GraphContent(), issues).changes
    issues.raise_if_any()
    entities = [change.after for change in changes]
    content = GraphContent(
        nodes=tuple(one for one in entities if isinstance(one, Node)),
        edges=tuple(one for one in entities if isinstance(one, Edge)),
        layers=tuple(one for one in entities if isinstance(one, Layer)),
    )
    return GraphRead(content, read.left_out)


def merge_files(
    files: Sequence[TableFile], graph_id: UUID, is_replacing: bool, document: bytes, client_id: int
) -> ServerEdit:
    """Make the edit that merges `files` into the graph `graph_id`, whose whole document is one update (a `Build`).

    `is_replacing`: of each kind that the files speak of, what they do not name is deleted. The summary counts what is
    added, changed, deleted and unchanged. Raises TableErrors with all that is wrong.
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.apply_update(document)
    issues = Issues()
    read = read_files(files, issues)
    if not read.statements and issues.count == 0:
        issues.add(None, None, None, "expected a table of nodes, edges or layers")
    merge = plan_merge(read, read_content(doc, graph_id), issues, is_replacing=is_replacing)
    issues.raise_if_any()
    updates = tuple(edit_document(doc, merge.changes))
    return ServerEdit(updates, merge.counts() | {"left_out": list(read.left_out)})


def preview_merge(files: Sequence[TableFile], graph_id: UUID, is_replacing: bool, document: bytes) -> Mapping[str, Any]:
    """Return the summary that merging would have."""
    return merge_files(files, graph_id, is_replacing, document, IMPORT_CLIENT_ID).summary
