"""REPLAY-1 to REPLAY-14 of SPEC.md: whatever base, edits and upstream are, against a replay written the long way."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from pycrdt import Doc, Map, Text

from collab.document import LiveDocument
from collab.wire.update import walk
from persistence.document import GraphContent, build_updates, read_content
from persistence.document_edits import same_value
from persistence.records import ServerEdit
from persistence.replay_records import ConflictPolicy, GraphBase
from replay.applicability import Reason, signature
from replay.effects import effects
from replay.engine import NumberedEdit, Replayed, replay
from replay.graph_state import GraphState
from replay.operations import EDITED_FIELDS, KINDS, ROOTS, Act, EditOperation, value_of
from replay.rebuilding import RebuildRequest, read_graph, rebuild

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60"))
FAILED_BEFORE: list[int] = []
"""Seeds that once found a fault; they are run first."""
SEEDS = [pytest.param(seed, id=f"again-{seed}") for seed in FAILED_BEFORE] + [
    pytest.param(None, id=str(number)) for number in range(ROUNDS)
]
GRAPH_ID = UUID(int=7)
SERVER, PERSON, OTHER = 5, 2_000_000, 3_000_000
IDS = {"node": "abcdef", "edge": "pqrstuvw", "layer": "xyz"}
FAILURES = {Reason.CONTAINMENT_CYCLE, Reason.EDGE_END_LOST, Reason.PARENT_LOST}
POLICIES: tuple[ConflictPolicy, ...] = ("mine", "theirs", "ask")

Told = dict[str, dict[str, dict[str, Any]]]
"""A graph the long way: root, id, field, value as operations tell it."""


class Chance:
    """Graphs and edits by chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, kind: str, name: str) -> Any:
        one = self.random.choice
        if name in ("source", "target"):
            return one(IDS["node"])
        if name == "belongs_to":
            return one([None, *IDS["node"]])
        if name == "layer":
            return one([None, *IDS["layer"]])
        values: dict[str, list[Any]] = {
            "is_partition": [None, True],
            "weight": [None, 0, 1, 2.5],
            "properties": [None, {"k": 1}, {"k": True}, {"k": [1.5, {}], "m": "ü"}],
            "lineage_id": [str(UUID(int=number)) for number in range(3)],
        }
        return one(values.get(name, [None, "one", "two"]))

    def entity(self, kind: str, id_: str) -> Any:
        fields = {name: self.value(kind, name) for name in EDITED_FIELDS[kind] if self.random.random() < 0.5}
        fields = {name: value for name, value in fields.items() if name != "lineage_id"}
        told = {"id": id_, **({"source": "a", "target": "a"} if kind == "edge" else {}), **fields}
        if kind == "node" and self.random.random() < 0.3:
            told |= {"position": {"x": 7, "y": self.random.randrange(9)}, "content": "made"}
        part = read_graph(GRAPH_ID, orjson.dumps({"nodes": [], "edges": [], "layers": [], f"{kind}s": [told]}))
        return getattr(part, ROOTS[kind])[0]

    def base(self) -> GraphContent:
        """Return a graph in order: with all ends and parents, and nothing in itself."""
        kept = {kind: [id_ for id_ in ids if self.random.random() < 0.7] for kind, ids in IDS.items()}
        parts: dict[str, list[Any]] = {kind: [self.entity(kind, id_) for id_ in ids] for kind, ids in kept.items()}
        return self.in_order(GraphContent(*(tuple(parts[kind]) for kind in ("node", "edge", "layer"))))

    def in_order(self, content: GraphContent) -> GraphContent:
        ids = [node.id for node in content.nodes]
        order = {id_: place for place, id_ in enumerate(self.random.sample(ids, len(ids)))}
        nodes = (
            node if order.get(node.belongs_to or "", len(ids)) < order[node.id] else replace(node, belongs_to=None)
            for node in content.nodes
        )
        edges = tuple(edge for edge in content.edges if edge.source in order and edge.target in order)
        return replace(content, nodes=tuple(nodes), edges=edges)

    def upstream(self, base: GraphContent) -> GraphContent:
        """Return what became of a base: some entities gone, some come, some other."""
        state = GraphState.of(base)
        for _ in range(self.random.randrange(8)):
            if operation := self.operation(state):
                state.apply(effects(operation, state))
        return self.in_order(state.content())

    def operation(self, state: GraphState) -> EditOperation | None:
        kind = self.random.choice(list(KINDS))
        id_ = self.random.choice(IDS[kind])
        present = state.get(ROOTS[kind], id_)
        if present is None:
            return EditOperation(kind, Act.CREATE, id_, self.entity(kind, id_))
        if self.random.random() < 0.3:
            return EditOperation(kind, Act.DELETE, id_, present)
        structural = {"node": "belongs_to", "edge": "target", "layer": "name"}[kind]
        names = {self.random.choice([structural, *EDITED_FIELDS[kind]]) for _ in range(self.random.randint(1, 3))}
        new = {name: self.value(kind, name) for name in sorted(names)}
        new = {name: value for name, value in new.items() if not same_value(value, value_of(present, name))}
        old = {name: value_of(present, name) for name in new}
        return EditOperation(kind, Act.UPDATE, id_, None, old, new) if new else None

    def edits(self, base: GraphContent) -> list[NumberedEdit]:
        """Return edits as they are captured, each with the signature of the graph just before it."""
        state, edits = GraphState.of(base), []
        for number in range(self.random.randrange(25)):
            if operation := self.operation(state):
                edits.append(NumberedEdit(UUID(int=number), number, operation, signature(operation, state)))
                state.apply(effects(operation, state))
        return edits


def told(content: GraphContent) -> Told:
    return {
        root: {one.id: {name: value_of(one, name) for name in EDITED_FIELDS[kind]} for one in getattr(content, root)}
        for kind, root in ROOTS.items()
    }


def the_long_way(
    base: GraphContent, edits: Sequence[NumberedEdit], policy: str, failed: set[UUID]
) -> tuple[Told, dict[UUID, str]]:
    """Replay as the rules read, one after the other, without those that are known to fail."""
    graph, reasons = told(base), {}
    for edit in edits:
        if edit.id in failed:
            continue
        reason = reasons[edit.id] = long_judged(graph, edit)
        if reason == "applied" or (reason in ("value_changed", "entity_changed") and policy != "theirs"):
            long_applied(graph, edit.operation)
    return graph, reasons


def long_judged(graph: Told, edit: NumberedEdit) -> str:
    operation = edit.operation
    present = graph[ROOTS[operation.kind]].get(operation.entity_id)
    mine = {} if operation.entity is None else {n: value_of(operation.entity, n) for n in EDITED_FIELDS[operation.kind]}
    is_as_it_was = long_signature(graph, operation) == edit.signature
    if operation.act is Act.CREATE and present is not None:
        return "already_applied" if same_value(mine, present) else "entity_exists"
    if operation.act is Act.DELETE:
        if present is None:
            return "already_applied"
        return "applied" if is_as_it_was or same_value(mine, present) else "entity_changed"
    new = mine if operation.act is Act.CREATE else operation.new_values
    if operation.act is Act.UPDATE:
        if present is None:
            return "entity_missing"
        if all(same_value(present[name], value) for name, value in new.items()):
            return "already_applied"
    for name, reason in (("source", "end_missing"), ("target", "end_missing"), ("belongs_to", "parent_missing")):
        if name in new and new[name] not in graph["nodes"] and (new[name] or name != "belongs_to") and not is_as_it_was:
            return reason
    open_ = [name for name in operation.new_values if not same_value(present[name], new[name])] if present else []
    if not is_as_it_was and any(not same_value(present[name], operation.old_values[name]) for name in open_):
        return "value_changed"
    return "applied"


def long_signature(graph: Told, operation: EditOperation) -> str:
    """Return the signature, in a graph made again from what is told of it."""
    parts = {root: [{"id": id_, **fields} for id_, fields in entities.items()] for root, entities in graph.items()}
    return signature(operation, GraphState.of(read_graph(GRAPH_ID, orjson.dumps(parts))))


def long_applied(graph: Told, operation: EditOperation) -> None:
    entities = graph[ROOTS[operation.kind]]
    if operation.act is Act.UPDATE:
        entities[operation.entity_id] = entities[operation.entity_id] | dict(operation.new_values)
    elif operation.act is Act.CREATE:
        assert operation.entity is not None
        fields = {name: value_of(operation.entity, name) for name in EDITED_FIELDS[operation.kind]}
        entities[operation.entity_id] = fields
    else:
        gone = entities.pop(operation.entity_id)
        if operation.kind == "node":
            graph["edges"] = {
                id_: edge
                for id_, edge in graph["edges"].items()
                if operation.entity_id not in (edge["source"], edge["target"])
            }
            for id_, node in entities.items():
                if node["belongs_to"] == operation.entity_id:
                    above = gone["belongs_to"]
                    node["belongs_to"] = None if above in (id_, operation.entity_id) else above


def wrong_with(graph: Told) -> Iterator[str]:
    for id_, edge in graph["edges"].items():
        if edge["source"] not in graph["nodes"] or edge["target"] not in graph["nodes"]:
            yield f"edge {id_}"
    for id_, node in graph["nodes"].items():
        seen, parent = {id_}, node["belongs_to"]
        while parent is not None and parent in graph["nodes"] and parent not in seen:
            seen.add(parent)
            parent = graph["nodes"][parent]["belongs_to"]
        if parent is not None:
            yield f"node {id_}"


def live_document(chance: Chance, content: GraphContent) -> Doc[Any]:
    """Return the document of a graph in which people gave nodes places, texts and fields that nobody knows."""
    doc: Doc[Any] = Doc(client_id=PERSON)
    for update in build_updates(content, 1):
        doc.apply_update(update.data)
    doc.get("meta", type=Map)["name"] = "Deck"
    for root in ("nodes", "edges", "layers"):
        for entity in doc.get(root, type=Map).values():
            if chance.random.random() < 0.5:
                entity["unknown"] = Map({"k": chance.random.randrange(9)})
            if root == "nodes" and chance.random.random() < 0.5:
                entity["position"] = {"x": chance.random.randrange(9), "y": 0}
                entity["content"] = Text("typed")
    return doc


def state(doc: Doc[Any]) -> Told:
    return {root: orjson.loads(str(doc.get(root, type=Map))) for root in ("nodes", "edges", "layers", "meta")}


def untouched(doc: Doc[Any]) -> Mapping[tuple[str, str], Any]:
    """Return of each entity what is no edited field."""
    return {
        (root, id_): {name: value for name, value in fields.items() if name not in EDITED_FIELDS[root[:-1]]}
        for root, entities in state(doc).items()
        if root != "meta"
        for id_, fields in entities.items()
    }


def request(
    base: GraphContent, edits: Sequence[NumberedEdit], policy: ConflictPolicy, removed: bytes
) -> RebuildRequest:
    rows = [
        {"id": one.id, "number": one.number, "operation_data": one.operation.to_json()}
        | {"applicability_signature": one.signature}
        for one in edits
    ]
    told_base = GraphBase(orjson.dumps(base), "", "")
    return RebuildRequest(
        UUID(int=1), GRAPH_ID, told_base, "plan", None, UUID(int=2), 0, orjson.dumps(rows), policy, removed
    )


def after(edits: Sequence[NumberedEdit], result: Replayed) -> list[NumberedEdit]:
    """Return the edits that are active after a replay."""
    rebased = {one.id: one for one in result.rebased}
    return [
        replace(one, operation=rebased[one.id].operation, signature=rebased[one.id].signature)
        if one.id in rebased
        else one
        for one in edits
        if one.id not in result.deactivated
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_REPLAY_1_to_10_a_replay_is_what_the_rules_say_and_leaves_a_graph_in_order(seed: int | None) -> None:
    """REPLAY-6, REPLAY-8, REPLAY-10."""
    seed = random.randrange(2**32) if seed is None else seed
    print(f"seed {seed}")
    chance = Chance(seed)
    base = chance.base()
    edits, upstream, policy = chance.edits(base), chance.upstream(base), chance.random.choice(POLICIES)
    result = replay(upstream, edits, policy)

    reasons = {one.edit_id: one.reason for one in result.outcomes}
    failed = {one for one, reason in reasons.items() if reason in FAILURES}
    graph, expected = the_long_way(upstream, edits, policy, failed)
    assert told(result.content) == graph
    assert {one: reason.value for one, reason in reasons.items() if one not in failed} == expected
    assert [one.edit_id for one in result.outcomes] == [edit.id for edit in edits]
    assert list(wrong_with(graph)) == []
    assert {one.reason for one in result.warnings} <= {Reason.LAYER_MISSING}
    assert bool(failed) == bool(list(wrong_with(the_long_way(upstream, edits, policy, set())[0])))
    assert replay(upstream, edits, policy) == result

    again = replay(upstream, after(edits, result), policy)
    assert again.content == result.content
    if policy != "ask":
        assert [one for one in again.outcomes if one.reason in (Reason.VALUE_CHANGED, Reason.ENTITY_CHANGED)] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_REPLAY_11_to_14_every_client_comes_to_hold_what_the_engine_made(seed: int | None) -> None:
    """REPLAY-11, REPLAY-12, REPLAY-13, REPLAY-14: but where a person edits at the same time."""
    seed = random.randrange(2**32) if seed is None else seed
    print(f"seed {seed}")
    chance = Chance(seed)
    base = chance.base()
    edits, policy = chance.edits(base), chance.random.choice(POLICIES)
    doc = live_document(chance, replay(base, edits, policy).content)
    removed: list[Any] = []
    for _ in range(3):
        upstream = chance.upstream(base)
        result = replay(upstream, edits, policy)
        before, kept = doc.get_update(), untouched(doc)
        asked = request(upstream, edits, policy, orjson.dumps(removed))
        edit = rebuild(asked, before, SERVER)
        assert rebuild(asked, before, SERVER).record == edit.record
        concurrent(chance, before, edit)
        live = LiveDocument()
        live.load((before,))
        for update in edit.updates:
            doc.apply_update(update.data)
            live.apply(update.data, walk(update.data))
        assert state(live.doc) == state(doc)
        went = taken(edit)
        assert told(read_content(doc, GRAPH_ID)) == told(result.content)
        assert {key: one for key, one in untouched(doc).items() if key in kept} == {
            key: one for key, one in kept.items() if key in untouched(doc)
        }
        assert {(one["root"], one["id"]) for one in went} == {
            key for key, one in kept.items() if one and key not in untouched(doc)
        }
        for one in removed:
            key = one["root"], one["id"]
            if key in untouched(doc) and key not in kept:
                assert untouched(doc)[key] == untouched_of(newest(removed, key))
        assert state(doc)["meta"] == {"name": "Deck"}
        removed += went
        assert rebuild(request(upstream, edits, policy, orjson.dumps(removed)), doc.get_update(), 6).updates == ()
        edits = after(edits, result)


def taken(edit: ServerEdit) -> list[Any]:
    assert edit.record is not None
    went: list[Any] = orjson.loads(edit.record.removed)
    return went


def newest(removed: list[Any], key: tuple[str, str]) -> Any:
    return [one for one in removed if (one["root"], one["id"]) == key][-1]


def untouched_of(removed: Any) -> Any:
    known = EDITED_FIELDS[removed["root"][:-1]]
    return {name: value for name, value in removed["fields"].items() if name not in known}


def concurrent(chance: Chance, before: bytes, edit: ServerEdit) -> None:
    """Let one person edit before the rebuild arrives, and another hear of that after it: both end alike."""
    author, reader = Doc[Any](client_id=OTHER), Doc[Any](client_id=OTHER + 1)
    for person in (author, reader):
        person.apply_update(before)
    entities = [(root, id_) for root in ("nodes", "edges", "layers") for id_ in sorted(author.get(root, type=Map))]
    mine = {key: f"by hand {chance.random.random()}" for key in chance.random.sample(entities, min(3, len(entities)))}
    for (root, id_), label in mine.items():
        author.get(root, type=Map)[id_]["label"] = label
    by_hand = author.get_update(reader.get_state())
    for update in edit.updates:
        author.apply_update(update.data)
        reader.apply_update(update.data)
    reader.apply_update(by_hand)
    assert state(author) == state(reader)
    for (root, id_), label in mine.items():
        fields = state(author)[root].get(id_)
        assert fields is None or fields["label"] == label
