"""Plain JSON values as a document can hold them.

Pure. Yjs numbers are doubles, and values nest as deep as live editing takes them (WIRE-3).
"""

from typing import Any
from uuid import UUID

from persistence.document import MAX_EXACT_INTEGER, MAX_VALUE_DEPTH


class UnfitValueError(ValueError):
    """A value that no document can hold; the message says why."""


def document_value(value: Any, depth_left: int = MAX_VALUE_DEPTH) -> Any:
    """Return `value`, made of what `json` reads, as it is written; raises UnfitValueError."""
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, int | float):
        return document_number(value)
    if not depth_left:
        raise UnfitValueError(f"expected values at most {MAX_VALUE_DEPTH} deep")
    if isinstance(value, list):
        return [document_value(one, depth_left - 1) for one in value]
    return {name: document_value(one, depth_left - 1) for name, one in value.items()}


def document_number(value: int | float) -> int | float:
    """Return a finite number as it is written: an integer if it is a small one; raises UnfitValueError."""
    if abs(value) < MAX_EXACT_INTEGER:
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if float(value) != value:
        raise UnfitValueError(f"expected a number that a double holds exactly, but there is {value}; make it text")
    return float(value)


def object_value(value: Any) -> dict[str, Any]:
    """Return an object as it is written; raises UnfitValueError if `value` is none."""
    if not isinstance(value, dict):
        raise UnfitValueError("expected a JSON object")
    written: dict[str, Any] = document_value(value)
    return written


def position_value(value: Any) -> dict[str, Any]:
    """Return a position as it is written: an object with the numbers x and y; raises UnfitValueError."""
    position = object_value(value)
    if any(type(position.get(axis)) not in (int, float) for axis in ("x", "y")):
        raise UnfitValueError('expected a position such as {"x": 1, "y": 2}')
    return position


def lineage_value(text: str) -> UUID:
    """Return the UUID that `text` is; raises UnfitValueError."""
    try:
        return UUID(text)
    except ValueError:
        raise UnfitValueError("expected a UUID") from None
