"""The rows of a table become statements about nodes, edges and layers.

Pure. A cell that is not what its column needs is noted in `Issues` and reads as none.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from persistence.document import MAX_KEY_BYTES
from workspace.issues import Issues
from workspace.statements import Statement, Statements
from workspace.tables import Row, Table, TableKind
from workspace.values import UnfitValueError, document_number, lineage_value, object_value, position_value

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
_NUMBER = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


def read_statements(table: Table, issues: Issues) -> Statements:
    """Return what the rows say; of edges without an id column, the ids follow from the ends and the order."""
    statements = tuple(_RowReader(table, issues).read())
    return Statements(table.file, table.kind, table.headers, statements, table.broken_ids)


def id_problem(id_: str) -> str | None:
    """Say what is wrong with an id, if anything is."""
    if 0 < len(id_.encode()) <= MAX_KEY_BYTES:
        return None
    return f"expected an id of 1 to {MAX_KEY_BYTES} bytes"


def _with_made_ids(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Name edges by their ends; the second and later ones of a pair also by their number."""
    taken: set[str] = set()
    count: Counter[str] = Counter()
    for row in rows:
        pair = f"{row.cells.get('source', '')}->{row.cells.get('target', '')}"
        id_ = pair
        while id_ in taken or not count[pair]:
            count[pair] += 1
            id_ = pair if count[pair] == 1 else f"{pair}#{count[pair]}"
        taken.add(id_)
        yield id_, row


@dataclass(frozen=True, slots=True)
class _RowReader:
    table: Table
    issues: Issues

    def read(self) -> Iterator[Statement]:
        lines: dict[str, int] = {}
        for id_, row in self._identified():
            if problem := id_problem(id_):
                self._note(row, "id", problem)
            elif id_ in lines:
                self._note(row, "id", f"expected an id once, but {id_!r} is on line {lines[id_]} already")
            lines.setdefault(id_, row.line)
            yield self._statement(id_, row)

    def _identified(self) -> Iterator[tuple[str, Row]]:
        if self.table.kind is TableKind.EDGES and "id" not in self.table.headers:
            return _with_made_ids(self.table.rows)
        return ((row.cells.get("id", ""), row) for row in self.table.rows)

    def _statement(self, id_: str, row: Row) -> Statement:
        fields = {name: self._value(row, name) for name in self.table.headers if name != "id"}
        if "properties" in fields:
            return Statement(
                id_, row.line, "", fields | {"properties": {**(fields["properties"] or {}), **row.extra}}, {}
            )
        return Statement(id_, row.line, "", fields, {name: row.extra.get(name) for name in self.table.extra})

    def _value(self, row: Row, name: str) -> Any:
        text = row.cells.get(name)
        if text is None:
            return None
        try:
            return _READERS.get(name, str)(text)
        except UnfitValueError as error:
            self._note(row, name, str(error))
            return None

    def _note(self, row: Row, name: str, message: str) -> None:
        self.issues.add(self.table.file, row.line, self.table.headers.get(name, name), message)


def _truth(text: str) -> bool:
    truth = _TRUTH.get(text.casefold())
    if truth is None:
        raise UnfitValueError(f"expected true, yes, y, 1, false, no, n, 0 or nothing, but there is {text!r}")
    return truth


def _number(text: str) -> int | float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise UnfitValueError(f"expected a number, but there is {text!r}")
    return document_number(int(text) if _INTEGER.fullmatch(text) else number)


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnfitValueError(f"expected JSON, but {error}") from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "is_partition": _truth,
    "weight": _number,
    "lineage_id": lineage_value,
    "position": lambda text: position_value(_json(text)),
    "properties": lambda text: object_value(_json(text)),
}
"""How the cells of a column are read that are not plain text."""
