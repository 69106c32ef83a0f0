"""Documents of the two Python bindings behind one face, and the edits that every kind of client can make.

An edit is a list that travels as JSON: `["map.set", key, value]`, `["map.delete", key]`,
`["array.insert", index, values]`, `["array.delete", index, count]`, `["text.insert", index, words]`,
`["text.delete", index, count]`, `["xml.insert", index, tag, attributes, words]`,
`["xml.delete", index, count]`.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import y_py
from pycrdt import Array, Doc, Map, Text, TransactionEvent, XmlElement, XmlFragment, XmlText

from tests.clients.frames import read_state_vector

Step = list[Any]

_YPY_ATTRIBUTE = re.compile(r'"(\w+)"=')  # y-py prints the names of attributes in quotes


@dataclass(frozen=True, slots=True)
class Content:
    """What a client shows, and how much of whose work it knows; equal when two clients have converged."""

    map: dict[str, Any]
    array: list[Any]
    text: str
    xml: str
    clocks: dict[int, int]


class Replica(Protocol):
    """One copy of a document. Updates are Yjs v1 encoding."""

    def state_vector(self) -> bytes: ...
    def missing_to(self, state_vector: bytes) -> bytes: ...
    def apply(self, update: bytes) -> None: ...
    def edit(self, *steps: Step) -> list[bytes]:
        """Make all steps in one transaction and return the updates it caused."""
        ...

    def content(self) -> Content: ...


class PycrdtReplica:
    """A document of pycrdt; `doc` may also be changed directly inside `recording`."""

    def __init__(self, client_id: int | None = None) -> None:
        # Left alone, pycrdt draws 53 bits, and y-py reads ids of more than 32 bits wrongly.
        self.doc: Doc[Any] = Doc(client_id=client_id or random.randrange(1, 2**32))
        self.map = self.doc.get("map", type=Map[Any])
        self.array = self.doc.get("array", type=Array[Any])
        self.text = self.doc.get("text", type=Text)
        self.xml = self.doc.get("xml", type=XmlFragment)

    def state_vector(self) -> bytes:
        return self.doc.get_state()

    def missing_to(self, state_vector: bytes) -> bytes:
        return self.doc.get_update(state_vector)

    def apply(self, update: bytes) -> None:
        self.doc.apply_update(update)

    def recording(self, change: Callable[[], None]) -> list[bytes]:
        """Run `change` and return the updates it caused, one per transaction."""
        updates: list[bytes] = []

        def record(event: TransactionEvent) -> None:
            updates.append(event.update)

        subscription = self.doc.observe(record)
        try:
            change()
        finally:
            self.doc.unobserve(subscription)
        return updates

    def edit(self, *steps: Step) -> list[bytes]:
        def change() -> None:
            with self.doc.transaction():
                for kind, *rest in steps:
                    _PYCRDT_EDITS[kind](self, *rest)

        return self.recording(change)

    def content(self) -> Content:
        return Content(
            map=self.map.to_py() or {},
            array=self.array.to_py() or [],
            text=str(self.text),
            xml=str(self.xml),
            clocks=read_state_vector(self.state_vector()),
        )

    def _insert_element(self, index: int, tag: str, attributes: dict[str, str], words: str) -> None:
        self.xml.children.insert(index, XmlElement(tag, attributes, [XmlText(words)]))


def _delete_slice(target: Any, index: int, count: int) -> None:
    del target[index : index + count]


_PYCRDT_EDITS: dict[str, Callable[..., None]] = {
    "map.set": lambda replica, key, value: replica.map.__setitem__(key, value),
    "map.delete": lambda replica, key: replica.map.__delitem__(key),
    "array.insert": lambda replica, index, values: replica.array.__setitem__(slice(index, index), values),
    "array.delete": lambda replica, index, count: _delete_slice(replica.array, index, count),
    "text.insert": lambda replica, index, words: replica.text.insert(index, words),
    "text.delete": lambda replica, index, count: _delete_slice(replica.text, index, count),
    "xml.insert": PycrdtReplica._insert_element,
    "xml.delete": lambda replica, index, count: _delete_slice(replica.xml.children, index, count),
}


class YpyReplica:
    """A document of y-py, the archived binding that older Python clients use."""

    def __init__(self) -> None:
        self.doc: Any = y_py.YDoc()
        self.map = self.doc.get_map("map")
        self.array = self.doc.get_array("array")
        self.text = self.doc.get_text("text")
        self.xml = self.doc.get_xml_element("xml")
        self._updates: list[bytes] = []
        self._subscription = self.doc.observe_after_transaction(lambda event: self._updates.append(event.get_update()))

    def state_vector(self) -> bytes:
        return bytes(y_py.encode_state_vector(self.doc))

    def missing_to(self, state_vector: bytes) -> bytes:
        return bytes(y_py.encode_state_as_update(self.doc, state_vector))

    def apply(self, update: bytes) -> None:
        y_py.apply_update(self.doc, update)

    def edit(self, *steps: Step) -> list[bytes]:
        self._updates.clear()
        with self.doc.begin_transaction() as transaction:
            for kind, *rest in steps:
                _YPY_EDITS[kind](self, transaction, *rest)
        return list(self._updates)

    def content(self) -> Content:
        return Content(
            map=json.loads(self.map.to_json()),
            array=json.loads(self.array.to_json()),
            text=str(self.text),
            xml=_YPY_ATTRIBUTE.sub(r"\1=", str(self.xml)[len("<UNDEFINED>") : -len("</UNDEFINED>")]),
            clocks=read_state_vector(self.state_vector()),
        )

    def _insert_element(self, transaction: Any, index: int, tag: str, attributes: dict[str, str], words: str) -> None:
        made = self.xml.insert_xml_element(transaction, index, tag)
        for name, value in attributes.items():
            made.set_attribute(transaction, name, value)
        made.push_xml_text(transaction).push(transaction, words)


_YPY_EDITS: dict[str, Callable[..., None]] = {
    "map.set": lambda replica, transaction, key, value: replica.map.set(transaction, key, value),
    "map.delete": lambda replica, transaction, key: replica.map.pop(transaction, key),
    "array.insert": lambda replica, transaction, index, values: replica.array.insert_range(transaction, index, values),
    "array.delete": lambda replica, transaction, index, count: replica.array.delete_range(transaction, index, count),
    "text.insert": lambda replica, transaction, index, words: replica.text.insert(transaction, index, words),
    "text.delete": lambda replica, transaction, index, count: replica.text.delete_range(transaction, index, count),
    "xml.insert": YpyReplica._insert_element,
    "xml.delete": lambda replica, transaction, index, count: replica.xml.delete(transaction, index, count),
}
