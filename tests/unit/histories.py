"""Random histories of one graph: people who type at once on a bad network, and some who write nonsense."""

import random
from collections.abc import Callable
from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlFragment, merge_updates

from persistence.records import Operation
from tests.property.test_convergence import calm_down, edit
from tests.unit.rooms import Client, Stage

LINEAGE = "00000000-0000-4000-8000-00000000000a"
ROOTS = ("nodes", "edges", "layers")
FIELDS = {
    "nodes": (
        *("label", "layer", "is_partition", "belongs_to", "weight", "comment", "properties", "lineage_id", "position"),
        *("content", "unknown"),
    ),
    "edges": ("source", "target", "label", "layer", "weight", "comment", "properties", "lineage_id", "content"),
    "layers": ("name", "background_color", "text_color", "border_color", "properties", "label"),
}
KEYS = ("a", "b", "c", "", "d\0", "é" * 512, "é" * 513, "__proto__")

_TEXTS = ("", "word", "n\0l", "\\u0000", "\ud7ff\ue000🍰", "k" * 1_025, LINEAGE, LINEAGE.upper())
_NUMBERS = (0, 1, -3, 2.5, 1e300, -1e308, 5e-324, 2**53 + 1, 2**62, -0.0, float("nan"), float("inf"), float("-inf"))
_PLACES = ({"x": 1, "y": 2.5}, {"x": -7, "y": 0}, {"x": float("nan"), "y": 0}, {"x": "1", "y": 1})
_OBJECTS = ({}, {"k": [1, {"n\0": 1}]}, {"k": "\0"}, {"k\\u0000": "\\u0000"}, {"": None}, {"a": {"b": [True]}})

_Make = Callable[[random.Random], Any]
_VALUES: dict[str, _Make] = {
    "nothing": lambda _: None,
    "is_partition": lambda chance: chance.random() < 0.5,
    "weight": lambda chance: chance.choice(_NUMBERS),
    "label": lambda chance: chance.choice(_TEXTS),
    "position": lambda chance: chance.choice(_PLACES),
    "properties": lambda chance: chance.choice(_OBJECTS),
    "list": lambda _: [1, {"x": [None]}],
    "bytes": lambda _: b"\xff\x00",
    "content": lambda chance: Text(chance.choice(["", "typed", "n\0l"])),
    "array": lambda _: Array([1, "two"]),
    "map": lambda chance: Map({"x": 1.0, "y": 2, "more": Map({"k": chance.choice(["v", "\0"])})}),
    "empty": lambda _: Map(),
}


def a_value(chance: random.Random, field: str | None = None) -> Any:
    """Return something that a field may hold, or may not; of the kind of `field` as often as not."""
    if field is not None and chance.random() < 0.5:
        return _VALUES.get(field, _VALUES["label"])(chance)
    return chance.choice(list(_VALUES.values()))(chance)


def an_entity(chance: random.Random, root: str) -> Any:
    """Return an entity with some fields, or something that is none."""
    if chance.random() < 0.1:
        return a_value(chance)
    return Map({name: a_value(chance, name) for name in chance.sample(FIELDS[root], k=chance.randrange(5))})


def edit_graph(chance: random.Random, doc: Doc[Any]) -> None:
    """Make one random change to the graph in `doc`."""
    root = chance.choice(ROOTS)
    entities, key = doc.get(root, type=Map), chance.choice(KEYS)
    entity = entities.get(key)
    kind = chance.randrange(12)
    if kind == 0 and key in entities:
        del entities[key]
    elif kind == 1:
        with doc.transaction():  # replaced, changed, deleted and added again, at once
            entities[key] = Map({"label": "first"})
            entities[key]["label"] = "second"
            del entities[key]
            entities[key] = an_entity(chance, root)
    elif kind == 2:
        _misuse(chance, doc, root)
    elif kind < 6 or not isinstance(entity, Map):
        entities[key] = an_entity(chance, root)
    else:
        _edit_entity(chance, root, entity)


def _edit_entity(chance: random.Random, root: str, entity: Map[Any]) -> None:
    name = chance.choice(FIELDS[root])
    value = entity.get(name)
    if isinstance(value, Text) and len(value):
        value.insert(chance.randrange(len(value)), chance.choice(["x", "yz", "\0"]))
    elif isinstance(value, Map):
        value["deep"] = a_value(chance)
    elif name in entity and chance.random() < 0.3:
        del entity[name]
    else:
        entity[name] = a_value(chance, name)


def _misuse(chance: random.Random, doc: Doc[Any], root: str) -> None:
    """Use a root map as something else."""
    kind = chance.randrange(3)
    if kind == 0:
        doc.get(root, type=Array).append(Map({"label": "in a list"}))
    elif kind == 1:
        doc.get(root, type=Text).insert(0, "text")
    else:
        doc.get(root, type=XmlFragment)
    items = doc.get(root, type=Array)
    if kind == 0 and isinstance(items[len(items) - 1], Map):
        items[len(items) - 1]["label"] = "changed"


def send(chance: random.Random, client: Client) -> None:
    """Send the edits made so far in disorder, twice, merged, merged with gaps, or only later ones."""
    updates = client.take_edits()
    if chance.random() < 0.3:
        chance.shuffle(updates)
    if chance.random() < 0.2 and updates:
        updates += [chance.choice(updates)]
    if chance.random() < 0.4 and len(updates) > 2:
        chosen = chance.sample(updates, k=2)
        updates = [merge_updates(*chosen), *(update for update in updates if update not in chosen)]
    if updates:
        client.push(*updates)


def a_history(chance: random.Random, turns: int = 60) -> tuple[Operation, ...]:
    """Return the operations that a room stored while a few people worked on one graph, in their order.

    Some came before what they depend on, deletions among them; what the last of them needs may be missing.
    """
    stage = Stage()
    clients = [stage.client() for _ in range(chance.randrange(2, 4))]
    for _ in range(turns):
        _act(chance, stage, clients)
    if chance.random() < 0.7:
        calm_down(stage, clients, [])
    stage.log.commit()
    return tuple(stage.log.stored)


def _act(chance: random.Random, stage: Stage, clients: list[Client]) -> None:
    client = chance.choice(clients)
    happenings: list[Callable[[], object]] = [
        *[lambda: edit_graph(chance, client.doc)] * 5,
        *[lambda: edit(chance, client.doc)] * 2,
        lambda: send(chance, client),
        lambda: stage.calm(*clients),
    ]
    chance.choice(happenings)()
