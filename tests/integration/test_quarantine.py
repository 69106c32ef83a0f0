"""QUAR: rows that are left out of their graph, on a real store and through the doors of a server."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from followed import Clock, caught_up, labels, new_graph, nodes, store
from pycrdt import Map
from served import PEOPLE, Served, serving

from collab.bans import Bans
from collab.follower import Follower, FollowerSettings
from collab.healing import SoundDocuments, Whole, run_here
from persistence.database import Database
from persistence.errors import BrokenDocumentError, StoreUnavailableError
from persistence.operations import StoredDocuments
from persistence.projection import Projection
from persistence.quarantine import Quarantine
from persistence.records import ANONYMOUS_USER_ID, Caller, Operation
from persistence.retention import Retention
from server.documents import assemble, read_stored
from tests.clients.eventually import eventually
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.integration.followed import BEGIN_CAPTURE
from tests.unit.documents import KILLERS, SETS_FREE, panic_on

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

EVENTS = (
    "SELECT event_type, payload FROM events WHERE stream_id = $1 AND event_type LIKE 'graph.operation_%' ORDER BY id"
)
MARKED = "SELECT operation_id, reason FROM quarantined_operations ORDER BY operation_id"
IDS = "SELECT id FROM crdt_operations WHERE graph_id = $1 ORDER BY id"
COMPACT_AT_ONCE = FollowerSettings(compaction_operations=1)


async def read(database: Database, graph_id: UUID) -> Whole:
    """Read a document as the hub does."""
    return await SoundDocuments(StoredDocuments(database), 1_000_000, Bans(1_000_000), run_here).read(graph_id)


def labels_of(whole: Whole) -> dict[str, str]:
    shown = whole.document.doc.get("nodes", type=Map)
    return {id_: shown[id_]["label"] for id_ in shown}


def raw(update: bytes, like: Operation) -> Operation:
    return Operation(like.graph_id, update, "{}", ANONYMOUS_USER_ID, "of old", "", like.created_at, like.created_at)


async def poisoned_graph(database: Database, *bad: bytes) -> tuple[UUID, Sequence[Operation]]:
    """Return a graph with two good rows and the bad ones between them."""
    graph_id, good = await new_graph(database), nodes("a", "b")
    log = [good[0], *(raw(update, good[0]) for update in bad), good[1]]
    await store(database, graph_id, log)
    return graph_id, log


async def ids(owner: asyncpg.Connection, graph_id: UUID) -> list[int]:
    return [row["id"] for row in await owner.fetch(IDS, graph_id)]


async def marked(owner: asyncpg.Connection) -> dict[int, str]:
    return {row["operation_id"]: row["reason"] for row in await owner.fetch(MARKED)}


@pytest.mark.parametrize("name", [name for name in KILLERS if name != "bomb that waits"])
async def test_QUAR_1_and_QUAR_2_a_graph_opens_without_its_bad_row_which_is_marked_once(
    name: str, database: Database, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database, KILLERS[name])
    _, bad, _ = await ids(owner, graph_id)
    assert labels_of(await read(database, graph_id)) == {"n0": "a", "n1": "b"}
    again = await read(database, graph_id)
    assert (labels_of(again), again.sessions) == ({"n0": "a", "n1": "b"}, frozenset())
    assert list(await marked(owner)) == [bad]
    [(event_type, payload)] = [(row[0], row[1]) for row in await owner.fetch(EVENTS, graph_id)]
    assert event_type == "graph.operation_quarantined"
    assert f'"operation_id": {bad}' in payload
    assert '"session_id": "of old"' in payload
    assert await ids(owner, graph_id), "the log keeps it"


async def test_QUAR_2_a_load_that_cannot_mark_what_it_left_out_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph_id, _ = await poisoned_graph(database, KILLERS["garbage"])

    async def fail(*_: object) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(Quarantine, "quarantine", fail)
    with pytest.raises(StoreUnavailableError):
        await read(database, graph_id)


async def test_QUAR_3_a_marked_row_is_in_no_state_and_pruned_by_nothing(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    """COMPACT-6, COMPACT-8, FOLLOW-7: the follower finds it first."""
    graph_id, _ = await poisoned_graph(database, *KILLERS.values())
    await store(database, graph_id, nodes("c", client=8))
    bad = (await ids(owner, graph_id))[1 : 1 + len(KILLERS)]
    waits = bad.pop()
    follower = Follower(projection, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE)
    await caught_up(follower)
    assert list(await marked(owner)) == bad
    assert (follower.statistics.compactions, follower.statistics.compactions_refused) == (1, 0)
    assert await owner.fetchval("SELECT crdt_pending_ids FROM graphs WHERE id = $1", graph_id) == [waits]
    await owner.execute("UPDATE crdt_operations SET created_at = now() - interval '2 days'")
    retention = Retention(database)
    pruned = [page.operations async for page in retention.prune(graph_id, timedelta(days=1))]
    assert sum(pruned) == 3
    assert await ids(owner, graph_id) == [*bad, waits]
    chunks = await read_stored(StoredDocuments(database), graph_id)
    assert {id_ for chunk in chunks for id_ in chunk.ids} == {waits}
    assert assemble(chunks).pending == (KILLERS["bomb that waits"],)


async def test_QUAR_4_what_waited_and_is_bad_when_its_turn_comes_is_marked_then(
    database: Database, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database, KILLERS["bomb that waits"])
    await read(database, graph_id)
    assert await marked(owner) == {}
    await store(database, graph_id, [raw(SETS_FREE, nodes("x")[0])])
    await read(database, graph_id)
    assert list(await marked(owner)) == [(await ids(owner, graph_id))[1]]


async def test_QUAR_4_a_row_that_yrs_fails_on_in_spite_of_the_walk_is_found(
    database: Database, projection: Projection, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOLLOW-7: by the hub and by the follower, which agree."""
    graph_id, log = await poisoned_graph(database, nodes("bad", client=9)[0].update)
    panic_on(monkeypatch, log[1].update)
    assert labels_of(await read(database, graph_id)) == {"n0": "a", "n1": "b"}
    other, other_log = await poisoned_graph(database, nodes("bad", client=9)[0].update)
    panic_on(monkeypatch, other_log[1].update)
    follower = Follower(projection, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE)
    await caught_up(follower)
    assert await labels(owner, other) == {"n0": "a", "n1": "b"}
    assert list(await marked(owner)) == [(await ids(owner, graph))[1] for graph in (graph_id, other)]
    assert follower.statistics.compactions == 2


async def test_QUAR_5_a_broken_state_is_dropped_if_the_rows_are_all_there(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database)
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE))
    await owner.execute("UPDATE graphs SET crdt_state = '\\xffff'")
    assert labels_of(await read(database, graph_id)) == {"n0": "a", "n1": "b"}
    assert await owner.fetchval("SELECT crdt_through FROM graphs") == 0
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE))
    assert await owner.fetchval("SELECT crdt_through FROM graphs") > 0
    assert await marked(owner) == {}


async def test_QUAR_5_a_broken_state_whose_rows_were_pruned_refuses_the_load(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database)
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE))
    await owner.execute("UPDATE graphs SET crdt_state = '\\xffff'")
    await owner.execute("DELETE FROM crdt_operations WHERE id = (SELECT min(id) FROM crdt_operations)")
    with pytest.raises(BrokenDocumentError, match="restore a backup"):
        await read(database, graph_id)
    assert await owner.fetchval("SELECT crdt_state FROM graphs") == b"\xff\xff"


async def test_QUAR_7_a_released_row_below_the_state_is_loaded_as_one_that_came_late(
    database: Database, projection: Projection, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database)
    sound = (await ids(owner, graph_id))[1]
    await StoredDocuments(database).quarantine(graph_id, {sound: "by a test"})
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE))
    await projection.close()
    assert await labels(owner, graph_id) == {"n0": "a"}
    await Quarantine(database).release(Caller(ANONYMOUS_USER_ID), graph_id, sound)
    assert labels_of(await read(database, graph_id)) == {"n0": "a", "n1": "b"}
    following = Projection(database)
    await caught_up(Follower(following, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE))
    await following.close()
    assert await labels(owner, graph_id) == {"n0": "a", "n1": "b"}


@pytest.fixture
async def live(database: Database, database_url: str) -> Any:
    async with serving(database, database_url) as server:
        yield server


async def test_QUAR_6_only_who_may_manage_a_graph_sees_what_is_left_out(
    live: Served, database: Database, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database, KILLERS["bomb"])
    await read(database, graph_id)
    ((bad, reason),) = (await marked(owner)).items()
    async with live.http() as admin, live.http("viewer") as viewer, live.http(None) as nobody:
        listed = (await admin.get("/api/quarantine", params={"graph_id": str(graph_id)})).json()["items"]
        assert [(one["operation_id"], one["reason"]) for one in listed] == [(bad, reason)]
        one = (await admin.get(f"/api/quarantine/{bad}")).json()
        assert (one["data"], one["session_id"]) == (KILLERS["bomb"].hex(), "of old")
        assert (await viewer.get("/api/quarantine")).json() == {"items": []}
        for path, send in ((f"/api/quarantine/{bad}", viewer.get), (f"/api/quarantine/{bad}/release", viewer.post)):
            refused, unknown = await send(path), await send(path.replace(str(bad), "4711"))
            assert (refused.status_code, unknown.status_code) == (404, 404)
            assert refused.json() == {**unknown.json(), "detail": unknown.json()["detail"].replace("4711", str(bad))}
        assert (await nobody.get("/api/quarantine")).status_code == 401
        again = (await admin.post(f"/api/quarantine/{bad}/release")).json()
        assert again == {"operation_id": bad, "is_released": False, "reason": reason}
    told = [row["event_type"] for row in await owner.fetch(EVENTS, graph_id)]
    assert told == ["graph.operation_quarantined", "graph.operation_released", "graph.operation_quarantined"]
    assert PEOPLE["viewer"] != ANONYMOUS_USER_ID


async def test_QUAR_5_over_http_a_broken_state_is_mended_or_named(
    live: Served, database: Database, owner: asyncpg.Connection
) -> None:
    graph_id, _ = await poisoned_graph(database)
    following = Projection(database)
    await caught_up(Follower(following, BEGIN_CAPTURE, Clock(), COMPACT_AT_ONCE))
    await following.close()
    await owner.execute("UPDATE graphs SET crdt_state = '\\xffff', crdt_vector = '\\x00' WHERE id = $1", graph_id)
    async with live.http() as http:
        answer = (await http.get(f"/api/graphs/{graph_id}")).json()
        assert [node["label"] for node in answer["nodes"]] == ["a", "b"]
    other, _ = await poisoned_graph(database)
    vector = b"\x01\x07\x7f"
    await owner.execute("UPDATE graphs SET crdt_state = '\\xffff', crdt_vector = $2 WHERE id = $1", *(other, vector))
    async with live.http() as http:
        answer = await http.get(f"/api/graphs/{other}")
    assert (answer.status_code, answer.json()["code"]) == (503, "broken_document")
    assert "restore a backup" in answer.json()["detail"]


async def test_ROOM_11_over_sockets_the_author_alone_is_cut_and_what_others_send_arrives(
    live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QUAR-8, QUAR-11: an update that passes the walk and brings yrs down, while five others type."""
    graph = await live.create_graph()
    bad = [PycrdtReplica().edit(["map.set", "bad", number])[0] for number in range(2)]
    panic_on(monkeypatch, *bad)
    clients = [YClient(live.url(graph)) for _ in range(5)]
    authors = [YClient(live.url(graph)) for _ in bad]
    for client in (*clients, *authors):
        await client.connect()

    async def type_on(number: int) -> None:
        for turn in range(30):
            await clients[number].edit(["map.set", f"{number}-{turn}", turn])
        await clients[number].saved()

    async with asyncio.timeout(30), asyncio.TaskGroup() as typing:
        for number in range(5):
            typing.create_task(type_on(number))
        for author, update in zip(authors, bad, strict=True):
            typing.create_task(author.send_update(update))
    assert [await author.closed() for author in authors] == [4400, 4400]
    assert all(client.is_connected for client in clients)

    async def contents() -> list[dict[str, Any]]:
        return [(await client.content()).map for client in clients]

    everything = {f"{number}-{turn}": turn for number in range(5) for turn in range(30)}
    await eventually(contents, lambda found: found == [everything] * 5)
    async with live.http() as http:

        async def metrics() -> str:
            return (await http.get("/metrics")).text

        found = await eventually(metrics, lambda text: "layercake_documents_healed_total 2.0" in text)
    assert "layercake_documents_poisoned_total 2.0" in found
    for client in clients:
        await client.disconnect()
    async with YClient(live.url(graph)) as fresh:
        assert (await fresh.content()).map == everything


async def test_QUAR_10_a_stop_while_a_document_heals_ends_in_time(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = PycrdtReplica().edit(["map.set", "bad", 1])[0]
    panic_on(monkeypatch, bad)
    async with serving(database, database_url, shutdown_timeout_s=5) as server:
        graph = await server.create_graph()
        client, author = YClient(server.url(graph)), YClient(server.url(graph))
        await client.connect()
        await author.connect()
        blocker = await asyncpg.connect(database_url)
        lock = blocker.transaction()
        await lock.start()
        await blocker.execute("LOCK TABLE graphs IN ACCESS EXCLUSIVE MODE")
        await author.send_update(bad)
        assert await author.closed() == 4400
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 8
    await blocker.close()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("heal")] == []
    await client.disconnect()
