"""What stands in the cells of a spreadsheet (ECMA-376 part 1, 18.3.1.4), as the text that a CSV file would have.

Pure. A number is written shortest, an integer without a fraction; truth is `true` or `false`; a date is
ISO 8601: `2026-01-31`, with its time `2026-01-31T10:20:30`, a time alone `10:20:30`; a duration `36:00:00`.
Of a formula it is the value that was last computed.
"""

import re
from datetime import datetime, timedelta

from persistence.document import MAX_EXACT_INTEGER

MAX_CELL_CHARACTERS = 32_767
"""UTF-16 units in one cell (Excel's limit)."""

_ESCAPE = re.compile("_x((?![dD][89a-fA-F])[0-9A-Fa-f]{4})_")  # half a surrogate pair is no character
_DAY_S = 86_400
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's dates have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_END_DAY = 2_957_003
"""Days after either epoch that are still in a year of four digits."""

_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
"""Number formats without a code of their own that show dates or times (18.8.30)."""

_BUILT_IN_DURATION = 46
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_BRACKETED = re.compile(r"\[[^\]]*\]")
_DATE_LETTER = re.compile("[dmyhs]", re.IGNORECASE)


def unescaped(text: str) -> str:
    """Return text with the characters that XML cannot hold (22.9.2.19: `_x000D_` is a carriage return)."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def shows_elapsed(format_id: int, code: str) -> bool:
    """Whether numbers of this format are shown as durations."""
    return bool(_ELAPSED.search(_LITERAL.sub("", code))) if code else format_id == _BUILT_IN_DURATION


def shows_dates(format_id: int, code: str) -> bool:
    """Whether numbers of this format are shown as dates or times."""
    if code:
        return bool(_DATE_LETTER.search(_BRACKETED.sub("", _LITERAL.sub("", code))))
    return format_id in _BUILT_IN_DATES


def number_text(number: float) -> str:
    """Return the shortest text of a number."""
    return str(int(number)) if number.is_integer() and abs(number) <= MAX_EXACT_INTEGER else repr(number)


def duration_text(number: float) -> str:
    """Return days as hours, minutes and seconds."""
    minutes, seconds = divmod(round(abs(number) * _DAY_S), 60)
    return f"{'-' if number < 0 else ''}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def date_text(number: float, *, is_1904: bool) -> str:
    """Return days since the epoch as a date, a time, or both; as a number if it is no date."""
    if not 0 <= number < _END_DAY:
        return number_text(number)
    # 1900 was no leap year, but spreadsheets count its 29 February as day 60.
    epoch = _EPOCH_1904 if is_1904 else _EPOCH + timedelta(days=1) if number < 60 else _EPOCH
    moment = epoch + timedelta(seconds=round(number * _DAY_S))
    if number < 1:
        return f"{moment:%H:%M:%S}"
    return moment.date().isoformat() if number.is_integer() else moment.isoformat()
