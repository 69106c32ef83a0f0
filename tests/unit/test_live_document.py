"""A room's document goes when its room does: rule MANY-2 of SPEC.md."""

import gc
import weakref
from typing import Any

from pycrdt import Map

from collab.document import LiveDocument
from collab.wire.update import walk
from tests.unit.documents import recorded


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
