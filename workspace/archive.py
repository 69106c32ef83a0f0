"""The portable archive of one project: a zip that another server can read, whatever database it has.

manifest.json                    the project, its graphs, and how much is in each
graphs/{id}/document.yjs         the document as one Yjs v1 update, all that was applied
graphs/{id}/pending/{n}.yjs      updates that waited for others, raw
graphs/{id}/graph.json           the same graph for people; it is never read back
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import orjson
from pycrdt import Doc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persistence.document import GraphContent, read_content
from persistence.records import GraphRow, GraphType, ProjectRow

FORMAT: Literal["layercake project"] = "layercake project"
VERSION: Literal[1] = 1

MAX_GRAPHS = 10_000
MAX_PENDING = 10_000
"""How many updates of one graph may wait."""
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_DOCUMENT_BYTES = 512 * 1024 * 1024
MAX_ARCHIVE_BYTES = 4 * 1024 * 1024 * 1024
"""How much an archive may unpack to, all that is read of it together."""

_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1
# What the standard library raises on files that are no sound zips.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class ArchiveError(Exception):
    """A file that is no archive of a project, or none that can be trusted."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no sound archive of a project: {reason}; nothing was changed")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class ManifestProject(_Strict):
    """The project's row."""

    id: UUID
    name: str
    description: str | None
    plan_dag: dict[str, Any]
    plan_dag_version: str
    rules: dict[str, Any]


class ManifestGraph(_Strict):
    """A graph's row, and how much the archive has of it."""

    id: UUID
    name: str
    description: str | None
    graph_type: GraphType
    parent_graph_id: UUID | None
    metadata: dict[str, Any]
    nodes: int
    edges: int
    layers: int
    pending: int = Field(ge=0, le=MAX_PENDING)


class Manifest(_Strict):
    """What an archive says of itself."""

    format: Literal["layercake project"]
    version: Literal[1]
    project: ManifestProject
    graphs: tuple[ManifestGraph, ...] = Field(max_length=MAX_GRAPHS)


class ArchiveWriter:
    """Writes an archive graph by graph; `finish` is what makes it one."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._graphs: list[ManifestGraph] = []

    def add(self, graph: GraphRow, document: bytes, pending: Sequence[bytes]) -> None:
        """Add a graph with its document and the updates that wait for others."""
        content = content_of(document, graph.id)
        self._file.writestr(_document_name(graph.id), document)
        for number, update in enumerate(pending):
            self._file.writestr(_pending_name(graph.id, number), update)
        about = {"id": str(graph.id), "name": graph.name, "graph_type": graph.graph_type}
        members = {"nodes": content.nodes, "edges": content.edges, "layers": content.layers}
        self._file.writestr(f"graphs/{graph.id}/graph.json", orjson.dumps(about | members))
        self._graphs.append(
            ManifestGraph(
                id=graph.id,
                name=graph.name,
                description=graph.description,
                graph_type=graph.graph_type,
                parent_graph_id=graph.parent_graph_id,
                metadata=dict(graph.metadata),
                nodes=len(content.nodes),
                edges=len(content.edges),
                layers=len(content.layers),
                pending=len(pending),
            )
        )

    def finish(self, project: ProjectRow) -> None:
        """Write the manifest."""
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            project=ManifestProject.model_validate(project),
            graphs=tuple(self._graphs),
        )
        self._file.writestr("manifest.json", orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_INDENT_2))


class Archive:
    """An archive that was opened; what is read of it is bounded, and checked against its manifest."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._left_bytes = MAX_ARCHIVE_BYTES
        _check_members(file.infolist())
        self.manifest = _manifest(self._read("manifest.json", MAX_MANIFEST_BYTES))

    def document(self, graph: ManifestGraph) -> bytes:
        """Return a graph's document as it was archived, unchecked."""
        return self._read(_document_name(graph.id), MAX_DOCUMENT_BYTES)

    def pending(self, graph: ManifestGraph) -> tuple[bytes, ...]:
        """Return the updates of a graph that waited for others, unchecked."""
        names = (_pending_name(graph.id, number) for number in range(graph.pending))
        return tuple(self._read(name, MAX_DOCUMENT_BYTES) for name in names)

    def _read(self, name: str, limit_bytes: int) -> bytes:
        limit_bytes = min(limit_bytes, self._left_bytes)
        try:
            with self._file.open(name) as member:
                data = member.read(limit_bytes + 1)
        except KeyError:
            raise ArchiveError(f"{name} is missing") from None
        except _BROKEN as error:
            raise ArchiveError(f"{name} cannot be read ({error})") from error
        if len(data) > limit_bytes:
            raise ArchiveError(f"{name} is larger than an archive may have it")
        self._left_bytes -= len(data)
        return data


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive to the file at `path` for the length of the block."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        yield ArchiveWriter(file)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive and check its manifest. Raises ArchiveError."""
    try:
        file = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise ArchiveError(f"it cannot be read ({error})") from error
    with file:
        yield Archive(file)


def content_of(document: bytes, graph_id: UUID) -> GraphContent:
    """Return the graph in a whole document."""
    doc: Doc[Any] = Doc()
    doc.apply_update(document)
    return read_content(doc, graph_id)


def _document_name(graph_id: UUID) -> str:
    return f"graphs/{graph_id}/document.yjs"


def _pending_name(graph_id: UUID, number: int) -> str:
    return f"graphs/{graph_id}/pending/{number:05}.yjs"


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    if len({member.filename for member in members}) != len(members):
        raise ArchiveError("a file is in it twice")
    if any(member.flag_bits & _ENCRYPTED or member.compress_type not in _PACKINGS for member in members):
        raise ArchiveError("it is encrypted, or packed in an unusual way")


def _manifest(data: bytes) -> Manifest:
    try:
        found = orjson.loads(data)
    except ValueError as error:
        raise ArchiveError(f"manifest.json is no JSON ({error})") from None
    if isinstance(found, dict) and (found.get("format"), found.get("version")) != (FORMAT, VERSION):
        raise ArchiveError(
            f"it is of the format {found.get('format')!r}, version {found.get('version')!r}, "
            f"and this Layercake reads {FORMAT!r}, version {VERSION}"
        )
    try:
        manifest = Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise ArchiveError(f"manifest.json: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    _check_parents({graph.id: graph.parent_graph_id for graph in manifest.graphs}, len(manifest.graphs))
    return manifest


def _check_parents(parents: Mapping[UUID, UUID | None], graphs: int) -> None:
    """Refuse an id that two graphs have, and a graph that is a copy of itself, however many steps away."""
    if len(parents) != graphs:
        raise ArchiveError("two graphs have the same id")
    sound: set[UUID] = set()
    for graph_id in parents:
        path: set[UUID] = set()
        at: UUID | None = graph_id
        while at is not None and at in parents and at not in sound:
            if at in path:
                raise ArchiveError(f"the graph {at} is a copy of itself")
            path.add(at)
            at = parents[at]
        sound |= path
