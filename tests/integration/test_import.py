"""Tables become a stored graph, over HTTP and by command: rules IMPORT-3 and IMPORT-9 to IMPORT-12 of SPEC.md."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer
from http_door import Door, open_door
from pycrdt import Doc
from typer.testing import CliRunner

from persistence.database import Database
from persistence.document import MAX_UPDATE_BYTES, read_content
from persistence.operations import StoredDocuments
from server.commands import graphs, importing
from server.http import turn
from server.http.importing import MAX_FILES, MAX_IMPORT_BYTES
from server.http.problems import Problem

NODES = b"id,label,belongs_to\nroot,Root,\na,A,root\n"
EDGES = b"id,source,target\ne2,a,root\ne1,a,root\n"
LAYERS = b"layer,label,background\nbase,Base,fff\n"
EXAMPLE = Path(__file__).parents[2] / "examples" / "river-ferry"


@pytest.fixture
async def door(database: Database, database_url: str) -> AsyncIterator[Door]:
    async with open_door(database, database_url) as opened:
        yield opened


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    importing.register(app)
    graphs.register(app)
    return app


def upload(**files: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{name}.csv", data)) for name, data in files.items()]


async def test_uploaded_tables_become_a_graph(door: Door) -> None:
    """IMPORT-10: the graph that is answered has what the tables had, and says what was left out."""
    project = await door.project()
    files = upload(n=NODES, e=EDGES, l=LAYERS, other=b"kind,label\nx,y\n")
    answer = await door.client.post(f"{project}/import", data={"name": "Deck"}, files=files)
    body = answer.json()

    assert answer.status_code == 201
    assert (body["name"], body["graph_type"], body["left_out"]) == ("Deck", "data", ["other.csv"])
    assert (body["node_count"], body["edge_count"], body["layer_count"]) == (2, 2, 1)
    read = (await door.client.get(f"/api/graphs/{body['id']}")).json()
    assert [node["id"] for node in read["nodes"]] == ["a", "root"]
    assert [edge["id"] for edge in read["edges"]] == ["e1", "e2"]
    assert read["layers"][0]["background_color"] == "fff"


async def test_a_field_of_the_form_may_say_what_a_table_is(door: Door) -> None:
    """IMPORT-2."""
    project = await door.project()
    files = [("nodes", ("x.csv", NODES)), ("layers", ("y.csv", b"id,label\nbase,Base\n"))]
    answer = await door.client.post(f"{project}/import", data={"name": "Deck"}, files=files)

    assert (answer.json()["node_count"], answer.json()["layer_count"]) == (2, 1)


async def test_tables_with_errors_import_nothing(door: Door) -> None:
    """IMPORT-3: the problem has every error with its place."""
    project = await door.project()
    files = upload(n=b"id,label,weight\na,A,x\n", e=b"id,source,target\ne,a,b\n")
    answer = await door.client.post(f"{project}/import", data={"name": "Deck"}, files=files)
    problem = Problem.model_validate_json(answer.content)

    assert (answer.status_code, problem.code, problem.error_count) == (422, "invalid_tables", 2)
    assert problem.errors is not None
    assert [(error.file, error.line, error.column) for error in problem.errors] == [
        ("e.csv", 2, "target"),
        ("n.csv", 2, "weight"),
    ]
    assert (await door.client.get(f"{project}/graphs")).json() == {"items": []}


@pytest.mark.parametrize(
    ("data", "files", "status"),
    [
        ({}, upload(n=NODES), 422),
        ({"name": " "}, upload(n=NODES), 422),
        ({"name": "Deck"}, [], 422),
        ({"name": "Deck"}, upload(**{f"n{number}": NODES for number in range(MAX_FILES + 1)}), 400),
    ],
)
async def test_a_form_that_cannot_be_used_is_refused(door: Door, data: Any, files: Any, status: int) -> None:
    """IMPORT-9, DOOR-29."""
    project = await door.project()
    answer = await door.client.post(f"{project}/import", data=data, files=files)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (await door.client.get(f"{project}/graphs")).json() == {"items": []}


async def test_an_upload_over_its_bound_is_refused(door: Door) -> None:
    """IMPORT-9, DOOR-23."""
    project = await door.project()
    part = b"x" * (MAX_IMPORT_BYTES // 4)
    files = upload(**{f"n{number}": part for number in range(5)})
    answer = await door.client.post(f"{project}/import", data={"name": "Deck"}, files=files)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(("role", "status"), [(None, 404), ("viewer", 403), ("member", 201)])
async def test_only_who_may_edit_may_import(door: Door, role: str | None, status: int) -> None:
    """IMPORT-11."""
    project = await door.project()
    door.caller = await door.person(role)
    answer = await door.client.post(f"{project}/import", data={"name": "Deck"}, files=upload(n=NODES))

    assert answer.status_code == status


async def test_nothing_is_read_from_who_may_not_import(door: Door) -> None:
    """IMPORT-11."""
    project = await door.project()
    door.caller = await door.person("viewer")
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"--x\r\n")
        yield read[0]

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await door.client.post(f"{project}/import", content=body(), headers=headers)

    assert answer.status_code == 403
    assert read == []


async def test_a_large_graph_is_stored_in_bounded_updates(door: Door) -> None:
    """IMPORT-10."""
    project = await door.project()
    nodes = b"id,label\n" + b"".join(b"%d,Node %d\n" % (number, number) for number in range(2_000))
    edges = b"source,target\n" + b"".join(b"%d,%d\n" % (number, number // 2) for number in range(4_000 // 2))
    files = upload(n=nodes, e=edges)
    body = (await door.client.post(f"{project}/import", data={"name": "Deck"}, files=files)).json()
    async with StoredDocuments(door.database).open(UUID(body["id"])) as chunks:
        updates = [update async for chunk in chunks for update in chunk.updates]
    doc: Doc = Doc()
    for update in updates:
        doc.apply_update(update)

    assert len(updates) > 2
    assert max(map(len, updates)) <= MAX_UPDATE_BYTES
    assert read_content(doc, UUID(body["id"])).entities == 4_000


async def test_uploads_are_worked_on_one_at_a_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-9: who waits too long is told to try again, and has changed nothing."""
    monkeypatch.setattr(turn, "TURN_WAIT_S", 0.001)
    project = await door.project()
    files = upload(n=b"id,label\n" + b"".join(b"%d,Node\n" % number for number in range(30_000)))
    answers = await asyncio.gather(
        *(door.client.post(f"{project}/import", data={"name": "Deck"}, files=files) for _ in range(2))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("unavailable", "2")
    assert len((await door.client.get(f"{project}/graphs")).json()["items"]) == 1


def test_a_folder_is_imported_by_command(command: typer.Typer, database_url: str) -> None:
    """IMPORT-12: the graph gets the folder's name, and is listed."""
    runner = CliRunner()
    options = ["--project", "Examples", "--database-url", database_url]
    first = runner.invoke(command, ["import", str(EXAMPLE), *options])
    second = runner.invoke(command, ["import", str(EXAMPLE / "nodes.csv"), *options, "--graph", "Nodes only"])
    listed = runner.invoke(command, ["graphs", "--database-url", database_url])

    assert first.exit_code == second.exit_code == listed.exit_code == 0
    assert "river-ferry: 22 nodes, 31 edges, 5 layers" in first.output
    assert "Nodes only: 22 nodes, 0 edges, 0 layers" in second.output
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
        first.stdout.split()[0],
        second.stdout.split()[0],
    ]


def test_a_command_prints_all_errors_and_imports_nothing(
    command: typer.Typer, database_url: str, tmp_path: Path
) -> None:
    """IMPORT-3, IMPORT-12."""
    (tmp_path / "n.csv").write_bytes(b"id,label,weight\na,A,x\nb,B,y\n")
    options = ["--project", "Examples", "--database-url", database_url]
    refused = CliRunner().invoke(command, ["import", str(tmp_path), *options])
    listed = CliRunner().invoke(command, ["graphs", "--database-url", database_url])

    assert refused.exit_code == 1
    assert f"{tmp_path / 'n.csv'}:2 (weight): expected a number" in refused.stderr
    assert f"{tmp_path / 'n.csv'}:3 (weight): expected a number" in refused.stderr
    assert "2 error(s): nothing was imported" in refused.stderr
    assert len(listed.stdout.splitlines()) == 1


def test_a_command_imports_once_if_told_so(command: typer.Typer, database_url: str) -> None:
    """IMPORT-12."""
    arguments = ["import", str(EXAMPLE), "--project", "Examples", "--if-empty", "--database-url", database_url]
    first, second = (CliRunner().invoke(command, arguments) for _ in range(2))
    listed = CliRunner().invoke(command, ["graphs", "--database-url", database_url])

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "nothing was imported" in second.stdout
    assert len(listed.stdout.splitlines()) == 2


def test_a_command_without_tables_says_so(command: typer.Typer, tmp_path: Path) -> None:
    """IMPORT-12."""
    refused = CliRunner().invoke(command, ["import", str(tmp_path), "--project", "Examples"])

    assert refused.exit_code == 2
    assert "name the tables to import" in refused.output


def test_a_command_says_what_the_database_needs(command: typer.Typer, empty_database_url: str) -> None:
    """IMPORT-12."""
    arguments = ["import", str(EXAMPLE), "--project", "Examples", "--database-url", empty_database_url]
    refused = CliRunner().invoke(command, arguments)

    assert refused.exit_code == 1
    assert "layercake migrate" in refused.stderr


@pytest.mark.parametrize("name", ["a\0b.txt", "a\nb.txt", "\x1b[2J.txt"])
async def test_the_name_of_a_file_may_be_anything(door: Door, name: str) -> None:
    """IMPORT-3: it is told and stored without its control characters, which no event can hold."""
    project = await door.project()
    head = f'--x\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\nkind,other\r\n'
    table = '--x\r\ncontent-disposition: form-data; name="nodes"; filename="n.csv"\r\n\r\nid,label\na,A\n\r\n'
    graph = await door.graph(project)
    answer = await door.client.post(
        f"{graph}/import",
        content=f"{head}{table}--x--\r\n".encode(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    if answer.status_code == 200:  # what the parser of forms lets through
        assert not any(ord(character) < 32 for character in answer.json()["left_out"][0])
    else:
        assert answer.status_code == 400


@pytest.mark.parametrize("charset", ["undefined", "punycode", "no-such"])
async def test_a_charset_that_is_none_is_a_bad_request(door: Door, charset: str) -> None:
    """DOOR-20."""
    project = await door.project()
    answer = await door.client.post(
        f"{project}/import",
        content=b'--x\r\ncontent-disposition: form-data; name="name"\r\n\r\n\xff\r\n--x--\r\n',
        headers={"content-type": f"multipart/form-data; boundary=x; charset={charset}"},
    )
    assert answer.status_code in (400, 422)
    assert Problem.model_validate_json(answer.content).status == answer.status_code


async def test_a_disk_without_space_for_uploads_is_said(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOOR-20."""

    async def no_space(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    project = await door.project()
    monkeypatch.setattr("starlette.requests.Request._get_form", no_space)
    answer = await door.client.post(f"{project}/import", data={"name": "x"}, files=upload(n=NODES))
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.code) == (503, "disk_full")
    assert "Retry-After" in answer.headers
