"""COMPACT-3: what recorded keystrokes of real people are compacted to, beside what Yjs itself makes of them."""

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from collab.follower import Advance, Follower
from collab.wire.state_vector import decode_state_vector
from persistence.database import Database
from persistence.projection import Projection
from persistence.records import ANONYMOUS_USER_ID, Operation
from tests.clients.replicas import PycrdtReplica
from tests.integration.followed import BEGIN_CAPTURE, load, new_graph, store
from tests.integration.test_traces import Stroke, keystroke, load_trace, two_typists

MOST = 1.5
FLUSH_OPERATIONS = 5_000
CLIENTS = Path(__file__).parents[1] / "clients"
SIZE_IN_YJS = """
    const Y = require("yjs");
    const doc = new Y.Doc();
    const lines = require("readline").createInterface({ input: process.stdin });
    lines.on("line", (line) => Y.applyUpdate(doc, Buffer.from(line, "base64")));
    lines.on("close", () => {
      const text = doc.getText("text").toString();
      console.log(JSON.stringify([Y.encodeStateAsUpdate(doc).length, text]));
    });
"""
STATE = "SELECT crdt_state, crdt_vector, crdt_through, projected_through FROM graphs WHERE id = $1"


def in_yjs(updates: list[bytes]) -> tuple[int, str]:
    """Return the size of Yjs's encoding of a document made of `updates`, and its text."""
    lines = b"".join(base64.b64encode(update) + b"\n" for update in updates)
    done = subprocess.run(["node", "-e", SIZE_IN_YJS], cwd=CLIENTS, input=lines, capture_output=True, check=True)
    size, text = json.loads(done.stdout)
    return size, text


def in_causal_order(one: list[Stroke], two: list[Stroke]) -> Iterator[bytes]:
    """Interleave two typists so that each stroke comes after what its author had seen."""
    clocks = [0, 0]
    lines = [iter(one), iter(two)]
    heads = [next(line, None) for line in lines]
    for me in itertools.cycle((0, 1)):
        while (stroke := heads[me]) is not None and clocks[1 - me] >= stroke.after_clock:
            yield stroke.update
            replica = decode_ends(stroke.update)
            clocks[me] = replica.get(me + 1, clocks[me])
            heads[me] = next(lines[me], None)
        if heads == [None, None]:
            return


def decode_ends(update: bytes) -> dict[int, int]:
    from collab.wire.update import walk

    return walk(update).struct_ends


def updates_of(name: str) -> tuple[list[bytes], str]:
    trace = load_trace(name)
    if name == "friendsforever":
        return list(in_causal_order(*two_typists(trace["txns"]))), trace["endContent"]
    author = PycrdtReplica()
    return [keystroke(author, transaction["patches"]) for transaction in trace["txns"]], trace["endContent"]


@pytest.mark.parametrize("name", ["friendsforever", "automerge-paper"])
async def test_a_state_is_not_much_larger_than_yjs_makes_it(name: str, database: Database, database_url: str) -> None:
    """COMPACT-3."""
    updates, text = updates_of(name)
    graph_id = await new_graph(database)
    now = datetime.now(UTC)
    log = [Operation(UUID(int=0), update, "{}", ANONYMOUS_USER_ID, "s", "", now, now) for update in updates]
    for start in range(0, len(log), FLUSH_OPERATIONS):
        await store(database, graph_id, log[start : start + FLUSH_OPERATIONS])
    projection = Projection(database)
    started = time.perf_counter()
    follower = Follower(projection, BEGIN_CAPTURE, time.monotonic)
    while await follower.advance(graph_id) is not Advance.DONE:
        pass
    took_s = time.perf_counter() - started
    await projection.close()
    owner = await asyncpg.connect(database_url)
    row = await owner.fetchrow(STATE, graph_id)
    await owner.close()
    size, yjs_text = in_yjs(updates)
    print(
        f"{name}: {len(updates)} operations followed and compacted in {took_s:.2f} s,"
        f" {len(row['crdt_state'])} bytes, {len(row['crdt_state']) / size:.3f} of Yjs"
    )
    assert row["crdt_through"] == row["projected_through"]
    assert len(row["crdt_state"]) <= MOST * size
    loaded = await load(database, graph_id)
    assert decode_state_vector(row["crdt_vector"]) == loaded.state_vector
    assert in_yjs([row["crdt_state"]]) == (pytest.approx(size, rel=0.5), text)
    assert yjs_text == text
