"""How the nodes of a plan hang together: references become edges, and what cannot be wired so is told.

Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import inf

from replay.config_reading import References
from replay.members import Problems
from replay.node_configs import GraphNodeConfig, NodeConfig
from replay.plan import MAX_ID_BYTES, MAX_INPUTS, NodeType, PlanEdge, PlanProblem

_IDS_SHOWN = 8


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
    wiring = _Wiring(drafts, sound, {edge.target for edge, order in edges if order is not None}, problems)
    wired = wiring.edges()
    _check_arity(drafts, wired, problems)
    for cycle in cycles(drafts, wired):
        problems.add(PlanProblem("cycle", f"remove an edge of the cycle {' -> '.join(cycle)}", node_id=cycle[0]))
    return sorted(wired, key=lambda edge: edge.id)


def _check_edge(edge: PlanEdge, drafts: Mapping[str, Draft], problems: Problems) -> bool:
    is_sound = True
    for end, node_id in (("source", edge.source), ("target", edge.target)):
        if node_id not in drafts:
            is_sound = False
            missing = f"its {end} {node_id[:MAX_ID_BYTES]!r} is no node of the plan"
            message = f"edge {edge.id!r}: {missing}; add the node or remove the edge"
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


class _Wiring:
    """The inputs of every node: those of edges, and those that references add where no edge says otherwise."""

    def __init__(
        self, drafts: Mapping[str, Draft], edges: Sequence[PlanEdge], numbered: set[str], problems: Problems
    ) -> None:
        self._drafts = drafts
        self._edges = {(edge.source, edge.target): edge for edge in edges}
        self._numbered = numbered
        self._problems = problems
        self._inputs: dict[str, list[str]] = {}
        for edge in edges:
            self._inputs.setdefault(edge.target, []).append(edge.source)

    def edges(self) -> list[PlanEdge]:
        for node_id, draft in self._drafts.items():
            self._add_inputs(node_id, draft.references)
        told = set(self._inputs)
        sources = {source for source, _ in self._edges}
        for node_id, draft in self._drafts.items():
            target = draft.references.output
            if target is not None and node_id not in self._inputs.get(target, ()):
                self._add_output(node_id, target, is_free=node_id not in sources and target not in told)
        return list(self._numbered_edges())

    def _add_inputs(self, node_id: str, told: References) -> None:
        field, inputs = f"config.{told.inputs_field}", list(told.inputs)
        missing = [one for one in inputs if one not in self._drafts]
        for one in missing:
            self._note_missing(node_id, field, one)
        if not inputs or missing:
            return
        if node_id in inputs or len(set(inputs)) < len(inputs):
            self._note("invalid_reference", node_id, field, "names the node itself, or one twice; remove that")
            return
        wired = self._inputs.setdefault(node_id, inputs)
        if set(wired) == set(inputs) and node_id not in self._numbered:
            self._inputs[node_id] = inputs
        elif wired != inputs:
            message = f"disagrees with the edges, by which the inputs are {_listed(wired)}; change one of both"
            self._note("reference_disagrees", node_id, field, message)

    def _add_output(self, node_id: str, target: str, *, is_free: bool) -> None:
        field = "config.outputGraphRef"
        if target not in self._drafts:
            self._note_missing(node_id, field, target)
        elif is_free and target != node_id:
            self._inputs.setdefault(target, []).append(node_id)
        else:
            message = f"disagrees with the edges, none of which leads to {target!r}; change one of both"
            self._note("reference_disagrees", node_id, field, message)

    def _note_missing(self, node_id: str, field: str, missing: str) -> None:
        message = f"names {missing[:MAX_ID_BYTES]!r}, which is no node of the plan; add it or remove the reference"
        self._note("missing_end", node_id, field, message)

    def _note(self, code: str, node_id: str, field: str, message: str) -> None:
        self._problems.add(PlanProblem(code, f"node {node_id!r}: {field} {message}", node_id, field=field))

    def _numbered_edges(self) -> Iterator[PlanEdge]:
        taken = {edge.id for edge in self._edges.values()}
        for target, sources in self._inputs.items():
            for order, source in enumerate(sources):
                edge = self._edges.get((source, target))
                yield (
                    replace(edge, order=order)
                    if edge
                    else PlanEdge(_made_id(source, target, taken), source, target, order=order)
                )


def _listed(ids: Sequence[str]) -> str:
    return ", ".join([*ids[:_IDS_SHOWN], *(["…"] if len(ids) > _IDS_SHOWN else [])])


def _made_id(source: str, target: str, taken: set[str]) -> str:
    """Name an edge by its ends, and by a number if an edge that leads elsewhere has that name."""
    pair = f"{source}->{target}"
    names = (pair if number == 1 else f"{pair}#{number}" for number in count(1))
    id_ = next(name for name in names if name not in taken)
    taken.add(id_)
    return id_


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
    after: dict[str, set[str]] = {node_id: set() for node_id in nodes}
    for edge in edges:
        after[edge.source].add(edge.target)
    while after := _without_ends(after):
        path = [min(after)]
        while (following := min(after[path[-1]])) not in path:
            path.append(following)
        cycle = path[path.index(following) :]
        yield [*cycle, following]
        gone = set(cycle)
        after = {node_id: targets - gone for node_id, targets in after.items() if node_id not in gone}


def _without_ends(after: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return what is left when nodes that nothing comes after are taken away, again and again."""
    left = {node_id: set(targets) for node_id, targets in after.items()}
    before: dict[str, list[str]] = {}
    for node_id, targets in after.items():
        for target in targets:
            before.setdefault(target, []).append(node_id)
    ends = [node_id for node_id, targets in left.items() if not targets]
    while ends:
        end = ends.pop()
        del left[end]
        for node_id in before.get(end, ()):
            left[node_id].discard(end)
            if not left[node_id]:
                ends.append(node_id)
    return left
