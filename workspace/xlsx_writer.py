"""Tables become a spreadsheet (XLSX, ECMA-376) with one sheet each, written by XlsxWriter.

All text is text, in cells of the format "text": nothing is a formula, a link, or a number that was text before.
"""

from collections.abc import Iterable, Sequence
from typing import BinaryIO

from xlsxwriter import Workbook
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


def write_xlsx(out: BinaryIO, sheets: Sequence[tuple[str, Sequence[str], Iterable[Sequence[Cell]]]]) -> None:
    """Write a workbook of `sheets`, each a name, a header and rows; one row at a time is in memory."""
    with Workbook(out, {"constant_memory": True}) as book:
        text = book.add_format({"num_format": "@"})
        bold = book.add_format({"num_format": "@", "bold": True})
        for name, header, rows in sheets:
            sheet = book.add_worksheet(name, worksheet_class=_Sheet)
            sheet.freeze_panes(1, 0)
            _write_row(sheet, 0, header, bold)
            for number, row in enumerate(rows, start=1):
                _write_row(sheet, number, row, text)


def _write_row(sheet: Worksheet, number: int, cells: Sequence[Cell], text: Format) -> None:
    for column, cell in enumerate(cells):
        if isinstance(cell, str):
            if cell:
                sheet.write_string(number, column, cell, text)
        elif isinstance(cell, bool):
            sheet.write_boolean(number, column, cell)
        elif cell is not None:
            sheet.write_number(number, column, _Exact(cell))
