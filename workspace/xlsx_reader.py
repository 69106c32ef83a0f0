"""Spreadsheets (XLSX, ECMA-376) become sheets of lines of cells.

Pure. Read with expat, part by part: no document type is taken, so no entity is expanded; a formula is not
computed; what a sheet claims to measure is not believed; a text that many cells share is held once.
"""

import math
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from workspace.archives import Archive
from workspace.tables import MAX_FILE_BYTES, MAX_ROWS, Line
from workspace.xlsx_cells import date_text, duration_text, number_text, shows_dates, shows_elapsed, unescaped

MAX_SHEETS = 64
MAX_COLUMNS = 1_000
MAX_CELL_ROWS = 5 * MAX_ROWS
"""The highest number of a row that holds something; rows between may be blank."""

MAX_TEXT_CHARACTERS = MAX_FILE_BYTES
"""Of all cells of a workbook together; a text is counted in each cell that has it."""

_WORKBOOK = "[Content_Types].xml"
_Start = Callable[[str, Mapping[str, str]], None]
_End = Callable[[str], None]


class WorkbookError(ValueError):
    """A spreadsheet that cannot be read, or is larger than its bounds."""


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
    path = next(iter(_related(archive, "", "/officeDocument").values()), "")
    if not path.endswith(".xml"):
        raise WorkbookError("expected a spreadsheet in the format XLSX; save it as one")
    book = _Book()
    _parse(archive, path, book.start)
    if len(book.sheets) > MAX_SHEETS:
        raise WorkbookError(f"expected at most {MAX_SHEETS} sheets")
    texts = _Texts()
    for part in _related(archive, path, "/sharedStrings").values():
        _parse(archive, part, texts.start, texts.end, texts.text)
    styles = _Styles()
    for part in _related(archive, path, "/styles").values():
        _parse(archive, part, styles.start, styles.end)
    budget = _Budget(MAX_TEXT_CHARACTERS)
    parts = _related(archive, path, "/worksheet")
    for name, relation in book.sheets:
        if relation in parts:  # a sheet of charts has no cells
            cells = _Cells(texts.texts, styles, budget, is_1904=book.is_1904)
            _parse(archive, parts[relation], cells.start, cells.end, cells.text)
            yield Sheet(name, tuple(cells.lines))


def _related(archive: Archive, part: str, kind: str) -> dict[str, str]:
    """Return the parts that `part` (or the package, "") names as of a kind, by their relation's id."""
    folder, name = posixpath.split(part)
    relations: dict[str, str] = {}

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Relationship" and attributes.get("Type", "").endswith(kind):
            target = posixpath.join("/", folder, attributes.get("Target", ""))
            relations[attributes.get("Id", "")] = posixpath.normpath(target).lstrip("/")

    _parse(archive, posixpath.join(folder, "_rels", f"{name}.rels"), start)
    return relations


def _parse(
    archive: Archive, part: str, start: _Start, end: _End | None = None, text: Callable[[str], None] | None = None
) -> None:
    """Call back for each element, by its name without its prefix, and for text."""
    parser = expat.ParserCreate("UTF-8")  # whatever a part declares: nobody writes another encoding
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(":")[2], attributes)
    if end is not None:
        parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    parser.CharacterDataHandler = text
    try:
        parser.Parse(archive.read(part), True)
    except expat.ExpatError as error:
        raise WorkbookError(f"expected well-formed XML in {part}, but {error}; save the file again") from None


def _refuse_doctype(*_: object) -> None:
    raise WorkbookError("expected XML without a document type; save the file again")


@dataclass(slots=True)
class _Book:
    """Names and relations of the sheets, in their order."""

    sheets: list[tuple[str, str]] = field(default_factory=list)
    is_1904: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            relation = next((value for name, value in attributes.items() if name.endswith(":id")), "")
            self.sheets.append((attributes.get("name", ""), relation))
        elif tag == "workbookPr":
            self.is_1904 = attributes.get("date1904") in ("1", "true")


@dataclass(slots=True)
class _Texts:
    """The texts that cells share: runs of one text joined, how it is pronounced left out."""

    texts: list[str] = field(default_factory=list)
    _runs: list[str] = field(default_factory=list)
    _is_text: bool = False
    _is_phonetic: bool = False

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        self._is_phonetic = self._is_phonetic or tag == "rPh"
        self._is_text = tag == "t" and not self._is_phonetic

    def text(self, text: str) -> None:
        if self._is_text:
            self._runs.append(text)

    def end(self, tag: str) -> None:
        self._is_text = False
        if tag == "rPh":
            self._is_phonetic = False
        elif tag == "si":
            self.texts.append(unescaped("".join(self._runs)))
            self._runs.clear()


@dataclass(slots=True)
class _Styles:
    """Which styles show numbers as dates or durations."""

    dates: set[int] = field(default_factory=set)
    durations: set[int] = field(default_factory=set)
    _codes: dict[int, str] = field(default_factory=dict)
    _count: int = 0
    _is_of_cells: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "numFmt":
            self._codes[_whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif tag == "cellXfs":
            self._is_of_cells = True
        elif tag == "xf" and self._is_of_cells:
            format_id = _whole(attributes.get("numFmtId"))
            code = self._codes.get(format_id, "")
            if shows_elapsed(format_id, code):
                self.durations.add(self._count)
            elif shows_dates(format_id, code):
                self.dates.add(self._count)
            self._count += 1

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._is_of_cells = False


@dataclass(slots=True)
class _Budget:
    """How many characters the cells may still have."""

    left: int

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise WorkbookError(f"expected at most {MAX_TEXT_CHARACTERS} characters in all cells")


class _Cells:
    """The rows of a sheet that hold something."""

    def __init__(self, texts: list[str], styles: _Styles, budget: _Budget, *, is_1904: bool) -> None:
        self.lines: list[Line] = []
        self._texts = texts
        self._styles = styles
        self._budget = budget
        self._is_1904 = is_1904
        self._row = 0
        self._column = 0
        self._cells: list[str] = []
        self._type = ""
        self._style = 0
        self._runs: list[str] = []
        self._is_value = False
        self._is_phonetic = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "c":
            self._start_cell(attributes)
        elif tag == "row":
            self._row = _whole(attributes["r"]) if "r" in attributes else self._row + 1
            self._column = 0
        elif tag == "rPh":
            self._is_phonetic = True
        else:
            self._is_value = (tag == "v" or tag == "t") and not self._is_phonetic

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
        self._type = attributes.get("t", "n")
        self._style = _whole(attributes.get("s"))

    def text(self, text: str) -> None:
        if self._is_value:
            self._runs.append(text)

    def end(self, tag: str) -> None:
        self._is_value = False
        if tag == "c" and self._runs:
            self._add_cell(self._value("".join(self._runs)))
            self._runs.clear()
        elif tag == "rPh":
            self._is_phonetic = False
        elif tag == "row" and self._cells:
            self.lines.append((self._row, self._cells))
            self._cells = []

    def _add_cell(self, value: str) -> None:
        if not 0 < self._column <= MAX_COLUMNS or not 0 < self._row <= MAX_CELL_ROWS:
            raise WorkbookError(f"expected cells in at most {MAX_COLUMNS} columns and {MAX_CELL_ROWS} rows")
        self._budget.spend(len(value))
        self._cells.extend([""] * (self._column - len(self._cells)))
        self._cells[self._column - 1] = value

    def _value(self, raw: str) -> str:
        if self._type == "s":
            index = _whole(raw)
            return self._texts[index] if index < len(self._texts) else ""
        if self._type == "b":
            return "false" if raw.strip() == "0" else "true"
        if self._type != "n":
            return unescaped(raw)
        try:
            number = float(raw)
        except ValueError:
            return raw
        return self._number(number) if math.isfinite(number) else raw

    def _number(self, number: float) -> str:
        if self._style in self._styles.durations:
            return duration_text(number)
        if self._style in self._styles.dates:
            return date_text(number, is_1904=self._is_1904)
        return number_text(number)


def _column(reference: str) -> int:
    """Return the column of a cell's reference such as `AB12`, from 1; 0 if it is none."""
    column = 0
    for letter in reference.rstrip("0123456789").upper()[:4]:
        column = column * 26 + ord(letter) - 64
    return column


def _whole(text: str | None) -> int:
    """Return a number that is written in digits; 0 for anything else."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else 0
