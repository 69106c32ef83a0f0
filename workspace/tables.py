"""Files of comma or tab separated values become rows, read by the names in their header.

Pure. Whatever is wrong is noted in `Issues`, and reading goes on as far as it makes sense.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO

from workspace.issues import Issues

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_ROWS = 200_000
"""Of one table."""

MAX_ROW_CHARACTERS = 8 * 1024
"""So that one entity always fits into one update, whatever its characters take in UTF-8 and JSON."""


class TableKind(StrEnum):
    """What the rows of a table are."""

    NODES = "nodes"
    EDGES = "edges"
    LAYERS = "layers"


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file as it was given; `kind` None means that the header decides."""

    name: str
    data: bytes
    kind: TableKind | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `cells` by field name and `extra` by header name, stripped, empty ones left out."""

    line: int
    cells: Mapping[str, str]
    extra: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, and what the file calls each field that it has.

    `broken_ids` are those of rows that are left out because an issue is about their shape.
    """

    file: str
    kind: TableKind
    headers: Mapping[str, str]
    rows: tuple[Row, ...]
    broken_ids: frozenset[str]


_FIELDS: Mapping[TableKind, Mapping[str, str]] = {
    TableKind.NODES: {
        name: name for name in ("id", "label", "layer", "is_partition", "belongs_to", "weight", "comment")
    },
    TableKind.EDGES: {name: name for name in ("id", "source", "target", "label", "layer", "weight", "comment")},
    TableKind.LAYERS: {
        "id": "id",
        "layer": "id",
        "label": "name",
        "name": "name",
        "background": "background_color",
        "background_color": "background_color",
        "text": "text_color",
        "text_color": "text_color",
        "border": "border_color",
        "border_color": "border_color",
    },
}
"""What a header may say (in any case), and which field that is."""

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


def read_table(file: TableFile, issues: Issues) -> Table | None:
    """Read one file; None if it is no table of a graph, or so broken that an issue says why."""
    text = _decode(file, issues)
    if text is None:
        return None
    lines = _split(file, text, issues)
    header_line, header = next(lines, (1, []))
    kind = file.kind or kind_of(header)
    if kind is None:
        return None
    fields = _match_header(file.name, kind, header_line, header, issues)
    if fields is None:
        return None
    headers = {name: text for name, text in zip(fields, header, strict=True) if name is not None}
    reader = _RowReader(file.name, header, fields, issues)
    rows = tuple(reader.read(lines))
    return Table(file.name, kind, headers, rows, frozenset(reader.broken_ids))


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


def _decode(file: TableFile, issues: Issues) -> str | None:
    if len(file.data) > MAX_FILE_BYTES:
        issues.add(file.name, None, None, f"expected a file of at most {MAX_FILE_BYTES} bytes")
    elif file.data.startswith((b"\xff\xfe", b"\xfe\xff")):
        issues.add(file.name, 1, None, "expected UTF-8, but this is UTF-16; save it as UTF-8")
    elif b"\0" in file.data:
        line = _line_at(file.data, file.data.index(b"\0"))
        issues.add(file.name, line, None, "expected text, but there is a NUL byte")
    else:
        try:
            return file.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = _line_at(file.data, error.start)
            issues.add(file.name, line, None, "expected UTF-8, but there is another encoding; save it as UTF-8")
    return None


def _line_at(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _split(file: TableFile, text: str, issues: Issues) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line it starts on."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(file.name, text), strict=True)
    start = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield start, stripped
            start = reader.line_num + 1
    except csv.Error as error:
        issues.add(file.name, start, None, f"expected well-formed cells from here on ({error})")


def _delimiter(file_name: str, text: str) -> str:
    """Return tab for a .tsv file, else the one that the header has most of."""
    if file_name.lower().endswith(".tsv"):
        return "\t"
    header = text.lstrip().partition("\n")[0]
    return max(",\t;", key=header.count)


def _normalise(name: str) -> str:
    return name.strip().casefold()


def _match_header(
    file: str, kind: TableKind, line: int, header: Sequence[str], issues: Issues
) -> list[str | None] | None:
    """Return the field of each column (None for an extra one), or None if rows cannot be read by it."""
    known = _FIELDS[kind]
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

    def read(self, lines: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
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
