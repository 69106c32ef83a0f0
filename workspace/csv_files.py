"""Files of comma or tab separated values (RFC 4180) become lines of cells.

Pure. Whatever is wrong is noted in `Issues`, and reading goes on as far as it makes sense.
"""

import csv
from collections.abc import Iterator
from io import StringIO

from workspace.issues import Issues
from workspace.tables import MAX_ROW_CHARACTERS, Line, TableFile

csv.field_size_limit(MAX_ROW_CHARACTERS + 1)  # of the whole process; by default it is less than a row may have


def read_lines(file: TableFile, issues: Issues) -> Iterator[Line]:
    """Yield each row of cells, as they are, with the line it starts on; none if the file is no text."""
    text = _decode(file, issues)
    if text is not None:
        yield from _split(file, text, issues)


def _decode(file: TableFile, issues: Issues) -> str | None:
    if file.data.startswith((b"\xff\xfe", b"\xfe\xff")):
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


def _split(file: TableFile, text: str, issues: Issues) -> Iterator[Line]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(file.name, text), strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        issues.add(file.name, start, None, f"expected well-formed cells from here on ({error})")


def _delimiter(file_name: str, text: str) -> str:
    """Return tab for a .tsv file, else the one that the header has most of."""
    if file_name.lower().endswith(".tsv"):
        return "\t"
    header = text.lstrip().partition("\n")[0]
    return max(",\t;", key=header.count)
