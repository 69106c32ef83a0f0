"""Plans are run over HTTP: what they make, what is not done again, and how a run ends (SPEC.md, EXEC)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
from typer.testing import CliRunner

from auth.policy import OPERATOR
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.projects import Projects
from persistence.records import Caller
from replay.executions import SUPERSEDED, ExecutionRunningError, Executions
from replay.plan_reading import read_plan
from server.commands import app
from server.commands.catalogue import nothing_is_live
from server.executions import PlanRuns, build_plan_runs
from server.node import running_node
from server.rebuilding import build_rebuilds
from server.settings import Settings
from tests.clients.eventually import eventually
from tests.faults.harness import Server
from tests.integration.http_door import WORKERS
from tests.integration.planned import BRIDGE, FILES, NODES, Planned, labels, plan_of, planning, statuses, step, table
from tests.integration.served import PEOPLE
from workspace.catalogue import Catalogue

LOCK = "LOCK TABLE plan_results IN SHARE MODE"
"""Results can be read and not be written: a run waits at its first node that is not unchanged."""

HIDE = """
    INSERT INTO graph_roles (graph_id, user_id, role, granted_by)
    SELECT $1, id, 'none', $2 FROM users WHERE username = 'viewer'
"""
ALL = ("edges", "layers", "nodes", "all", "bridge", "json", "short", "labels", "dot")
MORE_NODES = NODES + b"n4,Tower,steel\n"


@pytest.fixture
async def planned(database: Database, database_url: str) -> AsyncIterator[Planned]:
    async with planning(database, database_url) as planned:
        yield planned


@asynccontextmanager
async def held_up(database_url: str) -> AsyncIterator[None]:
    """Let no run go on for the length of the block."""
    owner = await asyncpg.connect(database_url)
    try:
        async with owner.transaction():
            await owner.execute(LOCK)
            yield
    finally:
        await owner.close()


async def begun(planned: Planned) -> str:
    """Begin a run and return its id once its first node runs."""
    execution_id = await planned.start()
    await eventually(lambda: planned.execution(execution_id), lambda one: one["nodes"][0]["status"] == "running")
    return execution_id


async def test_EXEC_1_a_run_makes_graphs_and_files(planned: Planned) -> None:
    """EXEC-1: by default all that make a graph or a file, each after what it is computed from."""
    execution = await planned.run()

    assert execution["status"] == "completed", execution
    assert tuple(statuses(execution)) == ALL
    assert set(statuses(execution).values()) == {"completed"}
    bridge = await planned.graph(execution["graphs"]["bridge"])
    assert (bridge["name"], bridge["graph_type"]) == ("Bridge", "computed")
    assert labels(bridge) == {"n1": "Pier", "n2": "Deck", "n3": "Rail"}
    assert [edge["id"] for edge in bridge["edges"]] == ["e1", "e2"]
    short = await planned.graph(execution["graphs"]["labels"])
    assert (short["name"], labels(short)) == ("Short labels", {"n1": "Pie", "n2": "Dec", "n3": "Rai"})
    events = (await planned.http.get(f"/api/graphs/{short['id']}/events")).json()["items"]
    assert [event["event_type"] for event in events] == ["graph.computed"]
    files = {output["node_id"]: await planned.http.get(output["url"]) for output in execution["outputs"]}
    assert b'"Dec"' in files["dot"].content
    assert files["dot"].headers["content-type"].startswith("text/vnd.graphviz")
    assert labels(files["json"].json()) == labels(bridge)
    assert 'filename="bridge.json"' in files["json"].headers["content-disposition"]
    assert [one["size_bytes"] for one in execution["outputs"]] == [len(files[n].content) for n in ("json", "dot")]


async def test_EXEC_1_a_run_of_targets_leaves_out_the_rest(planned: Planned) -> None:
    """EXEC-1: and names what the plan does not have."""
    assert tuple(statuses(await planned.run("json"))) == ("edges", "layers", "nodes", "all", "json")
    refused = await planned.http.post(planned.path, json={"targets": ["json", "nothing"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_targets")
    await planned.write(plan_of([]))
    empty = await planned.http.post(planned.path)
    assert (empty.status_code, empty.json()["code"]) == (422, "unknown_targets")
    await planned.write(plan_of([step("copy", "CopyNode")]))
    broken = await planned.http.post(planned.path)
    assert (broken.status_code, broken.json()["code"]) == (422, "invalid_plan")
    assert broken.json()["errors"][0]["node_id"] == "copy"


async def test_EXEC_2_what_would_be_the_same_is_not_done_again(planned: Planned) -> None:
    """EXEC-2: neither computed nor rebuilt; the files are the new run's, too."""
    first = await planned.run()
    again = await planned.run()

    assert set(statuses(again).values()) == {"unchanged"}
    assert again["graphs"] == first["graphs"]
    for old, new in zip(first["outputs"], again["outputs"], strict=True):
        assert (await planned.http.get(old["url"])).content == (await planned.http.get(new["url"])).content
    replays = await planned.http.get(f"/api/graphs/{first['graphs']['bridge']}/replays")
    assert replays.json()["items"] == []


@pytest.mark.parametrize(
    ("change", "affected"),
    [
        ("data", {"nodes": "data", "all": "", "bridge": "data", "json": "", "short": "", "labels": "data", "dot": ""}),
        ("transform", {"short": "", "labels": "plan", "dot": ""}),
        ("source", {"all": "", "bridge": "plan", "json": "", "short": "", "labels": "plan", "dot": "", "more": ""}),
    ],
)
async def test_EXEC_2_only_what_a_change_affects_is_done_again(
    planned: Planned, change: str, affected: dict[str, str]
) -> None:
    """EXEC-2 and EXEC-3: the run tells why; people's edits are there again."""
    graphs = (await planned.run())["graphs"]
    await planned.relabel(graphs["bridge"], "n1", "Pier", "Pylon")
    await planned.relabel(graphs["labels"], "n2", "Dec", "DECK")
    await planned.run()  # what shows the edit
    await planned.write(**await changed(planned, change))
    execution = await planned.run()

    assert execution["status"] == "completed", execution
    done = {node["id"] for node in execution["nodes"] if node["status"] == "completed"}
    assert done == set(affected)
    changes = {node["id"]: node["change"] for node in execution["nodes"] if node["change"]}
    assert changes == {node: why for node, why in affected.items() if node in ("bridge", "labels")}
    assert execution["graphs"] == graphs
    assert labels(await planned.graph(graphs["bridge"]))["n1"] == "Pylon"
    assert labels(await planned.graph(graphs["labels"]))["n2"] == "DECK"
    assert ("n4" in labels(await planned.graph(graphs["bridge"]))) is (change != "transform")


async def changed(planned: Planned, change: str) -> dict[str, Any]:
    """Return what is written for a change."""
    if change == "data":
        return {"nodes_csv": MORE_NODES}
    nodes, edges = list(BRIDGE["nodes"]), BRIDGE["edges"]
    if change == "transform":
        nodes[5] = step("short", "TransformNode", transformConfig={"nodeLabelMaxLength": 2})
        return {"plan": {**BRIDGE, "nodes": nodes}}
    nodes.append(table("more", "more.csv", "Nodes"))
    wire = {"id": "more-all", "source": "more", "target": "all"}
    return {"plan": {**BRIDGE, "nodes": nodes, "edges": [*edges, wire]}, "more_csv": b"id,label\nn4,Tower\n"}


async def test_EXEC_3_what_comes_after_a_graph_sees_it_with_its_edits(planned: Planned) -> None:
    """EXEC-3: in graphs and in files, though nothing of the plan or its data changed."""
    graphs = (await planned.run())["graphs"]
    await planned.relabel(graphs["bridge"], "n1", "Pier", "Obelisk")
    execution = await planned.run()

    assert {node for node, status in statuses(execution).items() if status == "completed"} == {"short", "labels", "dot"}
    assert labels(await planned.graph(graphs["labels"]))["n1"] == "Obe"
    dot = next(output for output in execution["outputs"] if output["node_id"] == "dot")
    assert b'"Obe"' in (await planned.http.get(dot["url"])).content


async def test_EXEC_3_a_graph_in_the_bin_is_made_anew(planned: Planned) -> None:
    """EXEC-3."""
    graphs = (await planned.run())["graphs"]
    (await planned.http.delete(f"/api/graphs/{graphs['bridge']}")).raise_for_status()
    execution = await planned.run()

    assert execution["graphs"]["bridge"] != graphs["bridge"]
    assert labels(await planned.graph(execution["graphs"]["bridge"]))["n1"] == "Pier"
    assert {node["id"]: node["change"] for node in execution["nodes"]}["bridge"] == "new"


async def test_EXEC_3_a_plan_refers_to_a_graph_as_it_is_now(planned: Planned) -> None:
    """EXEC-3: of its own project."""
    graph_id = (await planned.run("bridge"))["graphs"]["bridge"]
    nodes = [step("it", "GraphNode", graphId=graph_id), step("copy", "CopyNode")]
    await planned.write(plan_of(nodes, "it copy"))
    execution = await planned.run()

    assert execution["graphs"]["it"] == graph_id
    assert labels(await planned.graph(execution["graphs"]["copy"]))["n1"] == "Pier"
    assert set(statuses(await planned.run()).values()) == {"unchanged"}
    foreign = await planned.served.create_graph()
    await planned.write(plan_of([step("it", "GraphNode", graphId=foreign), step("copy", "CopyNode")], "it copy"))
    failed = await planned.run()
    assert statuses(failed) == {"it": "failed", "copy": "skipped"}
    assert "another project" in failed["nodes"][0]["error"]


async def test_EXEC_4_a_node_that_fails_ends_what_comes_after_it_alone(planned: Planned) -> None:
    """EXEC-4: the run says where it failed, down to the line of a table."""
    await planned.write(edges_csv=b"id,source,target,weight\ne1,n1,n2,heavy\n")
    nodes = [*BRIDGE["nodes"], step("islands", "GraphNode")]
    wire = {"id": "nodes-islands", "source": "nodes", "target": "islands"}
    await planned.write({**BRIDGE, "nodes": nodes, "edges": [*BRIDGE["edges"], wire]})
    execution = await planned.run()

    told = statuses(execution)
    assert execution["status"] == "failed"
    assert (told["edges"], told["all"], told["bridge"], told["islands"]) == (
        "failed",
        "skipped",
        "skipped",
        "completed",
    )
    assert "edges.csv:2" in execution["error"]
    await planned.write(edges_csv=b"id,source,target\ne1,n1,nowhere\n")
    lost = await planned.run()
    assert "nowhere" in lost["error"]
    assert statuses(lost)["bridge"] == "failed"


async def test_EXEC_4_an_input_that_is_not_there_is_named(planned: Planned) -> None:
    """EXEC-4."""
    await planned.write(plan_of([table("in", "gone.csv", "Nodes"), step("graph", "GraphNode")], "in graph"))
    assert "gone.csv" in (await planned.run())["error"]


async def test_EXEC_5_a_run_is_cancelled_before_its_next_node(planned: Planned) -> None:
    """EXEC-5: what was done stays; to cancel it again changes nothing."""
    async with held_up(planned.database_url):
        execution_id = await begun(planned)
        assert (await planned.http.post(f"/api/executions/{execution_id}/cancel")).status_code == 202
    execution = await planned.ended(execution_id)

    assert (execution["status"], execution["error"]) == ("cancelled", "it was cancelled")
    assert list(statuses(execution).values()) == ["completed", *["cancelled"] * 8]
    assert (await planned.http.post(f"/api/executions/{execution_id}/cancel")).status_code == 202
    assert await planned.execution(execution_id) == execution
    assert statuses(await planned.run())["edges"] == "unchanged"


async def test_EXEC_5_a_run_that_waits_is_cancelled_at_once(database: Database, database_url: str) -> None:
    """EXEC-5 and EXEC-11: so many go on at once, the others wait."""
    async with planning(database, database_url, executions_at_once=1) as planned, held_up(database_url):
        await begun(planned)
        other = (await planned.http.post("/api/projects", json={"name": "Lake"})).json()["id"]
        second = Planned(planned.served, planned.http, database_url, other)
        await second.write(BRIDGE)
        waiting = await second.start()
        await second.http.post(f"/api/executions/{waiting}/cancel")
        assert (await second.ended(waiting))["status"] == "cancelled"


async def test_EXEC_5_a_server_that_stops_tells_what_it_ran(database: Database, database_url: str) -> None:
    """EXEC-5."""
    async with held_up(database_url), planning(database, database_url) as planned:
        execution_id = await begun(planned)
    row = await database_row(database_url, execution_id)
    assert row["status"] == "cancelled"
    assert "run it again" in row["error_message"]


async def database_row(database_url: str, execution_id: str) -> asyncpg.Record:
    owner = await asyncpg.connect(database_url)
    try:
        row = await owner.fetchrow("SELECT status, error_message FROM plan_executions WHERE id = $1", execution_id)
    finally:
        await owner.close()
    assert row is not None
    return row


async def test_EXEC_5_a_run_that_takes_too_long_fails(database: Database, database_url: str) -> None:
    """EXEC-5."""
    async with planning(database, database_url, execution_timeout_s=0.3) as planned, held_up(database_url):
        execution = await planned.ended(await planned.start())
    assert execution["status"] == "failed"
    assert "LAYERCAKE_EXECUTION_TIMEOUT_S" in execution["error"]


async def test_EXEC_6_a_project_is_run_once_at_a_time(planned: Planned) -> None:
    """EXEC-6."""
    async with held_up(planned.database_url):
        execution_id = await begun(planned)
        refused = await planned.http.post(planned.path)
        assert (refused.status_code, refused.json()["code"]) == (409, "execution_running")
    await planned.ended(execution_id)
    assert (await planned.run())["status"] == "completed"


class Caught:
    """Nobody edits what the other server rebuilds."""

    async def catch_up(self, graph_id: UUID, within_s: float | None = None) -> None: ...


@asynccontextmanager
async def running_plans(database: Database) -> AsyncIterator[PlanRuns]:
    """What runs plans in another server on the same database."""
    async with running_node(Settings(), database, WORKERS) as node:
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        rebuilds = build_rebuilds(database, node, Caught())
        runs = build_plan_runs(Settings(), database, node, catalogue, rebuilds)
        tasks = [asyncio.create_task(work) for work in runs.work()]
        await asyncio.sleep(0)
        try:
            yield runs
        finally:
            await runs.executions.stop(5)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_EXEC_6_two_servers_do_not_run_a_project_at_once(planned: Planned, database: Database) -> None:
    """EXEC-6: what one began the other sees, follows and cancels."""
    project_id = UUID(planned.project_id)
    async with running_plans(database) as other:
        async with held_up(planned.database_url):
            execution_id = UUID(await begun(planned))
            with pytest.raises(ExecutionRunningError):
                await other.executions.start(OPERATOR, project_id)
            await other.executions.cancel(OPERATOR, execution_id)
        seen = [one async for one in other.views.watch(OPERATOR, execution_id)]
        assert seen[-1].status == "cancelled"
        assert (await planned.ended(str(execution_id)))["error"] == "it was cancelled"
        execution = await other.executions.start(OPERATOR, project_id)
        assert [one async for one in other.views.watch(OPERATOR, execution.id)][-1].status == "completed"


async def test_EXEC_6_a_run_that_began_by_itself_gives_way(planned: Planned, database: Database) -> None:
    """EXEC-6: to a newer one, whichever server each is on."""
    project_id, plan = UUID(planned.project_id), read_plan(BRIDGE)
    async with running_plans(database) as other:
        async with held_up(planned.database_url):
            caller = OPERATOR.caller
            older = await other.executions.begin(caller, project_id, plan, ("bridge",), "automatic")
            await eventually(lambda: _latest(other.executions, older.id), lambda one: one == "running")
            newer = asyncio.ensure_future(planned.start())
            await eventually(lambda: database_row(planned.database_url, str(older.id)), lambda row: row[1] is not None)
        execution = await planned.ended(await newer)
    assert execution["status"] == "completed"
    superseded = await planned.execution(str(older.id))
    assert (superseded["status"], superseded["error"]) == ("cancelled", SUPERSEDED)
    assert superseded["execution_type"] == "automatic"


async def _latest(executions: Executions, execution_id: UUID) -> str:
    run = executions.live(execution_id)
    assert run is not None
    return run.feed.latest.nodes[0].status


async def test_EXEC_7_a_run_whose_server_was_killed_is_told_to_have_failed(database_url: str, tmp_path: Path) -> None:
    """EXEC-7: within seconds, once a server is there; the plan can be run again then."""
    async with (
        Server.started(tmp_path / "one", database_url=database_url) as server,
        httpx.AsyncClient(base_url=server.base_url, timeout=20) as http,
    ):
        project = (await http.post("/api/projects", json={"name": "River"})).raise_for_status().json()
        planned = Planned(None, http, database_url, project["id"])  # type: ignore[arg-type]
        await planned.write(BRIDGE, **FILES)
        async with held_up(database_url):
            execution_id = await begun(planned)
            await server.kill()
        await server.start()
        execution = await planned.ended(execution_id)
        assert (execution["status"], "run it again" in execution["error"]) == ("failed", True)
        assert (await planned.run("bridge"))["status"] == "completed"


async def test_EXEC_8_a_changed_input_is_followed_by_a_run_of_what_it_affects(
    planned: Planned, database: Database
) -> None:
    """EXEC-8: once there is a graph of the plan, and unless the project says no."""
    async with running_plans(database) as runs:
        project_id = UUID(planned.project_id)
        caller = Caller(OPERATOR.id)
        assert await runs.automatic.follow(caller, project_id) is None
        graphs = (await planned.run())["graphs"]
        assert await runs.automatic.follow(caller, project_id) is None
        await planned.write(nodes_csv=MORE_NODES)
        runs.automatic.plan_changed(project_id, OPERATOR.id)
        first, *_ = await eventually(lambda: listed(planned), lambda items: len(items) == 2)
        execution = await planned.ended(first["id"])
        assert execution["execution_type"] == "automatic"
        assert execution["targets"] == ["bridge", "dot", "labels"]
        assert "n4" in labels(await planned.graph(graphs["bridge"]))
        rules = await planned.http.patch(f"/api/projects/{project_id}/replay-rules", json={"automatic": False})
        rules.raise_for_status()
        await planned.write(nodes_csv=NODES)
        assert await runs.automatic.follow(caller, project_id) is None
        rules = await planned.http.patch(f"/api/projects/{project_id}/replay-rules", json={"automatic": True})
        rules.raise_for_status()
        assert await runs.automatic.follow(Caller(PEOPLE["viewer"]), project_id) is None
        followed = await runs.automatic.follow(caller, project_id)
        assert followed is not None
        assert (await planned.ended(str(followed.id)))["status"] == "completed"


async def listed(planned: Planned) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await planned.http.get(planned.path)).raise_for_status().json()["items"]
    return items


async def test_EXEC_9_a_run_is_followed_by_events(planned: Planned) -> None:
    """EXEC-9: the whole run, then each node that is further, then the whole run again, and the end."""
    events = []
    async with held_up(planned.database_url):
        execution_id = await begun(planned)
        stream = planned.http.stream("GET", f"/api/executions/{execution_id}/events")
        answer = await stream.__aenter__()
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: execution"
        assert orjson.loads((await anext(lines)).removeprefix("data: "))["status"] == "running"
    assert answer.headers["content-type"].startswith("text/event-stream")
    async for line in lines:
        name, _, data = line.partition(": ")
        events.append(data if name == "event" else orjson.loads(data) if name == "data" else None)
    await stream.__aexit__(None, None, None)
    told = [one for one in events if isinstance(one, dict)]
    assert {one["id"]: one["status"] for one in told[:-1]} == dict.fromkeys(ALL, "completed")
    assert told[-1] == await planned.execution(execution_id)
    ended = await planned.http.get(f"/api/executions/{execution_id}/events")
    assert ended.text.count("event: execution") == 1


async def test_EXEC_10_runs_show_nobody_what_is_hidden_from_them(planned: Planned) -> None:
    """EXEC-10: neither the graph nor the file that shows it; readers look, editors run."""
    execution = await planned.run()
    async with planned.served.http("viewer") as viewer, planned.served.http("stranger") as stranger:
        path = f"/api/executions/{execution['id']}"
        assert (await viewer.get(path)).json()["graphs"] == execution["graphs"]
        for method, asked in (("POST", planned.path), ("POST", f"{path}/cancel")):
            assert (await viewer.request(method, asked)).status_code == 403
            assert (await stranger.request(method, asked)).status_code == 404
        owner = await asyncpg.connect(planned.database_url)
        await owner.execute(HIDE, execution["graphs"]["labels"], OPERATOR.id)
        await owner.close()
        seen = (await viewer.get(path)).json()
        assert set(seen["graphs"]) == {"bridge"}
        assert [output["node_id"] for output in seen["outputs"]] == ["json"]
        assert (await viewer.get(f"{path}/outputs/dot")).status_code == 404
        assert (await viewer.get(f"{path}/outputs/json")).status_code == 200
        for asked in (path, f"{path}/events", f"{path}/outputs/dot", planned.path):
            assert (await stranger.get(asked)).status_code == 404


async def test_EXEC_12_a_plan_is_run_from_the_command_line(planned: Planned, database_url: str) -> None:
    """EXEC-12: and what fails is told with exit code 1."""

    async def said(*arguments: str) -> tuple[int, str]:
        environment = {"LAYERCAKE_DATABASE_URL": database_url, "LAYERCAKE_TOKEN": "admin"}
        command = ["plan", "run", "--project", planned.project_id, *arguments]
        done = await asyncio.to_thread(partial(CliRunner().invoke, app, command, env=environment))
        return done.exit_code, done.output

    code, here = await said()
    assert (code, here.count("completed")) == (0, len(ALL)), here
    code, there = await said("--server", str(planned.http.base_url), "--target", "bridge")
    assert (code, there.count("unchanged"), "graph " in there) == (0, 5, True), there
    await planned.write(edges_csv=b"id,source,target,weight\ne1,n1,n2,heavy\n")
    code, failed = await said()
    assert (code, "edges.csv:2" in failed) == (1, True), failed
