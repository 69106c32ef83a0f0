"""WIRE-1 to WIRE-4: what the walk yields, and what it refuses."""

import random
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab.arrivals import Arrivals
from collab.document import LiveDocument
from collab.nesting import MAX_TYPE_DEPTH
from collab.wire.errors import MalformedError, NestingError
from collab.wire.state_vector import decode_state_vector, encode_state_vector
from collab.wire.update import walk
from collab.wire.varuint import prefixed, varuint
from persistence.document import MAX_VALUE_DEPTH
from tests.unit.documents import nested_arrays, recorded


def take(document: LiveDocument, update: bytes) -> None:
    Arrivals(document, limit_bytes=0).take(update, walk(update))


KILLER = bytes.fromhex("0101fff685989401010080000100010180a1de0b00040101741268656c6c6f20f09f87bfc3a920776f726c6400")


def test_WIRE_2_the_walk_yields_struct_and_delete_ends() -> None:
    doc, updates = recorded(7)
    text = doc.get("text", type=Text)
    text += "abñ𝄞"
    del text[0:2]
    assert walk(updates[0]).struct_ends == {7: 5}, "clocks count UTF-16 units"
    assert walk(updates[0]).delete_ends == {}
    assert walk(updates[1]) == ({}, {}, {7: 2}, {}, False, False, 1, 0)


def test_WIRE_1_every_kind_of_content_is_walked_to_its_end() -> None:
    doc, updates = recorded(9)
    root = doc.get("map", type=Map)
    root["any"] = {"a": [1, -2, 2.5, None, True, False, "ü", 2**40, {"deep": []}], "b": b"\x00\xff"}
    root["text"] = Text("x")
    root["array"] = Array([1, Map({"k": Text("nested")}), "two"])
    text = doc.get("text", type=Text)
    text.insert(0, "bold", {"weight": {"value": 1}})
    text.insert_embed(0, {"image": "x"})
    text.format(0, 2, {"italic": True})
    fragment = doc.get("xml", type=XmlFragment)
    fragment.children.append(XmlElement("p", {"class": "x"}, ["text", XmlText("more")]))
    root["document"] = Doc()
    del root["any"]
    whole = doc.get_update()
    for update in [*updates, whole]:
        walk(update)
    assert walk(whole).struct_ends == decode_state_vector(doc.get_state())


@pytest.mark.parametrize("cut", [1, 2, 5, 9])
def test_WIRE_1_a_cut_or_padded_update_is_refused(cut: int) -> None:
    doc, updates = recorded(3)
    doc.get("map", type=Map)["key"] = {"some": "value"}
    with pytest.raises(MalformedError):
        walk(updates[0][:-cut])
    with pytest.raises(MalformedError):
        walk(updates[0] + b"\x00" * cut)


@pytest.mark.parametrize(
    ("name", "update"),
    [
        ("an update that bricks a document", KILLER),
        ("a zero-length garbage struct", b"\x01\x01\x05\x00\x00\x00\x00"),
        ("a client without structs", b"\x01\x00\x05\x00\x00"),
        ("a client listed twice", b"\x02" + b"\x01\x05\x00\x00\x01" * 2 + b"\x00"),
        ("an unknown content", b"\x01\x01\x05\x00\x1d\x01\x01t\x00"),
        ("an unknown shared type", b"\x01\x01\x05\x00\x07\x01\x01t\x63\x00"),
        ("an unknown value", b"\x01\x01\x05\x00\x08\x01\x01t\x01\x10\x00"),
        ("a parent that is neither root nor item", b"\x01\x01\x05\x00\x04\x02\x01t\x01a\x00"),
        ("text that is not UTF-8", b"\x01\x01\x05\x00\x04\x01\x01t\x02\xed\xa0\x00"),
        ("a clock past 32 bits", b"\x01\x01\x05" + varuint(2**31 - 1) + b"\x04\x01\x01t\x01a\x00"),
        ("an integer past 53 bits", b"\xff" * 8 + b"\x7f"),
        ("a number of clients that is not there", varuint(2**40)),
        ("nothing", b""),
    ],
)
def test_WIRE_1_and_4_what_no_client_sends_is_refused(name: str, update: bytes) -> None:
    with pytest.raises(MalformedError):
        walk(update)


def _value(depth: int) -> bytes:
    """An update with one map entry whose value is `depth` lists in one another."""
    return b"\x01\x01\x05\x00\x28\x01\x01m\x01k\x01" + b"\x75\x01" * (depth - 1) + b"\x75\x00" + b"\x00"


def test_WIRE_3_values_nest_at_most_64_deep() -> None:
    walk(_value(MAX_VALUE_DEPTH))
    with pytest.raises(NestingError, match="values"):
        walk(_value(MAX_VALUE_DEPTH + 1))


@pytest.mark.parametrize("depth", [MAX_VALUE_DEPTH, MAX_VALUE_DEPTH + 1])
def test_WIRE_3_json_in_embeds_nests_at_most_64_deep(depth: int) -> None:
    text = '{"[": "\\"]"}'.replace("{", "[" * depth + "{").replace("}", "}" + "]" * depth)
    update = b"\x01\x01\x05\x00\x05\x01\x01t" + prefixed(text.encode()) + b"\x00"
    with pytest.raises(NestingError):
        walk(update)
    flat = "[" + ",".join(["[]"] * depth) + "]"
    walk(b"\x01\x01\x05\x00\x05\x01\x01t" + prefixed(flat.encode()) + b"\x00")


def test_WIRE_3_types_nest_at_most_32_deep_in_one_update() -> None:
    take(LiveDocument(), nested_arrays(MAX_TYPE_DEPTH))
    document = LiveDocument()
    with pytest.raises(NestingError, match="shared types"):
        take(document, nested_arrays(30_000))
    assert document.state_vector == {}


def test_WIRE_3_types_nest_at_most_32_deep_against_their_live_parents() -> None:
    """One level an update, as an attacker would: the depth is that of the document, not of the update."""
    document = LiveDocument()
    doc, updates = recorded(1)
    inner: Any = doc.get("array", type=Array)
    for _ in range(MAX_TYPE_DEPTH + 1):
        inner.append(Array())
        inner = inner[0]
    for update in updates[:-1]:
        take(document, update)
    with pytest.raises(NestingError):
        take(document, updates[-1])


def test_WIRE_3_types_that_arrive_in_reverse_nest_no_deeper() -> None:
    """An attacker may send the innermost level first: it is placed once all it hangs on is there."""
    document = LiveDocument()
    doc, updates = recorded(1)
    inner: Any = doc.get("array", type=Array)
    for _ in range(MAX_TYPE_DEPTH + 20):
        inner.append(Array())
        inner = inner[0]
    arrivals = Arrivals(document, 1_000_000)
    for update in reversed(updates):
        arrivals.take(update, walk(update))
    assert document.state_vector == {1: MAX_TYPE_DEPTH}


def test_WIRE_3_siblings_beside_plain_values_do_not_count_as_deeper() -> None:
    document = LiveDocument()
    doc, updates = recorded(1)
    array = doc.get("array", type=Array)
    for number in range(100):
        array.append(number)
        array.append(Map({"text": Text(str(number))}))
        array[-1]["text"] += "more"
    for update in updates:
        take(document, update)
    assert document.doc.get_update() == doc.get_update()


def test_WIRE_3_items_that_lie_inside_each_other_are_refused() -> None:
    circle = b"\x01\x02\x05\x00" + b"\x07\x00\x05\x01\x00" + b"\x07\x00\x05\x00\x00" + b"\x00"
    with pytest.raises(MalformedError, match="circle"):
        take(LiveDocument(), circle)


def test_state_vectors_survive_a_round_trip() -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    vector = {chance.randrange(2**32): chance.randrange(2**31) for _ in range(200)}
    assert decode_state_vector(encode_state_vector(vector)) == vector
    for bad in (b"", b"\x02\x01\x01", b"\x00\x00"):
        with pytest.raises(MalformedError):
            decode_state_vector(bad)
