"""One row becomes one node, edge or layer.

Pure. A cell that is not what its column needs is noted in `Issues` and reads as none.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from persistence.document import MAX_EXACT_INTEGER, Edge, Layer, Node
from workspace.issues import Issues
from workspace.tables import Row, Table

MAX_ID_BYTES = 500
"""So that the id of an edge made of two ids fits the 1,024 that rows have for it."""

_TRUTH = {
    "true": True,
    "yes": True,
    "y": True,
    "1": True,
    "false": False,
    "no": False,
    "n": False,
    "0": False,
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def read_nodes(table: Table, issues: Issues) -> Iterator[Node]:
    """Yield the node of each row that has an id of its own."""
    for id_, cells in _with_ids(table, issues):
        yield Node(
            id=id_,
            label=cells.text("label") or "",
            layer=cells.text("layer"),
            is_partition=cells.truth("is_partition"),
            belongs_to=cells.text("belongs_to"),
            weight=cells.number("weight"),
            comment=cells.text("comment"),
            properties=cells.row.extra,
        )


def read_edges(table: Table, issues: Issues) -> Iterator[Edge]:
    """Yield the edge of each row; without an id column the ids follow from the ends and the order."""
    rows = _with_ids(table, issues) if "id" in table.headers else _with_made_ids(table, issues)
    for id_, cells in rows:
        yield Edge(
            id=id_,
            source=cells.text("source") or "",
            target=cells.text("target") or "",
            label=cells.text("label") or "",
            layer=cells.text("layer"),
            weight=cells.number("weight"),
            comment=cells.text("comment"),
            properties=cells.row.extra,
        )


def read_layers(table: Table, issues: Issues) -> Iterator[Layer]:
    """Yield the layer of each row that has an id of its own."""
    for id_, cells in _with_ids(table, issues):
        yield Layer(
            id=id_,
            name=cells.text("name") or "",
            background_color=cells.text("background_color"),
            text_color=cells.text("text_color"),
            border_color=cells.text("border_color"),
            properties=cells.row.extra,
        )


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one row by field, each read as what it should be."""

    table: Table
    row: Row
    issues: Issues

    def text(self, field: str) -> str | None:
        return self.row.cells.get(field)

    def number(self, field: str) -> int | float | None:
        text = self.row.cells.get(field)
        if text is None:
            return None
        number = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not abs(number) <= MAX_EXACT_INTEGER:
            self.note(field, f"expected a number up to 2^53, but there is {text!r}")
            return None
        return int(number) if number.is_integer() else number

    def truth(self, field: str) -> bool:
        text = self.row.cells.get(field, "no")
        truth = _TRUTH.get(text.casefold())
        if truth is None:
            self.note(field, f"expected true, yes, y, 1, false, no, n, 0 or nothing, but there is {text!r}")
        return truth is True

    def note(self, field: str, message: str) -> None:
        self.issues.add(self.table.file, self.row.line, self.table.headers[field], message)


def _with_ids(table: Table, issues: Issues) -> Iterator[tuple[str, _Cells]]:
    lines: dict[str, int] = {}
    for row in table.rows:
        cells = _Cells(table, row, issues)
        id_ = row.cells.get("id", "")
        if not 0 < len(id_.encode()) <= MAX_ID_BYTES:
            cells.note("id", f"expected an id of 1 to {MAX_ID_BYTES} bytes")
        elif id_ in lines:
            cells.note("id", f"expected an id once, but {id_!r} is on line {lines[id_]} already")
        else:
            lines[id_] = row.line
        yield id_, cells


def _with_made_ids(table: Table, issues: Issues) -> Iterator[tuple[str, _Cells]]:
    """Name edges by their ends; the second and later ones of a pair also by their number."""
    taken: set[str] = set()
    count: Counter[str] = Counter()
    for row in table.rows:
        pair = f"{row.cells.get('source', '')}->{row.cells.get('target', '')}"
        id_ = pair
        while id_ in taken or not count[pair]:
            count[pair] += 1
            id_ = pair if count[pair] == 1 else f"{pair}#{count[pair]}"
        taken.add(id_)
        yield id_, _Cells(table, row, issues)
