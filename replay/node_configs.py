"""What the nodes of a plan are told to do: one frozen class for each type.

Pure. `to_json` leaves out what is as it is by default. `UNHASHED` are members that do not change what is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID


class DataFormat(StrEnum):
    """How data are written."""

    CSV = "CSV"
    TSV = "TSV"
    JSON = "JSON"


class DataType(StrEnum):
    """What data are about; a graph is all three."""

    NODES = "Nodes"
    EDGES = "Edges"
    LAYERS = "Layers"
    GRAPH = "Graph"


class MergeStrategy(StrEnum):
    """Which nodes and edges a merge keeps."""

    UNION = "Union"
    INTERSECTION = "Intersection"
    DIFFERENCE = "Difference"


class ConflictResolution(StrEnum):
    """What an entity becomes that several inputs have, and not all equal."""

    PREFER_FIRST = "PreferFirst"
    PREFER_LAST = "PreferLast"
    MERGE = "Merge"
    ERROR = "Error"


class RenderTarget(StrEnum):
    """What an output is written as."""

    JSON = "JSON"
    CSV_NODES = "CSVNodes"
    CSV_EDGES = "CSVEdges"
    CSV_LAYERS = "CSVLayers"
    DOT = "DOT"


class Orientation(StrEnum):
    """Where the edges of a drawing lead: down, or to the right."""

    TOP_BOTTOM = "TB"
    LEFT_RIGHT = "LR"


@dataclass(frozen=True, slots=True)
class InputConfig:
    """Data from outside: the input of the project named `source`, or `inline`, which is then not None."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset()

    format: DataFormat
    data_type: DataType
    source: str | None = None
    inline: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON."""
        told: dict[str, Any] = {"dataType": self.data_type.value}
        if self.source is None:
            return told | {"inputType": "Inline", "format": self.format.value, "inline": self.inline}
        is_table = self.format is not DataFormat.JSON
        input_type = f"{self.format.value}{self.data_type.value}FromFile" if is_table else self.format.value
        return told | {"inputType": input_type, "source": self.source}


@dataclass(frozen=True, slots=True)
class GraphNodeConfig:
    """A graph: what its inputs make together, called `name`; or the existing graph `graph_id`, without inputs."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset({"name", "metadata"})

    graph_id: UUID | None = None
    name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON."""
        told = {"graphId": self.graph_id and str(self.graph_id), "name": self.name, "metadata": self.metadata}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class CopyConfig:
    """A graph of its own that begins as its input, lineage included."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON."""
        return {}


@dataclass(frozen=True, slots=True)
class MergeConfig:
    """One graph of several."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset()

    strategy: MergeStrategy = MergeStrategy.UNION
    conflict_resolution: ConflictResolution = ConflictResolution.PREFER_FIRST

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON."""
        return {"mergeStrategy": self.strategy.value, "conflictResolution": self.conflict_resolution.value}


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """What is done to a graph; 0 is no limit. `replay.transforms` tells in which order."""

    max_partition_depth: int = 0
    drop_unconnected_nodes: bool = False
    aggregate_edges: bool = False
    node_label_max_length: int = 0
    edge_label_max_length: int = 0
    node_label_insert_newlines_at: int = 0
    edge_label_insert_newlines_at: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {camel_case(name): value for name, value in values if value}


@dataclass(frozen=True, slots=True)
class TransformConfig:
    """A graph with some settings applied."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset()

    settings: GraphSettings = GraphSettings()

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON."""
        return {"transformConfig": self.settings.to_json()}


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """A file: the graph with `settings` applied, as `render_target`."""

    UNHASHED: ClassVar[frozenset[str]] = frozenset()

    render_target: RenderTarget
    output_path: str | None = None
    contain_nodes: bool = True
    orientation: Orientation = Orientation.TOP_BOTTOM
    settings: GraphSettings = GraphSettings()

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON."""
        told = {
            "renderTarget": self.render_target.value,
            "renderConfig": {"containNodes": self.contain_nodes, "orientation": self.orientation.value},
            "graphConfig": self.settings.to_json(),
        }
        return told if self.output_path is None else told | {"outputPath": self.output_path}


NodeConfig = InputConfig | GraphNodeConfig | CopyConfig | MergeConfig | TransformConfig | OutputConfig


def camel_case(name: str) -> str:
    """Return a field's name as JSON spells it."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
