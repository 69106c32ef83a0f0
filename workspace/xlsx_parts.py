"""The parts of a spreadsheet, checked before openpyxl reads them.

Pure. openpyxl holds a row, a shared text, and every part but the sheets as objects of some hundred bytes for each
element, so that a small file could fill the memory: here elements are counted, while nothing is held.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from xml.parsers import expat

from workspace.archives import Archive
from workspace.tables import MAX_ROWS

MAX_CELL_ROWS = 5 * MAX_ROWS
"""The highest number of a row that holds something; rows between may be blank. Also the most shared texts."""

MAX_ELEMENTS = 10_000_000
"""Of all parts of a workbook."""

MAX_ELEMENTS_HELD = 100_000
"""In one row, in one shared text, or in a part outside of these."""

_PIECE_BYTES = 1024 * 1024
"""One tag or comment is not much longer: expat before 2.6 reads it again with each 16 KiB that openpyxl gives it."""

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_LET_GO: Mapping[str, int] = {f"{_MAIN} row": 3, f"{_MAIN} si": 2}
"""What openpyxl lets go of once it is read, and how deep that lies."""

_STRICT = {
    b'"http://purl.oclc.org/ooxml/spreadsheetml/main"': f'"{_MAIN}"'.encode(),
    b'"http://purl.oclc.org/ooxml/officeDocument/relationships"': f'"{_RELATIONS}"'.encode(),
}
"""The namespaces of a "strict" workbook, and the ones that openpyxl knows."""

_DECLARATION = re.compile(rb"\A(?:\xef\xbb\xbf)?<\?xml\s[^>]*\?>")


class WorkbookError(Exception):
    """A spreadsheet that cannot be read, or is larger than its bounds; the message says what to do."""


def checked_package(archive: Archive) -> BytesIO:
    """Return the XML of a workbook as an archive: well-formed UTF-8, without a document type, within the bounds.

    Pictures and what is said about the document are left out. Raises WorkbookError, ArchiveError.
    """
    left = MAX_ELEMENTS
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for name in dict.fromkeys(archive.names):
            if name.endswith((".xml", ".rels")) and not name.startswith("docProps/"):
                data = _plain(archive.read(name))
                left -= _count_elements(name, data, left)
                package.writestr(name, data)
    return out


def _plain(data: bytes) -> bytes:
    """Return a part without its declaration (whatever that says, nobody writes another encoding than UTF-8)."""
    data = _DECLARATION.sub(b"", data)
    for strict, transitional in _STRICT.items():
        data = data.replace(strict, transitional)
    return data


def _count_elements(name: str, data: bytes, most: int) -> int:
    elements = _Elements(most)
    parser = expat.ParserCreate("UTF-8", " ")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = elements.start
    parser.EndElementHandler = elements.end
    try:
        for start in range(0, len(data), _PIECE_BYTES):
            parser.Parse(data[start : start + _PIECE_BYTES])
            if parser.CurrentByteIndex < start:
                raise WorkbookError(f"expected tags of at most {_PIECE_BYTES} bytes in {name}; save the file again")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise WorkbookError(f"expected well-formed XML in {name}, but {error}; save the file again") from None
    return elements.count


def _refuse_doctype(*_: object) -> None:
    raise WorkbookError("expected XML without a document type; save the file again")


class _Elements:
    """Counts the elements of a part: all, and those that openpyxl holds at a time."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._depth = 0
        self._held = 0
        self._held_outside = 0
        self._let_go = 0
        self._row = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.count += 1
        self._held += 1
        self._depth += 1
        if _LET_GO.get(tag) == self._depth:
            self._held_outside = self._held - 1
            self._let_go += 1
            self._expect_later(attributes.get("r", ""))
        if self._held > MAX_ELEMENTS_HELD or self._let_go > MAX_CELL_ROWS or self.count > self._most:
            raise WorkbookError(
                f"expected at most {MAX_CELL_ROWS} rows or shared texts, {MAX_ELEMENTS_HELD} elements in one of them "
                f"and {MAX_ELEMENTS} in all; keep only the tables"
            )

    def _expect_later(self, number: str) -> None:
        """Refuse a row that does not come after the one before: openpyxl would pass over it."""
        row = int(number) if number.isdecimal() and len(number) < 12 else self._row + 1
        if row <= self._row:
            raise WorkbookError(f"expected rows in their order, but {row} comes after {self._row}; save the file again")
        self._row = row

    def end(self, tag: str) -> None:
        if _LET_GO.get(tag) == self._depth:
            self._held = self._held_outside
        self._depth -= 1
