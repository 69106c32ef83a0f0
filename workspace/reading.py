"""Files become statements about nodes, edges and layers, whatever format each has.

Pure. What a file is, its content says: an archive (a spreadsheet, or tables packed together), a JSON
document, or else a table of comma or tab separated values.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from workspace.archives import Archive, ArchiveError, is_archive
from workspace.csv_files import read_lines
from workspace.entities import read_statements
from workspace.issues import Issues
from workspace.json_documents import read_document
from workspace.statements import Statements
from workspace.tables import MAX_FILE_BYTES, Line, TableFile, TableKind, read_table
from workspace.xlsx_parts import WorkbookError
from workspace.xlsx_reader import Sheet, is_workbook, read_sheets

TABLE_SUFFIXES = (".csv", ".tsv")
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*\{")
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_SHEET_NAMES = {kind.value: kind for kind in TableKind} | {"links": TableKind.EDGES}

_Part = tuple[str, Statements | None]
"""What a file, or a part of one, is called and says; None if it is of no such kind, or an issue says why."""


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What files say of each kind, and the names of those that had no part in it."""

    statements: Mapping[TableKind, Statements]
    left_out: tuple[str, ...]


def read_files(files: Sequence[TableFile], issues: Issues) -> FilesRead:
    """Read all of `files`; an issue if two of them speak of one kind."""
    parts = [part for file in files for part in _parts(file, issues)]
    by_kind: dict[TableKind, Statements] = {}
    for statements in (statements for _, statements in parts if statements is not None):
        first = by_kind.setdefault(statements.kind, statements)
        if first is not statements:
            issues.add(statements.file, None, None, f"expected one table of {statements.kind}, but {first.file} is one")
    return FilesRead(by_kind, tuple(name for name, statements in parts if statements is None))


def _parts(file: TableFile, issues: Issues) -> Iterable[_Part]:
    name = file.name.lower()
    if len(file.data) > MAX_FILE_BYTES:
        issues.add(file.name, None, None, f"expected a file of at most {MAX_FILE_BYTES} bytes")
    elif is_archive(file.data) or name.endswith((".xlsx", ".xlsm", ".zip")):
        return _unpacked(file, issues)
    elif file.data.startswith(_OLD_WORKBOOK):
        issues.add(file.name, None, None, "expected XLSX, but this is an older spreadsheet; save it as XLSX")
    elif name.endswith(".json") or _JSON.match(file.data):
        return [(statements.file, statements) for statements in read_document(file, issues)]
    else:
        return [_table(file.name, file.kind, read_lines(file, issues), issues)]
    return []


def _table(name: str, kind: TableKind | None, lines: Iterable[Line], issues: Issues) -> _Part:
    table = read_table(name, kind, iter(lines), issues)
    return name, None if table is None else read_statements(table, issues)


def _unpacked(file: TableFile, issues: Issues) -> list[_Part]:
    try:
        archive = Archive(file.data)
        if is_workbook(archive):
            return list(_sheets(file, read_sheets(archive), issues))
        return list(_packed_tables(file, archive, issues))
    except (ArchiveError, WorkbookError) as error:
        issues.add(file.name, None, None, str(error))
        return []


def _sheets(file: TableFile, sheets: Iterable[Sheet], issues: Issues) -> Iterator[_Part]:
    """Read the sheets that are named after a kind, or whose header says so; of an explicit kind is the first one."""
    for number, sheet in enumerate(sheets):
        name = f"{file.name}/{sheet.name}"
        kind = _SHEET_NAMES.get(sheet.name.strip().casefold()) if file.kind is None else file.kind
        if file.kind is not None and number > 0:
            yield name, None
        else:
            yield _table(name, kind, _padded(sheet.lines), issues)


def _padded(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines as wide as the header, which is the first that is not blank."""
    width = 0
    for line, cells in lines:
        width = width or (len(cells) if any(cell.strip() for cell in cells) else 0)
        yield line, [*cells, *[""] * (width - len(cells))]


def _packed_tables(file: TableFile, archive: Archive, issues: Issues) -> Iterator[_Part]:
    for name in archive.names:
        part = f"{file.name}/{name}"
        if name.lower().endswith(TABLE_SUFFIXES) and not name.startswith("__MACOSX/"):
            yield _table(part, file.kind, read_lines(TableFile(part, archive.read(name)), issues), issues)
        else:
            yield part, None
