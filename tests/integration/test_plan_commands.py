"""`layercake plan`: plans by command (SPEC.md, PLANS)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from pycrdt import Map
from typer.testing import CliRunner

from persistence.database import Database
from server.commands import app
from tests.clients.eventually import eventually
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.integration.planned import BRIDGE, plan_of, step
from tests.integration.served import serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "river-ferry"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


def written(folder: Path, plan: Any) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    return path


def test_PLANS_14_a_file_is_checked_and_hashed() -> None:
    """PLANS-14."""
    checked, hashed = invoke("validate", EXAMPLE / "plan.json"), invoke("hash", EXAMPLE / "plan.json")
    one = invoke("hash", EXAMPLE / "plan.json", "--target", "ferry")
    none = invoke("hash", EXAMPLE / "plan.json", "--target", "bridge")

    assert (checked.exit_code, checked.stdout) == (0, "the plan is sound: 7 node(s), 6 edge(s)\n")
    lines = [line.split("  ") for line in hashed.stdout.splitlines()]
    assert {len(hash_) for hash_, _ in lines} == {16}
    assert {"ferry", "overview", "drawing"} < {node_id for _, node_id in lines}
    assert one.stdout.split("  ") in [[hash_, f"{node_id}\n"] for hash_, node_id in lines]
    assert (none.exit_code, "'bridge'" in none.stderr) == (1, True)


def test_PLANS_14_all_that_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    """PLANS-14."""
    bad = plan_of([step("copy", "CopyNode"), step("file", "OutputNode", renderTarget="PDF")])
    refused = invoke("validate", written(tmp_path, bad))
    assert refused.exit_code == 1
    assert "node 'file': config.renderTarget: give one of" in refused.stderr
    assert "node 'copy'" in refused.stderr
    (tmp_path / "no.json").write_text("{")
    assert "this is not JSON" in invoke("hash", tmp_path / "no.json").stderr
    assert "--project" in invoke("validate").stderr


async def test_PLANS_14_a_file_becomes_the_plan_of_a_project(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PLANS-14: through the server if that has the plan open, whose clients see it at once."""
    async with serving(database, database_url) as served, served.http() as http:
        monkeypatch.setenv("LAYERCAKE_TOKEN", "admin")
        monkeypatch.setenv("LAYERCAKE_SERVER", f"http://127.0.0.1:{served.port}")
        monkeypatch.setenv("LAYERCAKE_DATABASE_URL", database_url)
        project_id = (await http.post("/api/projects", json={"name": "River"})).json()["id"]
        of_project, example = ("--project", project_id), written(tmp_path, BRIDGE)
        done = await asyncio.to_thread(invoke, "import", EXAMPLE / "plan.json", *of_project)
        assert done.exit_code == 0, done.output
        assert await hashes(http, project_id) == shown(await asyncio.to_thread(invoke, "hash", EXAMPLE / "plan.json"))

        plan = (await http.get(f"/api/projects/{project_id}/plan")).json()
        async with YClient(served.url(plan["plan_graph_id"])) as client:
            done = await asyncio.to_thread(invoke, "import", example, *of_project)
            assert done.exit_code == 0, done.output
            await eventually(lambda: seen_by(client), lambda node_ids: "bridge" in node_ids)
            assert await hashes(http, project_id) == shown(await asyncio.to_thread(invoke, "hash", *of_project))
            bad = written(tmp_path, plan_of([step("copy", "CopyNode")]))
            refused = await asyncio.to_thread(invoke, "import", bad, *of_project)
            assert (refused.exit_code, "node 'copy'" in refused.stderr) == (1, True)
        checked = await asyncio.to_thread(invoke, "validate", *of_project)
        assert "9 node(s)" in checked.stdout


async def seen_by(client: YClient) -> set[str]:
    assert isinstance(client.replica, PycrdtReplica)
    return set(client.replica.doc.get("nodes", type=Map).keys())


async def hashes(http: httpx.AsyncClient, project_id: str) -> dict[str, str]:
    found: dict[str, str] = (await http.get(f"/api/projects/{project_id}/plan")).json()["hashes"]
    return found


def shown(result: Result) -> dict[str, str]:
    """Return the hashes that a command printed, by node."""
    return {node_id: hash_ for hash_, node_id in (line.split("  ") for line in result.stdout.splitlines())}
