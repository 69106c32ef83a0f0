"""QUAR-1: what was taken in, stored and loaded again is the live document, whatever was sent."""

import os
import random
from typing import Any

import orjson
import pytest
from pycrdt import Array, Doc, Map, Text

from collab.arrivals import Arrivals, WaitingFullError
from collab.document import LiveDocument, PoisonedDocumentError
from collab.loading import Loading
from collab.wire.errors import MalformedError
from collab.wire.update import pieces, walk
from tests.property.test_walk_guard import mutated
from tests.unit.documents import recorded

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60"))
SEED = int(os.environ.get("LAYERCAKE_PROPERTY_SEED", random.SystemRandom().randrange(2**32)))
STEPS = 40
WORDS = ("é", "🇿", "a", "bc", "ü日", "x")
FORMER_FAILURES = (122, 454, 543, 672, 826)
"""Seeds whose rows became something else when they were applied in one transaction of yrs."""


class _Session:
    """One live document, the rows stored of it, and three people whose clients are pycrdt's."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._people = [recorded(100 + number) for number in range(3)]
        self._sent: list[bytes] = []
        self.document = LiveDocument()
        self.arrivals = Arrivals(self.document, 100_000)
        self.rows: list[bytes] = []

    def step(self) -> None:
        doc, updates = self._chance.choice(self._people)
        updates.clear()
        edit(self._chance, doc)
        self._sent += updates
        for update in list(updates):
            self._receive(update)
        if self._sent and self._chance.random() < 0.5:
            self._receive(mutated(self._chance, self._chance.choice(self._sent)))
        if self._chance.random() < 0.3:
            self._chance.choice(self._people)[0].apply_update(self.document.difference({}))

    def _receive(self, update: bytes) -> None:
        """Take an update in as a room does."""
        try:
            for piece in pieces(update) if walk(update).has_gaps else (update,):
                if piece in self.arrivals:
                    continue
                arrivals = self.arrivals.take(piece, walk(piece))
                if not arrivals or any(arrival.applied.change is not None for arrival in arrivals):
                    self.rows.append(piece)
        except (MalformedError, WaitingFullError):
            pass


def edit(chance: random.Random, doc: Doc[Any]) -> None:
    """Change something; now and then in the middle of a character, as a client that counts bytes may."""
    root, text, array = doc.get("map", type=Map), doc.get("text", type=Text), doc.get("array", type=Array)
    kind, key, word = chance.randrange(8), chance.choice("ab"), chance.choice(WORDS)
    shown = str(text)
    cut = chance.randrange(len(shown) + 1)
    at = len(shown[:cut].encode())
    if kind == 0:
        root[key] = word
    elif kind == 1:
        root[key] = Text(word)
    elif kind == 2:
        root[key] = Map({"k": Text(word)})
    elif kind in (3, 4):
        text.insert(chance.randrange(len(text) + 1) if chance.random() < 0.1 else at, word)
    elif kind == 5 and cut < len(shown):
        del text[at : at + len(shown[cut].encode())]
    elif kind == 6:
        array.insert(chance.randrange(len(array) + 1), word)
    elif kind == 7 and len(array):
        del array[chance.randrange(len(array))]


def content(document: LiveDocument) -> tuple[object, ...]:
    doc = document.doc
    known = document.state_vector
    shown = (
        orjson.loads(str(doc.get("map", type=Map))),
        str(doc.get("text", type=Text)),
        str(doc.get("array", type=Array)),
    )
    return (*shown, dict(known), document.difference(known))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_QUAR_1_a_document_loaded_from_its_rows_is_the_live_one() -> None:
    print(f"LAYERCAKE_PROPERTY_SEED={SEED}")
    equal = 0
    for seed in (*FORMER_FAILURES, *range(SEED, SEED + ROUNDS)):
        session = _Session(random.Random(seed))
        try:
            for _ in range(STEPS):
                session.step()
            live = content(session.document)
        except PoisonedDocumentError:
            continue  # a room heals then
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            continue  # yrs failed in one of the people's own documents
        loading = Loading(0)
        loading.take_rows(enumerate(session.rows, 1))
        assert loading.refused == {}, seed
        assert content(loading.document) == live, seed
        assert set(loading.arrivals.waiting) == set(session.arrivals.waiting), seed
        equal += 1
    assert equal > (ROUNDS + len(FORMER_FAILURES)) * 0.8


def test_an_insertion_in_the_middle_of_a_character_is_refused_by_the_walk() -> None:
    """WIRE-4: pycrdt counts bytes, and makes an item that names itself as its right neighbour."""
    doc, updates = recorded(100)
    text = doc.get("text", type=Text)
    text += "aé"
    text.insert(2, "b")
    with pytest.raises(MalformedError, match="after it"):
        walk(updates[1])
