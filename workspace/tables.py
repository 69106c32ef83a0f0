"""Lines of cells become the rows of a table, read by the names in its header.

Pure. Whatever is wrong is noted in `Issues`, and reading goes on as far as it makes sense.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from workspace.issues import Issues

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_ROWS = 200_000
"""Of one table."""

MAX_ROW_CHARACTERS = 1024 * 1024
"""Of one node, edge or layer with its text and properties; at most 4 MiB in a document."""

Line = tuple[int, Sequence[str]]
"""The cells of a row, and the line it starts on (from 1)."""


class TableKind(StrEnum):
    """What the rows of a table are."""

    NODES = "nodes"
    EDGES = "edges"
    LAYERS = "layers"


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file as it was given; `kind` None means that its content decides what it is."""

    name: str
    data: bytes
    kind: TableKind | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `cells` by field name and `extra` by header name, empty ones left out."""

    line: int
    cells: Mapping[str, str]
    extra: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, what the file calls each field that it has, and which further columns it has.

    `broken_ids` are those of rows that are left out because an issue is about their shape.
    """

    file: str
    kind: TableKind
    headers: Mapping[str, str]
    extra: tuple[str, ...]
    rows: tuple[Row, ...]
    broken_ids: frozenset[str]


def _named(*fields: str, **further: str) -> dict[str, str]:
    return {name: name for name in fields} | further


FIELDS: Mapping[TableKind, Mapping[str, str]] = {
    TableKind.NODES: _named(
        *("id", "label", "layer", "is_partition", "belongs_to", "weight", "comment"),
        *("lineage_id", "position", "content", "properties"),
    ),
    TableKind.EDGES: _named(
        "id", "source", "target", "label", "layer", "weight", "comment", "lineage_id", "properties"
    ),
    TableKind.LAYERS: _named(
        *("id", "name", "background_color", "text_color", "border_color", "properties"),
        layer="id",
        label="name",
        background="background_color",
        text="text_color",
        border="border_color",
    ),
}
"""What a header may say (in any case), and which field that is."""

_VERBATIM = "properties"
"""A table with this column is one that was exported: its cells mean exactly what is in them, spaces included."""

_REQUIRED: Mapping[TableKind, tuple[str, ...]] = {
    TableKind.NODES: ("id",),
    TableKind.EDGES: ("source", "target"),
    TableKind.LAYERS: ("id",),
}

_TELLING: Mapping[TableKind, frozenset[str]] = {
    TableKind.NODES: frozenset({"is_partition", "belongs_to"}),
    TableKind.EDGES: frozenset({"source", "target"}),
    TableKind.LAYERS: frozenset({"background", "background_color", "text", "text_color", "border", "border_color"}),
}
"""Columns that only one kind of table has."""


def read_table(file: str, kind: TableKind | None, lines: Iterator[Line], issues: Issues) -> Table | None:
    """Read the lines of one table; None if it is no table of a graph, or so broken that an issue says why."""
    header_line, header = next(_stripped(lines), (1, []))
    kind = kind or kind_of(header)
    if kind is None:
        return None
    fields = _match_header(file, kind, header_line, header, issues)
    if fields is None:
        return None
    headers = {name: text for name, text in zip(fields, header, strict=True) if name is not None}
    extra = tuple(text for name, text in zip(fields, header, strict=True) if name is None and text)
    reader = _RowReader(file, header, fields, issues)
    rows = tuple(reader.read(_as_they_are(lines) if _VERBATIM in headers else _stripped(lines)))
    return Table(file, kind, headers, extra, rows, frozenset(reader.broken_ids))


def kind_of(header: Sequence[str]) -> TableKind | None:
    """Return what the columns say the rows are, or None if they fit no kind, or two equally well."""
    names = {_normalise(name) for name in header}
    telling = {kind: len(names & columns) for kind, columns in _TELLING.items()}
    best = max(telling.values())
    kinds = [kind for kind, count in telling.items() if count == best]
    if best > 0:
        return kinds[0] if len(kinds) == 1 else None
    if {"id", "label"} <= names:
        return TableKind.NODES
    return TableKind.LAYERS if {"layer", "label"} <= names else None


def _stripped(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield each line that is not blank, without the spaces around its cells."""
    return _as_they_are((line, [cell.strip() for cell in cells]) for line, cells in lines)


def _as_they_are(lines: Iterable[Line]) -> Iterator[Line]:
    return (line for line in lines if any(line[1]))


def _normalise(name: str) -> str:
    return name.strip().casefold()


def _match_header(
    file: str, kind: TableKind, line: int, header: Sequence[str], issues: Issues
) -> list[str | None] | None:
    """Return the field of each column (None for an extra one), or None if rows cannot be read by it."""
    known = FIELDS[kind]
    fields = [known.get(_normalise(name)) for name in header]
    before = issues.count
    seen: dict[str, str] = {}
    for name, known_as in zip(header, fields, strict=True):
        column = known_as or _normalise(name)
        if column and column in seen:
            issues.add(file, line, name, f"expected each column once, but {seen[column]!r} names it already")
        seen[column] = name
    for required in _REQUIRED[kind]:
        if required not in seen:
            issues.add(file, line, required, f"expected a column {required!r} in a table of {kind}")
    return fields if issues.count == before else None


@dataclass(frozen=True, slots=True)
class _RowReader:
    file: str
    header: Sequence[str]
    fields: Sequence[str | None]
    issues: Issues
    broken_ids: set[str] = field(default_factory=set)

    def read(self, lines: Iterator[Line]) -> Iterator[Row]:
        for count, (line, cells) in enumerate(lines, start=1):
            if count > MAX_ROWS:
                self.issues.add(self.file, line, None, f"expected at most {MAX_ROWS} rows")
                return
            if problem := self._shape_problem(cells):
                self.issues.add(self.file, line, None, problem)
                self.broken_ids.update(cell for name, cell in zip(self.fields, cells, strict=False) if name == "id")
            else:
                yield self._row(line, cells)

    def _shape_problem(self, cells: Sequence[str]) -> str | None:
        if len(cells) != len(self.header):
            return f"expected {len(self.header)} cells as in the header, but there are {len(cells)}"
        if sum(map(len, cells)) > MAX_ROW_CHARACTERS:
            return f"expected a row of at most {MAX_ROW_CHARACTERS} characters"
        if any(cell and not name for name, cell in zip(self.header, cells, strict=True)):
            return "expected nothing in a column that has no name"
        return None

    def _row(self, line: int, cells: Sequence[str]) -> Row:
        filled = [item for item in zip(self.fields, self.header, cells, strict=True) if item[2]]
        return Row(
            line=line,
            cells={name: cell for name, _, cell in filled if name is not None},
            extra={header: cell for name, header, cell in filled if name is None},
        )
