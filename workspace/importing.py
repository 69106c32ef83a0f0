"""Tables of nodes, edges and layers become one graph, or a list of everything that is wrong with them.

Pure. A graph is made only of tables without a single error.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from persistence.document import DocumentUpdate, Edge, GraphContent, Layer, Node, build_updates
from workspace.entities import read_edges, read_layers, read_nodes
from workspace.issues import Issues
from workspace.references import check_ends, check_layers, check_parents
from workspace.tables import Table, TableFile, TableKind, read_table

IMPORT_CLIENT_ID = 1
"""The Yjs client that writes an imported graph, which nobody else has written to yet."""

Progress = Callable[[int, int], None]
"""Hears how many rows are done, of how many."""

_Entity = TypeVar("_Entity", Node, Edge, Layer)


@dataclass(frozen=True, slots=True)
class TablesRead:
    """A graph made of tables, and the names of the files that were no table of a graph."""

    content: GraphContent
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedGraph:
    """A graph made of tables, as the updates that write it, and the names of the files that had no part in it."""

    content: GraphContent
    left_out: tuple[str, ...]
    updates: tuple[DocumentUpdate, ...]


def prepare_graph(files: Sequence[TableFile], progress: Progress | None = None) -> PreparedGraph:
    """Make a graph of `files`, ready to be stored; `progress` hears of each part that is done.

    Raises TableErrors with all that is wrong.
    """
    tables = read_tables(files)
    updates = []
    done = 0
    for update in build_updates(tables.content, IMPORT_CLIENT_ID):
        updates.append(update)
        done += update.entities
        if progress is not None:
            progress(done, tables.content.entities)
    return PreparedGraph(tables.content, tables.left_out, tuple(updates))


def read_tables(files: Sequence[TableFile]) -> TablesRead:
    """Make a graph of `files`: one table of nodes, and at most one of edges and one of layers.

    What a file is, its header says unless its `kind` does. Raises TableErrors with all that is wrong.
    """
    issues = Issues()
    read = [(file.name, read_table(file, issues)) for file in files]
    by_kind = _one_of_each_kind([table for _, table in read if table is not None], issues)
    if TableKind.NODES not in by_kind and issues.count == 0:
        issues.add(None, None, None, "expected a table of nodes: one whose header has the columns id and label")
    content = _read_content(by_kind, issues)
    issues.raise_if_any()
    return TablesRead(content, tuple(name for name, table in read if table is None))


def _one_of_each_kind(tables: Sequence[Table], issues: Issues) -> dict[TableKind, Table]:
    by_kind: dict[TableKind, Table] = {}
    for table in tables:
        first = by_kind.setdefault(table.kind, table)
        if first is not table:
            issues.add(table.file, None, None, f"expected one table of {table.kind}, but {first.file} is one")
    return by_kind


def _read_content(tables: Mapping[TableKind, Table], issues: Issues) -> GraphContent:
    nodes, edges, layers = (tables.get(kind) for kind in TableKind)
    content = GraphContent(
        nodes=_sorted(read_nodes(nodes, issues) if nodes else ()),
        edges=_sorted(read_edges(edges, issues) if edges else ()),
        layers=_sorted(read_layers(layers, issues) if layers else ()),
    )
    if nodes is not None:
        check_parents(nodes, issues)
    if nodes is not None and edges is not None:
        check_ends(edges, nodes, issues)
    if nodes is not None and layers is not None:
        check_layers(nodes, layers, issues)
    return content


def _sorted(entities: Iterable[_Entity]) -> tuple[_Entity, ...]:
    return tuple(sorted(entities, key=lambda entity: entity.id))
