"""Hashes of what a plan says and of what data it says it of: when one of them changes, a graph is computed again.

Pure. A hash is of everything upstream of its target, and of nothing else: layout, labels, metadata and other branches
do not matter. It only triggers a replay; whether an edit fits is another question.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from replay.canonical import canonical_json
from replay.node_configs import GraphNodeConfig, InputConfig
from replay.plan import Plan, PlanNode

HASH_VERSION = 1
"""A change of what is hashed, or of what configs mean, needs another: every graph is then computed again."""

SHOWN_DIGITS = 16
"""So much of a hash is shown to people."""


def target_hash(plan: Plan, node_id: str) -> str:
    """Return the SHA-256, 64 hex digits, of what the plan says of `node_id` and of all upstream of it.

    It is over canonical JSON `{v, target, closure: [{id, type, config, inputs}]}`, sorted by id.
    """
    return _hash(node_id, [_hashed(plan, plan.node(one)) for one in sorted(plan.upstream(node_id))])


def hashes(plan: Plan) -> dict[str, str]:
    """Return the hash of every node, by id."""
    hashed = hashed_nodes(plan)
    return {id_: _hash(id_, [hashed[one] for one in sorted(plan.upstream(id_))]) for id_ in hashed}


def hashed_nodes(plan: Plan) -> dict[str, bytes]:
    """Return what is hashed of each node alone, by id: all hashes of two plans are equal if these are."""
    return {node.id: _hashed(plan, node) for node in plan.nodes}


def data_digest(plan: Plan, node_id: str, digests: Mapping[str, str]) -> str:
    """Return the SHA-256, 64 hex digits, of the data that `node_id` is computed from.

    `digests` are those of contents: of an input by its name, of a graph that the plan refers to by its id as text. One
    that is not there counts as None.
    """
    inputs, graphs = data_sources(plan, node_id)
    data = {"inputs": {one: digests.get(one) for one in inputs}, "graphs": {one: digests.get(one) for one in graphs}}
    return _digest({"v": HASH_VERSION, **data})


def data_sources(plan: Plan, node_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the inputs, and the ids of the graphs, that `node_id` is computed from; sorted."""
    configs = [plan.node(one).config for one in plan.upstream(node_id)]
    inputs = {one.source for one in configs if isinstance(one, InputConfig) and one.source is not None}
    graphs = {str(one.graph_id) for one in configs if isinstance(one, GraphNodeConfig) and one.graph_id is not None}
    return tuple(sorted(inputs)), tuple(sorted(graphs))


def _hashed(plan: Plan, node: PlanNode) -> bytes:
    """Return what is hashed of one node, as canonical JSON."""
    config = {name: value for name, value in node.config.to_json().items() if name not in node.config.UNHASHED}
    return canonical_json({"id": node.id, "type": node.type.value, "config": config, "inputs": plan.inputs_of(node.id)})


def _hash(target: str, closure: Iterable[bytes]) -> str:
    """Return the hash of canonical JSON that is put together from parts of it: each is part of many closures."""
    head = canonical_json({"target": target, "v": HASH_VERSION}).removeprefix(b"{")
    return sha256(b'{"closure":[%s],%s' % (b",".join(closure), head)).hexdigest()


def _digest(value: Mapping[str, Any]) -> str:
    return sha256(canonical_json(value)).hexdigest()
