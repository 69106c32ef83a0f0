"""The walk: one pass over a Yjs v1 update before it may touch a document.

It is the guard (yrs can be brought down by its input: lengths, text and nesting are checked
here) and yields what the log and the acknowledgement need: how far the update advances each
client and how far its deletions reach.

Source: yjs/src/utils/encoding.js `writeClientsStructs`, yjs/src/utils/DeleteSet.js,
yjs/src/structs/*.js, and lib0/encoding.js `writeAny`. What Yjs 13 cannot read is refused.
"""

from collections.abc import Callable
from typing import NamedTuple

from collab.wire.errors import MalformedError, NestingError
from collab.wire.varuint import read_varuint, varuint
from persistence.document import MAX_VALUE_DEPTH

MAX_CLOCK = 2**31 - 1
"""The highest clock of a client: yrs counts in 32 bits."""

MAX_PIECES = 100
"""Into how many pieces an update with gaps may fall: each is a transaction of yrs and a row of the log.

A store that lost a few updates leaves as many gaps. Measured: 2.5 ms, and 33 ms in a document of 10,000 clients.
"""

_GC, _SKIP = 0, 10


class Shape(NamedTuple):
    """What an update does, in clocks."""

    struct_starts: dict[int, int]
    """For each client with structs in the update: the clock of its first one."""
    struct_ends: dict[int, int]
    """For each client with structs in the update: the clock after its last one."""
    delete_ends: dict[int, int]
    """For each client with deletions: the clock after the last deleted struct."""
    needs: dict[int, int]
    """For each client whose structs are referred to: the clock after the last of them."""
    has_gaps: bool
    """Whether structs are left out in between, to be sent some other time."""
    has_nested_types: bool
    """Whether a shared type is created inside another that is no root."""
    deletions_at: int
    """Where in the update its deletions begin."""
    only_struct_at: int
    """Where its one struct begins, 0 if it has none or several."""


Id = tuple[int, int]
"""A client and a clock of it."""


class Item(NamedTuple):
    """One item of an update as `trace` lists it, enough to tell how deep it lies."""

    client: int
    clock: int
    length: int
    is_type: bool
    anchor: Id | None
    """The id of its parent or of a neighbour; None directly below a root."""
    anchor_is_parent: bool


# pycrdt makes such an item when text is inserted in the middle of a character; yrs would have it wait for ever.
_DISORDER = "an item names one that comes after it as its neighbour"


def walk(update: bytes, trace: list[Item] | None = None) -> Shape:
    """Check the whole of `update` and return its shape; `trace`, if given, gets every item in order.

    Raises MalformedError, naming what is wrong, for anything that is not exactly one update.
    """
    try:
        needs: dict[int, int] = {}
        starts, ends, gaps, nested, deletions_at, only_struct_at = _walk_structs(update, needs, trace)
        delete_ends, position = _walk_deletes(update, deletions_at)
    except IndexError:
        raise MalformedError("the update ends early") from None
    except UnicodeDecodeError:
        raise MalformedError("text in the update is not UTF-8") from None
    if position != len(update):
        raise MalformedError(f"{abs(len(update) - position)} bytes too many or missing at the end of the update")
    return Shape(starts, ends, delete_ends, needs, gaps, nested, deletions_at, only_struct_at)


def _walk_structs(
    data: bytes, needs: dict[int, int], trace: list[Item] | None
) -> tuple[dict[int, int], dict[int, int], bool, bool, int, int]:
    clients, position = read_varuint(data, 0)
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    gaps = nested = False
    only_struct_at = 0
    for _ in range(clients):
        structs, position = read_varuint(data, position)
        client, position = read_varuint(data, position)
        clock, position = read_varuint(data, position)
        if client in ends or not structs:
            raise MalformedError(f"client {client} is listed twice or without structs")
        starts[client] = end = clock
        only_struct_at = position if clients == structs == 1 else 0
        for _ in range(structs):
            info = data[position]
            kind = info & 31
            if kind in (_GC, _SKIP):
                length, position = read_varuint(data, position + 1)
            else:
                length, position, anchor, is_parent = _walk_item(data, position + 1, info, needs, client, clock)
                is_type = kind == _TYPE
                nested = nested or (is_type and anchor is not None)
                if trace is not None:
                    trace.append(Item(client, clock, length, is_type, anchor, is_parent))
            if not length:
                raise MalformedError("a struct has no length")
            clock += length
            if kind == _SKIP:
                gaps = True
            else:
                end = clock
        if clock > MAX_CLOCK:
            raise MalformedError(f"the clock of client {client} passes {MAX_CLOCK}")
        ends[client] = end
    return starts, ends, gaps, nested, position, only_struct_at


def pieces(update: bytes) -> list[bytes]:
    """Take a walked update with gaps apart into updates without any, its deletions last.

    A store that merges updates may leave structs out in between (yjs/src/structs/Skip.js); apart,
    each piece can wait for what it needs on its own.
    """
    clients, position = read_varuint(update, 0)
    found: list[bytes] = []
    for _ in range(clients):
        structs, position = read_varuint(update, position)
        client, position = read_varuint(update, position)
        clock, position = read_varuint(update, position)
        start, since, count = clock, position, 0
        for left in range(structs, 0, -1):
            info = update[position]
            is_skip = info & 31 == _SKIP
            if is_skip and count:
                found.append(_piece(client, start, count, update[since:position]))
            length, position = struct_length(update, position + 1, info)
            clock += length
            if is_skip:
                start, since, count = clock, position, 0
            else:
                count += 1
            if left == 1 and count:
                found.append(_piece(client, start, count, update[since:position]))
    return [*found, b"\x00" + update[position:]]


def few_pieces(update: bytes) -> list[bytes]:
    """Do as `pieces`; raises MalformedError if there are more than MAX_PIECES."""
    parts = pieces(update)
    if len(parts) > MAX_PIECES:
        raise MalformedError(f"the update falls into {len(parts)} pieces; at most {MAX_PIECES} are taken")
    return parts


def _piece(client: int, clock: int, structs: int, content: bytes) -> bytes:
    return b"\x01" + varuint(structs) + varuint(client) + varuint(clock) + content + b"\x00"


def struct_length(data: bytes, position: int, info: int) -> tuple[int, int]:
    """Return the length in clocks of the walked struct whose `info` is before `position`, and the position after it."""
    if info & 31 in (_GC, _SKIP):
        return read_varuint(data, position)
    length, position, _, _ = _walk_item(data, position, info, {}, -1, 0)
    return length, position


def content_position(data: bytes, position: int, info: int) -> int:
    """Return where the content of the walked item whose `info` is before `position` begins."""
    for neighbour in (0x80, 0x40):
        if info & neighbour:
            _, position = _walk_id(data, position, {})
    return position if info & 0xC0 else _walk_parent(data, position, info, {})[1]


def _walk_item(
    data: bytes, position: int, info: int, needs: dict[int, int], client: int, clock: int
) -> tuple[int, int, Id | None, bool]:
    """Return the item's length, the position after it, what it hangs on, and whether that is its parent.

    It is refused if it names itself, or what its client made later, as its neighbour.
    """
    anchor: Id | None = None
    is_parent = False
    if info & 0x80:
        anchor, position = _walk_id(data, position, needs)
        if anchor[1] >= clock and anchor[0] == client:
            raise MalformedError(_DISORDER)
    if info & 0x40:
        right, position = _walk_id(data, position, needs)
        if right[1] >= clock and right[0] == client:
            raise MalformedError(_DISORDER)
        anchor = anchor or right
    if info < 0x40:
        anchor, position = _walk_parent(data, position, info, needs)
        is_parent = anchor is not None
    content = _CONTENTS.get(info & 31)
    if content is None:
        raise MalformedError(f"content kind {info & 31} is unknown")
    length, position = content(data, position)
    return length, position, anchor, is_parent


def _walk_id(data: bytes, position: int, needs: dict[int, int]) -> tuple[Id, int]:
    client, position = read_varuint(data, position)
    clock, position = read_varuint(data, position)
    if clock >= needs.get(client, 0):
        needs[client] = clock + 1
    return (client, clock), position


def _walk_parent(data: bytes, position: int, info: int, needs: dict[int, int]) -> tuple[Id | None, int]:
    is_root = data[position]
    position += 1
    anchor = None
    if is_root == 1:
        position = _after_text(data, position)
    elif is_root == 0:
        anchor, position = _walk_id(data, position, needs)
    else:
        raise MalformedError("an item's parent is neither a root nor an item")
    if info & 0x20:
        position = _after_text(data, position)
    return anchor, position


def _walk_deletes(data: bytes, position: int) -> tuple[dict[int, int], int]:
    clients, position = read_varuint(data, position)
    ends: dict[int, int] = {}
    for _ in range(clients):
        client, position = read_varuint(data, position)
        ranges, position = read_varuint(data, position)
        end = ends.get(client, 0)
        for _ in range(ranges):
            clock, position = read_varuint(data, position)
            length, position = read_varuint(data, position)
            end = max(end, clock + length)
        if end > MAX_CLOCK:
            raise MalformedError(f"a deletion of client {client} passes clock {MAX_CLOCK}")
        if end:
            ends[client] = end
    return ends, position


def _text(data: bytes, position: int) -> tuple[str, int]:
    length, position = read_varuint(data, position)
    end = position + length
    return data[position:end].decode(), end


def _after_text(data: bytes, position: int) -> int:
    length, position = read_varuint(data, position)
    end = position + length
    text = data[position:end]
    if not text.isascii():
        text.decode()
    return end


def _deleted(data: bytes, position: int) -> tuple[int, int]:
    return read_varuint(data, position)


def _json(data: bytes, position: int) -> tuple[int, int]:
    count, position = read_varuint(data, position)
    for _ in range(count):
        _, position = _embed(data, position)
    return count, position


def _binary(data: bytes, position: int) -> tuple[int, int]:
    length, position = read_varuint(data, position)
    return 1, position + length


def _string(data: bytes, position: int) -> tuple[int, int]:
    length, position = read_varuint(data, position)
    end = position + length
    text = data[position:end]
    if text.isascii():
        return len(text), end
    return len(text.decode().encode("utf-16-le")) // 2, end


def _embed(data: bytes, position: int) -> tuple[int, int]:
    text, position = _text(data, position)
    if text.count("[") + text.count("{") > MAX_VALUE_DEPTH:
        _check_json_depth(text)
    return 1, position


def _check_json_depth(text: str) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif in_string:
            escaped = character == "\\"
            in_string = character != '"'
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_VALUE_DEPTH:
                raise NestingError("values", MAX_VALUE_DEPTH)
        elif character in "]}":
            depth -= 1


def _format(data: bytes, position: int) -> tuple[int, int]:
    return _embed(data, _after_text(data, position))


def _type(data: bytes, position: int) -> tuple[int, int]:
    kind, position = read_varuint(data, position)
    if kind > 6:
        raise MalformedError(f"shared type {kind} is unknown")
    if kind == 3 or kind == 5:  # an XML element or hook has a name
        position = _after_text(data, position)
    return 1, position


def _any_list(data: bytes, position: int) -> tuple[int, int]:
    count, position = read_varuint(data, position)
    for _ in range(count):
        position = _any(data, position, MAX_VALUE_DEPTH)
    return count, position


def _document(data: bytes, position: int) -> tuple[int, int]:
    return 1, _any(data, _after_text(data, position), MAX_VALUE_DEPTH)


def _any(data: bytes, position: int, depth_left: int) -> int:
    """Return the position after one value; `depth_left` is how many levels may still open."""
    kind = data[position]
    position += 1
    size = _ANY_SIZES.get(kind)
    if size is not None:
        return position + size
    if kind == 119:
        return _after_text(data, position)
    if kind == 118 or kind == 117:
        if not depth_left:
            raise NestingError("values", MAX_VALUE_DEPTH)
        count, position = read_varuint(data, position)
        for _ in range(count):
            if kind == 118:
                position = _after_text(data, position)
            position = _any(data, position, depth_left - 1)
        return position
    if kind == 125:
        return _after_integer(data, position)
    if kind == 116:
        return _binary(data, position)[1]
    raise MalformedError(f"value kind {kind} is unknown")


def _after_integer(data: bytes, position: int) -> int:
    for end in range(position, position + 8):
        if data[end] < 0x80:
            return end + 1
    raise MalformedError("an integer is longer than eight bytes")


_TYPE = 7
_ANY_SIZES = {127: 0, 126: 0, 121: 0, 120: 0, 124: 4, 123: 8, 122: 8}
_CONTENTS: dict[int, Callable[[bytes, int], tuple[int, int]]] = {
    1: _deleted,
    2: _json,
    3: _binary,
    4: _string,
    5: _embed,
    6: _format,
    _TYPE: _type,
    8: _any_list,
    9: _document,
}
