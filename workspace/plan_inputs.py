"""The inputs of a plan become graphs: tables of nodes, edges or layers, or JSON with all three.

Pure. An input may be part of a graph only, so ends, parents and layers that are not in it are no fault of it. These
functions take long for large files: a server runs them in a worker process.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from persistence.document import Edge, GraphContent, Layer, Node
from replay.node_configs import DataFormat, DataType, InputConfig
from workspace.csv_files import read_lines
from workspace.entities import read_statements
from workspace.issues import Issues
from workspace.json_documents import read_document
from workspace.statements import Entity, Statements, entity_after
from workspace.tables import MAX_FILE_BYTES, TableFile, TableKind, read_table


def read_input(name: str, data: bytes, data_format: DataFormat, data_type: DataType) -> GraphContent:
    """Return what an input says, of which only what `data_type` asks for counts.

    JSON is an object with the lists nodes, edges and layers, or a bare list of the kind that `data_type` says. Raises
    TableErrors with all that is wrong.
    """
    issues = Issues()
    found = [*_statements(_file(name, data, data_format, issues), data_format, data_type, issues)]
    issues.raise_if_any()
    entities = [entity for statements in found for entity in _entities(statements)]
    entities.sort(key=lambda entity: entity.id)
    return GraphContent(
        nodes=tuple(one for one in entities if isinstance(one, Node)),
        edges=tuple(one for one in entities if isinstance(one, Edge)),
        layers=tuple(one for one in entities if isinstance(one, Layer)),
    )


def read_inline(name: str, config: InputConfig) -> GraphContent:
    """Return what the inline data of a config say; raises TableErrors, which call them `name`."""
    inline = config.inline
    data = inline.encode() if isinstance(inline, str) else orjson.dumps(inline)
    return read_input(name, data, config.format, config.data_type)


def input_content(name: str, config: InputConfig, file: bytes) -> bytes:
    """Return as JSON what an input node says: what is in `file`, or what is inline. Raises TableErrors."""
    if config.source is None:
        return orjson.dumps(read_inline(name, config))
    return orjson.dumps(read_input(name, file, config.format, config.data_type))


def count_rows(name: str, data: bytes, data_format: DataFormat) -> int:
    """Return how many rows a table has without its header, or how many entities the lists of JSON have.

    Raises TableErrors if it is neither.
    """
    issues = Issues()
    file = _file(name, data, data_format, issues)
    count = _json_rows(file, issues) if data_format is DataFormat.JSON else _table_rows(file, issues)
    issues.raise_if_any()
    return count


def _file(name: str, data: bytes, data_format: DataFormat, issues: Issues) -> TableFile:
    if len(data) > MAX_FILE_BYTES:
        issues.add(name, None, None, f"expected a file of at most {MAX_FILE_BYTES} bytes")
        return TableFile(name, b"")
    is_named_so = data_format is not DataFormat.TSV or name.lower().endswith(".tsv")
    return TableFile(name if is_named_so else f"{name}.tsv", data)


def _statements(file: TableFile, data_format: DataFormat, data_type: DataType, issues: Issues) -> Iterable[Statements]:
    if issues.count:
        return []
    if data_format is DataFormat.JSON:
        return _json_statements(file, data_type, issues)
    table = read_table(file.name, TableKind(data_type.value.lower()), read_lines(file, issues), issues)
    return [] if table is None else [read_statements(table, issues)]


def _json_statements(file: TableFile, data_type: DataType, issues: Issues) -> list[Statements]:
    kind = None if data_type is DataType.GRAPH else TableKind(data_type.value.lower())
    if kind is not None and file.data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        file = TableFile(file.name, b'{"%s":%s}' % (kind.value.encode(), file.data.removeprefix(b"\xef\xbb\xbf")))
    found = read_document(file, issues)
    if kind is None:
        return found
    if not any(one.kind is kind for one in found) and not issues.count:
        issues.add(file.name, None, None, f"expected a list of {kind}")
    return [one for one in found if one.kind is kind]


def _entities(statements: Statements) -> Iterable[Entity]:
    return (entity_after(statements.kind, one, None) for one in statements.all)


def _table_rows(file: TableFile, issues: Issues) -> int:
    filled = sum(any(cell.strip() for cell in cells) for _, cells in read_lines(file, issues))
    return max(filled - 1, 0)


def _json_rows(file: TableFile, issues: Issues) -> int:
    try:
        document: Any = orjson.loads(file.data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        issues.add(file.name, error.lineno, None, f"expected JSON, but {error}")
        return 0
    lists = [document] if isinstance(document, list) else _lists(document)
    if not lists and not issues.count:
        issues.add(file.name, None, None, "expected a list, or an object with the lists nodes, edges and layers")
    return sum(map(len, lists))


def _lists(document: Any) -> list[list[Any]]:
    found = [document.get(kind.value) for kind in TableKind] if isinstance(document, dict) else []
    return [one for one in found if isinstance(one, list)]
