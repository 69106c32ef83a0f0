"""ROOM-1: whatever is delayed, reordered, repeated, lost or restarted, all converge to every accepted update."""

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text

from collab.outbox import merge
from collab.wire.state_vector import decode_state_vector
from tests.unit.rooms import Client, Stage

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60"))
FAILED_BEFORE: list[int] = []
"""Seeds that once found a fault; they are run first."""


def edit(chance: random.Random, doc: Doc[Any]) -> None:
    """Make one random change."""
    text, entries, items = doc.get("t", type=Text), doc.get("m", type=Map), doc.get("a", type=Array)
    kind = chance.randrange(7)
    if kind == 0:
        text.insert(chance.randrange(len(text) + 1), chance.choice(["a", "bc", "def "]))
    elif kind == 1 and len(text) > 2:
        at = chance.randrange(len(text) - 1)
        del text[at : at + 1]
    elif kind == 2:
        entries[f"k{chance.randrange(5)}"] = chance.choice([1, "two", None, [3], {"four": 5}])
    elif kind == 3 and len(entries):
        del entries[chance.choice(list(entries.keys()))]
    elif kind == 4:
        entries[f"m{chance.randrange(3)}"] = Map({"inner": Text("x"), "n": chance.random()})
    elif kind == 5 and len(items):
        del items[chance.randrange(len(items))]
    else:
        items.insert(chance.randrange(len(items) + 1), chance.choice([1, Map({"deep": Array([1])})]))


def send(chance: random.Random, client: Client) -> None:
    """Send the edits made so far: in disorder, twice, or merged, as it comes."""
    updates = client.take_edits()
    if chance.random() < 0.2:
        chance.shuffle(updates)
    if chance.random() < 0.2 and updates:
        updates += [chance.choice(updates)]
    if chance.random() < 0.3 and len(updates) > 1:
        updates = [merge(updates)]
    if updates:
        client.push(*updates)


def leave_or_return(client: Client, gone: list[Client]) -> None:
    if client in gone:
        gone.remove(client)
        client.join()
    else:
        gone.append(client)
        client.leave()
        client.inbox.clear()


def act(chance: random.Random, stage: Stage, clients: list[Client], gone: list[Client]) -> None:
    """Let one random thing happen to the network or the people on it."""
    client = chance.choice(clients)
    happenings: list[Callable[[], object]] = [
        lambda: stage.clock.pass_time(chance.choice([0.0, 0.001, 0.01, 0.2])),
        lambda: stage.log.commit(chance.randrange(len(stage.log.held) + 1)),
        lambda: leave_or_return(client, gone),
    ]
    if not client.read_only:
        happenings += [lambda: edit(chance, client.doc)] * 4
    if not client.read_only and client not in gone:
        happenings += [lambda: send(chance, client)] * 2
    if client not in gone:
        happenings += [
            client.read,
            lambda: stage.room.fall_behind(client.session),
            lambda: stage.room.catch_up(client.session),
        ]
    chance.choice(happenings)()


def everything(doc: Doc[Any]) -> dict[str, Any]:
    return {
        "t": str(doc.get("t", type=Text)),
        "m": doc.get("m", type=Map).to_py(),
        "a": doc.get("a", type=Array).to_py(),
    }


def calm_down(stage: Stage, clients: list[Client], gone: list[Client]) -> None:
    for client in clients:
        if client in gone:
            client.join()
        stage.room.catch_up(client.session)
    for _ in range(4):
        for client in clients:
            client.read()
            stage.room.answer_step1(client.session, client.doc.get_state())
            missing = client.doc.get_update(stage.room.document.encoded_state_vector())
            client.push(missing)
        stage.calm(*clients)


@pytest.mark.parametrize("number", range(ROUNDS + len(FAILED_BEFORE)))
def test_ROOM_1_all_converge_and_the_log_holds_it_all(number: int) -> None:
    seed = FAILED_BEFORE[number] if number < len(FAILED_BEFORE) else random.randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    stage = Stage()
    clients = [stage.client(read_only=chance.random() < 0.2) for _ in range(chance.randrange(2, 6))]
    gone: list[Client] = []
    for _ in range(chance.randrange(20, 200)):
        act(chance, stage, clients, gone)
    calm_down(stage, clients, gone)
    contents = [everything(client.doc) for client in clients]
    assert all(content == contents[0] for content in contents)
    reloaded = Stage(stored=tuple(operation.update for operation in stage.log.stored)).room.document
    assert everything(reloaded.doc) == contents[0]
    assert reloaded.state_vector == stage.room.document.state_vector
    for document in (reloaded, stage.room.document):
        assert decode_state_vector(document.doc.get_state()) == document.state_vector
    assert all(session.unsettled == 0 for session in stage.room.sessions)
