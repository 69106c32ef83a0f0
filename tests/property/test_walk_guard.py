"""WIRE-1: what passes the walk does not bring yrs down, whatever was done to the bytes on their way."""

import os
import random
from typing import Any

from pycrdt import Array, Map, Text, XmlElement, XmlFragment

from collab.arrivals import Arrivals, WaitingFullError
from collab.document import LiveDocument, PoisonedDocumentError
from collab.wire.errors import MalformedError
from collab.wire.state_vector import decode_state_vector
from collab.wire.update import pieces, walk
from tests.unit.documents import recorded

MUTATIONS = int(os.environ.get("LAYERCAKE_MUTATIONS", "20000"))
SEED = int(os.environ.get("LAYERCAKE_MUTATION_SEED", random.SystemRandom().randrange(2**32)))


def sound_updates() -> list[bytes]:
    """Updates with every kind of content."""
    doc, updates = recorded(5)
    root: Any = doc.get("map", type=Map)
    root["value"] = {"a": [1, 2.5, None, True, "ü", -(2**40)], "b": b"\x00\x01"}
    root["text"] = Text("hello 🇿é world")
    root["text"].insert(2, "bold", {"weight": 1})
    root["array"] = Array([1, Map({"k": Text("nested")}), "two"])
    del root["value"]
    text = doc.get("text", type=Text)
    for letter in "typing":
        text += letter
    del text[1:3]
    doc.get("xml", type=XmlFragment).children.append(XmlElement("p", {"class": "x"}, ["text"]))
    return [*updates, doc.get_update()]


def mutated(chance: random.Random, update: bytes) -> bytes:
    """Return `update` with a few bytes changed, put in, left out or repeated."""
    data = bytearray(update)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0 and at < len(data):
            data[at] = chance.choice(
                [0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256), data[at] ^ 1 << chance.randrange(8)]
            )
        elif kind == 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 4))
        elif kind == 2:
            del data[at : at + chance.randrange(1, 4)]
        else:
            data[at:at] = data[chance.randrange(len(data) + 1) :][:8]
        data = data or bytearray(1)
    return bytes(data)


def take(arrivals: Arrivals, update: bytes) -> None:
    shape = walk(update)
    for piece in pieces(update) if shape.has_gaps else (update,):
        arrivals.take(piece, walk(piece))


def test_WIRE_1_no_mutated_update_that_passes_the_walk_brings_yrs_down() -> None:
    print(f"LAYERCAKE_MUTATION_SEED={SEED}")
    chance = random.Random(SEED)
    sound = sound_updates()
    doc, edits_of_others = recorded(77)
    doc.get("map", type=Map)["other"] = Text("x")
    taken = refused = given_up = 0
    panics: list[str] = []
    document = LiveDocument()
    arrivals = Arrivals(document, limit_bytes=100_000)
    for number in range(MUTATIONS):
        if number % 40 == 0:
            document = LiveDocument()
            arrivals = Arrivals(document, limit_bytes=100_000)
            take(arrivals, sound[0])
        update = mutated(chance, chance.choice(sound))
        try:
            take(arrivals, update)
            taken += 1
        except (MalformedError, WaitingFullError):
            refused += 1
        except PoisonedDocumentError as error:
            panics += [] if isinstance(error.__cause__, Exception | None) else [update.hex()]
            given_up += 1
            document = LiveDocument()
            arrivals = Arrivals(document, limit_bytes=100_000)
            continue
        document.doc.get_update()
        if number % 40 == 39:
            take(arrivals, edits_of_others[0])
            document.doc.get_update()
            assert decode_state_vector(document.doc.get_state()) == document.state_vector
    print(f"taken={taken} refused={refused} given_up={given_up}")
    assert panics == []
    assert taken
    assert refused
