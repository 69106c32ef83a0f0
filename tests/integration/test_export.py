"""Graphs leave and come back over HTTP and by command: EXPORT-5 and EXPORT-6, IMPORT-16, IMPORT-22 and IMPORT-23."""

import os
import zipfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures.process import BrokenProcessPool
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
import typer
from http_door import Door, open_door
from typer.testing import CliRunner, Result

from persistence.database import Database
from persistence.graphs import Graphs
from persistence.locks import LockKind, graph_lock
from persistence.records import ANONYMOUS_USER_ID, Caller, Retitle
from server.commands import exporting, graphs, importing
from server.http import importing as http_importing
from server.http.exporting import write_file
from server.http.problems import Problem
from server.workers import Workers

NODES = b"id,label,belongs_to\nroot,Root,\na,A,root\n"
EDGES = b"id,source,target\ne1,a,root\n"
LAYERS = b"layer,label,background\nbase,Base,fff\n"
EXAMPLE = Path(__file__).parents[2] / "examples" / "river-ferry"
FORMATS = {"csv": "application/zip", "json": "application/json"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
async def door(database: Database, database_url: str) -> AsyncIterator[Door]:
    async with open_door(database, database_url) as opened:
        yield opened


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    for commands in (importing, exporting, graphs):
        commands.register(app)
    return app


def files(*tables: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{number}.csv", data)) for number, data in enumerate(tables)]


async def imported(door: Door, *tables: bytes) -> str:
    """Make a graph of tables and return its address."""
    project = await door.project()
    answer = await door.client.post(f"{project}/import", data={"name": "Deck"}, files=files(*tables))
    return f"/api/graphs/{answer.json()['id']}"


async def content(door: Door, graph: str) -> dict[str, Any]:
    body = (await door.client.get(graph)).json()
    return {kind: body[kind] for kind in ("nodes", "edges", "layers")}


async def operations(door: Door) -> int:
    connection = await asyncpg.connect(door.database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM crdt_operations"))
    finally:
        await connection.close()


def problem(answer: httpx.Response, status: int, code: str) -> Problem:
    body = Problem.model_validate_json(answer.content)
    assert (answer.status_code, body.status, body.code) == (status, status, code)
    return body


@pytest.mark.parametrize(("name", "media_type"), [*FORMATS.items(), ("xlsx", XLSX)])
async def test_a_download_is_uploaded_as_an_equal_graph(door: Door, name: str, media_type: str) -> None:
    """EXPORT-1, EXPORT-5: and the answer says how large it is and what to call it."""
    graph = await imported(door, NODES, EDGES, LAYERS)
    answer = await door.client.get(f"{graph}/export", params={"format": name})
    again = await imported(door, answer.content)

    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["content-length"] == str(len(answer.content))
    suffix = "zip" if name == "csv" else name
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="Deck.{suffix}"; filename*=UTF-8')
    assert await content(door, again) == await content(door, graph)


async def test_one_table_is_plain_csv(door: Door) -> None:
    """EXPORT-2, EXPORT-5."""
    graph = await imported(door, NODES, EDGES, LAYERS)
    answer = await door.client.get(f"{graph}/export", params={"table": "layers"})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.text.splitlines()[1] == "base,Base,fff,,,"
    refused = await door.client.get(f"{graph}/export", params={"table": "layers", "format": "json"})
    assert "format=csv" in problem(refused, 422, "invalid_request").detail
    assert problem(await door.client.get(f"{graph}/export", params={"format": "dot"}), 422, "invalid_request")


async def test_a_json_download_is_what_the_graph_is_read_as(door: Door) -> None:
    """EXPORT-2."""
    graph = await imported(door, NODES, EDGES, LAYERS)
    document = (await door.client.get(f"{graph}/export", params={"format": "json"})).json()
    read = (await door.client.get(graph)).json()

    assert document.items() <= read.items()
    assert list(document) == ["id", "name", "graph_type", "description", "nodes", "edges", "layers"]


async def test_a_download_is_named_after_its_graph(door: Door) -> None:
    """EXPORT-5: in UTF-8 (RFC 6266), and never so that it breaks the header or leaves its folder."""
    graph = await imported(door, NODES)
    graph_id = UUID(graph.rpartition("/")[2])
    await Graphs(door.database).change(Caller(ANONYMOUS_USER_ID), graph_id, Retitle('../Über "橋"', None, True))
    disposition = (await door.client.get(f"{graph}/export")).headers["content-disposition"]

    assert disposition.startswith('attachment; filename="_ber __.zip"; filename*=')
    assert unquote(disposition.rpartition("''")[2]) == "Über _橋.zip"


async def test_a_large_download_comes_in_chunks_and_leaves_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """EXPORT-5."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("server.http.downloads.CHUNK_BYTES", 1_000)
    rows = b"id,label\n" + b"".join(b"%d,Node\n" % number for number in range(500))
    graph = await imported(door, rows)
    answer = await door.client.get(f"{graph}/export", params={"table": "nodes"})

    assert len(answer.text.splitlines()) == 501
    assert list(tmp_path.iterdir()) == []


async def test_what_a_format_cannot_hold_is_a_problem(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """EXPORT-4: and nothing is left of the file."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    graph = await imported(door, b'{"nodes": [{"id": "a", "label": "\\u0000"}]}')
    answer = await door.client.get(f"{graph}/export")

    assert "node 'a': its label has a NUL" in problem(answer, 422, "not_exportable").detail
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_that_is_killed_leaves_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """EXPORT-5."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    graph = await imported(door, NODES)
    left: list[Path] = []

    async def killed(_: Workers, function: Callable[..., Any], *arguments: Any) -> Any:
        done = function(*arguments)
        if function is not write_file:
            return done
        (Path(arguments[0]).parent / "of XlsxWriter").touch()
        left.extend(tmp_path.iterdir())
        raise BrokenProcessPool

    monkeypatch.setattr(Workers, "run", killed)
    answer = await door.client.get(f"{graph}/export", params={"format": "xlsx"})

    assert (answer.status_code, left != []) == (500, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("role", "status"), [(None, 404), ("viewer", 200)])
async def test_who_may_read_may_export(door: Door, role: str | None, status: int) -> None:
    """EXPORT-5."""
    graph = await imported(door, NODES)
    door.caller = await door.person(role)

    assert (await door.client.get(f"{graph}/export")).status_code == status


@pytest.mark.parametrize(("role", "status"), [(None, 404), ("viewer", 403), ("member", 200)])
async def test_who_may_edit_may_merge(door: Door, role: str | None, status: int) -> None:
    """IMPORT-11, IMPORT-23."""
    graph = await imported(door, NODES)
    door.caller = await door.person(role)

    for data in ({}, {"dry_run": "true"}):
        answer = await door.client.post(f"{graph}/import", data=data, files=files(NODES))
        assert answer.status_code == status


async def test_files_are_merged_into_a_graph(door: Door) -> None:
    """IMPORT-18, IMPORT-23: the summary is answered once it is stored."""
    graph = await imported(door, NODES, EDGES, LAYERS)
    before = await content(door, graph)
    answer = await door.client.post(f"{graph}/import", files=files(b"id,label\na,Ay\nb,B\n", b"x,label\ny,z\n"))
    after = await content(door, graph)

    none = {"nodes": 0, "edges": 0, "layers": 0}
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "added": none | {"nodes": 1},
            "changed": none | {"nodes": 1},
            "deleted": none,
            "unchanged": none,
            "left_out": ["1.csv"],
        },
    )
    assert [(node["id"], node["label"], node["belongs_to"]) for node in after["nodes"]] == [
        ("a", "Ay", "root"),
        ("b", "B", None),
        ("root", "Root", None),
    ]
    assert (after["edges"], after["layers"]) == (before["edges"], before["layers"])


@pytest.mark.parametrize("place", ["params", "data"])
async def test_replace_and_dry_run_are_asked_in_the_address_or_the_form(door: Door, place: str) -> None:
    """IMPORT-22, IMPORT-23: a dry run tells what would be done, and does nothing."""
    graph = await imported(door, NODES, EDGES, LAYERS)
    before, stored = await content(door, graph), await operations(door)
    upload = files(b"id,label\nroot,Root\n")
    options: dict[str, Any] = {place: {"replace": "true", "dry_run": "true"}}
    dry = await door.client.post(f"{graph}/import", **options, files=upload)
    assert (await content(door, graph), await operations(door)) == (before, stored)
    done = await door.client.post(f"{graph}/import", **{place: {"replace": "true"}}, files=upload)

    assert dry.json() == done.json()
    assert done.json()["deleted"] == {"nodes": 1, "edges": 1, "layers": 0}
    assert [len(part) for part in (await content(door, graph)).values()] == [1, 0, 1]


async def test_the_same_files_again_store_nothing(door: Door) -> None:
    """IMPORT-20."""
    graph = await imported(door, NODES, EDGES, LAYERS)
    stored = await operations(door)
    answer = await door.client.post(f"{graph}/import", files=files(NODES, EDGES, LAYERS))

    assert answer.json()["unchanged"] == {"nodes": 2, "edges": 1, "layers": 1}
    assert await operations(door) == stored


async def test_files_with_errors_merge_nothing(door: Door) -> None:
    """IMPORT-3, IMPORT-23."""
    graph = await imported(door, NODES)
    before = await content(door, graph)
    for data in ({}, {"dry_run": "true"}):
        answer = await door.client.post(f"{graph}/import", data=data, files=files(b"id,label,weight\na,A!,x\n"))
        errors = problem(answer, 422, "invalid_tables").errors
        assert errors is not None
        assert [(error.file, error.line, error.column) for error in errors] == [("0.csv", 2, "weight")]
    wrong = await door.client.post(f"{graph}/import", data={"replace": "perhaps"}, files=files(NODES))
    assert problem(wrong, 422, "invalid_request").errors[0].field == "replace"  # type: ignore[index]
    assert await content(door, graph) == before


async def test_a_graph_that_another_server_has_open_is_asked_for_again(door: Door) -> None:
    """IMPORT-23: 503, and nothing is changed."""
    graph = await imported(door, NODES)
    connection = await asyncpg.connect(door.database_url)
    try:
        await connection.execute(
            "SELECT pg_advisory_lock($1)", graph_lock(UUID(graph.rpartition("/")[2]), LockKind.LEASE)
        )
        answer = await door.client.post(f"{graph}/import", files=files(b"id,label\nz,Z\n"))
    finally:
        await connection.close()

    problem(answer, 503, "served_elsewhere")
    assert len((await content(door, graph))["nodes"]) == 2


async def test_merges_and_imports_take_turns(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-9, IMPORT-23: nothing is read of a graph that is not there."""
    monkeypatch.setattr(http_importing, "MAX_FILES", 1)
    graph = await imported(door, NODES)
    problem(await door.client.post(f"{graph}/import", files=files(NODES, EDGES)), 400, "bad_request")
    absent = f"/api/graphs/{UUID(int=5)}/import"
    problem(await door.client.post(absent, files=files(NODES)), 404, "not_found")


def run(command: typer.Typer, database_url: str, *arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments), "--database-url", database_url])


def first_graph(command: typer.Typer, database_url: str) -> str:
    run(command, database_url, "import", EXAMPLE, "--project", "Examples")
    return run(command, database_url, "graphs").stdout.splitlines()[1].split()[0]


@pytest.mark.parametrize("name", ["out", "out.zip", "out.json", "out.xlsx"])
def test_a_command_writes_a_file_that_a_command_reads(
    command: typer.Typer, database_url: str, tmp_path: Path, name: str
) -> None:
    """EXPORT-1, EXPORT-6: the name of the file says its format."""
    graph_id = first_graph(command, database_url)
    exported = run(command, database_url, "export", graph_id, "--out", tmp_path / name)
    merged = run(command, database_url, "import", tmp_path / name, "--into", graph_id, "--replace")

    assert exported.exit_code == merged.exit_code == 0
    assert "22 nodes, 31 edges, 5 layers" in exported.output
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert merged.stdout.splitlines() == [
        "added: 0 nodes, 0 edges, 0 layers",
        "changed: 0 nodes, 0 edges, 0 layers",
        "deleted: 0 nodes, 0 edges, 0 layers",
        "unchanged: 22 nodes, 31 edges, 5 layers",
    ]


def test_a_command_writes_to_standard_output_what_it_is_asked_for(command: typer.Typer, database_url: str) -> None:
    """EXPORT-6: by the names of project and graph, too."""
    first_graph(command, database_url)
    named = ("--project", "Examples", "--graph", "river-ferry", "--out", "-")
    document = run(command, database_url, "export", *named, "--format", "json")
    table = run(command, database_url, "export", *named, "--table", "edges")

    assert len(orjson.loads(document.stdout_bytes)["nodes"]) == 22
    assert table.stdout.startswith("id,source,target")
    assert run(command, database_url, "export", *named, "--format", "csv").stdout_bytes.startswith(b"PK")


def test_a_command_names_the_file_after_the_graph(
    command: typer.Typer, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXPORT-6."""
    monkeypatch.chdir(tmp_path)
    run(command, database_url, "export", first_graph(command, database_url))

    assert zipfile.is_zipfile(tmp_path / "river-ferry.zip")


def test_a_command_replaces_no_file_unless_it_is_told_to(
    command: typer.Typer, database_url: str, tmp_path: Path
) -> None:
    """EXPORT-6: nor a folder, whatever it is told."""
    graph_id = first_graph(command, database_url)
    (file := tmp_path / "nodes.csv").write_text("mine")
    export = ("export", graph_id, "--table", "nodes", "--out")
    refused = run(command, database_url, *export, file)
    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert refused.stderr.splitlines() == [
        f"layercake: {file} exists already and is left as it is; name another file, or replace it with --force"
    ]
    (link := tmp_path / "link.csv").symlink_to(file)
    assert run(command, database_url, *export, link, "--force").exit_code == 0
    assert link.is_symlink()
    link.unlink()
    assert file.read_text().startswith("id,label")

    for more in ([], ["--force"]):
        folder = run(command, database_url, *export, tmp_path, *more)
        assert (folder.exit_code, folder.stderr) == (1, f"layercake: {tmp_path} is a folder; name a file in it\n")
    assert [path.name for path in tmp_path.iterdir()] == ["nodes.csv"]


def test_a_command_writes_to_what_is_no_file(command: typer.Typer, database_url: str, tmp_path: Path) -> None:
    """EXPORT-6: a pipe is still one afterwards, and a full disk is one sentence."""
    graph_id = first_graph(command, database_url)
    os.mkfifo(pipe := tmp_path / "pipe")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    done = run(command, database_url, "export", graph_id, "--format", "xlsx", "--out", pipe)
    data = os.read(reader, 64 * 1024)  # what a pipe holds is enough
    os.close(reader)
    (device := tmp_path / "full").symlink_to("/dev/full")  # whatever fails here, the device itself is not replaced
    full = run(command, database_url, "export", graph_id, "--format", "xlsx", "--out", device)

    assert (done.exit_code, pipe.is_fifo(), zipfile.is_zipfile(BytesIO(data))) == (0, True, True)
    assert (full.exit_code, len(full.stderr.strip().splitlines())) == (1, 1)
    assert "No space left on device" in full.stderr
    assert device.is_symlink()


def test_standard_output_is_known_by_its_other_names(
    command: typer.Typer, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXPORT-6: also when it is a file, which /dev/stdout is then."""
    graph_id = first_graph(command, database_url)
    (file := tmp_path / "redirected").touch()
    status = file.stat()
    monkeypatch.setattr("os.fstat", lambda _: status)
    (link := tmp_path / "stdout").symlink_to(file)
    done = run(command, database_url, "export", graph_id, "--table", "nodes", "--out", link)

    assert done.stdout.startswith("id,label")
    assert link.is_symlink()


@pytest.mark.parametrize("name", ["x" * 201, "a\nb"])
def test_a_graph_of_no_name_makes_no_project(command: typer.Typer, database_url: str, name: str) -> None:
    """IMPORT-12."""
    refused = run(command, database_url, "import", EXAMPLE, "--project", "New", "--graph", name)
    again = run(command, database_url, "import", EXAMPLE, "--project", "Examples", "--if-empty")

    assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1)
    assert "the name of a graph has 1 to 200 characters" in refused.stderr
    assert "river-ferry: 22 nodes" in again.stdout


def test_names_are_listed_as_they_are(command: typer.Typer, database_url: str) -> None:
    """IMPORT-12: they are no markup, and whoever reads lines gets each graph in one."""
    names = ["[red]x[/red] [/]", "橋" * 200]
    for name in names:
        run(command, database_url, "import", EXAMPLE, "--project", name, "--graph", name)
    listed = run(command, database_url, "graphs").stdout.splitlines()

    assert len(listed) == 3
    for line, name in zip(listed[1:], names, strict=True):
        assert line.count(name) == 2


def test_a_terminal_folds_names(command: typer.Typer, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-12: and cuts none."""
    run(command, database_url, "import", EXAMPLE, "--project", "p", "--graph", "x" * 200)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "90")
    listed = run(command, database_url, "graphs").stdout

    assert listed.count("x") == 200
    assert max(map(len, listed.splitlines()[1:])) <= 90


def test_a_command_that_fails_leaves_the_old_file(command: typer.Typer, database_url: str, tmp_path: Path) -> None:
    """EXPORT-4, EXPORT-6: a file is there when it is whole, and not before."""
    (tmp_path / "nul.json").write_text('{"nodes": [{"id": "a"}, {"id": "b", "comment": "\\u0000"}]}')
    run(command, database_url, "import", tmp_path / "nul.json", "--project", "Examples", "--graph", "nul")
    (tmp_path / "nul.json").unlink()
    (tmp_path / "out.zip").write_text("old")
    failed = run(command, database_url, "export", "--graph", "nul", "--out", tmp_path / "out.zip", "--force")

    assert failed.exit_code == 1
    assert "its comment has a NUL" in failed.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out.zip", "old")]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["export"], 2, "give the graph's id"),
        (["export", "--graph", "nowhere"], 1, "there is no graph of the name 'nowhere'"),
        (["export", str(UUID(int=5))], 1, "there is no graph"),
        (["export", str(UUID(int=5)), "--table", "nodes", "--format", "json"], 2, "a table alone is CSV"),
        (["export", str(UUID(int=5)), "--out", "x.csv"], 2, "name it .zip"),
        (["export", str(UUID(int=5)), "--out", "x.pdf"], 2, ".pdf says no format"),
        (["import", str(EXAMPLE)], 2, "name the project"),
        (["import", str(EXAMPLE), "--project", "x", "--replace"], 2, "go with --into"),
        (["import", str(EXAMPLE), "--project", "x", "--into", str(UUID(int=5))], 2, "name the project"),
        (["import", str(EXAMPLE), "--into", str(UUID(int=5))], 1, "there is no graph"),
    ],
)
def test_a_command_says_what_it_needs(
    command: typer.Typer, database_url: str, arguments: list[str], code: int, expected: str
) -> None:
    """EXPORT-6, IMPORT-12, IMPORT-23."""
    refused = run(command, database_url, *arguments)

    assert refused.exit_code == code
    assert expected in " ".join(refused.output.replace("│", " ").split())


def test_a_command_merges_only_if_it_is_told_to(command: typer.Typer, database_url: str, tmp_path: Path) -> None:
    """IMPORT-22, IMPORT-23."""
    graph_id = first_graph(command, database_url)
    (tmp_path / "layers.csv").write_text("layer,label\nnew,New\n")
    into = ("import", tmp_path / "layers.csv", "--into", graph_id)
    dry = run(command, database_url, *into, "--replace", "--dry-run")
    (tmp_path / "layers.csv").write_text("layer,label\nnew,New\nx\n")
    wrong = run(command, database_url, *into)
    exported = run(command, database_url, "export", graph_id, "--out", "-", "--table", "layers")

    assert "deleted: 0 nodes, 0 edges, 5 layers" in dry.stdout
    assert (wrong.exit_code, "nothing was imported" in wrong.stderr) == (1, True)
    assert len(exported.stdout.splitlines()) == 6
