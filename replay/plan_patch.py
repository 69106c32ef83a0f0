"""Patches of a plan: JSON merge patches (RFC 7396) of its nodes and edges by id, and what is to be removed.

Pure.
"""

from collections.abc import Mapping
from typing import Any

from persistence.document import MAX_VALUE_DEPTH
from replay.members import Members, Problems
from replay.plan import MAX_EDGES, MAX_NODES, PlanProblem

Told = Mapping[str, Any]


def patched(patch: Any, before: Told) -> Told:
    """Return the plan `before` with a patch: entities that it removes, then those that it adds or changes by id.

    The members of an entity are merged as in RFC 7396, null removes one. With a node go its edges. What is to be
    removed but is not there is gone already. Raises PlanErrors if it is no patch; the result may be no sound plan.
    """
    read = _read_patch(patch)
    nodes, edges = set(read["remove_nodes"]), set(read["remove_edges"])
    entities = {root: before.get(root, ()) for root in ("nodes", "edges")}
    kept = [
        one
        for one in entities["edges"]
        if one["id"] not in edges and not nodes & {one.get("source"), one.get("target")}
    ]
    told = dict(before) | {
        "nodes": _merged_entities([one for one in entities["nodes"] if one["id"] not in nodes], read["nodes"]),
        "edges": _merged_entities(kept, read["edges"]),
    }
    return told | ({"metadata": _merged(before.get("metadata"), patch["metadata"])} if "metadata" in patch else {})


def _read_patch(told: Any) -> dict[str, Any]:
    problems = Problems()
    if not isinstance(told, Mapping):
        problems.add(PlanProblem("invalid_patch", "give an object with nodes, edges, remove_nodes and remove_edges"))
    members = Members(problems).open(told if isinstance(told, Mapping) else {})
    read: dict[str, Any] = {name: _list(members, name) for name in ("nodes", "edges")}
    read["remove_nodes"] = members.texts("remove_nodes", MAX_NODES)
    read["remove_edges"] = members.texts("remove_edges", MAX_EDGES)
    members.object("metadata")
    members.close()
    problems.raise_if_any()
    return read


def _list(members: Members, name: str) -> list[Any]:
    value = members.take(name)
    if isinstance(value, list | tuple | None):
        return list(value or ())
    members.note("invalid_value", name, "give a list")
    return []


def _merged(value: Any, patch: Any, depth_left: int = MAX_VALUE_DEPTH) -> Any:
    """Return `value` with a JSON merge patch; what is deeper than a plan may be is taken as it is."""
    if not isinstance(patch, Mapping) or not depth_left:
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for name, part in patch.items():
        if part is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), part, depth_left - 1)
    return result


def _merged_entities(entities: list[Told], patches: list[Any]) -> list[Any]:
    by_id: dict[Any, Any] = {one["id"]: one for one in entities}
    unfit: list[Any] = []
    for one in patches:
        if isinstance(one, Mapping) and isinstance(one.get("id"), str):
            by_id[one["id"]] = _merged(by_id.get(one["id"]), one)
        else:
            unfit.append(one)  # which reading the plan tells of
    return [*by_id.values(), *unfit]
