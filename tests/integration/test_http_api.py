"""The HTTP interface of projects and graphs on a real PostgreSQL: rules DOOR-20 to DOOR-30 of SPEC.md."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from http_door import Door, open_door

from persistence.database import Database
from persistence.document import Edge, GraphContent, Layer, Node, build_updates
from persistence.graphs import Graphs
from persistence.records import ANONYMOUS_USER_ID, Caller
from server.http.problems import MEDIA_TYPE, Problem
from server.http.requests import MAX_BODY_BYTES
from workspace.catalogue import Catalogue

CONTENT = GraphContent(
    nodes=(Node("a", "A", "base", True, None, 2.0, "c", {"k": 1.0}, None, {"x": 1.0, "y": 2.5}), Node("b")),
    edges=(Edge("e1", "a", "b", "l"), Edge("e2", "a", "b", "l")),
    layers=(Layer("base", "Base", "#fff"),),
)


@pytest.fixture
async def door(database: Database, database_url: str) -> AsyncIterator[Door]:
    async with open_door(database, database_url) as opened:
        yield opened


def problem(answer: httpx.Response, status: int, code: str) -> Problem:
    """Check that `answer` is this problem, as DOOR-20 wants it, and return it."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    body = Problem.model_validate_json(answer.content)
    assert (body.status, body.code, body.type) == (status, code, f"urn:layercake:problem:{code}")
    assert body.title
    assert body.detail
    return body


async def test_a_project_is_created_listed_and_read(door: Door) -> None:
    """DOOR-24."""
    created = await door.client.post("/api/projects", json={"name": " Bridge ", "description": "over the river"})
    body = created.json()

    assert created.status_code == 201
    assert sorted(body) == ["created_at", "description", "group_id", "id", "name", "role", "updated_at"]
    assert (body["name"], body["description"]) == ("Bridge", "over the river")
    assert datetime.fromisoformat(body["created_at"]).tzinfo is not None
    assert (await door.client.get("/api/projects")).json() == {"items": [body]}
    assert (await door.client.get(f"/api/projects/{body['id']}")).json() == body


async def test_a_graph_is_created_listed_and_read(door: Door) -> None:
    """DOOR-24."""
    project = await door.project()
    created = await door.client.post(f"{project}/graphs", json={"name": "Deck", "graph_type": "plan"})
    body = created.json()

    assert created.status_code == 201
    assert body["project_id"] == project.rpartition("/")[2]
    assert (body["name"], body["description"], body["graph_type"]) == ("Deck", None, "plan")
    assert (await door.client.get(f"{project}/graphs")).json() == {"items": [body]}
    read = (await door.client.get(f"/api/graphs/{body['id']}")).json()
    assert read == body | {"nodes": [], "edges": [], "layers": []}


async def test_a_graph_is_read_with_its_content(door: Door) -> None:
    """DOOR-27: sorted by id, every field, null where there is nothing, integers without a fraction."""
    project_id = UUID((await door.project()).rpartition("/")[2])
    updates = tuple(build_updates(CONTENT, 1))
    graph = await Graphs(door.database).create(Caller(ANONYMOUS_USER_ID), project_id, "Deck", "data", None, updates)
    body = (await door.client.get(f"/api/graphs/{graph.id}")).json()

    assert body["nodes"][0] | {"lineage_id": ""} == {
        "id": "a",
        "label": "A",
        "layer": "base",
        "is_partition": True,
        "belongs_to": None,
        "weight": 2,
        "comment": "c",
        "properties": {"k": 1},
        "lineage_id": "",
        "position": {"x": 1, "y": 2.5},
        "content": None,
    }
    assert "2.0" not in (await door.client.get(f"/api/graphs/{graph.id}")).text
    assert body["nodes"][1]["weight"] is None
    assert [edge["id"] for edge in body["edges"]] == ["e1", "e2"]
    assert sorted(body["edges"][0]) == sorted(Edge.__slots__)
    assert body["layers"] == [
        {
            "id": "base",
            "name": "Base",
            "background_color": "#fff",
            "text_color": None,
            "border_color": None,
            "properties": {},
        }
    ]
    assert UUID(body["nodes"][0]["lineage_id"]).version == 5


async def test_a_patch_changes_what_it_names(door: Door) -> None:
    """DOOR-25."""
    project = await door.project()
    for address in (project, await door.graph(project)):
        described = await door.client.patch(address, json={"description": "steel"})
        renamed = await door.client.patch(address, json={"name": "Ferry"})
        emptied = await door.client.patch(address, json={"description": None})

        assert described.json()["description"] == "steel"
        assert (renamed.json()["name"], renamed.json()["description"]) == ("Ferry", "steel")
        assert (emptied.json()["name"], emptied.json()["description"]) == ("Ferry", None)
        read = (await door.client.get(address)).json()
        assert emptied.json().items() <= read.items()


async def test_a_deleted_graph_is_absent_and_its_room_closed(door: Door) -> None:
    """DOOR-26."""
    graph = await door.graph(await door.project())
    deleted = await door.client.delete(graph)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert door.closed == [(UUID(graph.rpartition("/")[2]), "absent")]
    problem(await door.client.get(graph), 404, "not_found")
    problem(await door.client.delete(graph), 404, "not_found")
    assert len(door.closed) == 1


async def test_a_deleted_project_takes_its_graphs_along(door: Door) -> None:
    """DOOR-26."""
    project = await door.project()
    graphs = [await door.graph(project) for _ in range(2)]

    assert (await door.client.delete(project)).status_code == 204
    assert door.closed == [(UUID(graph.rpartition("/")[2]), "absent") for graph in graphs]
    for address in (project, *graphs, f"{project}/graphs"):
        problem(await door.client.get(address), 404, "not_found")


async def test_who_may_not_read_finds_nothing(door: Door) -> None:
    """DOOR-21: the answer is the one for what does not exist, whatever one wants to do."""
    project = await door.project()
    graph = await door.graph(project)
    door.caller = await door.person(None)

    assert (await door.client.get("/api/projects")).json() == {"items": []}
    for address in (project, graph):
        unknown = f"{address.rpartition('/')[0]}/{uuid4()}"
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
            hidden, absent = [
                (await door.client.request(method, one, json=body)).text.replace(one.rpartition("/")[2], "ID")
                for one in (address, unknown)
            ]
            assert hidden == absent
            problem(await door.client.request(method, address, json=body), 404, "not_found")
    problem(await door.client.post(f"{project}/graphs", json={"name": "x"}), 404, "not_found")
    assert door.closed == []


async def test_who_may_read_but_not_more_is_told_so(door: Door) -> None:
    """DOOR-22: a viewer reads, a member edits, an admin deletes."""
    project = await door.project()
    graph = await door.graph(project)
    door.caller = await door.person("viewer")
    for address in (project, graph):
        assert (await door.client.get(address)).status_code == 200
        problem(await door.client.patch(address, json={"name": "x"}), 403, "forbidden")
        problem(await door.client.delete(address), 403, "forbidden")
    problem(await door.client.post(f"{project}/graphs", json={"name": "x"}), 403, "forbidden")
    problem(await door.client.post("/api/projects", json={"name": "x"}), 403, "forbidden")

    door.caller = await door.person("member")
    for address in (project, graph):
        assert (await door.client.patch(address, json={"name": "x"})).status_code == 200
        problem(await door.client.delete(address), 403, "forbidden")
    assert (await door.client.post("/api/projects", json={"name": "y"})).status_code == 201
    assert door.closed == []


async def test_who_is_nobody_gets_nothing(door: Door) -> None:
    """DOOR-20."""
    door.caller = None
    answer = await door.client.get("/api/projects")

    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/projects/nonsense", 404, "not_found"),
        ("DELETE", "/api/graphs/1", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/api/projects", 405, "method_not_allowed"),
    ],
)
async def test_addresses_that_lead_nowhere(door: Door, method: str, path: str, status: int, code: str) -> None:
    """DOOR-20, DOOR-21."""
    problem(await door.client.request(method, path), status, code)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " \u2003"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "\x85"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "description": "\0"}, "description"),
        ({"name": "x", "description": "x" * 10_001}, "description"),
        ([], "body"),
    ],
)
async def test_a_bad_member_is_named(door: Door, body: Any, field: str) -> None:
    """DOOR-29."""
    found = problem(await door.client.post("/api/projects", json=body), 422, "invalid_request")

    assert found.errors is not None
    assert [error.field for error in found.errors] == [field]


async def test_a_name_may_be_anything_else(door: Door) -> None:
    """DOOR-29."""
    for name in ("constructor", "__proto__", "🍰" * 200, "<script>", "' OR 1=1 --"):
        answer = await door.client.post("/api/projects", json={"name": name})
        assert (answer.status_code, answer.json()["name"]) == (201, name)


async def test_an_unknown_type_of_graph_is_refused(door: Door) -> None:
    """DOOR-29."""
    project = await door.project()
    answer = await door.client.post(f"{project}/graphs", json={"name": "x", "graph_type": "pie"})

    problem(answer, 422, "invalid_request")


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"name": "\\ud800"}'])
async def test_a_body_that_is_no_json_is_refused(door: Door, body: bytes) -> None:
    """DOOR-20."""
    answer = await door.client.post("/api/projects", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_body_over_its_bound_is_read_no_further(door: Door) -> None:
    """DOOR-23."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 1024
            yield b" " * 1024

    answer = await door.client.post("/api/projects", content=endless(), headers={"content-type": "application/json"})

    problem(answer, 413, "too_large")
    assert sent <= MAX_BODY_BYTES + 1024


async def test_a_store_that_is_away_says_when_to_try_again(door: Door) -> None:
    """DOOR-28."""
    await door.database.close()
    answer = await door.client.get("/api/projects")

    problem(answer, 503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_failure_of_ours_tells_nothing_of_itself(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOOR-20."""

    async def fail(*_: object) -> None:
        raise RuntimeError("cannot decode what is stored")

    monkeypatch.setattr(Catalogue, "projects", fail)
    answer = await door.client.get("/api/projects")

    assert problem(answer, 500, "internal_error").errors is None
    assert "Traceback" not in answer.text
    assert "decode" not in answer.text


async def test_the_description_names_the_problems_of_each_route(door: Door) -> None:
    """DOOR-30."""
    description = (await door.client.get("/openapi.json")).json()
    operations = {
        f"{method} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }

    assert len(operations) == 33
    for name, operation in operations.items():
        assert operation["summary"], name
        assert {"401", "503"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == [MEDIA_TYPE], (name, status)
    assert "HTTPValidationError" not in str(description["paths"])
    assert (await door.client.get("/openapi.json")).json() == description
