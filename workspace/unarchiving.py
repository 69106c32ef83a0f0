"""An archived project becomes a new one: new ids, the same graphs, known as the same by their lineage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

import orjson

from persistence.document import DocumentUpdate
from persistence.records import GraphRow, ProjectRow, UnpackedGraph
from workspace.archive import Archive, ArchiveError, ManifestGraph, content_of
from workspace.copying import copied_updates

Clocks = Mapping[int, int]

Check = Callable[[bytes, Sequence[bytes]], Sequence[Clocks]]
"""Looks a document and its waiting updates over before anything else touches them.

Returns for each of the latter the clock after it of every client it advances. Raises ValueError, saying what is
wrong, if the former is not one whole document or one of the latter is no update.
"""


def unpacked_project(archive: Archive, project_id: UUID, name: str | None) -> ProjectRow:
    """Return the archive's project under a new id, and a new name if one is given."""
    found = archive.manifest.project
    return ProjectRow(
        project_id, name or found.name, found.description, found.plan_dag, found.plan_dag_version, found.rules
    )


def unpacked_graphs(archive: Archive, new_id: Callable[[], UUID], check: Check) -> Iterator[UnpackedGraph]:
    """Return the archive's graphs one by one, under new ids; a parent outside of the archive is left out.

    Every node and edge says the lineage that it had. Raises ArchiveError for a document that is not sound or not what
    the manifest says.
    """
    graphs = archive.manifest.graphs
    ordered = sorted(new_id() for _ in graphs)  # ids made within one millisecond do not sort by themselves
    new_ids = {graph.id: id_ for graph, id_ in zip(graphs, ordered, strict=True)}
    for graph in graphs:
        document, waiting = archive.document(graph), archive.pending(graph)
        try:
            clocks = check(document, waiting)
        except ValueError as error:
            raise ArchiveError(f"the document of the graph {graph.id} is not sound ({error})") from error
        _check_counts(graph, document)
        parent_id = None if graph.parent_graph_id is None else new_ids.get(graph.parent_graph_id)
        row = GraphRow(new_ids[graph.id], graph.name, graph.description, graph.graph_type, parent_id, graph.metadata)
        pending = tuple(map(_pending, waiting, clocks))
        yield UnpackedGraph(row, graph.id, copied_updates(document, graph.id, None), pending)


def _check_counts(graph: ManifestGraph, document: bytes) -> None:
    content = content_of(document, graph.id)
    found = (len(content.nodes), len(content.edges), len(content.layers))
    if found != (graph.nodes, graph.edges, graph.layers):
        raise ArchiveError(f"the document of the graph {graph.id} is not the one that was archived")


def _pending(update: bytes, clocks: Clocks) -> DocumentUpdate:
    vector_clock = orjson.dumps({str(client): clock for client, clock in clocks.items()}).decode()
    return DocumentUpdate(update, next(iter(clocks), 0), vector_clock, 0)
