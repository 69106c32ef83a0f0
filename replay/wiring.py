"""How the nodes of a plan hang together: references become edges, and what cannot be wired so is told.

Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import inf

from replay.config_reading import References
from replay.members import Problems
from replay.node_configs import GraphNodeConfig, NodeConfig
from replay.plan import MAX_ID_BYTES, MAX_INPUTS, NodeType, PlanEdge, PlanProblem


@dataclass(frozen=True, slots=True)
class Draft:
    """A node as far as it could be read; `type` and `config` are None where problems are noted already."""

    type: NodeType | None
    config: NodeConfig | None
    references: References


def wire(
    drafts: Mapping[str, Draft], edges: Sequence[tuple[PlanEdge, int | None]], problems: Problems
) -> list[PlanEdge]:
    """Return all edges, those from references included, having noted what is wrong; sorted by id.

    `edges` are in the order of the plan, each with the order it is given among the inputs of its target, if it is:
    those go first, by that number.
    """
    ordered = [edge for edge, _ in sorted(edges, key=lambda one: inf if one[1] is None else one[1])]
    sound = [edge for edge in ordered if _check_edge(edge, drafts, problems)]
    _check_pairs(sound, problems)
    wired = [*sound, *_referenced(drafts, sound, problems)]
    numbered = _numbered(wired)
    _check_arity(drafts, numbered, problems)
    for cycle in cycles(drafts, numbered):
        problems.add(PlanProblem("cycle", f"remove an edge of the cycle {' -> '.join(cycle)}", node_id=cycle[0]))
    return sorted(numbered, key=lambda edge: edge.id)


def _check_edge(edge: PlanEdge, drafts: Mapping[str, Draft], problems: Problems) -> bool:
    is_sound = True
    for end, node_id in (("source", edge.source), ("target", edge.target)):
        if node_id not in drafts:
            is_sound = False
            message = f"edge {edge.id!r}: its {end} {node_id!r} is no node of the plan; add the node or remove the edge"
            problems.add(PlanProblem("missing_end", message, edge_id=edge.id, field=end))
    if edge.source == edge.target:
        message = f"edge {edge.id!r} leads from {edge.source!r} to itself; remove it"
        problems.add(PlanProblem("self_edge", message, edge_id=edge.id))
    return is_sound and edge.source != edge.target


def _check_pairs(edges: Iterable[PlanEdge], problems: Problems) -> None:
    first: dict[tuple[str, str], PlanEdge] = {}
    for edge in edges:
        other = first.setdefault((edge.source, edge.target), edge)
        if other is not edge:
            message = f"edge {edge.id!r} wires the same nodes as {other.id!r}; remove one of them"
            problems.add(PlanProblem("duplicate_edge", message, edge_id=edge.id))


def _referenced(drafts: Mapping[str, Draft], edges: Sequence[PlanEdge], problems: Problems) -> list[PlanEdge]:
    """Return the edges that references make, having noted where they disagree with the edges of the plan."""
    inputs: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        inputs[edge.target].append(edge.source)
    wired = {node_id: list(sources) for node_id, sources in inputs.items()}
    sources = {edge.source for edge in edges}
    for node_id, draft in drafts.items():
        _add_inputs(node_id, draft.references, drafts, wired, problems)
    closed = set(wired)
    for node_id, draft in drafts.items():
        _add_output(node_id, draft.references.output, drafts, wired, closed, sources, problems)
    ids = _free_ids(edge.id for edge in edges)
    return [
        PlanEdge(ids(source, target), source, target)
        for target, all_sources in wired.items()
        for source in all_sources
        if source not in inputs.get(target, ())
    ]


def _add_inputs(
    node_id: str, told: References, drafts: Mapping[str, Draft], wired: dict[str, list[str]], problems: Problems
) -> None:
    field = f"config.{told.inputs_field}"
    missing = [one for one in told.inputs if one not in drafts]
    for one in missing:
        _note_missing(node_id, field, one, problems)
    if not told.inputs or missing:
        return
    if node_id in told.inputs or len(set(told.inputs)) < len(told.inputs):
        message = f"node {node_id!r}: {field} names the node itself, or one twice; remove that"
        problems.add(PlanProblem("invalid_reference", message, node_id, field=field))
    elif wired.setdefault(node_id, list(told.inputs)) != list(told.inputs):
        edges = ", ".join(wired[node_id])
        message = f"node {node_id!r}: {field} disagrees with the edges, whose inputs are {edges}; remove one of both"
        problems.add(PlanProblem("reference_disagrees", message, node_id, field=field))


def _add_output(
    node_id: str,
    target: str | None,
    drafts: Mapping[str, Draft],
    wired: dict[str, list[str]],
    closed: set[str],
    sources: set[str],
    problems: Problems,
) -> None:
    field = "config.outputGraphRef"
    if target is None or node_id in wired.get(target, ()):
        return
    if target not in drafts:
        _note_missing(node_id, field, target, problems)
    elif node_id in sources or target in closed or target == node_id:
        message = f"node {node_id!r}: {field} disagrees with the edges, none of which leads to {target!r}; change one"
        problems.add(PlanProblem("reference_disagrees", message, node_id, field=field))
    else:
        wired.setdefault(target, []).append(node_id)


def _note_missing(node_id: str, field: str, missing: str, problems: Problems) -> None:
    told = f"{field} names {missing[:MAX_ID_BYTES]!r}, which is no node of the plan"
    message = f"node {node_id!r}: {told}; add it or remove the reference"
    problems.add(PlanProblem("missing_end", message, node_id, field=field))


def _free_ids(taken_ids: Iterable[str]) -> "_Ids":
    return _Ids(set(taken_ids))


@dataclass(frozen=True, slots=True)
class _Ids:
    """Names edges by their ends."""

    taken: set[str]

    def __call__(self, source: str, target: str) -> str:
        pair = f"{source}->{target}"
        names = (pair if number == 1 else f"{pair}#{number}" for number in count(1))
        id_ = next(name for name in names if name not in self.taken)
        self.taken.add(id_)
        return id_


def _numbered(edges: Iterable[PlanEdge]) -> list[PlanEdge]:
    seen: Counter[str] = Counter()
    numbered = []
    for edge in edges:
        numbered.append(replace(edge, order=seen[edge.target]))
        seen[edge.target] += 1
    return numbered


_INPUTS: Mapping[NodeType, tuple[int, int, str]] = {
    NodeType.INPUT: (0, 0, "no inputs"),
    NodeType.GRAPH: (0, MAX_INPUTS, f"at most {MAX_INPUTS} inputs"),
    NodeType.COPY: (1, 1, "exactly one input"),
    NodeType.MERGE: (2, MAX_INPUTS, f"2 to {MAX_INPUTS} inputs"),
    NodeType.TRANSFORM: (1, 1, "exactly one input"),
    NodeType.OUTPUT: (1, 1, "exactly one input"),
}


def _check_arity(drafts: Mapping[str, Draft], edges: Sequence[PlanEdge], problems: Problems) -> None:
    inputs = Counter(edge.target for edge in edges)
    outputs = Counter(edge.source for edge in edges)
    for node_id, draft in drafts.items():
        message = None if draft.type is None else _arity_problem(draft, inputs[node_id], outputs[node_id])
        if message:
            problems.add(PlanProblem("arity", f"node {node_id!r}: {message}", node_id))


def _arity_problem(draft: Draft, inputs: int, outputs: int) -> str | None:
    assert draft.type is not None
    least, most, expected = _INPUTS[draft.type]
    if not least <= inputs <= most:
        return f"give it {expected}, it has {inputs}"
    if draft.type is NodeType.OUTPUT and outputs:
        return "remove the edges that leave it: nothing comes after an OutputNode"
    if isinstance(draft.config, GraphNodeConfig):
        if draft.config.graph_id is not None and inputs:
            return "remove its inputs or its graphId: it is either computed or a graph that exists"
        if draft.config.graph_id is None and not inputs:
            return "give it inputs, or the graphId of a graph that exists"
    return None


def cycles(nodes: Iterable[str], edges: Iterable[PlanEdge]) -> Iterator[list[str]]:
    """Yield cycles, first node again last, until none would be left without the nodes of those found."""
    after: dict[str, set[str]] = {node_id: set() for node_id in sorted(nodes)}
    for edge in edges:
        after[edge.source].add(edge.target)
    while after := _without_ends(after):
        path = [min(after)]
        while (following := min(after[path[-1]])) not in path:
            path.append(following)
        cycle = path[path.index(following) :]
        yield [*cycle, following]
        after = _without(after, set(cycle))


def _without_ends(after: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what is left when nodes that nothing comes after are taken away, again and again."""
    while ends := {node_id for node_id, targets in after.items() if not targets}:
        after = _without(after, ends)
    return after


def _without(after: Mapping[str, set[str]], gone: set[str]) -> dict[str, set[str]]:
    return {node_id: targets - gone for node_id, targets in after.items() if node_id not in gone}
