"""What was written as tables and as a document is read back: IMPORT-1, IMPORT-3, IMPORT-5, IMPORT-10 of SPEC.md."""

import contextlib
import csv
import io
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given, settings
from pycrdt import Doc

from persistence.document import Edge, GraphContent, Layer, Node, build_updates, read_content
from workspace.importing import prepare_graph, read_graph
from workspace.issues import TableErrors
from workspace.tables import TableFile

GRAPH_ID = UUID(int=1)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12).map(str.strip)
_ID = _TEXT.filter(bool)
_WEIGHT = st.none() | st.integers(-(2**53), 2**53) | st.decimals(-1000, 1000, places=3).map(float)

_MEMBERS = ["id", "label", "weight", "source", "target", "belongs_to", "layer", "properties", "position", "lineage_id"]


@st.composite
def graphs(draw: st.DrawFn) -> GraphContent:
    """A graph whose parents come before their children and whose edges have ends."""
    layers = draw(st.lists(_ID, unique=True, max_size=3))
    ids = draw(st.lists(_ID, unique=True, min_size=1, max_size=8))
    nodes = [
        Node(
            id=id_,
            label=draw(_TEXT),
            layer=draw(st.sampled_from([None, *layers])),
            is_partition=draw(st.booleans()),
            belongs_to=draw(st.sampled_from([None, *ids[:number]])),
            weight=draw(_WEIGHT),
            comment=draw(_TEXT) or None,
            properties={"owner": owner} if (owner := draw(_TEXT)) else {},
        )
        for number, id_ in enumerate(ids)
    ]
    ends = st.sampled_from(ids)
    edges = [
        Edge(id_, draw(ends), draw(ends), draw(_TEXT), draw(_TEXT) or None, draw(_WEIGHT))
        for id_ in draw(st.lists(_ID, unique=True, max_size=8))
    ]
    named = [Layer(id_, draw(_TEXT), draw(_TEXT) or None) for id_ in layers]
    return GraphContent(*(tuple(sorted(part, key=lambda one: one.id)) for part in (nodes, edges, named)))


@st.composite
def tables(draw: st.DrawFn, content: GraphContent) -> list[TableFile]:
    """The graph as tables: columns, rows and files in any order, any separator, with and without a mark."""
    columns = (
        ["id", "label", "layer", "is_partition", "belongs_to", "weight", "comment", "owner"],
        ["id", "source", "target", "label", "layer", "weight"],
        ["id", "name", "background_color"],
    )
    files = []
    for entities, names in zip((content.nodes, content.edges, content.layers), columns, strict=True):
        header = draw(st.permutations(names))
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=draw(st.sampled_from(",;\t")))
        writer.writerow(draw(st.sampled_from([str.lower, str.title, str.upper]))(name) for name in header)
        writer.writerows([_cell(entity, name) for name in header] for entity in draw(st.permutations(entities)))
        mark = draw(st.sampled_from(["", "\ufeff"]))
        files.append(TableFile(f"{len(files)}.csv", (mark + out.getvalue()).encode()))
    return list(draw(st.permutations(files)))


def _cell(entity: Any, name: str) -> object:
    return entity.properties.get(name) if name == "owner" else getattr(entity, name)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_graph_written_as_tables_is_read_back(data: st.DataObject) -> None:
    """IMPORT-1, IMPORT-5."""
    content = data.draw(graphs())
    read = read_graph(data.draw(tables(content))).content

    assert [_lower(node) for node in read.nodes] == list(content.nodes)
    assert (read.edges, read.layers) == (content.edges, content.layers)


def _lower(node: Node) -> Node:
    """Return `node` with its property as it was called before the header took another case."""
    return replace(node, properties={name.lower(): value for name, value in node.properties.items()})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["id,label\n", "source;target\n", "layer\tlabel\n", ""]), st.binary(max_size=60)),
        max_size=3,
    )
)
def test_whatever_the_bytes_are_there_is_a_graph_or_a_list_of_errors(parts: list[tuple[str, bytes]]) -> None:
    """IMPORT-3, IMPORT-5: nothing else is raised."""
    files = [TableFile(f"{number}.csv", head.encode() + rest) for number, (head, rest) in enumerate(parts)]
    with contextlib.suppress(TableErrors):
        prepared = prepare_graph(files)
        assert sum(update.entities for update in prepared.updates) == sum(prepared.counts.values())


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_a_graph_written_as_a_document_is_read_back(content: GraphContent) -> None:
    """IMPORT-10."""
    doc: Doc = Doc()
    for update in build_updates(content, 1):
        doc.apply_update(update.data)

    read = read_content(doc, GRAPH_ID)
    assert tuple(replace(node, lineage_id=None) for node in read.nodes) == content.nodes
    assert tuple(replace(edge, lineage_id=None) for edge in read.edges) == content.edges
    assert read.layers == content.layers


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_MEMBERS) | st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional={"nodes": _JSON, "edges": _JSON, "layers": _JSON}), st.booleans())
def test_whatever_the_json_is_there_is_a_graph_or_a_list_of_errors(document: Any, is_wrapped: bool) -> None:
    """IMPORT-3, IMPORT-15: nothing else is raised."""
    if is_wrapped:
        document = {kind: [{"id": "a", "properties": value, "weight": value}] for kind, value in document.items()}
    with contextlib.suppress(TableErrors):
        prepare_graph([TableFile("x", json.dumps(document).encode())])
