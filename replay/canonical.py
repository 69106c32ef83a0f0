"""Plain JSON in one form: what is equal has equal bytes, whoever wrote it and in whatever order.

Pure. Yjs makes a float of every number, so integral floats are integers here.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson

from persistence.document import MAX_EXACT_INTEGER, MAX_VALUE_DEPTH

_SEPARATORS = re.compile(r"[_\-\s]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class UnfitValueError(ValueError):
    """A value that no plan can hold; the message says what is expected instead."""


def canonical_json(value: Any) -> bytes:
    """Return a canonical value as JSON in UTF-8: no spaces, the names of objects sorted by code point."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_value(value: Any, depth_left: int = MAX_VALUE_DEPTH) -> Any:
    """Return `value`, made of what JSON has, in its one form; raises UnfitValueError."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if not depth_left:
        raise UnfitValueError(f"expected values at most {MAX_VALUE_DEPTH} deep")
    if isinstance(value, list | tuple):
        return [canonical_value(one, depth_left - 1) for one in value]
    if isinstance(value, Mapping):
        return {_text(name): canonical_value(one, depth_left - 1) for name, one in value.items()}
    raise UnfitValueError(f"expected JSON, but there is {type(value).__name__}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitValueError("expected names that are text")
    if "\0" in value or _SURROGATE.search(value):
        raise UnfitValueError("expected text without NUL characters and halves of surrogate pairs")
    return value


def _number(value: int | float) -> int | float:
    is_exact = abs(value) <= MAX_EXACT_INTEGER
    if not is_exact and (isinstance(value, int) or not isfinite(value)):
        raise UnfitValueError(f"expected a finite number, and integers up to {MAX_EXACT_INTEGER}; make others text")
    return int(value) if is_exact and value == int(value) else value


def folded(name: str) -> str:
    """Return what spellings of one name have in common: no case, no `_`, `-` or spaces."""
    return _SEPARATORS.sub("", name).casefold()
