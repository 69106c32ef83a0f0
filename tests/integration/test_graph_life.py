"""What becomes of graphs and projects, over HTTP on a real PostgreSQL: LIFE-1 to LIFE-8 and EVENT-5 of SPEC.md."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest
from http_door import Door, open_door
from pycrdt import Array, Doc, Map, Text

from persistence.database import Database
from persistence.document import (
    MAX_UPDATE_BYTES,
    DocumentUpdate,
    GraphContent,
    Node,
    build_updates,
    clocks,
    read_content,
)
from persistence.errors import GraphServedElsewhereError, NotFoundError, StoreUnavailableError
from persistence.graphs import Graphs
from persistence.operations import StoredDocuments
from persistence.records import ANONYMOUS_USER_ID, Caller
from server.http import turn
from server.workers import Workers
from workspace.copying import copied_updates

ME = Caller(ANONYMOUS_USER_ID)


@pytest.fixture
async def door(database: Database, database_url: str) -> AsyncIterator[Door]:
    async with open_door(database, database_url) as opened:
        yield opened


def id_of(address: str) -> UUID:
    return UUID(address.rpartition("/")[2])


def loaded(document: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(document)
    return doc


async def meta_of(door: Door, graph: str) -> dict[str, Any]:
    meta: dict[str, Any] = loaded(await door.document(id_of(graph))).get("meta", type=Map).to_py() or {}
    return meta


async def binned(door: Door) -> tuple[str, str]:
    """A project, and a graph in its bin."""
    project = await door.project()
    graph = await door.graph(project)
    assert (await door.client.delete(graph)).status_code == 204
    return project, graph


async def test_the_bin_lists_what_was_deleted_last_first(door: Door) -> None:
    """LIFE-1."""
    project = await door.project()
    graphs = [await door.graph(project) for _ in range(3)]
    for graph in (graphs[1], graphs[0]):
        await door.client.delete(graph)
    items = (await door.client.get(f"{project}/bin")).json()["items"]
    assert [item["id"] for item in items] == [str(id_of(graphs[0])), str(id_of(graphs[1]))]
    assert {"name", "project_id", "graph_type", "deleted_at"} <= set(items[0])

    assert (await door.client.get("/api/bin")).json() == {"items": []}
    await door.client.delete(project)
    (item,) = (await door.client.get("/api/bin")).json()["items"]
    assert (item["id"], item["name"]) == (str(id_of(project)), "Bridge")
    assert item["deleted_at"]


async def test_a_restored_graph_is_as_it_was(door: Door) -> None:
    """LIFE-2."""
    project_id = id_of(await door.project())
    updates = tuple(build_updates(GraphContent(nodes=(Node("a", "A"),)), 1))
    graph = await Graphs(door.database).create(ME, project_id, "Deck", "data", None, updates)
    before = (await door.client.get(f"/api/graphs/{graph.id}")).json()
    await door.client.delete(f"/api/graphs/{graph.id}")

    restored = await door.client.post(f"/api/graphs/{graph.id}/restore")
    assert (restored.status_code, restored.json()["id"]) == (200, str(graph.id))
    after = (await door.client.get(f"/api/graphs/{graph.id}")).json()
    assert after | {"updated_at": ""} == before | {"updated_at": ""}
    assert (await door.client.get(f"/api/projects/{project_id}/bin")).json() == {"items": []}


async def test_a_restored_project_brings_back_what_it_had(door: Door) -> None:
    """LIFE-2: not what lay in its bin before."""
    project, in_bin = await binned(door)
    kept = await door.graph(project)
    await door.client.delete(project)
    assert (await door.client.post(f"{in_bin}/restore")).status_code == 404

    assert (await door.client.post(f"{project}/restore")).json()["id"] == str(id_of(project))
    items = (await door.client.get(f"{project}/graphs")).json()["items"]
    assert [item["id"] for item in items] == [str(id_of(kept))]
    assert (await door.client.post(f"{in_bin}/restore")).status_code == 200


def with_unknown_id(address: str) -> str:
    """The same address with an id that nothing has."""
    return "/".join(str(uuid4()) if len(part) == 36 else part for part in address.split("/"))


def told(answer: httpx.Response, address: str) -> tuple[int, str]:
    """The answer without the id that was asked for."""
    (asked,) = [part for part in address.split("/") if len(part) == 36]
    return answer.status_code, answer.text.replace(asked, "ID")


async def test_who_is_admin_of_one_graph_only_takes_it_out_of_the_bin_again(door: Door) -> None:
    """LIFE-3: by its id, since they do not see the bin of its project."""
    graph = await door.graph(await door.project())
    guest = await door.person(None)
    grant = "INSERT INTO graph_roles (graph_id, user_id, role, granted_by) VALUES ($1, $2, 'admin', $2)"
    owner = await asyncpg.connect(door.database_url)
    await owner.execute(grant, id_of(graph), guest)
    await owner.close()
    door.caller = guest

    assert (await door.client.delete(graph)).status_code == 204
    assert (await door.client.post(f"{graph}/restore")).status_code == 200
    assert (await door.client.get(graph)).status_code == 200


@pytest.mark.parametrize("role", ["member", "viewer", None])
async def test_the_bin_is_empty_for_those_who_may_not_manage(door: Door, role: str | None) -> None:
    """LIFE-3: to the letter as what does not exist, and nothing happens."""
    project, graph = await binned(door)
    gone = await door.project()
    await door.client.delete(gone)
    door.caller = await door.person(role)

    assert (await door.client.get("/api/bin")).json() == {"items": []}
    assert (await door.client.get(f"{project}/bin")).status_code == (404 if role is None else 403)
    for method, address in (
        ("GET", graph),
        ("GET", f"{graph}/events"),
        ("POST", f"{graph}/copy"),
        ("POST", f"{graph}/restore"),
        ("DELETE", f"/api/bin/graphs/{id_of(graph)}"),
        ("GET", gone),
        ("GET", f"{gone}/bin"),
        ("GET", f"{gone}/events"),
        ("POST", f"{gone}/restore"),
        ("DELETE", f"/api/bin/projects/{id_of(gone)}"),
    ):
        hidden = await door.client.request(method, address)
        unknown = with_unknown_id(address)
        assert told(hidden, address) == told(await door.client.request(method, unknown), unknown), address
        assert hidden.status_code == 404
    door.caller = ME.user_id
    assert len((await door.client.get(f"{project}/bin")).json()["items"]) == 1
    assert len((await door.client.get("/api/bin")).json()["items"]) == 1


async def test_what_is_not_in_the_bin_is_neither_restored_nor_purged(door: Door) -> None:
    """LIFE-4."""
    project = await door.project()
    graph = await door.graph(project)
    for method, address in (
        ("POST", f"{graph}/restore"),
        ("POST", f"{project}/restore"),
        ("DELETE", f"/api/bin/graphs/{id_of(graph)}"),
        ("DELETE", f"/api/bin/projects/{id_of(project)}"),
    ):
        assert (await door.client.request(method, address)).status_code == 404
    assert (await door.client.get(graph)).status_code == 200


OWNED = """
    SELECT (SELECT count(*) FROM graphs WHERE id = $1) + (SELECT count(*) FROM crdt_operations WHERE graph_id = $1)
"""


async def test_a_purge_leaves_the_history_and_nothing_else(door: Door) -> None:
    """LIFE-4, EVENT-5: a copy stays, and the project still tells of the graph."""
    project = await door.project()
    updates = tuple(build_updates(GraphContent(nodes=(Node("a", "A"),)), 1))
    graph = await Graphs(door.database).create(ME, id_of(project), "Deck", "data", None, updates)
    copy = (await door.client.post(f"/api/graphs/{graph.id}/copy")).json()
    await door.client.delete(f"/api/graphs/{graph.id}")
    purged = await door.client.delete(f"/api/bin/graphs/{graph.id}")

    assert (purged.status_code, purged.content) == (204, b"")
    assert (await door.client.post(f"/api/graphs/{graph.id}/restore")).status_code == 404
    async with door.database.service() as connection:
        assert await connection.fetchval(OWNED, graph.id) == 0
    assert (await door.client.get(f"/api/graphs/{copy['id']}")).json()["parent_graph_id"] is None
    events = (await door.client.get(f"{project}/events")).json()["items"]
    of_graph = [(event["version"], event["event_type"]) for event in events if event["stream_id"] == str(graph.id)]
    assert of_graph == [(3, "graph.purged"), (2, "graph.binned"), (1, "graph.created")]


async def test_a_purged_project_takes_its_graphs_along(door: Door) -> None:
    """LIFE-4."""
    project, in_bin = await binned(door)
    graph = await door.graph(project)
    await door.client.delete(project)
    assert (await door.client.delete(f"/api/bin/projects/{id_of(project)}")).status_code == 204
    async with door.database.service() as connection:
        for one in (graph, in_bin):
            assert await connection.fetchval(OWNED, id_of(one)) == 0
    assert (await door.client.get("/api/bin")).json() == {"items": []}


async def test_events_are_paged_and_for_those_who_may_read(door: Door) -> None:
    """EVENT-5."""
    project = await door.project()
    graph = await door.graph(project)
    for name in ("b", "c", "d"):
        await door.client.patch(graph, json={"name": name})
    door.caller = await door.person("viewer")
    first = (await door.client.get(f"{graph}/events", params={"limit": 3})).json()
    second = (await door.client.get(f"{graph}/events", params={"limit": 3, "before": first["next_before"]})).json()

    assert [event["version"] for event in first["items"] + second["items"]] == [4, 3, 2, 1]
    assert second["next_before"] is None
    assert first["items"][0]["payload"] == {"old": "c", "new": "d"}
    assert first["items"][0]["user_id"] == str(ME.user_id)
    of_project = (await door.client.get(f"{project}/events")).json()["items"]
    assert [event["event_type"] for event in of_project] == ["graph.renamed"] * 3 + ["graph.created", "project.created"]
    for bad in ({"limit": 201}, {"limit": 0}, {"before": 0}, {"before": 2**63}, {"before": "x"}):
        assert (await door.client.get(f"{graph}/events", params=bad)).status_code == 422
    door.caller = await door.person(None)
    assert (await door.client.get(f"{graph}/events")).status_code == 404


async def test_a_rename_reaches_the_document(door: Door) -> None:
    """LIFE-5: what differs, and nothing when nothing does."""
    graph = await door.graph(await door.project())
    await door.client.patch(graph, json={"name": "Rail"})
    assert await meta_of(door, graph) == {"name": "Rail"}
    await door.client.patch(graph, json={"description": "steel"})
    assert await meta_of(door, graph) == {"name": "Rail", "description": "steel"}
    await door.client.patch(graph, json={"name": "Rail"})
    await door.client.patch(graph, json={"description": None})
    assert await meta_of(door, graph) == {"name": "Rail"}
    assert door.editor.summaries == [{"name": "Rail"}, {"description": "steel"}, {}, {"description": None}]


@pytest.mark.parametrize("error", [StoreUnavailableError("no answer"), GraphServedElsewhereError(uuid4())])
async def test_a_rename_that_does_not_reach_the_document_is_completed_by_the_same_again(
    door: Door, error: StoreUnavailableError
) -> None:
    """LIFE-5: the row is the truth."""
    graph = await door.graph(await door.project())
    door.editor.fails_with = error
    answer = await door.client.patch(graph, json={"name": "Rail"})

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert (await door.client.get(graph)).json()["name"] == "Rail"
    assert await meta_of(door, graph) == {}
    assert (await door.client.patch(graph, json={"name": "Rail"})).status_code == 200
    assert await meta_of(door, graph) == {"name": "Rail"}


async def test_after_two_renames_at_once_the_document_has_the_name_of_the_row(door: Door) -> None:
    """LIFE-6: here the second one overtakes the first between its row and its document."""
    graph = await door.graph(await door.project())
    edit = door.editor.edit

    async def overtaken(*arguments: Any) -> Any:
        door.editor.edit = edit  # type: ignore[method-assign]
        assert (await door.client.patch(graph, json={"name": "second"})).status_code == 200
        return await edit(*arguments)

    door.editor.edit = overtaken  # type: ignore[method-assign]
    assert (await door.client.patch(graph, json={"name": "first"})).json()["name"] == "first"
    assert (await door.client.get(graph)).json()["name"] == "second"
    assert await meta_of(door, graph) == {"name": "second"}


def rich_document() -> list[bytes]:
    """A document with a bit of everything: text, deletions, roots and fields nobody knows, wrong kinds, own lineage."""
    doc: Doc[Any] = Doc(client_id=3)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    nodes, edges = doc.get("nodes", type=Map), doc.get("edges", type=Map)
    nodes["a"] = Map({"label": "A", "content": Text("To be"), "unknown": {"deep": [1, None, True]}})
    nodes["own"] = Map({"lineage_id": "0198c0de-0000-7000-8000-000000000001"})
    nodes["wrong"] = Map({"lineage_id": "nonsense"})
    nodes["gone"] = Map({"label": "deleted"})
    nodes["no map"] = 5
    edges["e"] = Map({"source": "a", "target": "own"})
    doc.get("layers", type=Map)["l"] = Map({"name": "L"})
    doc.get("meta", type=Map)["colour"] = "red"
    doc.get("anything", type=Array).extend(["x", Map({"y": 1})])
    del nodes["gone"]
    text = nodes["a"]["content"]
    text += " or not"
    return updates


async def stored_graph(door: Door, updates: list[bytes]) -> UUID:
    project_id = id_of(await door.project())
    rows = [DocumentUpdate(update, 3, "{}", 0) for update in updates]
    return (await Graphs(door.database).create(ME, project_id, "Deck", "plan", "planks", rows)).id


async def test_a_copy_has_the_whole_document(door: Door) -> None:
    """LIFE-7."""
    source_id = await stored_graph(door, rich_document())
    answer = await door.client.post(f"/api/graphs/{source_id}/copy", json={"name": "Second"})
    body = answer.json()

    assert answer.status_code == 201
    assert (body["name"], body["description"], body["graph_type"]) == ("Second", "planks", "plan")
    assert body["parent_graph_id"] == str(source_id)
    source, copy = loaded(await door.document(source_id)), loaded(await door.document(UUID(body["id"])))
    content, copied = read_content(source, source_id), read_content(copy, UUID(body["id"]))
    assert copied == content  # the effective lineage included
    assert "gone" not in copy.get("nodes", type=Map)
    assert copy.get("nodes", type=Map)["no map"] == 5
    assert copy.get("nodes", type=Map)["a"].to_py()["unknown"] == {"deep": [1, None, True]}
    assert copy.get("anything", type=Array).to_py() == ["x", {"y": 1}]
    assert copy.get("meta", type=Map).to_py() == {"colour": "red", "name": "Second"}


async def test_a_copy_has_the_source_s_history_and_one_edit(door: Door) -> None:
    """LIFE-7: an edit of the source merges into the copy; the rest was written by a client nobody used."""
    updates = rich_document()
    source_id = await stored_graph(door, updates[:-1])
    copy_id = UUID((await door.client.post(f"/api/graphs/{source_id}/copy")).json()["id"])
    copy = loaded(await door.document(copy_id))
    copy.apply_update(updates[-1])

    assert str(copy.get("nodes", type=Map)["a"]["content"]) == "To be or not"
    before, after = loaded(await door.document(source_id)), loaded(await door.document(copy_id))
    new = clocks(after.get_state()).keys() - clocks(before.get_state()).keys()
    assert len(new) == 1
    assert max(new) < 2**16


BASE = "SELECT convert_from(content, 'UTF8'), plan_node_id FROM graph_bases WHERE graph_id = $1"


async def test_a_copy_has_a_base_that_is_what_the_source_had(door: Door, owner: asyncpg.Connection) -> None:
    """REPLAY-24."""
    source = await door.graph(await door.project())
    await door.client.post(f"{source}/import", files={"nodes": ("n.csv", b"id,label\na,A\nb,B\n")})
    copy_id = UUID((await door.client.post(f"{source}/copy")).json()["id"])
    content, plan_node_id = await owner.fetchrow(BASE, copy_id)
    told = (await door.client.get(f"/api/graphs/{copy_id}")).json()
    assert plan_node_id is None
    assert orjson.loads(content) == {name: told[name] for name in ("nodes", "edges", "layers")}
    plan_id = await stored_graph(door, rich_document())
    copy_id = UUID((await door.client.post(f"/api/graphs/{plan_id}/copy")).json()["id"])
    assert await owner.fetchrow(BASE, copy_id) is None


async def test_a_copy_of_nothing_is_empty(door: Door) -> None:
    """LIFE-7."""
    graph = await door.graph(await door.project())
    body = (await door.client.post(f"{graph}/copy")).json()
    assert body["name"] == "Deck (copy)"
    assert read_content(loaded(await door.document(UUID(body["id"]))), UUID(body["id"])) == GraphContent()


async def test_the_copy_of_a_long_name_has_a_name(door: Door) -> None:
    """LIFE-7."""
    graph = await door.graph(await door.project())
    await door.client.patch(graph, json={"name": "x" * 200})
    name = (await door.client.post(f"{graph}/copy")).json()["name"]
    assert (len(name), name.endswith("x (copy)")) == (200, True)


async def test_updates_that_wait_are_not_copied(door: Door) -> None:
    """LIFE-7."""
    updates = rich_document()
    source_id = await stored_graph(door, [])
    async with door.database.request(ME, source_id) as connection:
        await connection.execute(
            "INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)"
            " VALUES ($1, $2, '{}', $3, 's', '3')",
            source_id,
            updates[1],
            ME.user_id,
        )
    copy_id = UUID((await door.client.post(f"/api/graphs/{source_id}/copy")).json()["id"])
    async with StoredDocuments(door.database).open(copy_id) as chunks:
        copied = [update async for chunk in chunks for update in chunk.updates]
    assert updates[1] not in copied
    assert len(copied) == 1


async def test_who_may_read_copies_to_where_one_may_edit(door: Door) -> None:
    """LIFE-8."""
    project = await door.project()
    graph = await door.graph(project)
    elsewhere = await door.project()
    body = (await door.client.post(f"{graph}/copy", json={"project_id": str(id_of(elsewhere))})).json()
    assert body["project_id"] == str(id_of(elsewhere))
    for role, status in (("member", 201), ("viewer", 403), (None, 404)):
        door.caller = await door.person(role)
        assert (await door.client.post(f"{graph}/copy")).status_code == status
    door.caller = ME.user_id
    nowhere = await door.client.post(f"{graph}/copy", json={"project_id": str(uuid4())})
    assert nowhere.status_code == 404
    assert (await door.client.post(f"{graph}/copy", json={"name": "\n"})).status_code == 422


async def test_copies_are_made_one_at_a_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """LIFE-8: who waits too long is told to try again."""
    monkeypatch.setattr(turn, "TURN_WAIT_S", 0.001)
    graph = await door.graph(await door.project())
    answers = await asyncio.gather(*(door.client.post(f"{graph}/copy") for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert 201 in {answer.status_code for answer in answers}


async def test_a_large_copy_is_made_in_a_worker_by_small_updates(door: Door) -> None:
    """LIFE-7: all but the document itself within 64 KiB, also with the longest client ids."""
    doc: Doc[Any] = Doc(client_id=2**53 - 1)
    nodes = doc.get("nodes", type=Map)
    with doc.transaction():
        for number in range(5_000):
            nodes[f"node {number}"] = Map({"label": "x", "lineage_id": number})
    document, source_id = doc.get_update(), uuid4()
    workers = Workers()
    try:
        updates = await workers.run(copied_updates, document, source_id, "Copy")
    finally:
        workers.close()

    assert updates[0].data == document
    assert max(len(update.data) for update in updates[1:]) <= MAX_UPDATE_BYTES
    assert len(updates) == 11
    copy = loaded(document)
    for update in updates[1:]:
        copy.apply_update(update.data)
        assert clocks(copy.get_state())[1] == int(update.vector_clock.rpartition(":")[2].rstrip("}"))
    assert read_content(copy, uuid4()) == read_content(doc, source_id)


async def test_a_graph_that_is_purged_while_it_is_renamed_is_not_found(door: Door) -> None:
    """LIFE-5."""
    graph = await door.graph(await door.project())
    door.editor.fails_with = NotFoundError("graph", id_of(graph))
    assert (await door.client.patch(graph, json={"name": "x"})).status_code == 404
