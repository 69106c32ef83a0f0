"""Whether what rows point to is there.

Pure. Each check notes what is missing in `Issues`, at the row that points to it.
"""

from collections.abc import Iterator, Mapping

from workspace.issues import Issues
from workspace.tables import Table

_IDS_SHOWN_OF_CYCLE = 8


def check_ends(edges: Table, nodes: Table, issues: Issues) -> None:
    """Every edge has a source and a target among `nodes`."""
    ids = _ids(nodes)
    for row in edges.rows:
        for end in ("source", "target"):
            id_ = row.cells.get(end)
            if id_ is None:
                issues.add(edges.file, row.line, edges.headers[end], "expected the id of a node")
            elif id_ not in ids:
                issues.add(edges.file, row.line, edges.headers[end], f"there is no node {id_!r}")


def check_layers(nodes: Table, layers: Table, issues: Issues) -> None:
    """Every layer of a node is among `layers`.

    Edges are not held to it: their layer column is used for kinds of edges that have no layer row.
    """
    ids = _ids(layers)
    for row in nodes.rows:
        id_ = row.cells.get("layer")
        if id_ is not None and id_ not in ids:
            issues.add(nodes.file, row.line, nodes.headers["layer"], f"there is no layer {id_!r}")


def check_parents(nodes: Table, issues: Issues) -> None:
    """Every node belongs to one that is there, and no node to itself, however far around."""
    ids = _ids(nodes)
    lines = {row.cells.get("id"): row.line for row in reversed(nodes.rows)}
    parents = {row.cells["id"]: row.cells["belongs_to"] for row in nodes.rows if row.cells.keys() >= _CHILD}
    for id_, parent in parents.items():
        if parent not in ids:
            message = f"there is no node {parent!r}"
            issues.add(nodes.file, lines[id_], nodes.headers["belongs_to"], message)
    for cycle in _cycles(parents):
        issues.add(nodes.file, lines[cycle[0]], nodes.headers["belongs_to"], _describe(cycle))


_CHILD = {"id", "belongs_to"}


def _ids(table: Table) -> set[str]:
    return {row.cells["id"] for row in table.rows if "id" in row.cells} | table.broken_ids


def _cycles(parents: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield each cycle once, from its first node in file order that leads into it."""
    done: set[str] = set()
    for start in parents:
        path: dict[str, None] = {}
        current = start
        while current in parents and current not in done and current not in path:
            path[current] = None
            current = parents[current]
        if current in path:
            ids = list(path)
            yield ids[ids.index(current) :]
        done.update(path)


def _describe(cycle: list[str]) -> str:
    shown = cycle[:_IDS_SHOWN_OF_CYCLE]
    dots = ["…"] if len(cycle) > len(shown) else []
    return "expected no node to belong to itself: " + " in ".join([*shown, *dots, cycle[0]])
