"""JSON documents of a graph: `{"nodes": […], "edges": […], "layers": […]}`, as `GET /api/graphs/{id}` answers.

Pure. What is wrong is noted in `Issues`, with a JSON Pointer (RFC 6901) where a table has a column.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from workspace.entities import id_problem
from workspace.issues import Issues
from workspace.statements import NOTHING, Statement, Statements
from workspace.tables import MAX_ROW_CHARACTERS, MAX_ROWS, TableFile, TableKind
from workspace.values import UnfitValueError, document_number, lineage_value, object_value, position_value


def read_document(file: TableFile, issues: Issues) -> list[Statements]:
    """Return what the document says, list by list; a list that it does not have says nothing.

    A member of an entity that is absent is not spoken of; null says that there is nothing. Other members
    of the document than the lists are left alone.
    """
    document = _load(file, issues)
    lists = {kind: document[kind] for kind in TableKind if kind in document}
    if file.kind is not None:
        issues.add(file.name, None, None, "expected a table, but JSON says itself which lists it has")
    elif not lists and issues.count == 0:
        issues.add(file.name, None, None, "expected an object with the lists nodes, edges and layers")
    return [_ListReader(file.name, kind, issues).statements(entities) for kind, entities in lists.items()]


def _load(file: TableFile, issues: Issues) -> Mapping[str, Any]:
    try:
        document = orjson.loads(file.data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        issues.add(file.name, error.lineno, None, f"expected JSON, but {error}")
        return {}
    return document if isinstance(document, dict) else {}


@dataclass(frozen=True, slots=True)
class _ListReader:
    file: str
    kind: TableKind
    issues: Issues

    def statements(self, entities: Any) -> Statements:
        return Statements(self.file, self.kind, {}, tuple(self._read(entities)))

    def _read(self, entities: Any) -> Iterator[Statement]:
        if not isinstance(entities, list) or len(entities) > MAX_ROWS:
            self._note(f"/{self.kind}", f"expected a list of at most {MAX_ROWS} objects")
            return
        paths: dict[str, str] = {}
        for index, entity in enumerate(entities):
            path = f"/{self.kind}/{index}/"
            if not self._is_entity(path, entity):
                continue
            first = paths.setdefault(entity["id"], path)
            if first is not path:
                self._note(f"{path}id", f"expected an id once, but {entity['id']!r} is at {first}id already")
            known = NOTHING[self.kind]
            fields = {name: self._value(path, name, value) for name, value in entity.items() if name in known}
            yield Statement(entity["id"], None, path, fields, {})

    def _is_entity(self, path: str, entity: Any) -> bool:
        if not isinstance(entity, dict):
            self._note(path[:-1], "expected an object")
            return False
        if unknown := entity.keys() - NOTHING[self.kind].keys() - {"id"}:
            member = min(unknown).replace("~", "~0").replace("/", "~1")
            self._note(path + member, "expected no such member; put it into properties")
        if len(orjson.dumps(entity).decode()) > MAX_ROW_CHARACTERS:
            self._note(path[:-1], f"expected at most {MAX_ROW_CHARACTERS} characters")
        id_ = entity.get("id")
        problem = id_problem(id_) if isinstance(id_, str) else "expected an id, as text"
        if problem:
            self._note(f"{path}id", problem)
        return isinstance(id_, str)

    def _value(self, path: str, name: str, value: Any) -> Any:
        if value is None:
            return None
        read: Callable[[Any], Any] = _READERS.get(name, _text)
        try:
            return read(value)
        except UnfitValueError as error:
            self._note(path + name, str(error))
            return None

    def _note(self, pointer: str, message: str) -> None:
        self.issues.add(self.file, None, pointer, message)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitValueError("expected text or null")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitValueError("expected true, false or null")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnfitValueError("expected a number or null")
    return document_number(value)


def _lineage(value: Any) -> UUID:
    return lineage_value(_text(value))


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "is_partition": _truth,
    "weight": _number,
    "lineage_id": _lineage,
    "position": position_value,
    "properties": object_value,
}
"""How the members are read that are not plain text."""
