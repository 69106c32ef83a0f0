"""REBUILD: graphs are rebuilt while people edit them, through the real doors."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from persistence.database import Database
from persistence.document import Edge, Layer, Node
from tests.clients.eventually import eventually
from tests.clients.yclient import YClient
from tests.integration.rebuilt import (
    CONTENT,
    Rebuilt,
    change_live,
    drop,
    put,
    rebuilding,
    seen,
    told,
    with_node,
    without_node,
)

BASE = replace(
    CONTENT,
    nodes=(*CONTENT.nodes, Node("d", "Cable"), Node("e", "Lamp")),
    edges=(*CONTENT.edges, Edge("cd", "c", "d", "carries"), Edge("de", "d", "e", "lights")),
)
UPSTREAM = with_node(with_node(BASE, Node("f", "Buoy")), Node("b", "Deck", comment="new upstream"))
OPERATIONS: tuple[dict[str, Any], ...] = (
    {"type": "layer_create", "layer": told(Layer("stone", "Stone"))},
    {"type": "layer_update", "layer_id": "steel", "new_values": {"name": "Steel S355"}},
    {"type": "layer_delete", "layer_id": "wood"},
    {"type": "node_create", "node": told(Node("g", "Gate", layer="stone"))},
    {"type": "node_update", "node_id": "a", "old_values": {"label": "Pier"}, "new_values": {"label": "Pylon"}},
    {"type": "node_delete", "node_id": "e"},
    {"type": "edge_create", "edge": told(Edge("ga", "g", "a", "closes"))},
    {"type": "edge_update", "edge_id": "ab", "new_values": {"label": "carries", "weight": 3}},
    {"type": "edge_delete", "edge_id": "bc"},
)
EDIT_TYPES = [operation["type"] for operation in OPERATIONS]
EDIT_TYPES.insert(EDIT_TYPES.index("node_delete"), "edge_delete")  # of the edge that went with the node
NODE_LABELS = {"a": "Pylon", "b": "Deck", "c": "Rail", "d": "Cable", "g": "Gate"}
EDGE_LABELS = {"ab": "carries", "cd": "carries", "ga": "closes"}


@pytest.fixture
async def rebuilt(database: Database, database_url: str) -> AsyncIterator[Rebuilt]:
    async with rebuilding(database, database_url) as rebuilt:
        yield rebuilt


async def assert_survived(rebuilt: Rebuilt, graph: str) -> None:
    """Rebuild of what is new upstream, and again, and look for all edits."""
    for content, more in ((UPSTREAM, {"f": "Buoy"}), (BASE, {}), (UPSTREAM, {"f": "Buoy"})):
        replayed = await rebuilt.rebuild(graph, content)
        assert replayed["counts"]["applied"] == 10, replayed
        assert await rebuilt.labels(graph) == NODE_LABELS | EDGE_LABELS | more
        shown = await rebuilt.shown(graph)
        assert (shown["steel"]["name"], shown["stone"]["name"], shown["ab"]["weight"]) == ("Steel S355", "Stone", 3)
        assert "wood" not in shown
        assert ("comment" in shown["b"]) is (content is UPSTREAM)
    again = await rebuilt.rebuild(graph)
    assert (again["counts"]["applied"], again["counts"]["updates"]) == (10, 0)


async def test_REBUILD_1_all_nine_posted_edits_are_there_after_every_rebuild(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed(BASE)
    posted = await rebuilt.operate(graph, *OPERATIONS)
    assert (posted["applied"], posted["already_applied"]) == (9, 0)
    edits = await rebuilt.edits(graph)
    assert [edit["operation_type"] for edit in edits] == EDIT_TYPES
    await assert_survived(rebuilt, graph)
    edits = await rebuilt.edits(graph, active=True)
    assert len(edits) == 10
    assert all(edit["last_applied_at"] for edit in edits)


async def test_REBUILD_1_all_nine_live_edits_are_there_after_every_rebuild(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed(BASE)
    async with YClient(rebuilt.served.url(graph)) as person:
        for change in (
            put("layers", "stone", name="Stone"),
            put("layers", "steel", name="Steel S355"),
            drop("layers", "wood"),
            put("nodes", "g", label="Gate", layer="stone"),
            put("nodes", "a", label="Pylon"),
            drop("edges", "de"),  # as the page does: what hangs on a node goes before it
            drop("nodes", "e"),
            put("edges", "ga", source="g", target="a", label="closes"),
            put("edges", "ab", label="carries", weight=3.0),
            drop("edges", "bc"),
        ):
            await change_live(person, change)
        await person.saved()
        for content in (UPSTREAM, BASE, UPSTREAM):
            await rebuilt.rebuild(graph, content)
            more = {"f": "Buoy"} if content is UPSTREAM else {}
            assert await rebuilt.labels(graph) == NODE_LABELS | EDGE_LABELS | more
        again = await rebuilt.rebuild(graph)
        assert (again["counts"]["updates"], again["counts"]["failed"], again["counts"]["inapplicable"]) == (0, 0, 0)

        async def labels() -> dict[str, str]:
            return {id_: node["label"] for id_, node in seen(person, "nodes").items()}

        await eventually(labels, lambda found: found == NODE_LABELS | {"f": "Buoy"})


async def test_REBUILD_3_two_people_type_while_a_graph_is_rebuilt_20_times(rebuilt: Rebuilt) -> None:
    """REBUILD-3: each changes nodes of their own, and one that is changed upstream each time, to the last moment."""
    graph = await rebuilt.computed()
    rebuilds_done = asyncio.Event()

    async def types(person: YClient, name: str) -> int:
        for count in itertools.count():
            await change_live(person, put("nodes", f"{name}{count}", label=f"{name} {count}"))
            await change_live(person, put("nodes", "a" if name == "one" else "b", comment=f"{name} {count}"))
            await person.saved()
            if rebuilds_done.is_set():
                await change_live(person, put("nodes", "c", **{"comment" if name == "one" else "label": f"by {name}"}))
                await person.saved()
                return count + 1
        raise AssertionError

    url = rebuilt.served.url(graph)
    async with YClient(url) as one, YClient(url) as two, asyncio.TaskGroup() as typing:
        counts = [typing.create_task(types(one, "one")), typing.create_task(types(two, "two"))]
        for number in range(20):
            await rebuilt.rebuild(graph, with_node(CONTENT, Node("c", f"Rail {number}", comment=f"upstream {number}")))
        rebuilds_done.set()
        ones, twos = [await count for count in counts]
        made = {f"one{count}": f"one {count}" for count in range(ones)} | {
            f"two{count}": f"two {count}" for count in range(twos)
        }
        expected = {"a": "Pier", "b": "Deck", "c": "by two"} | made
        await rebuilt.rebuild(graph)

        async def labels() -> list[dict[str, str]]:
            return [{id_: node["label"] for id_, node in seen(person, "nodes").items()} for person in (one, two)]

        await eventually(labels, lambda both: both == [expected, expected])
        assert (await rebuilt.shown(graph))["c"]["comment"] == "by one"
    again = await rebuilt.rebuild(graph)
    assert again["counts"]["updates"] == 0
    active = await rebuilt.all_edits(graph, active=True)
    created = [edit["entity_id"] for edit in active if edit["operation_type"] == "node_create"]
    assert sorted(created) == sorted(made), "each once"


async def test_REBUILD_4_an_edit_is_left_out_and_comes_back(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    await rebuilt.operate(graph, {"type": "node_update", "node_id": "a", "new_values": {"label": "Pylon"}})
    (edit,) = await rebuilt.edits(graph)
    path = f"/api/graphs/{graph}/edits/{edit['id']}"
    left_out = await rebuilt.post(f"{path}/deactivate", reason="a mistake")
    assert (left_out["is_active"], left_out["deactivation_reason"]) == (False, "a mistake")
    assert (await rebuilt.labels(graph))["a"] == "Pier"
    assert [await rebuilt.edits(graph, active=active) for active in (True, False)] == [[], [left_out]]
    back = await rebuilt.post(f"{path}/reactivate")
    assert (back["is_active"], back["deactivated_at"], back["deactivation_reason"]) == (True, None, None)
    assert (await rebuilt.labels(graph))["a"] == "Pylon"
    replays = (await rebuilt.get(f"/api/graphs/{graph}/replays"))["items"]
    assert [replay["cause"] for replay in replays] == ["edits", "edits"]
    assert (await rebuilt.http.post(f"/api/graphs/{graph}/edits/{uuid4()}/deactivate")).status_code == 404


async def in_conflict(rebuilt: Rebuilt, policy: str) -> tuple[str, dict[str, Any]]:
    """Rename a node here and upstream, rebuild, and return the graph with what was told."""
    graph = await rebuilt.computed()
    await rebuilt.set_rules(graph, conflicts=policy)
    await rebuilt.operate(graph, {"type": "node_update", "node_id": "a", "new_values": {"label": "mine"}})
    replayed = await rebuilt.rebuild(graph, with_node(CONTENT, Node("a", "theirs", layer="steel")))
    assert replayed["counts"]["conflicts"] == 1, replayed
    (conflict,) = replayed["conflicts"]
    assert conflict["reason"] == "value_changed"
    assert conflict["fields"] == {"label": {"old": "Pier", "upstream": "theirs", "mine": "mine"}}
    assert conflict["settled"] is (policy != "ask")
    return graph, replayed


async def test_REBUILD_5_mine_wins_and_is_told_once(rebuilt: Rebuilt) -> None:
    graph, _ = await in_conflict(rebuilt, "mine")
    assert (await rebuilt.labels(graph))["a"] == "mine"
    assert (await rebuilt.get(f"/api/graphs/{graph}/conflicts"))["items"] == []
    again = await rebuilt.rebuild(graph)
    assert (again["counts"]["conflicts"], again["counts"]["applied"]) == (0, 1)


async def test_REBUILD_5_theirs_wins_and_the_edit_is_left_out(rebuilt: Rebuilt) -> None:
    graph, _ = await in_conflict(rebuilt, "theirs")
    assert (await rebuilt.labels(graph))["a"] == "theirs"
    (edit,) = await rebuilt.edits(graph, active=False)
    assert edit["deactivation_reason"] == "theirs"


@pytest.mark.parametrize("keep", ["mine", "theirs"])
async def test_REBUILD_5_who_is_asked_settles(rebuilt: Rebuilt, keep: str) -> None:
    graph, _ = await in_conflict(rebuilt, "ask")
    assert (await rebuilt.labels(graph))["a"] == "mine"
    assert (await rebuilt.rebuild(graph))["counts"]["conflicts"] == 1, "until it is settled"
    (conflict,) = (await rebuilt.get(f"/api/graphs/{graph}/conflicts"))["items"]
    assert conflict["edit"]["is_open_conflict"] is True
    assert conflict["fields"]["label"]["upstream"] == "theirs"
    settled = await rebuilt.post(f"/api/graphs/{graph}/conflicts/{conflict['edit']['id']}", keep=keep)
    assert (settled["is_active"], settled["is_open_conflict"]) == (keep == "mine", False)
    assert (await rebuilt.labels(graph))["a"] == keep
    again = await rebuilt.rebuild(graph)
    assert (again["counts"]["conflicts"], again["counts"]["applied"]) == (0, int(keep == "mine"))
    assert (await rebuilt.labels(graph))["a"] == keep
    twice = await rebuilt.http.post(f"/api/graphs/{graph}/conflicts/{conflict['edit']['id']}", json={"keep": keep})
    assert twice.status_code == 404


async def test_REBUILD_5_of_all_who_settle_at_once_one_does(rebuilt: Rebuilt) -> None:
    """REBUILD-5: and what somebody wrote into the edit since the conflict was told stays in it."""
    graph, _ = await in_conflict(rebuilt, "ask")
    await rebuilt.operate(graph, {"type": "node_update", "node_id": "a", "new_values": {"comment": "later"}})
    (conflict,) = (await rebuilt.get(f"/api/graphs/{graph}/conflicts"))["items"]
    path = f"/api/graphs/{graph}/conflicts/{conflict['edit']['id']}"
    answers = await asyncio.gather(*(rebuilt.http.post(path, json={"keep": "mine"}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    again = await rebuilt.rebuild(graph)
    assert (again["counts"]["conflicts"], again["counts"]["failed"]) == (0, 0)
    node = (await rebuilt.shown(graph))["a"]
    assert (node["label"], node["comment"]) == ("mine", "later")


async def test_REBUILD_5_a_conflict_that_upstream_takes_back_is_open_no_more(rebuilt: Rebuilt) -> None:
    graph, _ = await in_conflict(rebuilt, "ask")
    await rebuilt.rebuild(graph, CONTENT)
    assert (await rebuilt.get(f"/api/graphs/{graph}/conflicts"))["items"] == []
    assert [edit["is_open_conflict"] for edit in await rebuilt.edits(graph)] == [False]


async def test_REBUILD_6_a_preview_tells_and_writes_nothing(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    await rebuilt.operate(graph, {"type": "node_update", "node_id": "c", "new_values": {"label": "Railing"}})
    await rebuilt.rebase(graph, without_node(CONTENT, "c"))
    before = await rebuilt.shown(graph)
    preview = await rebuilt.post(f"/api/graphs/{graph}/replay/preview")
    assert preview["counts"]["inapplicable"] == 1
    assert preview["inapplicable"][0]["reason"] == "entity_missing"
    assert preview["entities"]["deleted"] == {"nodes": 1, "edges": 1}
    assert {(change["root"], change["id"]) for change in preview["changes"]} == {("nodes", "c"), ("edges", "bc")}
    assert await rebuilt.shown(graph) == before
    assert (await rebuilt.get(f"/api/graphs/{graph}/replays"))["items"] == []
    replayed = await rebuilt.rebuild(graph)
    assert replayed["inapplicable"] == preview["inapplicable"]
    assert set(await rebuilt.shown(graph)) == set(before) - {"c", "bc"}


async def test_REBUILD_7_copies_follow_their_parent_and_keep_their_own_edits(rebuilt: Rebuilt) -> None:
    parent = await rebuilt.computed()
    child = (await rebuilt.post(f"/api/graphs/{parent}/copy"))["id"]
    grandchild = (await rebuilt.post(f"/api/graphs/{child}/copy"))["id"]
    await rebuilt.operate(child, {"type": "node_update", "node_id": "a", "new_values": {"label": "of the child"}})
    changed = with_node(with_node(CONTENT, Node("a", "of the parent")), Node("x", "new"))
    await rebuilt.rebuild(parent, changed)
    parts = {"ab": "bears", "bc": "holds", "b": "Deck", "c": "Rail", "x": "new", "a": "of the child"}
    for copy in (child, grandchild):
        await eventually(lambda copy=copy: rebuilt.labels(copy), lambda found: found == parts)
    (replay,) = (await rebuilt.get(f"/api/graphs/{child}/replays"))["items"]
    assert (replay["cause"], replay["counts"]["conflicts"]) == ("parent", 1)


async def test_REBUILD_7_copies_follow_by_hand_alone_if_the_project_says_so(rebuilt: Rebuilt) -> None:
    parent = await rebuilt.computed()
    await rebuilt.set_rules(parent, automatic=False)
    child = (await rebuilt.post(f"/api/graphs/{parent}/copy"))["id"]
    await rebuilt.rebuild(parent, with_node(CONTENT, Node("x", "new")))
    assert "x" not in await rebuilt.labels(child)
    await rebuilt.rebuild(child)
    assert (await rebuilt.labels(child))["x"] == "new"
    replays = (await rebuilt.get(f"/api/graphs/{child}/replays"))["items"]
    assert [replay["cause"] for replay in replays] == ["request"], "no other came before"


async def test_REBUILD_7_a_copy_takes_what_people_made_of_its_parent(rebuilt: Rebuilt) -> None:
    """REBUILD-7: also what is no replay there; a preview tells of it before."""
    parent = await rebuilt.computed()
    child = (await rebuilt.post(f"/api/graphs/{parent}/copy"))["id"]
    await rebuilt.operate(child, {"type": "node_update", "node_id": "b", "new_values": {"label": "of the child"}})
    await rebuilt.operate(parent, {"type": "node_update", "node_id": "a", "new_values": {"label": "of the parent"}})
    preview = await rebuilt.post(f"/api/graphs/{child}/replay/preview")
    assert preview["entities"]["changed"] == {"nodes": 1}
    assert (await rebuilt.shown(child))["a"]["label"] == "Pier"
    await rebuilt.rebuild(child)
    shown = await rebuilt.shown(child)
    assert (shown["a"]["label"], shown["b"]["label"]) == ("of the parent", "of the child")


async def test_REBUILD_8_what_was_removed_whole_comes_back_whole(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    async with YClient(rebuilt.served.url(graph)) as person:
        await change_live(person, put("nodes", "c", position={"x": 3.0, "y": 4.0}, colour="red"))
        await person.saved()
        gone = await rebuilt.rebuild(graph, without_node(CONTENT, "c"))
        assert gone["counts"]["removed"] == 1
        replay = await rebuilt.get(f"/api/graphs/{graph}/replays/{gone['replay_id']}")
        (removed,) = replay["removed_entities"]
        assert (removed["root"], removed["id"], removed["fields"]["colour"]) == ("nodes", "c", "red")
        assert "c" not in await rebuilt.shown(graph)
        await rebuilt.rebuild(graph, CONTENT)
        node = (await rebuilt.shown(graph))["c"]
        assert (node["label"], node["position"]) == ("Rail", {"x": 3, "y": 4})

        async def colours() -> list[Any]:
            return [node.get("colour") for node in seen(person, "nodes").values() if "colour" in node]

        await eventually(colours, lambda found: found == ["red"])


async def test_REBUILD_9_posted_operations_are_all_made_or_none(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    path = f"/api/graphs/{graph}/operations"
    one = {"type": "node_create", "node": {"id": "z", "label": "Zinc"}}
    refused = await rebuilt.http.post(
        path, json={"operations": [one, {"type": "node_update", "node_id": "nobody", "new_values": {"label": "x"}}]}
    )
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["reason"], problem["index"]) == (
        *(409, "inapplicable", "entity_missing", 1),
    )
    conflict = await rebuilt.http.post(
        path, json={"type": "node_update", "node_id": "a", "old_values": {"label": "old"}, "new_values": {"label": "x"}}
    )
    assert (conflict.status_code, conflict.json()["reason"]) == (409, "value_changed")
    assert conflict.json()["fields"]["label"]["upstream"] == "Pier"
    wrong = await rebuilt.http.post(
        path,
        json={"operations": [one, {"type": "edge_create", "edge": {"id": "e"}}, {"type": "node_delete"}]},
    )
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_operation")
    fields = [error["field"] for error in wrong.json()["errors"]]
    assert fields == ["operations.1.edge.source", "operations.1.edge.target", "operations.2.node_id"]
    exploded = await rebuilt.http.post(path, json={"type": "node_explode"})
    assert (exploded.status_code, [error["field"] for error in exploded.json()["errors"]]) == (422, ["one.type"])
    many = await rebuilt.http.post(path, json={"operations": [one] * 1001})
    assert (many.status_code, [error["field"] for error in many.json()["errors"]]) == (422, ["many.operations"])
    assert "z" not in await rebuilt.shown(graph)
    assert await rebuilt.edits(graph) == []
    made = await rebuilt.operate(graph, one, one, {"type": "edge_create", "edge": told(Edge("za", "z", "a"))})
    assert (made["applied"], made["already_applied"]) == (2, 1)
    assert [edit["entity_id"] for edit in await rebuilt.edits(graph)] == ["z", "za"]


async def test_REBUILD_9_edits_are_listed_page_by_page(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    await rebuilt.operate(
        graph, *({"type": "node_create", "node": {"id": f"n{number}", "label": "N"}} for number in range(5))
    )
    found: list[str] = []
    after: int | None = 0
    while after is not None:
        page = await rebuilt.get(f"/api/graphs/{graph}/edits", after=after, limit=2)
        found += (edit["entity_id"] for edit in page["items"])
        after = page["next_after"]
    assert found == [f"n{number}" for number in range(5)]


async def test_REBUILD_9_replays_are_listed_page_by_page(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    made = [(await rebuilt.rebuild(graph))["replay_id"] for _ in range(3)]
    first = await rebuilt.get(f"/api/graphs/{graph}/replays", limit=2)
    rest = await rebuilt.get(f"/api/graphs/{graph}/replays", limit=2, before=first["next_before"])
    assert [replay["id"] for replay in [*first["items"], *rest["items"]]] == made[::-1]
    assert rest["next_before"] is None


async def test_REBUILD_10_who_may_only_read_looks_and_a_graph_without_base_is_told_so(rebuilt: Rebuilt) -> None:
    graph, plain = await rebuilt.computed(), await rebuilt.served.create_graph()
    nobase = await rebuilt.http.post(f"/api/graphs/{plain}/replay")
    assert (nobase.status_code, nobase.json()["code"]) == (409, "no_base")
    assert await rebuilt.edits(plain) == []
    operation = {"type": "node_delete", "node_id": "a"}
    async with rebuilt.served.http("viewer") as viewer, rebuilt.served.http("stranger") as stranger:
        for path, body, status in (
            ("replay", None, 403),
            ("replay/preview", None, 200),
            ("operations", operation, 403),
            (f"edits/{uuid4()}/deactivate", None, 403),
            (f"conflicts/{uuid4()}", {"keep": "mine"}, 403),
        ):
            assert (await viewer.post(f"/api/graphs/{graph}/{path}", json=body)).status_code == status, path
            assert (await stranger.post(f"/api/graphs/{graph}/{path}", json=body)).status_code == 404, path
        for path in ("edits", "conflicts", "replays"):
            assert (await viewer.get(f"/api/graphs/{graph}/{path}")).status_code == 200, path
            assert (await stranger.get(f"/api/graphs/{graph}/{path}")).status_code == 404, path


async def test_REBUILD_11_a_project_says_how_its_graphs_are_rebuilt(rebuilt: Rebuilt) -> None:
    graph = await rebuilt.computed()
    project = (await rebuilt.get(f"/api/graphs/{graph}"))["project_id"]
    path = f"/api/projects/{project}/replay-rules"
    assert await rebuilt.get(path) == {"automatic": True, "conflicts": "mine"}
    changed = await rebuilt.http.patch(path, json={"conflicts": "ask"})
    assert changed.json() == await rebuilt.get(path) == {"automatic": True, "conflicts": "ask"}
    assert (await rebuilt.http.patch(path, json={"conflict": "mine"})).status_code == 422
    assert (await rebuilt.http.patch(path, json={"automatic": False})).json() == {
        "automatic": False,
        "conflicts": "ask",
    }
    events = (await rebuilt.get(f"/api/projects/{project}/events"))["items"]
    assert [event["event_type"] for event in events[:2]] == ["project.replay_rules_changed"] * 2


async def test_REBUILD_2_what_is_not_captured_in_time_is_told_and_nothing_is_changed(
    database: Database, database_url: str
) -> None:
    async with rebuilding(database, database_url, capture_timeout_s=0.2) as rebuilt:
        graph = await rebuilt.computed()
        await rebuilt.operate(graph, {"type": "node_delete", "node_id": "b"})
        await rebuilt.edits(graph)
        before = await rebuilt.shown(graph)
        async with rebuilt.owner.transaction():
            await rebuilt.owner.execute("SELECT FROM graph_bases FOR UPDATE")  # the follower waits
            await rebuilt.operate(graph, {"type": "node_update", "node_id": "a", "new_values": {"label": "Pylon"}})
            refused = await rebuilt.http.post(f"/api/graphs/{graph}/replay")
            assert (refused.status_code, refused.json()["code"]) == (503, "capture_behind")
            assert "maintenance" in refused.json()["detail"]
        assert {**before, "a": {**before["a"], "label": "Pylon"}} == await rebuilt.shown(graph)
        assert (await rebuilt.get(f"/api/graphs/{graph}/replays"))["items"] == []


async def test_REBUILD_14_who_waits_too_long_over_http_is_told_what_to_do(
    database: Database, database_url: str
) -> None:
    async with rebuilding(database, database_url, edit_timeout_s=0.3) as rebuilt:
        graph = await rebuilt.computed()
        await rebuilt.edits(graph)
        async with rebuilt.owner.transaction():
            await rebuilt.owner.execute("SELECT FROM graph_bases FOR UPDATE")  # the follower waits
            answer = await rebuilt.http.post(f"/api/graphs/{graph}/replay")
        assert (answer.status_code, answer.json()["code"]) == (503, "rebuild_timeout")
        assert "look at its replays" in answer.json()["detail"]
