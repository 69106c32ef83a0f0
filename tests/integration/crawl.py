"""Requests for every route of a server, made from its OpenAPI description."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from tests.contract.two_groups import Group

ROWS = {
    "graph_id": "graphs",
    "project_id": "projects",
    "group_id": "groups",
    "user_id": "users",
    "operation_id": "quarantined_operations",
    "session_id": "sessions",
    "token_id": "personal_access_tokens",
    "invitation_id": "invitations",
    "link_id": "share_links",
    "input_name": "project_inputs",
    "edit_id": "manual_edits",
    "replay_id": "edit_replay_summaries",
    "execution_id": "plan_executions",
    "node_id": "export_operations",
}
"""The table that an id is of, by the name of its parameter; a new name of a parameter has to be added here."""

UNCOMPARED_HEADERS = {"date", "content-length"}
METHODS = ("get", "post", "put", "patch", "delete")


class Id(NamedTuple):
    """An id that fills a parameter: one of a group's rows, or one that nobody has."""

    name: str
    value: str


class Answer(NamedTuple):
    """What a server said, with placeholders for the ids that were asked about."""

    status: int
    headers: Mapping[str, str]
    text: str


def ids_of(group: Group) -> dict[str, Id]:
    """Return an id of a group for each parameter."""
    return {name: Id(name, next(iter(group.rows[table])).rpartition(" ")[2]) for name, table in ROWS.items()}


def ids_of_nobody() -> dict[str, Id]:
    """Return an id that does not exist for each parameter."""
    return {name: Id(name, str(10**12) if name == "operation_id" else str(uuid4())) for name in ROWS}


@dataclass(frozen=True)
class Route:
    """An operation of the description."""

    method: str
    path: str
    operation: Mapping[str, Any]
    schemas: Mapping[str, Any]

    @property
    def ids(self) -> list[str]:
        """Names of the ids that it takes, those of its body too."""
        parameters = [one["name"] for one in self.operation.get("parameters", ()) if one["in"] in {"path", "query"}]
        needed = [one["name"] for one in self.operation.get("parameters", ()) if one["in"] == "path"]
        unknown = set(needed) - ROWS.keys()
        assert not unknown, f"{self}: the crawl cannot fill {unknown}; add them to ROWS"
        return [name for name in (*parameters, *self._body_schema().get("properties", {})) if name in ROWS]

    @property
    def choices(self) -> set[tuple[str, ...]]:
        """The ids that are another's at a time: all of them, and each alone while the rest are mine."""
        return {tuple(self.ids), *((name,) for name in self.ids)}

    async def ask(self, client: httpx.AsyncClient, ids: Mapping[str, Id]) -> Answer:
        """Make the request and return the answer."""
        path = self.path
        query = {}
        for parameter in self.operation.get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", ids[name].value)
            elif name in ids:
                query[name] = ids[name].value
        answer = await client.request(self.method.upper(), path, params=query, **self._body(ids))
        return _without(answer, [ids[name] for name in self.ids])

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def _content(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = self.operation.get("requestBody", {}).get("content", {})
        return content

    def _body_schema(self) -> Mapping[str, Any]:
        for media in self._content.values():
            return self._resolved(media["schema"])
        return {}

    def _body(self, ids: Mapping[str, Id]) -> dict[str, Any]:
        if "multipart/form-data" in self._content:
            data = self._example(self._body_schema(), ids)
            return {"data": data, "files": {"files": ("nodes.csv", b"id,label\nn1,Deck\n", "text/csv")}}
        return {"json": self._example(self._body_schema(), ids)} if self._content else {}

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        either = schema.get("anyOf", schema.get("oneOf", ()))
        options = [one for one in either if one.get("type") != "null"]
        if options:
            return self._resolved(options[0])
        if "$ref" in schema:
            return self._resolved(self.schemas[schema["$ref"].rsplit("/", 1)[1]])
        return schema

    def _example(self, schema: Mapping[str, Any], ids: Mapping[str, Id]) -> Any:
        """Return a value that the schema allows, with what is required and all ids."""
        schema = self._resolved(schema)
        if "enum" in schema or "const" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if schema.get("type") == "object":
            required = {*schema.get("required", ()), *(schema.get("properties", {}).keys() & ids.keys())}
            properties = schema.get("properties", {})
            return {name: ids[name].value if name in ids else self._example(properties[name], ids) for name in required}
        if schema.get("type") == "array":
            return [self._example(schema["items"], ids)]
        return {
            "string": "Bridge".ljust(schema.get("minLength", 0), "x"), "integer": schema.get("minimum", 1),
            "number": schema.get("minimum", 1), "boolean": False,
        }[schema["type"]]  # fmt: skip


def routes(description: Mapping[str, Any]) -> list[Route]:
    """Return all operations of an OpenAPI description, those that delete last."""
    schemas = description["components"]["schemas"]
    found = [
        Route(method, path, item[method], schemas)
        for path, item in description["paths"].items()
        for method in METHODS
        if method in item
    ]
    return sorted(found, key=lambda route: METHODS.index(route.method))


def _without(answer: httpx.Response, ids: list[Id]) -> Answer:
    """Return an answer with the names of the ids for their values, wherever they stand."""

    def blank(text: str) -> str:
        for one in ids:
            text = text.replace(one.value, f"{{{one.name}}}")
        return text

    headers = {name: blank(value) for name, value in answer.headers.items() if name.lower() not in UNCOMPARED_HEADERS}
    return Answer(answer.status_code, headers, blank(answer.content.decode(errors="backslashreplace")))


def all_ids(group: Group) -> set[str]:
    """Return everything that only this group's rows have: UUIDs are in no other's."""
    keys = itertools.chain.from_iterable(part.split(" ") for rows in group.rows.values() for part in rows)
    return {key for key in keys if len(key) == 36 and key.count("-") == 4} | set(map(str, group.people.values()))
