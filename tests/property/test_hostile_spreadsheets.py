"""Whatever is done to the bytes of a spreadsheet, there is a graph or a list of errors: IMPORT-16 of SPEC.md."""

import io
import os
import random
import secrets
import zipfile

from persistence.document import Edge, GraphContent, Node
from workspace.exporting import ExportFormat, write_export
from workspace.importing import read_graph
from workspace.issues import TableErrors
from workspace.tables import TableFile

ROUNDS = int(os.environ.get("LAYERCAKE_PROPERTY_ROUNDS", "60")) * 10
CONTENT = GraphContent((Node("a", "A", weight=1.5, properties={"k": "v"}), Node("b")), (Edge("e", "a", "b"),))
INSERTED = (
    *(
        b"<c>",
        b"</c>",
        b"<v>",
        b"&#0;",
        b"\xff",
        b"\0",
        b"<!DOCTYPE x>",
        b"9" * 12,
        b'<row r="9">',
        b'<c r="XFD9"><v>1',
    ),
    *(b'encoding="foo"', b'encoding="utf-16"', b'<?xml version="1.0" encoding="foo"?>', b"PK\x03\x04", b"PK\x01\x02"),
)


def changed(data: bytes, draw: random.Random) -> bytes:
    mutable = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(mutable) + 1)
        match draw.randrange(4):
            case 0:
                mutable[at : at + 1] = draw.randbytes(1)
            case 1:
                mutable[at : at + draw.randint(0, 20)] = b""
            case 2:
                mutable[at:at] = draw.choice(INSERTED)
            case _:
                other = draw.randrange(len(mutable) + 1)
                mutable[at:at] = mutable[other : other + 30]
    return bytes(mutable)


def repacked(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for name, part in parts.items():
            package.writestr(name, part)
    return out.getvalue()


def test_changed_spreadsheets_end_in_a_graph_or_in_errors() -> None:
    """IMPORT-16: with changes anywhere in the archive, and in one part of it; nothing else is raised."""
    out = io.BytesIO()
    write_export(out, {}, CONTENT, ExportFormat.XLSX)
    whole = out.getvalue()
    with zipfile.ZipFile(out) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    graphs = 0
    for _ in range(ROUNDS):
        name = draw.choice(list(parts))
        data = draw.choice([changed(whole, draw), repacked({**parts, name: changed(parts[name], draw)})])
        try:
            graphs += read_graph([TableFile("book.xlsx", data)]).content.entities > 0
        except TableErrors:
            continue

    assert 0 < graphs < ROUNDS
