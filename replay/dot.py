"""Writes a graph in the language of Graphviz (https://graphviz.org/doc/info/lang.html), containers as clusters.

Pure. Every id and label is quoted, whatever is in it. What contains itself is drawn without what contains it.
"""

import re
from collections.abc import Iterator, Mapping

from persistence.document import Edge, GraphContent, Layer, Node
from replay.node_configs import Orientation
from replay.partitions import containment_cycles, parents_of

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n", "\0": "\\0"})
_HEX_COLOR = re.compile(r"(?:[0-9a-fA-F]{3}){1,2}|[0-9a-fA-F]{8}")


def write_dot(content: GraphContent, orientation: Orientation, *, is_containing: bool) -> str:
    """Return the graph as text; unless `is_containing`, without containers, but for those that edges end at."""
    return "\n".join([*_Drawing(content, is_containing=is_containing).lines(orientation), ""])


class _Drawing:
    def __init__(self, content: GraphContent, *, is_containing: bool) -> None:
        self.content = content
        self.layers: Mapping[str, Layer] = {layer.id: layer for layer in content.layers}
        self.ends = {end for edge in content.edges for end in (edge.source, edge.target)}
        parents = parents_of(content)
        cyclic = {node_id for cycle in containment_cycles(parents) for node_id in cycle}
        self.children: dict[str | None, list[Node]] = {}
        for node in content.nodes:
            is_inside = is_containing and node.belongs_to in parents and node.id not in cyclic
            self.children.setdefault(node.belongs_to if is_inside else None, []).append(node)
        containers = {node.id for node in content.nodes if node.is_partition} | set(parents.values())
        self.clusters = containers & self.children.keys() if is_containing else set()
        self.left_out = set() if is_containing else containers - self.ends

    def lines(self, orientation: Orientation) -> Iterator[str]:
        yield "digraph {"
        yield f"  graph [compound=true, rankdir={orientation.value}]"
        yield "  node [shape=box, style=filled, fillcolor=white]"
        yield from self._nodes()
        for edge in self.content.edges:
            yield self._edge(edge)
        yield "}"

    def _nodes(self) -> Iterator[str]:
        """Yield nodes and clusters, however deep these lie in each other."""
        open_levels = [iter(self.children.get(None, ()))]
        while open_levels:
            node = next(open_levels[-1], None)
            indent = "  " * len(open_levels)
            if node is None:
                open_levels.pop()
                if open_levels:
                    yield f"{indent[2:]}}}"
            elif node.id in self.clusters:
                yield from self._cluster_head(node, indent)
                open_levels.append(iter(self.children[node.id]))
            elif node.id not in self.left_out:
                yield f"{indent}{quoted(node.id)} [label={label(node.label or node.id)}{self._colors(node.layer)}]"

    def _cluster_head(self, node: Node, indent: str) -> Iterator[str]:
        yield f"{indent}subgraph {quoted('cluster_' + node.id)} {{"
        yield f"{indent}  label={label(node.label or node.id)}"
        if node.id in self.ends:
            yield f'{indent}  {quoted(node.id)} [shape=point, style=invis, label=""]'

    def _edge(self, edge: Edge) -> str:
        attributes = [f"label={label(edge.label)}"] if edge.label else []
        ends = (("ltail", edge.source), ("lhead", edge.target))
        attributes += [f"{name}={quoted('cluster_' + end)}" for name, end in ends if end in self.clusters]
        drawn = f" [{', '.join(attributes)}]" if attributes else ""
        return f"  {quoted(edge.source)} -> {quoted(edge.target)}{drawn}"

    def _colors(self, layer_id: str | None) -> str:
        layer = self.layers.get(layer_id or "")
        if layer is None:
            return ""
        colors = (("fillcolor", layer.background_color), ("fontcolor", layer.text_color), ("color", layer.border_color))
        return "".join(f", {name}={quoted(_color(value))}" for name, value in colors if value)


def _color(told: str) -> str:
    return f"#{told}" if _HEX_COLOR.fullmatch(told) else told


def quoted(text: str) -> str:
    """Return a quoted string; what differs stays different."""
    return f'"{text.translate(_ESCAPES)}"'


def label(text: str) -> str:
    """Return a quoted label that shows `text`, in which Graphviz would read `&` as an entity of HTML."""
    return quoted(text.replace("&", "&amp;").replace("\r\n", "\n").replace("\r", "\n"))
