"""One project as a file: BACKUP-6 to BACKUP-9 of SPEC.md, and the portable format itself."""

import os
import random
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from pycrdt import Array, Doc, Map, Text
from typer.testing import CliRunner

from persistence.database import Database
from persistence.document import DocumentUpdate, read_content
from persistence.errors import InvalidValueError
from persistence.events import Events
from persistence.graphs import Graphs
from persistence.operations import StoredDocuments
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Graph, Origin, Project
from server.commands import app
from server.commands.archiving import archive_project, unarchive_project
from server.documents import Assembled, assemble, check_document, read_stored
from server.settings import Settings
from tests.unit.documents import nested_arrays
from workspace import archive
from workspace.archive import ArchiveError, opened
from workspace.unarchiving import unpacked_graphs

ME = Caller(ANONYMOUS_USER_ID)
ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "300"))
PARENT_NAME = "Deck — “one”"


def document() -> list[bytes]:
    """Updates of a document with text, deletions, roots nobody knows, and a last one that misses the one before it."""
    doc: Doc[Any] = Doc(client_id=3)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    nodes = doc.get("nodes", type=Map)
    nodes["a"] = Map({"label": "A", "content": Text("To be"), "unknown": {"deep": [1, None]}})
    nodes["gone"] = Map({"label": "deleted"})
    doc.get("edges", type=Map)["e"] = Map({"source": "a", "target": "a"})
    doc.get("layers", type=Map)["l"] = Map({"name": "L"})
    doc.get("anything", type=Array).extend(["x"])
    del nodes["gone"]
    nodes["missed"] = Map({})
    nodes["waits"] = Map({"label": "early"})
    return [*updates[:-2], updates[-1]]


PENDING_ROW = """
    INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id)
    VALUES ($1, $2, '{}', $3, 's', '3')
"""


@pytest.fixture
async def project(database: Database) -> Project:
    """A project with a graph that has a bit of everything, a copy of that, one in the bin and a plan of its own."""
    made = await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", "steel")
    graphs = Graphs(database)
    *applied, waiting = document()
    rows = [DocumentUpdate(update, 3, "{}", 0) for update in applied]
    parent = await graphs.create(ME, made.id, PARENT_NAME, "plan", "planks", rows)
    await graphs.create(ME, made.id, "Copy", "computed", None, rows[:1], Origin("graph.copied", {}, parent.id))
    await graphs.delete(ME, (await graphs.create(ME, made.id, "deleted", "data", None)).id)
    async with database.request(ME, parent.id) as connection:
        await connection.execute(PENDING_ROW, parent.id, waiting, ME.user_id)
        await connection.execute("UPDATE projects SET rules = $1, plan_dag = $2", {"gate": 1}, {"nodes": [1]})
        await connection.execute("UPDATE graphs SET metadata = $1 WHERE id = $2", {"k": None}, parent.id)
    return made


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url)


@pytest.fixture
async def file(settings: Settings, project: Project, tmp_path: Path) -> Path:
    """The archive of `project`."""
    path = tmp_path / "bridge.zip"
    assert await archive_project(settings, project.id, path) == 2
    return path


async def assembled(database: Database, graph_id: UUID) -> Assembled:
    return assemble(await read_stored(StoredDocuments(database), graph_id))


def loaded(update: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return doc


async def unarchived(settings: Settings, database: Database, file: Path) -> tuple[UUID, tuple[Graph, ...]]:
    project, count = await unarchive_project(settings, file, None)
    graphs = await Graphs(database).of_project(ME, project.id)
    assert len(graphs) == count
    return project.id, graphs


async def test_a_project_comes_back_as_a_new_one(
    settings: Settings, database: Database, project: Project, file: Path
) -> None:
    """BACKUP-6: new ids, everything else the same, parents within it."""
    new_id, graphs = await unarchived(settings, database, file)
    made = await Projects(database).read(ME, new_id)
    assert new_id != project.id
    assert (made.name, made.description) == ("Bridge", "steel")
    async with database.request(ME) as connection:
        same = "SELECT plan_dag, plan_dag_version, rules, group_id FROM projects WHERE id = $1"
        assert await connection.fetchrow(same, new_id) == await connection.fetchrow(same, project.id)
        assert await connection.fetchval("SELECT metadata FROM graphs WHERE id = $1", graphs[0].id) == {"k": None}
    assert [(graph.name, graph.description, graph.graph_type) for graph in graphs] == [
        (PARENT_NAME, "planks", "plan"),
        ("Copy", None, "computed"),
    ]
    assert [graph.parent_graph_id for graph in graphs] == [None, graphs[0].id]
    types = [event.event_type for event in await Events(database).of_project(ME, new_id, None, 9)]
    assert types == ["graph.unarchived", "graph.unarchived", "project.unarchived"]


async def test_documents_come_back_by_content_and_by_state(
    settings: Settings, database: Database, project: Project, file: Path
) -> None:
    """BACKUP-6: the same lineage, nothing lost of the state, and what waited waits again."""
    _, graphs = await unarchived(settings, database, file)
    for before, after in zip(await Graphs(database).of_project(ME, project.id), graphs, strict=True):
        source, copy = await assembled(database, before.id), await assembled(database, after.id)
        assert read_content(loaded(copy.document), after.id) == read_content(loaded(source.document), before.id)
        assert copy.pending == source.pending
        doc = loaded(copy.document)
        changes: list[object] = []
        doc.observe(changes.append)
        doc.apply_update(source.document)
        assert changes == []
    parent = loaded((await assembled(database, graphs[0].id)).document)
    assert parent.get("anything", type=Array).to_py() == ["x"]
    assert "meta" not in parent or parent.get("meta", type=Map).to_py() == {}


async def test_what_waited_is_applied_once_its_turn_comes(settings: Settings, database: Database, file: Path) -> None:
    """BACKUP-6."""
    _, graphs = await unarchived(settings, database, file)
    doc: Doc[Any] = Doc(client_id=3)
    doc.apply_update((await assembled(database, graphs[0].id)).document)
    late: list[bytes] = []
    doc.observe(lambda event: late.append(event.update))
    doc.get("nodes", type=Map)["missed"] = Map({})
    async with database.request(ME, graphs[0].id) as connection:
        await connection.execute(PENDING_ROW, graphs[0].id, late[0], ME.user_id)
    whole = await assembled(database, graphs[0].id)
    assert whole.pending == ()
    assert loaded(whole.document).get("nodes", type=Map)["waits"].to_py() == {"label": "early"}


async def test_an_archive_of_what_was_unarchived_has_the_same_documents(
    settings: Settings, database: Database, file: Path, tmp_path: Path
) -> None:
    """BACKUP-6: lineage is written once."""
    first, graphs = await unarchived(settings, database, file)
    await archive_project(settings, first, tmp_path / "second.zip")
    _, again = await unarchived(settings, database, tmp_path / "second.zip")
    for before, after in zip(graphs, again, strict=True):
        assert await assembled(database, after.id) == await assembled(database, before.id)


def test_the_archive_is_for_people_too(file: Path) -> None:
    """BACKUP-7."""
    with zipfile.ZipFile(file) as found:
        manifest = orjson.loads(found.read("manifest.json"))
        graph = manifest["graphs"][0]
        people = orjson.loads(found.read(f"graphs/{graph['id']}/graph.json"))
    assert (manifest["format"], manifest["version"]) == ("layercake project", 1)
    assert {name: graph[name] for name in ("nodes", "edges", "layers", "pending")} == {
        "nodes": 1,
        "edges": 1,
        "layers": 1,
        "pending": 1,
    }
    assert [node["label"] for node in people["nodes"]] == ["A"]


Members = dict[str, bytes]


def members_of(file: Path) -> Members:
    with zipfile.ZipFile(file) as found:
        return {name: found.read(name) for name in found.namelist()}


def written(members: Members, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def in_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        manifest = orjson.loads(members["manifest.json"])
        change(manifest)
        members["manifest.json"] = orjson.dumps(manifest)

    return apply


def in_document(data: bytes) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        (name, *_) = [name for name in members if name.endswith("document.yjs")]
        members[name] = data

    return apply


def in_pending(data: bytes) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        (name,) = [name for name in members if "/pending/" in name]
        members[name] = data

    return apply


def own_parent(manifest: dict[str, Any]) -> None:
    first, second = manifest["graphs"]
    first["parent_graph_id"], second["parent_graph_id"] = second["id"], first["id"]


HOSTILE: dict[str, tuple[Callable[[Members], object], str]] = {
    "no manifest": (lambda members: members.pop("manifest.json"), "missing"),
    "no JSON": (lambda members: members.update({"manifest.json": b"{"}), "JSON"),
    "deep JSON": (lambda members: members.update({"manifest.json": b"[" * 100_000}), "JSON"),
    "no object": (lambda members: members.update({"manifest.json": b"[]"}), "manifest"),
    "later version": (in_manifest(lambda manifest: manifest.update(version=2)), "version 2"),
    "other format": (in_manifest(lambda manifest: manifest.update(format="x")), "'x'"),
    "unknown member": (in_manifest(lambda manifest: manifest.update(x=1)), "x"),
    "unknown type": (in_manifest(lambda manifest: manifest["graphs"][0].update(graph_type="pie")), "graph_type"),
    "rules are no object": (in_manifest(lambda manifest: manifest["project"].update(rules=[])), "rules"),
    "twice the same id": (in_manifest(lambda manifest: manifest["graphs"].append(manifest["graphs"][0])), "same id"),
    "its own parent": (in_manifest(own_parent), "copy of itself"),
    "a path for an id": (in_manifest(lambda manifest: manifest["graphs"][0].update(id="../../x")), "id"),
    "other counts": (in_manifest(lambda manifest: manifest["graphs"][0].update(nodes=7)), "not the one"),
    "more pending": (in_manifest(lambda manifest: manifest["graphs"][0].update(pending=2)), "missing"),
    "endless pending": (in_manifest(lambda manifest: manifest["graphs"][0].update(pending=10**9)), "pending"),
    "no update": (in_document(b"nonsense"), "not sound"),
    "an update with more after it": (in_document(b"\x00\x00\x00"), "not sound"),
    "an update that waits": (in_document(document()[-1]), "missing"),
    "a document nested too deep": (in_document(nested_arrays(200)), "nested"),
    "no update that waits": (in_pending(b"\xff\xff"), "not sound"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_archive_changes_nothing(
    settings: Settings, database: Database, file: Path, tmp_path: Path, what: str
) -> None:
    """BACKUP-8."""
    spoil, reason = HOSTILE[what]
    members = members_of(file)
    spoil(members)
    before = await Projects(database).of_user(ME)
    with pytest.raises(ArchiveError, match=reason):
        await unarchive_project(settings, written(members, tmp_path / "hostile.zip"), None)
    assert await Projects(database).of_user(ME) == before


@pytest.mark.parametrize("name", ["", "\t", "x" * 201, "a\0b"])
async def test_what_the_schema_refuses_changes_nothing(
    settings: Settings, database: Database, file: Path, tmp_path: Path, name: str
) -> None:
    """BACKUP-8: here in the last graph of the archive."""
    members = members_of(file)
    in_manifest(lambda manifest: manifest["graphs"][-1].update(name=name))(members)
    before = await Projects(database).of_user(ME)
    with pytest.raises(InvalidValueError):
        await unarchive_project(settings, written(members, tmp_path / "hostile.zip"), None)
    assert await Projects(database).of_user(ME) == before


async def test_what_unpacks_to_more_than_the_bound_is_read_no_further(
    settings: Settings, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BACKUP-8: of one file, and of all together."""
    members = members_of(file)
    in_document(bytes(2 * 1024 * 1024))(members)
    bomb = written(members, tmp_path / "bomb.zip")
    assert bomb.stat().st_size < 64 * 1024
    monkeypatch.setattr(archive, "MAX_DOCUMENT_BYTES", 1024 * 1024)
    with pytest.raises(ArchiveError, match="larger"):
        await unarchive_project(settings, bomb, None)
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", len(members["manifest.json"]) + 10)
    with pytest.raises(ArchiveError, match="larger"):
        await unarchive_project(settings, file, None)


def test_a_name_twice_or_an_unusual_packing_is_refused(file: Path, tmp_path: Path) -> None:
    """BACKUP-8."""
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as made:
        made.writestr("manifest.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("manifest.json", "{}")
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("manifest.json", "{}")
    for path, reason in ((twice, "twice"), (packed, "unusual")):
        with pytest.raises(ArchiveError, match=reason), opened(path):
            pass


def mutations(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        mutated = bytearray(data)
        for _ in range(chance.choice((1, 1, 3, 20))):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        yield bytes(mutated[: chance.choice((len(mutated), chance.randrange(1, len(mutated))))])


def test_mutated_archives_are_sound_or_refused(file: Path, tmp_path: Path) -> None:
    """BACKUP-8: nothing but ArchiveError leaves the reading of bytes that changed anywhere."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    refused = 0
    for mutated in mutations(file.read_bytes(), seed, ROUNDS):
        path = tmp_path / "mutated.zip"
        path.write_bytes(mutated)
        try:
            with opened(path) as found:
                for _ in unpacked_graphs(found, uuid4, check_document):
                    pass
        except ArchiveError:
            refused += 1
    assert refused


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["project", *arguments])
    return result.exit_code, result.output


def test_the_commands(database_url: str, project: Project, tmp_path: Path) -> None:
    """BACKUP-9."""
    there = ("--database-url", database_url)
    file = tmp_path / "bridge.zip"
    code, output = run("archive", str(project.id), "--out", str(file), *there)
    assert (code, output) == (0, f"{file}: 2 graph(s), {file.stat().st_size} bytes\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code, output = run("archive", str(project.id), "--out", str(file), *there)
    assert (code, "exists already" in output) == (1, True)
    code, output = run("archive", str(uuid4()), "--out", str(tmp_path / "none.zip"), *there)
    assert (code, "there is no project" in output) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridge.zip"]

    code, output = run("unarchive", str(file), "--name", "Second", *there)
    assert code == 0
    assert output.endswith("  Second: 2 graph(s)\n")
    (tmp_path / "nonsense.zip").write_bytes(b"PK nonsense")
    code, output = run("unarchive", str(tmp_path / "nonsense.zip"), *there)
    assert (code, "no sound archive" in output) == (1, True)
    assert "Traceback" not in output
