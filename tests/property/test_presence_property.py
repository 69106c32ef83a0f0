"""PRES-12: whatever sockets come, break and go, everyone ends up seeing who is there.

All within the minute for which those who left are known: y-protocols' own timeouts are shorter, and not played here.
"""

import json
import os
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from auth.policy import Credential, Principal
from collab.presence import with_principal
from tests.unit.rooms import Client, Stage
from tests.unit.stock_awareness import StockAwareness

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60"))
FAILED_BEFORE: list[int] = [2260527611, 4194031897, 383205752]
"""Seeds that once found a fault; they are run first."""
SEEDS = [pytest.param(seed, id=f"again-{seed}") for seed in FAILED_BEFORE] + [
    pytest.param(None, id=str(number)) for number in range(ROUNDS)
]
PEOPLE = [Principal(UUID(int=number), f"Person {number}", "person", Credential("session")) for number in range(3)]
STATES: list[bytes | None] = [b"{}", b'{"x":1}', b'{"x":2}', b'{"text":"{"}', None]


class Tab:
    """A stock client on a line that may break without the server noticing."""

    def __init__(self, stage: Stage, client_id: int, principal: Principal) -> None:
        self._stage = stage
        self.principal = principal
        self.awareness = StockAwareness(client_id)
        self.awareness.show(b"{}")
        self.came_silently = False
        self.line: Client | None = None
        self.half_open: list[Client] = []
        self._under_way: list[tuple[Client, bytes]] = []

    def connect(self) -> None:
        if self.line is None:
            self.line = self._stage.client(user=self.principal)
            greeting = self.awareness.greeting()
            self.came_silently |= greeting is None
            if greeting is not None:
                self._stage.room.announcements.receive(
                    self.line.session, greeting, self._stage.clock.now, is_greeting=True
                )

    def lose_line(self) -> None:
        """The client notices, the server does not yet; what was under way may still arrive."""
        if self.line is not None:
            self.half_open.append(self.line)
            self.line = None
            self.awareness.lose_connection()

    def show(self, state: bytes | None) -> None:
        self._send(self.awareness.show(state))

    def read(self) -> None:
        """Hear all that arrived, and repeat it."""
        if self.line is not None:
            self.line.read()
            frames, self.line.presence = self.line.presence, []
            for frame in frames:
                repeated = self.awareness.hear(frame)
                if repeated is not None:
                    self._send(repeated)

    def deliver(self) -> None:
        """Let what this client sent arrive, as far as its socket is still there."""
        under_way, self._under_way = self._under_way, []
        for line, update in under_way:
            if line.session in self._stage.room.sessions:
                self._stage.room.announcements.receive(line.session, update, self._stage.clock.now)

    def close_half_open(self) -> None:
        """The server notices at last."""
        while self.half_open:
            self.half_open.pop().leave()

    def _send(self, update: bytes) -> None:
        if self.line is not None:
            self._under_way.append((self.line, update))


def act(chance: random.Random, stage: Stage, tabs: list[Tab]) -> None:
    tab = chance.choice(tabs)
    happenings: list[Callable[[], object]] = [
        tab.connect,
        tab.lose_line,
        tab.read,
        tab.read,
        tab.deliver,
        tab.deliver,
        tab.close_half_open,
        lambda: tab.show(chance.choice(STATES)),
        lambda: stage.clock.pass_time(chance.choice([0.0, 0.01, 0.3])),
    ]
    if tab.line is not None:
        session = tab.line.session
        happenings += [lambda: stage.room.fall_behind(session), lambda: stage.room.catch_up(session)]
    chance.choice(happenings)()


def calm_down(stage: Stage, tabs: list[Tab]) -> None:
    for tab in tabs:
        tab.deliver()
        tab.close_half_open()
        if tab.line is not None:
            stage.room.catch_up(tab.line.session)
    exchange(stage, tabs)
    if any(tab.came_silently for tab in tabs):
        # It cannot be told from a stranger, and takes nobody with a clock that it knows: it hears of renewals.
        for tab in tabs:
            tab.show(tab.awareness.states.get(tab.awareness.client_id))
    exchange(stage, tabs)


def exchange(stage: Stage, tabs: list[Tab]) -> None:
    for _ in range(4):
        stage.clock.pass_time(1)
        for tab in tabs:
            tab.read()
            tab.deliver()


def parsed(states: dict[int, bytes]) -> dict[int, Any]:
    return {client: json.loads(state) for client, state in states.items()}


@pytest.mark.parametrize("again", SEEDS)
def test_PRES_12_everyone_sees_who_is_there(again: int | None) -> None:
    seed = random.randrange(2**32) if again is None else again
    print(f"seed={seed}")
    chance = random.Random(seed)
    stage = Stage()
    tabs = [Tab(stage, 1_000 + number, chance.choice(PEOPLE)) for number in range(chance.randint(2, 7))]
    for _ in range(chance.randrange(10, 150)):
        act(chance, stage, tabs)
    calm_down(stage, tabs)
    there = {}
    for tab in tabs:
        own = tab.awareness.states.get(tab.awareness.client_id)
        if tab.line is not None and own is not None:
            there[tab.awareness.client_id] = (own, with_principal(own, tab.principal))
    for tab in tabs:
        if tab.line is not None:
            me = tab.awareness.client_id
            expected = {client: own if client == me else told for client, (own, told) in there.items()}
            assert parsed(tab.awareness.states) == parsed(expected)
