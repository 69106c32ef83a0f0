"""Spreadsheets (XLSX, ECMA-376) become sheets of lines of cells, read by openpyxl within bounds.

Pure. A formula is not computed, what a sheet claims to measure is not believed, and a text that many cells share
is held once.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from workspace.archives import Archive
from workspace.tables import MAX_FILE_BYTES, Line
from workspace.xlsx_cells import cell_text
from workspace.xlsx_parts import MAX_CELL_ROWS, WorkbookError, checked_package

MAX_SHEETS = 64
MAX_COLUMNS = 1_000
MAX_CELLS = 32_000_000
"""Of all sheets of a workbook together, with the empty ones before the last cell of a row."""

MAX_TEXT_CHARACTERS = MAX_FILE_BYTES
"""Of all cells of a workbook together; a text is counted in each cell that has it."""

_END_ROW = 1_048_576
"""The last row that any spreadsheet has."""

_MAX_REASON_CHARACTERS = 200
_WORKBOOK = "[Content_Types].xml"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet and its rows; the cells that end a row may be left out."""

    name: str
    lines: tuple[Line, ...]


def is_workbook(archive: Archive) -> bool:
    """Whether an archive is an office document."""
    return _WORKBOOK in archive.names


def read_sheets(archive: Archive) -> Iterator[Sheet]:
    """Yield each sheet in the order of the workbook. Raises WorkbookError, ArchiveError."""
    package = checked_package(archive)
    with _refused_in_words():
        reader = _Reader(package, read_only=True, data_only=True, keep_links=False)
        reader.read()
    budget = _Budget(MAX_CELLS, MAX_TEXT_CHARACTERS)
    for sheet in reader.wb.worksheets:
        with _refused_in_words():
            lines = tuple(_lines(sheet, budget))
        yield Sheet(sheet.title, lines)


@contextmanager
def _refused_in_words() -> Iterator[None]:
    """Make a WorkbookError of whatever openpyxl raises; what it would warn of is no concern of a table."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except WorkbookError:
        raise
    except Exception as error:
        reason = str(error.__cause__ or error)[:_MAX_REASON_CHARACTERS]
        raise WorkbookError(f"expected a spreadsheet in the format XLSX, but {reason}; save it as one again") from error


class _Reader(ExcelReader):
    """Reads a workbook, but shared texts as they are written, and each sheet once."""

    def read_strings(self) -> None:
        """Read the shared texts with their escapes: openpyxl would drop each `x005F_`, and change what is escaped."""
        package: Any = self.package
        if part := package.find(SHARED_STRINGS):
            with self.archive.open(part.PartName[1:]) as source:
                self.shared_strings = list(_shared_texts(source))

    def read_worksheets(self) -> None:
        """Read the sheets. Raises WorkbookError if there are too many, or one of them several times."""
        targets = [relation.target for _, relation in self.parser.find_sheets()]
        if len(targets) > MAX_SHEETS or len(targets) > len(set(targets)):
            raise WorkbookError(f"expected at most {MAX_SHEETS} sheets, each of its own")
        super().read_worksheets()


def _shared_texts(source: Any) -> Iterator[str]:
    for _, element in iterparse(source):
        if element.tag == f"{{{SHEET_MAIN_NS}}}si":
            text: Any = Text.from_tree(element)
            yield text.content
            element.clear()


@dataclass(slots=True)
class _Budget:
    """What the cells of a workbook may still have."""

    cells: int
    characters: int

    def spend(self, cells: int, characters: int) -> None:
        self.cells -= cells
        self.characters -= characters
        if self.cells < 0:
            raise WorkbookError(f"expected at most {MAX_CELLS} cells; delete the blank ones beside the tables")
        if self.characters < 0:
            raise WorkbookError(f"expected at most {MAX_TEXT_CHARACTERS} characters in all cells")


def _lines(sheet: Any, budget: _Budget) -> Iterator[Line]:
    """Yield the rows that hold something, up to their last cell that does."""
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        budget.spend(len(row), sum(len(value) for value in row if isinstance(value, str)))
        cells = _without_end([cell_text(value) for value in row])
        if len(cells) > MAX_COLUMNS or number > (MAX_CELL_ROWS if cells else _END_ROW):
            raise WorkbookError(
                f"expected cells in at most {MAX_COLUMNS} columns and {MAX_CELL_ROWS} rows, "
                f"but sheet {sheet.title!r} has more in line {number}"
            )
        if cells:
            yield number, cells


def _without_end(cells: list[str]) -> list[str]:
    """Return `cells` up to the last one that holds something."""
    while cells and not cells[-1]:
        cells.pop()
    return cells
