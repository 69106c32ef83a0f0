"""Makes a plan of what people and programs say it is, or tells all that is wrong with it at once.

Pure.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from replay.canonical import UnfitValueError, canonical_json, canonical_value, folded
from replay.config_reading import References, read_config
from replay.members import Members, Problems
from replay.plan import (
    MAX_EDGES,
    MAX_ID_BYTES,
    MAX_NODES,
    MAX_PLAN_BYTES,
    NodeType,
    Plan,
    PlanEdge,
    PlanErrors,
    PlanNode,
    PlanProblem,
)
from replay.wiring import Draft, wire

VERSIONS = ("1", "1.0")
"""Of the form of plans; the last one is what is written."""

_TYPES = {folded(one.value): one for one in NodeType}
_KNOWN_TYPES = ", ".join(one.value for one in NodeType)


class NotJsonError(ValueError):
    """Bytes that should say a plan, or a patch of one, and are not even JSON."""


def parse_json(data: bytes) -> Any:
    """Return what `data`, JSON in UTF-8, says. Raises NotJsonError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotJsonError(f"this is not JSON: {error}") from None


def read_plan(told: Any) -> Plan:
    """Return the plan that `told`, JSON, is; raises PlanErrors with all that is wrong.

    Nodes may have `nodeType` instead of `type`. Inputs are in the order of the edges in the list, unless edges have
    an `order`: those come first, by that number. What people leave out is as it is by default.
    """
    reader = _Reader(Problems())
    plan = reader.read(told)
    reader.problems.raise_if_any()
    if len(canonical_json(plan.to_json())) > MAX_PLAN_BYTES:
        message = f"give a plan of at most {MAX_PLAN_BYTES} bytes; upload inline data as inputs"
        raise PlanErrors((PlanProblem("too_large", message),), 1)
    return plan


class _Reader:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self._nodes: dict[str, PlanNode] = {}
        self._drafts: dict[str, Draft] = {}
        self._edges: dict[str, tuple[PlanEdge, int | None]] = {}

    def read(self, told: Any) -> Plan:
        if not isinstance(told, Mapping):
            self._note("invalid_plan", "give an object with version, nodes, edges and metadata")
            return Plan()
        members = Members(self.problems).open(told)
        version = members.take("version")
        if version is not None and str(version) not in VERSIONS:
            members.note("unknown_version", "version", f"give {VERSIONS[-1]!r}, the only version there is")
        for entity in self._list(members, "nodes", MAX_NODES):
            self._read_node(entity)
        for entity in self._list(members, "edges", MAX_EDGES):
            self._read_edge(entity)
        metadata = self._canonical("metadata", members.object("metadata"))
        members.close()
        edges = wire(self._drafts, list(self._edges.values()), self.problems)
        nodes = (node for _, node in sorted(self._nodes.items()))
        return Plan(VERSIONS[-1], tuple(nodes), tuple(edges), metadata)

    def _list(self, members: Members, name: str, max_count: int) -> list[dict[str, Any]]:
        value = members.take(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            members.note("invalid_value", name, "give a list")
            return []
        if len(value) > max_count:
            members.note("too_many", name, f"give at most {max_count}, there are {len(value)}")
            return []
        entities = (self._entity(f"{name}[{index}]", one) for index, one in enumerate(value))
        return [entity for entity in entities if entity is not None]

    def _entity(self, place: str, value: Any) -> dict[str, Any] | None:
        """Return an object of a list in its canonical form, with an id that can be one, or None."""
        id_ = value.get("id") if isinstance(value, Mapping) else None
        if not isinstance(id_, str) or not 0 < len(id_.encode(errors="replace")) <= MAX_ID_BYTES:
            self._note("invalid_id", f"{place}: give an object with an id, a text of 1 to {MAX_ID_BYTES} bytes", place)
            return None
        canonical = self._canonical(place, value)
        return canonical if isinstance(canonical, dict) else None

    def _canonical(self, place: str, value: Any) -> Any:
        try:
            return canonical_value(value)
        except UnfitValueError as error:
            self._note("invalid_value", f"{place}: {error}", place)
            return None

    def _read_node(self, told: dict[str, Any]) -> None:
        id_ = told["id"]
        if id_ in self._drafts:
            self.problems.add(PlanProblem("duplicate_id", f"node {id_!r} is there twice; give one another id", id_))
            return
        members = Members(self.problems, f"node {id_!r}: ", node_id=id_).open(told)
        members.take("id")
        node_type = _type(members)
        metadata, position = members.object("metadata"), _position(members)
        config = members.inner("config")
        members.close()
        read = None if node_type is None else read_config(node_type, config)
        if node_type is None or read is None:
            self._drafts[id_] = Draft(node_type, None, References())
        else:
            self._drafts[id_] = Draft(node_type, *read)
            self._nodes[id_] = PlanNode(id_, node_type, read[0], metadata, position)

    def _read_edge(self, told: dict[str, Any]) -> None:
        id_ = told["id"]
        if id_ in self._edges:
            message = f"edge {id_!r} is there twice; give one another id"
            self.problems.add(PlanProblem("duplicate_id", message, edge_id=id_))
            return
        members = Members(self.problems, f"edge {id_!r}: ", edge_id=id_).open(told)
        members.take("id")
        source, target = _end(members, "source"), _end(members, "target")
        metadata, order = members.object("metadata"), members.number("order")
        members.close()
        if source is not None and target is not None:
            self._edges[id_] = PlanEdge(id_, source, target, metadata), order

    def _note(self, code: str, message: str, field: str | None = None) -> None:
        self.problems.add(PlanProblem(code, message, field=field))


def _end(members: Members, name: str) -> str | None:
    value = members.take(name)
    if isinstance(value, str) and value:
        return value
    members.note("missing_end", name, "give the id of a node")
    return None


def _type(members: Members) -> NodeType | None:
    told, other = members.take("type"), members.take("nodeType")
    if told is not None and other is not None:
        members.note("duplicate_member", "nodeType", "remove it: there is a type")
    told = other if told is None else told
    found = _TYPES.get(folded(told)) if isinstance(told, str) else None
    if found is None:
        members.note("unknown_type", "type", f"give one of {_KNOWN_TYPES}")
    return found


def _position(members: Members) -> dict[str, Any] | None:
    position = members.object("position")
    if position and any(type(position.get(axis)) not in (int, float) for axis in ("x", "y")):
        members.note("invalid_value", "position", 'give a position such as {"x": 1, "y": 2}')
    return position or None
