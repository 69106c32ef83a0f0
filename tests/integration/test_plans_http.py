"""Plans and their data over HTTP (SPEC.md, PLANS)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pycrdt import Doc

from persistence.database import Database
from persistence.records import ANONYMOUS_USER_ID
from replay.plan_document import read_told
from server.http.plans import MAX_PLAN_BODY_BYTES
from tests.integration.http_door import MAX_INPUT_BYTES, Door, open_door
from tests.integration.planned import BRIDGE, EDGES, LAYERS, NODES, plan_of, step, table

SHORT = plan_of([table("nodes", "nodes.csv", "Nodes"), step("deck", "GraphNode", "Deck")], "nodes deck")
HIDE = "INSERT INTO graph_roles (graph_id, user_id, role, granted_by) VALUES ($1, $2, $3, $4)"


@pytest.fixture
async def door(database: Database, database_url: str) -> AsyncIterator[Door]:
    async with open_door(database, database_url) as door:
        yield door


@pytest.fixture
async def project(door: Door) -> str:
    return await door.project()


async def put(door: Door, project: str, plan: Any = SHORT, **headers: str) -> httpx.Response:
    return await door.client.put(f"{project}/plan", json=plan, headers=headers)


async def patch(door: Door, project: str, **told: Any) -> httpx.Response:
    return await door.client.patch(f"{project}/plan", json=told)


async def read(door: Door, project: str) -> dict[str, Any]:
    body: dict[str, Any] = (await door.client.get(f"{project}/plan")).raise_for_status().json()
    return body


async def upload(door: Door, project: str, name: str, content: bytes, media_type: str | None = None) -> httpx.Response:
    headers = {} if media_type is None else {"content-type": media_type}
    return await door.client.put(f"{project}/inputs/{name}", content=content, headers=headers)


def node_ids(plan: dict[str, Any]) -> list[str]:
    return [node["id"] for node in plan["plan_dag"]["nodes"]]


async def test_PLANS_11_a_plan_that_nobody_changed_is_empty_and_has_no_graph(door: Door, project: str) -> None:
    """PLANS-11."""
    empty = {"version": "1.0", "nodes": [], "edges": [], "metadata": {}}
    assert await read(door, project) == {
        "plan_dag_version": "1.0",
        "hashes": {},
        "plan_dag": empty,
        "inputs": [],
        "plan_graph_id": None,
        "problems": [],
    }


async def test_PLANS_11_put_makes_the_graph_and_its_document(door: Door, project: str) -> None:
    """PLANS-11."""
    await upload(door, project, "nodes.csv", NODES)
    answer = await put(door, project)
    assert answer.status_code == 200, answer.text
    plan = answer.json()

    assert plan == await read(door, project)
    assert {len(hash_) for hash_ in plan["hashes"].values()} == {16}
    assert [(one["name"], one["rows"]) for one in plan["inputs"]] == [("nodes.csv", 3)]
    graph = (await door.client.get(f"/api/graphs/{plan['plan_graph_id']}")).json()
    assert (graph["name"], graph["graph_type"]) == ("Plan", "plan")
    doc: Doc[Any] = Doc()
    doc.apply_update(await door.document(UUID(plan["plan_graph_id"])))
    assert [node["id"] for node in read_told(doc)["nodes"]] == node_ids(plan) == ["deck", "nodes"]
    events = (await door.client.get(f"/api/graphs/{graph['id']}/events")).json()["items"]
    assert [event["event_type"] for event in events] == ["plan.changed", "graph.created"]


async def test_PLANS_11_first_changes_at_once_make_one_graph(door: Door, project: str) -> None:
    """PLANS-11: and each of them is there, also of more than there are connections to the database."""
    named = [f"n{number:02}" for number in range(12)]
    answers = await asyncio.gather(
        *(patch(door, project, nodes=[table(node_id, "nodes.csv", "Nodes")]) for node_id in named)
    )

    assert [answer.status_code for answer in answers] == [200] * 12
    assert node_ids(await read(door, project)) == named
    graphs = (await door.client.get(f"{project}/graphs")).json()["items"]
    assert [graph["graph_type"] for graph in graphs] == ["plan"]


async def test_PLANS_11_a_plan_whose_graph_is_gone_gets_another(door: Door, project: str) -> None:
    """PLANS-11: made of what is stored."""
    graph_id = (await put(door, project)).json()["plan_graph_id"]
    assert (await door.client.delete(f"/api/graphs/{graph_id}")).status_code == 204
    assert (await read(door, project))["plan_graph_id"] is None
    again = (await patch(door, project, metadata={"by": "Ada"})).json()

    assert again["plan_graph_id"] not in {None, graph_id}
    assert (node_ids(again), again["plan_dag"]["metadata"]) == (["deck", "nodes"], {"by": "Ada"})


async def test_PLANS_3_patch_changes_what_it_names(door: Door, project: str) -> None:
    """PLANS-3."""
    await put(door, project, BRIDGE)
    changed = await patch(
        door,
        project,
        nodes=[{"id": "short", "config": {"transformConfig": {"nodeLabelMaxLength": 5}}}],
        remove_nodes=["dot", "json"],
    )

    nodes = {node["id"]: node for node in changed.json()["plan_dag"]["nodes"]}
    assert nodes["short"]["config"] == {"transformConfig": {"nodeLabelMaxLength": 5}}
    assert nodes["bridge"]["metadata"] == {"label": "Bridge"}
    assert nodes.keys() == {node["id"] for node in BRIDGE["nodes"]} - {"dot", "json"}
    assert not {"labels-dot", "all-json"} & {edge["id"] for edge in changed.json()["plan_dag"]["edges"]}


async def test_PLANS_4_what_is_no_sound_plan_is_told_whole_and_nothing_is_made(door: Door, project: str) -> None:
    """PLANS-4."""
    bad = plan_of([step("copy", "CopyNode"), step("file", "OutputNode", renderTarget="PDF")], "nothing copy")
    refused = await put(door, project, bad)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_plan")
    errors = refused.json()["errors"]
    assert {"copy", "file"} <= {error["node_id"] for error in errors}
    assert all(error["message"] and error["code"] for error in errors)
    assert refused.json()["error_count"] == len(errors)
    assert (await patch(door, project, nodes=7)).json()["errors"][0]["field"] == "nodes"
    for body in (b"{", b"", b"[" * 2_000):
        malformed = await door.client.put(f"{project}/plan", content=body)
        assert (malformed.status_code, malformed.json()["code"]) == (400, "malformed_json")
    large = await door.client.patch(f"{project}/plan", content=b" " * (MAX_PLAN_BODY_BYTES + 1))
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert (await read(door, project))["plan_graph_id"] is None


async def test_PLANS_11_with_if_match_only_the_plan_that_was_read_is_changed(door: Door, project: str) -> None:
    """PLANS-11."""
    first = (await door.client.get(f"{project}/plan")).headers["etag"]
    assert (await put(door, project, **{"If-Match": first})).status_code == 200
    late = await put(door, project, BRIDGE, **{"If-Match": first})
    assert (late.status_code, late.json()["code"]) == (412, "plan_changed")
    assert node_ids(await read(door, project)) == ["deck", "nodes"]

    now = (await door.client.get(f"{project}/plan")).headers["etag"]
    assert now != first
    assert (await put(door, project, BRIDGE, **{"If-Match": f"{first}, {now}"})).status_code == 200
    assert (await put(door, project, **{"If-Match": "*"})).status_code == 200


async def test_PLANS_13_only_what_computes_something_else_is_told(door: Door, project: str) -> None:
    """PLANS-13."""
    told = (project.rpartition("/")[2], ANONYMOUS_USER_ID)
    await put(door, project)
    assert door.changed == [told]
    await put(door, project)
    await patch(door, project, nodes=[{"id": "deck", "position": {"x": 1, "y": 2.5}, "metadata": {"label": "D"}}])
    assert door.changed == [told]
    await patch(door, project, nodes=[table("more", "more.csv", "Nodes")])
    await upload(door, project, "nodes.csv", NODES)
    await upload(door, project, "nodes.csv", NODES)
    assert door.changed == [told] * 3


async def test_PLANS_10_a_plan_is_for_whom_the_project_and_its_graph_are(door: Door, project: str) -> None:
    """PLANS-10."""
    graph_id = (await put(door, project)).json()["plan_graph_id"]
    people = {name: await door.person(role) for name, role in {"viewer": "viewer", "blind": "member", "": None}.items()}
    owner = await asyncpg.connect(door.database_url)
    await owner.execute(HIDE, UUID(graph_id), people["blind"], "none", ANONYMOUS_USER_ID)
    await owner.close()
    found = {}
    for name, person in people.items():
        door.caller = person
        answers = await door.client.get(f"{project}/plan"), await put(door, project), await patch(door, project)
        found[name] = [answer.status_code for answer in answers]
    assert found == {"viewer": [200, 403, 403], "blind": [404, 404, 404], "": [404, 404, 404]}


async def test_PLANS_7_an_input_is_listed_downloaded_and_deleted_unless_it_is_read(door: Door, project: str) -> None:
    """PLANS-7."""
    stored = await upload(door, project, "data/nodes.csv", NODES)
    assert stored.status_code == 200, stored.text
    assert (stored.json()["format"], stored.json()["rows"]) == ("csv", 3)
    (listed,) = (await door.client.get(f"{project}/inputs")).json()["items"]
    assert listed.items() >= stored.json().items()
    assert listed["size_bytes"] == len(NODES)
    download = await door.client.get(f"{project}/inputs/data/nodes.csv")
    assert download.content == NODES
    assert download.headers["content-type"].startswith("text/csv")
    assert 'filename="nodes.csv"' in download.headers["content-disposition"]

    await put(door, project, plan_of([table("rows", "data/nodes.csv", "Nodes")]))
    used = await door.client.delete(f"{project}/inputs/data/nodes.csv")
    assert (used.status_code, used.json()["code"]) == (409, "input_in_use")
    assert "rows" in used.json()["detail"]
    await put(door, project, plan_of([]))
    assert (await door.client.delete(f"{project}/inputs/data/nodes.csv")).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await door.client.request(method, f"{project}/inputs/data/nodes.csv")).status_code == 404


FORMATS = [
    ("rows.txt", "text/csv; charset=utf-8", b"id,label\na,A\n", "csv", 1),
    ("rows.csv", "text/tab-separated-values", b"id\tlabel\na\tA\nb\tB\n", "tsv", 2),
    ("rows.tsv", "application/x-www-form-urlencoded", b"id\tlabel\na\tA\n", "tsv", 1),
    ("rows.csv", "application/json", b'[{"id": "a"}, {"id": "b"}]', "json", 2),
    ("graph", None, b' {"nodes": [{"id": "a"}], "edges": []}', "json", 1),
    ("rows", None, b"id,label\twith a tab\na,A\n", "csv", 1),
    ("rows", None, b"\xef\xbb\xbfid\tlabel\tlayer\na\tA\ts\n", "tsv", 1),
]


async def test_PLANS_12_what_an_input_is_goes_by_type_name_and_beginning(door: Door, project: str) -> None:
    """PLANS-12."""
    for name, media_type, content, expected, rows in FORMATS:
        answer = await upload(door, project, name, content, media_type)
        assert answer.status_code == 200, (name, answer.text)
        assert (answer.json()["format"], answer.json()["rows"]) == (expected, rows), (name, media_type)


async def test_PLANS_12_what_cannot_be_an_input_changes_nothing(door: Door, project: str) -> None:
    """PLANS-12."""
    await upload(door, project, "nodes.csv", NODES)
    for name, content in {"nodes.json": b'{"nodes": [', "nodes.csv": b"id\n\xff\xfe\n", "deep.json": b"7"}.items():
        wrong = await upload(door, project, name, content)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_tables"), name
        assert wrong.json()["errors"][0]["file"] == name
    large = await upload(door, project, "nodes.csv", b"id\n" + b"x\n" * MAX_INPUT_BYTES)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert (await upload(door, project, "%20", NODES)).status_code == 422
    assert (await upload(door, project, "a%00b", NODES)).status_code == 404
    assert (await door.client.get(f"{project}/inputs/nodes.csv")).content == NODES
    assert len((await door.client.get(f"{project}/inputs")).json()["items"]) == 1


async def test_PLANS_8_only_editors_upload_and_nothing_is_taken_from_others(door: Door, project: str) -> None:
    """PLANS-8."""
    await upload(door, project, "nodes.csv", NODES)
    door.caller = await door.person("viewer")
    assert (await door.client.get(f"{project}/inputs/nodes.csv")).content == NODES
    assert (await upload(door, project, "nodes.csv", EDGES)).status_code == 403
    assert (await door.client.delete(f"{project}/inputs/nodes.csv")).status_code == 403
    door.caller = await door.person(None)
    answers = [
        await upload(door, project, "nodes.csv", b"x" * (MAX_INPUT_BYTES + 1)),
        await door.client.get(f"{project}/inputs"),
        await door.client.get(f"{project}/inputs/nodes.csv"),
        await door.client.delete(f"{project}/inputs/nodes.csv"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_PLANS_7_a_project_that_is_full_says_so(
    door: Door, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PLANS-7."""
    monkeypatch.setattr("persistence.inputs.MAX_INPUTS", 1)
    await upload(door, project, "nodes.csv", NODES)
    full = await upload(door, project, "layers.csv", LAYERS)
    assert (full.status_code, full.json()["code"]) == (409, "inputs_full")
