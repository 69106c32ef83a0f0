"""What stands in the cells of a spreadsheet (ECMA-376 part 1, 18.3.1.4), as the text that a CSV file would have.

Pure. A number is written shortest, an integer without a fraction; truth is `true` or `false`; a date is
ISO 8601: `2026-01-31`, with its time `2026-01-31T10:20:30`, a time alone `10:20:30`; a duration `36:00:00`.
"""

import re
from datetime import date, datetime, time, timedelta

from persistence.document import MAX_EXACT_INTEGER

MAX_CELL_CHARACTERS = 32_767
"""UTF-16 units in one cell (Excel's limit)."""

_ESCAPE = re.compile("_x((?![dD][89a-fA-F])[0-9A-Fa-f]{4})_")  # half a surrogate pair is no character
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)|\\A<(?=r>)")
"""What XML cannot hold, or reads as another character; what looks like an escape, or like XlsxWriter's rich text."""

CellValue = str | bool | int | float | datetime | date | time | timedelta | None
"""What openpyxl makes of a cell."""


def cell_text(value: CellValue) -> str:
    """Return the text of a cell; of an empty one the empty text."""
    match value:
        case None:
            return ""
        case str():
            return unescaped(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number_text(float(value))
        case timedelta():
            return _duration_text(value)
        case datetime() | time():
            return value.isoformat(timespec="seconds").removesuffix("T00:00:00")
    return value.isoformat()


def escaped(text: str) -> str:
    """Return `text` in characters that XML can hold, which are read as that text and nothing else."""
    return _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def unescaped(text: str) -> str:
    """Return text with the characters that XML cannot hold (22.9.2.19: `_x000D_` is a carriage return)."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _number_text(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) <= MAX_EXACT_INTEGER else repr(number)


def _duration_text(duration: timedelta) -> str:
    minutes, seconds = divmod(round(abs(duration).total_seconds()), 60)
    return f"{'-' if duration < timedelta() else ''}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
