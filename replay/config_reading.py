"""Reads what the nodes of a plan are told to do, as people write it.

Pure. References to other nodes come out of the config: they are wiring.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any
from uuid import UUID

from replay.canonical import canonical_json, folded
from replay.members import Members
from replay.node_configs import (
    ConflictResolution,
    CopyConfig,
    DataFormat,
    DataType,
    GraphNodeConfig,
    GraphSettings,
    InputConfig,
    MergeConfig,
    MergeStrategy,
    NodeConfig,
    Orientation,
    OutputConfig,
    RenderTarget,
    TransformConfig,
    camel_case,
)
from replay.plan import MAX_INPUTS, NodeType

MAX_INLINE_BYTES = 256 * 1024
MAX_PATH_CHARACTERS = 1_000

_INPUT_TYPE = re.compile(r"(csv|tsv|json|inline)(nodes|edges|layers|graph)?(?:fromfile)?")
_DATA_TYPES = {folded(one.value): one for one in DataType}


class _TransformType(StrEnum):
    PARTITION_DEPTH_LIMIT = "PartitionDepthLimit"
    DROP_UNCONNECTED_NODES = "DropUnconnectedNodes"
    AGGREGATE_EDGES = "AggregateEdges"
    NODE_LABEL_MAX_LENGTH = "NodeLabelMaxLength"
    EDGE_LABEL_MAX_LENGTH = "EdgeLabelMaxLength"
    NODE_LABEL_INSERT_NEWLINES = "NodeLabelInsertNewlines"
    EDGE_LABEL_INSERT_NEWLINES = "EdgeLabelInsertNewlines"


class _CopyType(StrEnum):
    DEEP_COPY = "DeepCopy"


_SETTING_OF = {
    _TransformType.PARTITION_DEPTH_LIMIT: "max_partition_depth",
    _TransformType.DROP_UNCONNECTED_NODES: "drop_unconnected_nodes",
    _TransformType.AGGREGATE_EDGES: "aggregate_edges",
    _TransformType.NODE_LABEL_MAX_LENGTH: "node_label_max_length",
    _TransformType.EDGE_LABEL_MAX_LENGTH: "edge_label_max_length",
    _TransformType.NODE_LABEL_INSERT_NEWLINES: "node_label_insert_newlines_at",
    _TransformType.EDGE_LABEL_INSERT_NEWLINES: "edge_label_insert_newlines_at",
}

_UNSUPPORTED_SETTINGS = ("maxPartitionWidth", "invertGraph", "generateHierarchy")
"""Known, but not done yet: they may say that there is nothing to do."""


@dataclass(frozen=True, slots=True)
class References:
    """The nodes that a config names as its inputs, in order, and as what it goes into; and what it calls them."""

    inputs: tuple[str, ...] = ()
    output: str | None = None
    inputs_field: str = ""


def read_config(node_type: NodeType, members: Members) -> tuple[NodeConfig, References] | None:
    """Read a config and close its members; None if problems leave none."""
    read, inputs_field, has_output = _READERS[node_type]
    inputs = members.texts(inputs_field, MAX_INPUTS) if inputs_field else ()
    output = members.text("outputGraphRef") if has_output else None
    config = read(members)
    members.close()
    return None if config is None else (config, References(inputs, output, inputs_field))


def _read_input(members: Members) -> InputConfig | None:
    kind, data_type = _input_type(members)
    told_type = members.choice("dataType", DataType)
    if data_type and told_type and data_type is not told_type:
        members.note("contradiction", "dataType", f"inputType says {data_type.value}; make both say the same")
    source, inline = members.text("source"), members.take("inline")
    data_format = _format(members, kind, inline)
    if data_format is None:
        return None
    config = InputConfig(data_format, data_type or told_type or DataType.GRAPH, source, inline)
    _check_data(members, config, is_inline=kind == "inline")
    return config


_FORMATS = {folded(one.value): one for one in DataFormat}


def _input_type(members: Members) -> tuple[str, DataType | None]:
    told = members.take("inputType")
    matched = _INPUT_TYPE.fullmatch(folded(told)) if isinstance(told, str) else None
    if matched is None:
        expected = "CSVNodesFromFile, CSVEdgesFromFile, CSVLayersFromFile, the same with TSV, CSV, TSV, JSON or Inline"
        members.note("invalid_value" if told is not None else "missing_member", "inputType", f"give one of {expected}")
        return "", None
    return matched[1], _DATA_TYPES.get(matched[2] or "")


def _format(members: Members, kind: str, inline: Any) -> DataFormat | None:
    told = members.choice("format", DataFormat)
    if kind == "inline" and told is None and isinstance(inline, str):
        members.note("missing_member", "format", "give CSV, TSV or JSON: what the inline text is")
    if kind == "inline":
        return told or DataFormat.JSON
    said = _FORMATS.get(kind)
    if said is not None and told not in (None, said):
        members.note("contradiction", "format", f"inputType says {said.value}; make both say the same")
    return said


def _check_data(members: Members, config: InputConfig, *, is_inline: bool) -> None:
    if is_inline and config.source is not None:
        members.note("contradiction", "source", "remove it: the data are inline")
    if not is_inline and config.inline is not None:
        members.note("contradiction", "inline", "remove it, or let inputType be Inline")
    if not is_inline and config.source is None:
        members.note("missing_member", "source", "name an input of the project")
    if is_inline:
        _check_inline(members, config)
    if config.format is not DataFormat.JSON and config.data_type is DataType.GRAPH:
        members.note("missing_member", "dataType", "give Nodes, Edges or Layers: a table has one kind of rows")


def _check_inline(members: Members, config: InputConfig) -> None:
    if config.inline is None:
        members.note("missing_member", "inline", "give the data: an object with nodes, edges and layers, or text")
    elif isinstance(config.inline, bool | int | float) or (
        config.format is not DataFormat.JSON and not isinstance(config.inline, str)
    ):
        members.note("invalid_value", "inline", "give an object with nodes, edges and layers, or text in the format")
    elif len(canonical_json(config.inline)) > MAX_INLINE_BYTES:
        members.note("too_large", "inline", f"give at most {MAX_INLINE_BYTES} bytes; upload larger data as an input")


def _read_graph(members: Members) -> GraphNodeConfig:
    told_id = members.text("graphId")
    graph_id = _uuid(told_id)
    if told_id is not None and graph_id is None:
        members.note("invalid_value", "graphId", "give the id of a graph: a UUID")
    is_reference = members.flag("isReference")
    if is_reference and told_id is None:
        members.note("missing_member", "graphId", "give the id of the graph that this refers to")
    elif is_reference is False and told_id is not None:
        members.note("contradiction", "isReference", "make it true, or remove graphId")
    return GraphNodeConfig(graph_id, members.text("name"), members.object("metadata"))


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _read_copy(members: Members) -> CopyConfig:
    members.choice("copyType", _CopyType)
    if members.flag("preserveMetadata") is False:
        members.note("not_supported", "preserveMetadata", "false is not supported yet; copies keep everything")
    return CopyConfig()


def _read_merge(members: Members) -> MergeConfig:
    return MergeConfig(
        members.choice("mergeStrategy", MergeStrategy) or MergeStrategy.UNION,
        members.choice("conflictResolution", ConflictResolution) or ConflictResolution.PREFER_FIRST,
    )


def _read_transform(members: Members) -> TransformConfig:
    transform_type = members.choice("transformType", _TransformType)
    inner = members.inner("transformConfig")
    told = _told_settings(members)
    for name, value in _told_settings(inner).items():
        if name in told:
            inner.note("duplicate_member", camel_case(name), "remove it here or outside transformConfig")
        told[name] = value
    inner.close()
    if transform_type is not None:
        _apply_type(members, _SETTING_OF[transform_type], told)
    return TransformConfig(GraphSettings(**told))


def _apply_type(members: Members, setting: str, told: dict[str, Any]) -> None:
    """Let the type of a transform turn on the setting it is about, or demand its number."""
    is_flag = isinstance(getattr(GraphSettings(), setting), bool)
    if is_flag and told.setdefault(setting, True) is False:
        members.note("contradiction", camel_case(setting), "make it true: transformType asks for it")
    elif not is_flag and not told.get(setting):
        members.note("missing_member", camel_case(setting), "give a number above 0: transformType asks for it")


def _told_settings(members: Members) -> dict[str, Any]:
    """Return the settings that are given, by field of GraphSettings."""
    for name in _UNSUPPORTED_SETTINGS:
        if members.take(name) not in (None, False, 0):
            members.note("not_supported", name, "this setting is not supported yet; remove it")
    read = {one.name: _setting(members, camel_case(one.name), one.default) for one in fields(GraphSettings)}
    return {name: value for name, value in read.items() if value is not None}


def _setting(members: Members, name: str, default: Any) -> bool | int | None:
    return members.flag(name) if isinstance(default, bool) else members.number(name)


def _read_output(members: Members) -> OutputConfig | None:
    target = _render_target(members)
    path = members.text("outputPath", MAX_PATH_CHARACTERS)
    render, graph = members.inner("renderConfig"), members.inner("graphConfig")
    contain_nodes = render.flag("containNodes")
    orientation = render.choice("orientation", Orientation) or Orientation.TOP_BOTTOM
    settings = GraphSettings(**_told_settings(graph))
    render.close()
    graph.close()
    if target is None:
        return None
    return OutputConfig(target, path, contain_nodes is not False, orientation, settings)


_UNSUPPORTED_TARGETS = frozenset(
    {"gml", "graphml", "plantuml", "mermaid", "csvmatrix", "dothierarchy", "jsgraph", "custom"}
)


def _render_target(members: Members) -> RenderTarget | None:
    told = members.take("renderTarget")
    name = folded(told) if isinstance(told, str) else ""
    found = next((one for one in RenderTarget if folded(one.value) == name), None)
    if found is None:
        known = ", ".join(one.value for one in RenderTarget)
        code = (
            "not_supported" if name in _UNSUPPORTED_TARGETS else "missing_member" if told is None else "invalid_value"
        )
        is_known = f"{name} is not supported yet; " if code == "not_supported" else ""
        members.note(code, "renderTarget", f"{is_known}give one of {known}")
    return found


_Reader = tuple[Callable[[Members], NodeConfig | None], str, bool]

_READERS: Mapping[NodeType, _Reader] = {
    NodeType.INPUT: (_read_input, "", True),
    NodeType.GRAPH: (_read_graph, "", False),
    NodeType.COPY: (_read_copy, "sourceGraphRef", True),
    NodeType.MERGE: (_read_merge, "inputRefs", True),
    NodeType.TRANSFORM: (_read_transform, "inputGraphRef", True),
    NodeType.OUTPUT: (_read_output, "sourceGraphRef", False),
}
"""How the config of each type is read, the member that names its inputs, and whether one names what it goes into."""
