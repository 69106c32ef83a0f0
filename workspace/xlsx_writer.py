"""Tables become a spreadsheet (XLSX, ECMA-376) with one sheet each.

All text is text, in cells of the format "text": nothing is a formula, a link, or a number that was text before.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

from workspace.export_tables import Cell
from workspace.xlsx_cells import MAX_CELL_CHARACTERS

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

_STYLES = f"""{_XML}<styleSheet xmlns="{_MAIN}">\
<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>\
<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>\
<fills count="2"><fill><patternFill patternType="none"/></fill>\
<fill><patternFill patternType="gray125"/></fill></fills>\
<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>\
<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>\
<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>\
<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs>\
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>"""
_TEXT, _HEADER = 1, 2  # of cellXfs; 49 is the number format "@", text

_SHEET_START = f"""{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">\
<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>"""
_SHEET_END = "</sheetData></worksheet>"

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""What XML cannot hold, or would read as another character, and what looks like the escape of such a one."""


def cell_problem(text: str) -> str | None:
    """Say why no cell can hold `text`, if none can."""
    # Most texts are short enough whatever they are made of.
    if len(text) > MAX_CELL_CHARACTERS // 2 and len(text.encode("utf-16-le")) // 2 > MAX_CELL_CHARACTERS:
        return f"has more than the {MAX_CELL_CHARACTERS} characters of a cell"
    return None


def write_xlsx(out: BinaryIO, sheets: Sequence[tuple[str, Sequence[str], Iterable[Sequence[Cell]]]]) -> None:
    """Write a workbook of `sheets`, each a name, a header and rows."""
    names = [name for name, _, _ in sheets]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for path, part in _parts(names).items():
            package.writestr(path, part)
        for number, (_, header, rows) in enumerate(sheets, start=1):
            with package.open(_sheet_path(number), "w") as sheet:
                sheet.write(_SHEET_START.encode())
                sheet.write(_row(1, header, _HEADER).encode())
                for row_number, row in enumerate(rows, start=2):
                    sheet.write(_row(row_number, row, _TEXT).encode())
                sheet.write(_SHEET_END.encode())


def _row(number: int, cells: Sequence[Cell], style: int) -> str:
    written = (_cell(f"{_letters(column)}{number}", cell, style) for column, cell in enumerate(cells))
    return f'<row r="{number}">{"".join(written)}</row>'


def _cell(reference: str, cell: Cell, style: int) -> str:
    if cell is None or cell == "":
        return ""
    if isinstance(cell, str):
        text = escape(_CONTROL.sub(lambda match: f"_x{ord(match[0]):04X}_", cell))
        return f'<c r="{reference}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    if isinstance(cell, bool):
        return f'<c r="{reference}" t="b"><v>{int(cell)}</v></c>'
    return f'<c r="{reference}"><v>{cell!r}</v></c>'


def _letters(column: int) -> str:
    """Return what a spreadsheet calls the column with this index."""
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


def _sheet_path(number: int) -> str:
    return f"xl/worksheets/sheet{number}.xml"


def _parts(names: Sequence[str]) -> dict[str, str]:
    """Return what a package needs beside its sheets, by path."""
    numbers = range(1, len(names) + 1)
    sheets = (
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, names, strict=True)
    )
    targets = [("worksheet", f"worksheets/sheet{number}.xml") for number in numbers]
    return {
        "[Content_Types].xml": f'{_XML}<Types xmlns="{_TYPES}">{"".join(_content_types(numbers))}</Types>',
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f"<sheets>{''.join(sheets)}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations([*targets, ("styles", "styles.xml")]),
        "xl/styles.xml": _STYLES,
    }


def _content_types(numbers: Iterable[int]) -> Iterator[str]:
    yield '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    yield '<Default Extension="xml" ContentType="application/xml"/>'
    yield f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    yield f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    for number in numbers:
        yield f'<Override PartName="/{_sheet_path(number)}" ContentType="{_TYPE}.worksheet+xml"/>'


def _relations(targets: Iterable[tuple[str, str]]) -> str:
    relations = (
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'{_XML}<Relationships xmlns="{_RELATIONS}">{"".join(relations)}</Relationships>'
