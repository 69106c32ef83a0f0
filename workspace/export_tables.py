"""Nodes, edges and layers as the rows of tables, in the way that an import takes them back.

Pure. The columns are the fields of the document, always all of them; `properties` is last and tells an import that
cells mean exactly what is in them. Empty text and no text are both an empty cell: the one thing a table cannot tell.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from persistence.document import GraphContent
from workspace.statements import NOTHING, Entity
from workspace.tables import FIELDS, TableKind

MAX_PROPERTY_COLUMNS = 100
"""Properties that have a column of their own; the others are in the column `properties`."""

Cell = str | bool | int | float | None
Problem = Callable[[str], str | None]
"""Says why a format cannot hold a text, if it cannot."""

_KNOWN = frozenset(name for names in FIELDS.values() for name in names)
_PLAIN_NAME = re.compile(r"[^\W\d_](?:[\w .:/()#-]{0,98}[\w.:/()#-])?")


class ExportError(ValueError):
    """A graph that a format cannot hold: `reason` is about the `field` of one entity."""

    def __init__(self, kind: TableKind, id_: str, field: str, reason: str) -> None:
        super().__init__(f"{kind.value[:-1]} {id_!r}: its {field} {reason}; export JSON, which holds everything")
        self.kind = kind
        self.id = id_
        self.field = field
        self.reason = reason

    def __reduce__(self) -> tuple[type["ExportError"], tuple[TableKind, str, str, str]]:
        """Let the worker process that finds it raise it here."""
        return ExportError, (self.kind, self.id, self.field, self.reason)


@dataclass(frozen=True, slots=True)
class ExportTable:
    """One kind of entities as a header and rows."""

    kind: TableKind
    entities: Sequence[Entity]
    properties: Sequence[str]
    problem: Problem

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return ["id", *self._fields, *self.properties, "properties"]

    @property
    def _fields(self) -> list[str]:
        return [name for name in NOTHING[self.kind] if name != "properties"]

    def rows(self) -> Iterator[list[Cell]]:
        """Yield the cells of each entity. Raises ExportError."""
        fields = self._fields
        for entity in self.entities:
            own, others = self._divided(entity.properties)
            row = [entity.id, *(_cell(getattr(entity, name)) for name in fields), *own, _json(others) if others else ""]
            self._check(entity.id, row)
            yield row

    def _divided(self, properties: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """Return the texts that have columns of their own, and the other properties."""
        own = {name: properties[name] for name in self.properties if self._is_own(properties.get(name))}
        return (
            [own.get(name, "") for name in self.properties],
            {name: value for name, value in properties.items() if name not in own},
        )

    def _is_own(self, value: Any) -> bool:
        return isinstance(value, str) and value != "" and self.problem(value) is None

    def _check(self, id_: str, row: Sequence[Cell]) -> None:
        for name, cell in zip(self.header, row, strict=True):
            if isinstance(cell, str) and (reason := self.problem(cell)):
                raise ExportError(self.kind, id_, name, reason)


def export_table(kind: TableKind, content: GraphContent, problem: Problem) -> ExportTable:
    """Return one kind of what is in a graph as a table of a format that cannot hold a text with a `problem`."""
    entities: Sequence[Entity] = getattr(content, kind.value)
    return ExportTable(kind, entities, _property_columns(entities), problem)


def _property_columns(entities: Iterable[Entity]) -> list[str]:
    """Return the properties that are text somewhere and whose name no import could take for anything else."""
    texts = {name for entity in entities for name, value in entity.properties.items() if isinstance(value, str)}
    alike = Counter(name.casefold() for name in texts)
    plain = [
        name
        for name in texts
        if _PLAIN_NAME.fullmatch(name) and alike[name.casefold()] == 1 and name.casefold() not in _KNOWN
    ]
    return sorted(plain)[:MAX_PROPERTY_COLUMNS]


def _cell(value: Any) -> Cell:
    if isinstance(value, UUID):
        return str(value)
    return _json(value) if isinstance(value, dict) else value


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
