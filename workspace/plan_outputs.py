"""Writes what an output of a plan asks for: a graph as a file, by the same means as an export.

Pure and deterministic. These functions take long for large graphs: a server runs them in a worker process.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from persistence.document import GraphContent
from replay.computation_errors import ComputationError
from replay.dot import write_dot
from replay.node_configs import OutputConfig, RenderTarget
from replay.plan import PlanNode
from replay.transforms import transform
from workspace.export_tables import ExportError
from workspace.exporting import ExportFormat, safe_stem, write_export
from workspace.tables import TableKind

_SUFFIX_CHARACTERS = 10
"""What is longer behind a dot is no ending of a file's name."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file: what it is called, of what kind it is, and what is in it."""

    file_name: str
    media_type: str
    data: bytes


def render(node: PlanNode, content: GraphContent, name: str) -> Rendered:
    """Return the file that the output `node` makes of `content`, which is called `name`, its settings applied.

    It is called as the last part of `outputPath` says, else after `name`. Raises ComputationError.
    """
    config = node.config
    assert isinstance(config, OutputConfig)
    content = transform(node.id, content, config.settings)
    target = _TARGETS[config.render_target]
    try:
        data = target.write(name, content, config)
    except ExportError as error:
        raise ComputationError(node.id, (str(error),)) from None
    return Rendered(file_name(config, name), target.media_type, data)


def output_data(node: PlanNode, content: GraphContent, name: str) -> bytes:
    """Return what is in the file that `render` makes (`replay.execution_ports.Render`)."""
    return render(node, content, name).data


def file_name(config: OutputConfig, name: str) -> str:
    """Return what the file of an output is called that shows something called `name`."""
    return _file_name(config.output_path, name, _TARGETS[config.render_target].ending)


def media_type(render_target: RenderTarget) -> str:
    """Return of what kind the files are that are rendered so."""
    return _TARGETS[render_target].media_type


@dataclass(frozen=True, slots=True)
class _Target:
    ending: str
    media_type: str
    write: Callable[[str, GraphContent, OutputConfig], bytes]


def _file_name(path: str | None, name: str, ending: str) -> str:
    last = re.split(r"[/\\]", path or "")[-1]
    stem, dot, suffix = last.rpartition(".")
    if dot and suffix.isalnum() and suffix.isascii() and len(suffix) <= _SUFFIX_CHARACTERS:
        return f"{safe_stem(stem)}.{suffix}"
    return f"{safe_stem(last or name)}.{ending}"


def _export(
    name: str,
    content: GraphContent,
    _: OutputConfig,
    *,
    export_format: ExportFormat,
    table: TableKind | None = None,
) -> bytes:
    out = BytesIO()
    write_export(out, {"name": name}, content, export_format, table)
    return out.getvalue()


def _dot(_: str, content: GraphContent, config: OutputConfig) -> bytes:
    return write_dot(content, config.orientation, is_containing=config.contain_nodes).encode()


def _csv(table: TableKind) -> _Target:
    return _Target("csv", "text/csv; charset=utf-8", partial(_export, export_format=ExportFormat.CSV, table=table))


_TARGETS: Mapping[RenderTarget, _Target] = {
    RenderTarget.JSON: _Target("json", "application/json", partial(_export, export_format=ExportFormat.JSON)),
    RenderTarget.CSV_NODES: _csv(TableKind.NODES),
    RenderTarget.CSV_EDGES: _csv(TableKind.EDGES),
    RenderTarget.CSV_LAYERS: _csv(TableKind.LAYERS),
    RenderTarget.DOT: _Target("dot", "text/vnd.graphviz", _dot),
}
