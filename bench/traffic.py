"""The updates of a round, made before it starts: each author has a document that knows nothing of others.

Every update ends at a higher clock than the one before, so that who holds it is known by clocks, however a server
merged updates into frames.
"""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

from pycrdt import Doc, Map, Text, TransactionEvent

from bench.dialects import NOTHING
from tests.clients.frames import read_state_vector

NODES = 200
RENAME_EVERY = 10
FIRST_AUTHOR = 1_000
TRACES_FOLDER = "LAYERCAKE_BENCH_TRACES"
"""The environment's name of a folder of editing traces; without one, text is typed a letter at a time."""

_TRACE = "automerge-paper.json.gz"
_FOUNDER = 500
_LETTERS = "typing as people do "


@dataclass(frozen=True, slots=True)
class Written:
    """What one author sends: its updates in order, and the author's clock after each."""

    author: int
    updates: list[bytes]
    ends: list[int]


Editing = Callable[[Doc[Any]], Iterator[None]]
"""Makes one update of a document after the other, each by one transaction."""


def founded(kind: str) -> bytes:
    """What is in a document before the round, as one update."""
    return base_graph(NODES) if kind == "graph" else NOTHING * 2


def base_graph(nodes: int) -> bytes:
    """A graph of `nodes` nodes in a chain, as one update."""
    doc: Doc[Any] = Doc(client_id=_FOUNDER)
    shown, edges = doc.get("nodes", type=Map), doc.get("edges", type=Map)
    with doc.transaction():
        for number in range(nodes):
            fields = {"label": f"Node {number}", "layer": "base", "weight": 1, "position": _place(-1 - number)}
            shown[f"n{number}"] = Map(fields)
            edges[f"e{number}"] = Map({"source": f"n{number}", "target": f"n{(number + 1) % nodes}", "weight": 1})
    return doc.get_update()


def written(kind: str, writers: int, updates: int, padding_bytes: int = 0) -> list[Written]:
    """What `writers` authors send when `updates` are dealt to them in turn."""
    begin = founded(kind)
    return [
        record(FIRST_AUTHOR + n, begin, _editing(kind, n, writers, padding_bytes), len(range(n, updates, writers)))
        for n in range(writers)
    ]


def record(author: int, begin: bytes, editing: Editing, updates: int) -> Written:
    """Make `updates` of them in a document that begins with `begin`."""
    doc: Doc[Any] = Doc(client_id=author)
    doc.apply_update(begin)
    made: list[bytes] = []

    def keep(event: TransactionEvent) -> None:
        made.append(event.update)

    subscription = doc.observe(keep)
    ends = [read_state_vector(doc.get_state())[author] for _ in islice(editing(doc), updates)]
    doc.unobserve(subscription)
    return Written(author, made, ends)


def _editing(kind: str, number: int, writers: int, padding_bytes: int) -> Editing:
    if kind == "graph":
        return lambda doc: drag(doc, [f"n{node}" for node in range(number % NODES, NODES, writers)])
    folder = os.environ.get(TRACES_FOLDER)
    if folder is not None and not padding_bytes:
        return lambda doc: retype(doc, Path(folder))
    return lambda doc: type_letters(doc, padding_bytes)


def drag(doc: Doc[Any], nodes: list[str]) -> Iterator[None]:
    """Move each of `nodes` in turn, and rename one instead now and then."""
    shown = doc.get("nodes", type=Map)
    for number, node in enumerate(cycle([shown[name] for name in nodes])):
        if number % RENAME_EVERY == RENAME_EVERY - 1:
            node["label"] = f"Renamed {number}"
        else:
            node["position"] = _place(number)
        yield


def type_letters(doc: Doc[Any], padding_bytes: int) -> Iterator[None]:
    """Append one letter after the other, each with padding, to the text."""
    text, padding = doc.get("text", type=Text), "." * padding_bytes
    for number in count():
        text.insert(number * (1 + padding_bytes), _LETTERS[number % len(_LETTERS)] + padding)
        yield


def retype(doc: Doc[Any], folder: Path) -> Iterator[None]:
    """Type a recorded text again; deletions travel with the insertion that follows them, which moves the clock."""
    text = doc.get("text", type=Text)
    for patches in _until_insertion(_recorded(folder / _TRACE)):
        with doc.transaction():
            for position, deleted, inserted in patches:
                del text[position : position + deleted]
                text.insert(position, inserted)
        yield


@cache
def _recorded(trace: Path) -> list[dict[str, Any]]:
    transactions: list[dict[str, Any]] = json.loads(gzip.decompress(trace.read_bytes()))["txns"]
    return transactions


def _until_insertion(transactions: list[dict[str, Any]]) -> Iterator[list[tuple[int, int, str]]]:
    gathered: list[tuple[int, int, str]] = []
    for transaction in transactions:
        gathered += transaction["patches"]
        if any(inserted for _, _, inserted in gathered):
            yield gathered
            gathered = []


def _place(number: int) -> dict[str, float]:
    return {"x": float(number % 1_000), "y": float(number * 7 % 1_000)}
