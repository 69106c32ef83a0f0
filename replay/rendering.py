"""Writes what an output of a plan asks for: a graph as a file.

Pure and deterministic. JSON and the tables are read by an import as an equal graph, but that empty text and no text are
both an empty cell.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import orjson

from persistence.document import ABSENT, Edge, GraphContent, Layer, Node
from replay.computation_errors import ComputationError
from replay.dot import write_dot
from replay.node_configs import OutputConfig, RenderTarget
from replay.plan import PlanNode
from replay.transforms import transform

MAX_FILE_NAME_BYTES = 200
"""In UTF-8, without the ending."""

_UNSAFE = re.compile(r"[^\w .()-]+")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file: what it is called, of what kind it is, and what is in it."""

    file_name: str
    media_type: str
    data: bytes


def render(node: PlanNode, content: GraphContent, name: str) -> Rendered:
    """Return the file that the output `node` makes of `content`, its settings applied.

    It is called as the last part of `outputPath` says, else after `name`. Raises ComputationError.
    """
    config = node.config
    assert isinstance(config, OutputConfig)
    content = transform(node.id, content, config.settings)
    target = _TARGETS[config.render_target]
    data = target.write(node.id, content, config)
    return Rendered(_file_name(config.output_path, name, target.ending), target.media_type, data)


@dataclass(frozen=True, slots=True)
class _Target:
    ending: str
    media_type: str
    write: Callable[[str, GraphContent, OutputConfig], bytes]


def _file_name(path: str | None, name: str, ending: str) -> str:
    """Return a name that any system takes: short, no separators, no dot in front."""
    last = re.split(r"[/\\]", path or "")[-1]
    stem, dot, suffix = last.rpartition(".")
    if dot and suffix.isalnum() and suffix.isascii() and len(suffix) <= 10:
        return f"{_safe(stem)}.{suffix}"
    return f"{_safe(last or name)}.{ending}"


def _safe(stem: str) -> str:
    safe = _UNSAFE.sub("_", stem).strip(" ._").encode()
    return safe[:MAX_FILE_NAME_BYTES].decode(errors="ignore") or "graph"


def _write_json(_: str, content: GraphContent, __: OutputConfig) -> bytes:
    """Write an entity on each line, so that files can be compared line by line."""
    lists = (
        b'"%s": [\n%s\n]' % (kind, b",\n".join(map(orjson.dumps, entities)))
        for kind, entities in ((b"nodes", content.nodes), (b"edges", content.edges), (b"layers", content.layers))
    )
    return b"{%s}\n" % b",\n".join(lists)


def _nodes(node_id: str, content: GraphContent, _: OutputConfig) -> bytes:
    return _table(node_id, Node, content.nodes)


def _edges(node_id: str, content: GraphContent, _: OutputConfig) -> bytes:
    return _table(node_id, Edge, content.edges)


def _layers(node_id: str, content: GraphContent, _: OutputConfig) -> bytes:
    return _table(node_id, Layer, content.layers)


def _table(node_id: str, kind: type[Node | Edge | Layer], entities: Iterable[Node | Edge | Layer]) -> bytes:
    """Write a table as RFC 4180 wants it; `properties` tells an import that cells mean exactly what they say."""
    names = ["id", *(name for name in ABSENT[kind] if name != "properties"), "properties"]
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_cell(getattr(entity, name)) for name in names] for entity in entities)
    text = out.getvalue()
    if "\0" in text:
        raise ComputationError(node_id, ("a text has a NUL character, which no CSV file can have; render JSON",))
    return text.encode()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return orjson.dumps(value).decode() if value else ""
    return "" if value is None else str(value)


def _dot(_: str, content: GraphContent, config: OutputConfig) -> bytes:
    return write_dot(content, config.orientation, is_containing=config.contain_nodes).encode()


_TARGETS: Mapping[RenderTarget, _Target] = {
    RenderTarget.JSON: _Target("json", "application/json", _write_json),
    RenderTarget.CSV_NODES: _Target("csv", "text/csv; charset=utf-8", _nodes),
    RenderTarget.CSV_EDGES: _Target("csv", "text/csv; charset=utf-8", _edges),
    RenderTarget.CSV_LAYERS: _Target("csv", "text/csv; charset=utf-8", _layers),
    RenderTarget.DOT: _Target("dot", "text/vnd.graphviz", _dot),
}
