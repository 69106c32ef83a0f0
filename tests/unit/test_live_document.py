"""What a room's document takes of memory, and that it goes when its room does: rules HUB-10 and MANY-2 of SPEC.md."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from collab.document import LiveDocument
from collab.footprint import BYTES_PER_BYTE, MAX_SEEN, footprint_bytes
from collab.wire.update import walk
from collab.wire.varuint import prefixed, varuint
from tests.unit.documents import of_clients, recorded


def test_a_document_that_nobody_holds_is_gone() -> None:
    """MANY-2: a subscription inside yrs, which the garbage collector does not see, keeps it no longer."""
    source, updates = recorded(1)
    source.get("nodes", type=Map)["a"] = "b"
    document = LiveDocument()
    for update in updates:
        assert document.apply(update, walk(update)).change == update
    held: weakref.ref[Any] = weakref.ref(document.doc)
    assert held() is not None
    del document
    gc.collect()

    assert held() is None


def text(doc: Doc[Any]) -> None:
    doc.get("text", type=Text).insert(0, "long text " * 20_000)


def string(doc: Doc[Any]) -> None:
    doc.get("map", type=Map)["description"] = "x" * 200_000


def attachment(doc: Doc[Any]) -> None:
    doc.get("map", type=Map)["picture"] = b"x" * 200_000


def small_maps(doc: Doc[Any]) -> None:
    nodes = doc.get("nodes", type=Map)
    with doc.transaction():
        for number in range(1_000):
            nodes[f"node-{number}"] = Map({"label": f"Label {number}", "weight": 1.0})


def small_values(doc: Doc[Any]) -> None:
    doc.get("map", type=Map)["values"] = [None] * 100_000


@pytest.mark.parametrize(
    ("fill", "least", "most"),
    [(text, 1.7, 3.4), (string, 2.1, 4.2), (attachment, 1.7, 3.4), (small_maps, 27, 54), (small_values, 26, 52)],
)
def test_HUB_10_memory_is_estimated_by_kind_on_the_safe_side(
    fill: Callable[[Doc[Any]], None], least: float, most: float
) -> None:
    """`least` is what yrs was measured to take by encoded byte."""
    source: Doc[Any] = Doc(client_id=1)
    fill(source)
    update = source.get_update()
    applied, loaded = LiveDocument(), LiveDocument()
    applied.apply(update, walk(update))
    loaded.load((update,))
    estimates = [applied.memory_bytes, loaded.memory_bytes]
    applied.measure()
    for estimate in [*estimates, applied.memory_bytes]:
        assert least <= estimate / len(update) <= most


def test_HUB_10_each_client_counts() -> None:
    update = of_clients(10_000)
    document = LiveDocument()
    document.apply(update, walk(update))
    assert 300 <= document.memory_bytes / 10_000 <= 600, "measured: 300 bytes each"


def test_HUB_10_what_follows_many_structs_counts_as_the_costliest() -> None:
    small = b"".join(b"\x44\5" + varuint(number) + b"\1a" for number in range(MAX_SEEN))
    many = b"\1" + varuint(MAX_SEEN + 2) + b"\5\0\4\1\1t\1a" + small + b"\4\1\1u" + prefixed(b"x" * 100_000) + b"\0"
    assert footprint_bytes(many) > BYTES_PER_BYTE * 100_000


def test_HUB_10_what_cannot_be_read_counts_as_the_costliest() -> None:
    for broken in (b"\1\2\5\0\4\1\1t\3abc", b"\1\1\5\0\x1d\1\1t\0", b"\1\1\5\0\4\1\1t\1\xff\0"):
        assert footprint_bytes(broken) == BYTES_PER_BYTE * len(broken)
