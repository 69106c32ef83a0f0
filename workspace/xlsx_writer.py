"""Tables become a spreadsheet (XLSX, ECMA-376) with one sheet each, written by XlsxWriter.

All text is text, in cells of the format "text": nothing is a formula, a link, or a number that was text before.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from workspace.export_tables import Cell
from workspace.xlsx_cells import MAX_CELL_CHARACTERS, escaped


class _Sheet(Worksheet):
    """A sheet in which no text is read as another one, or as markup.

    Of `_x000D_x000D_` XlsxWriter escapes the first half only, and a text like `<r>x</r>` it takes for rich text.
    """

    @staticmethod
    def _escape_control_characters(data: str | int) -> str:
        return escaped(str(data))


class _Exact(float):
    """A number that is written as it is: XlsxWriter asks for 16 digits, where some need 17."""

    def __format__(self, _: str) -> str:
        return repr(self)


def cell_problem(text: str) -> str | None:
    """Say why no cell can hold `text`, if none can."""
    # Most texts are short enough whatever they are made of.
    if len(text) > MAX_CELL_CHARACTERS // 2 and len(text.encode("utf-16-le")) // 2 > MAX_CELL_CHARACTERS:
        return f"has more than the {MAX_CELL_CHARACTERS} characters of a cell"
    return None


def write_xlsx(
    out: BinaryIO, sheets: Sequence[tuple[str, Sequence[str], Iterable[Sequence[Cell]]]], folder: Path | None = None
) -> None:
    """Write a workbook of `sheets`, each a name, a header and rows; one row at a time is in memory.

    The others are in temporary files below `folder`, which are gone afterwards. Raises OSError if a disk is full.
    """
    with TemporaryDirectory(dir=folder) as temporary, _book(out, temporary) as book:
        text = book.add_format({"num_format": "@"})
        bold = book.add_format({"num_format": "@", "bold": True})
        for name, header, rows in sheets:
            sheet = book.add_worksheet(name, worksheet_class=_Sheet)
            sheet.freeze_panes(1, 0)
            _write_row(sheet, 0, header, bold)
            for number, row in enumerate(rows, start=1):
                _write_row(sheet, number, row, text)


@contextmanager
def _book(out: BinaryIO, folder: str) -> Iterator[Workbook]:
    """Give a workbook that is written to `out` if the block ends well. Raises OSError as the disk does."""
    target = _Target(out)
    book = Workbook(target, {"constant_memory": True, "tmpdir": folder})
    try:
        yield book
        book.close()
    except FileCreateError as error:
        raise error.args[0] from None
    finally:
        target.file = _Nowhere()
        for sheet in book.worksheets():
            with suppress(OSError):
                sheet._opt_close()


class _Target:
    """The file that XlsxWriter's ZipFile writes to, until there is another.

    When writing fails, that ZipFile stays open, and ends itself as it is collected: on a full disk with a
    traceback of its own, which nobody can catch.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file: BinaryIO | _Nowhere = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class _Nowhere:
    """Takes everything and keeps only where it would be written next."""

    def __init__(self) -> None:
        self._position = 0

    def write(self, data: Any) -> int:
        self._position += len(data)
        return len(data)

    def seek(self, offset: int) -> int:
        self._position = offset
        return self._position

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Do nothing."""


def _write_row(sheet: Worksheet, number: int, cells: Sequence[Cell], text: Format) -> None:
    for column, cell in enumerate(cells):
        if isinstance(cell, str):
            if cell:
                sheet.write_string(number, column, cell, text)
        elif isinstance(cell, bool):
            sheet.write_boolean(number, column, cell)
        elif cell is not None:
            sheet.write_number(number, column, _Exact(cell))
