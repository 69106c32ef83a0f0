"""Tables become a graph, or a list of all that is wrong: rules IMPORT-1 to IMPORT-9 of SPEC.md."""

import time
from pathlib import Path

import pytest

from persistence.document import MAX_KEY_BYTES, Edge, GraphContent, Layer, Node
from workspace.importing import GraphRead, prepare_graph, read_graph
from workspace.issues import MAX_ISSUES_SHOWN, TableErrors, TableIssue
from workspace.tables import MAX_FILE_BYTES, MAX_ROW_CHARACTERS, MAX_ROWS, TableFile, TableKind, kind_of

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT.parent / "shared" / "data" / "graphs"
NODES = "id,label\na,A\nb,B\nc,C\n"


def read(**files: str | bytes) -> GraphRead:
    return read_graph(
        [
            TableFile(name.replace("_", "."), data.encode() if isinstance(data, str) else data)
            for name, data in files.items()
        ]
    )


def issues(**files: str | bytes) -> list[TableIssue]:
    with pytest.raises(TableErrors) as raised:
        read(**files)
    return list(raised.value.issues)


def places(**files: str | bytes) -> list[tuple[str | None, int | None, str | None]]:
    return [(issue.file, issue.line, issue.column) for issue in issues(**files)]


def test_columns_are_found_by_name_in_any_order_and_case() -> None:
    """IMPORT-1."""
    content = read(
        nodes_csv="Belongs_To,weight,LABEL,id,comment,is_partition,layer\n,2.50,A,a,why,yes,base\na,7,,b,,,base\n",
        links_csv="target,ID,source,weight\nb,e,a,1e2\n",
        layers_csv="layer,label,background,border,text\nbase,Base,fff,ccc,000\n",
    ).content

    assert content.nodes == (Node("a", "A", "base", True, None, 2.5, "why"), Node("b", "", "base", False, "a", 7))
    assert content.edges == (Edge("e", "a", "b", weight=100),)
    assert content.layers == (Layer("base", "Base", "fff", "000", "ccc"),)


def test_layers_may_name_their_columns_as_the_document_does() -> None:
    """IMPORT-1."""
    layers = "name,id,border_color,text_color,background_color\nBase,base,red,green,blue\n"

    assert read(n_csv=NODES, l_csv=layers).content.layers == (Layer("base", "Base", "blue", "green", "red"),)


def test_columns_nobody_knows_become_properties_and_empty_cells_nothing() -> None:
    """IMPORT-1."""
    content = read(n_csv="id,Owner,label,cost \na, Ada ,A,5\nb,,B,\n").content

    assert content.nodes == (Node("a", "A", properties={"Owner": "Ada", "cost": "5"}), Node("b", "B"))


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("id,label", TableKind.NODES),
        ("id,belongs_to", TableKind.NODES),
        ("source,target", TableKind.EDGES),
        ("id,source,taget,label", TableKind.EDGES),
        ("id,label,is_partition,belongs_to,source", TableKind.NODES),
        ("layer,label", TableKind.LAYERS),
        ("id,label,background", TableKind.LAYERS),
        ("resource_type,label", None),
        ("id,source,is_partition", None),
        ("", None),
    ],
)
def test_the_header_says_what_a_table_is(header: str, kind: TableKind | None) -> None:
    """IMPORT-2."""
    assert kind_of(header.split(",")) == kind


def test_the_name_of_a_file_says_nothing() -> None:
    """IMPORT-2."""
    content = read(edges_csv=NODES, nodes_csv="source,target\na,b\n").content

    assert (len(content.nodes), len(content.edges)) == (3, 1)


def test_an_explicit_kind_wins_over_the_header() -> None:
    """IMPORT-2."""
    layers = TableFile("x.csv", b"id,label\nbase,Base\n", TableKind.LAYERS)
    content = read_graph([TableFile("n.csv", NODES.encode(), TableKind.NODES), layers]).content

    assert content.layers == (Layer("base", "Base"),)


def test_files_that_are_no_such_table_are_left_out_and_named() -> None:
    """IMPORT-2."""
    assert read(n_csv=NODES, labels_csv="type,label\nx,y\n", empty_csv="").left_out == ("labels.csv", "empty.csv")


def test_without_a_table_of_nodes_there_is_no_graph() -> None:
    """IMPORT-2."""
    assert places(labels_csv="type,label\nx,y\n") == [(None, None, None)]
    assert places() == [(None, None, None)]


def test_two_tables_of_one_kind_are_refused() -> None:
    """IMPORT-2."""
    assert places(one_csv=NODES, two_csv=NODES) == [("two.csv", None, None)]


def test_all_errors_are_told_at_once_with_their_places() -> None:
    """IMPORT-3."""
    found = places(
        edges_csv="id,source,target\ne,a,nowhere\ne,a,b\nf,,b\n",
        layers_csv="id,background,Background_Color\nbase,fff,fff\n",
        nodes_csv="id,label,Weight,is_partition\na,A,heavy,perhaps\nb,B\na,A,1,1\n,A,,\n",
        utf16_csv="id,label\n".encode("utf-16"),
    )

    assert found == [
        ("edges.csv", 2, "target"),
        ("edges.csv", 3, "id"),
        ("edges.csv", 4, "source"),
        ("layers.csv", 1, "Background_Color"),
        ("nodes.csv", 2, "Weight"),
        ("nodes.csv", 2, "is_partition"),
        ("nodes.csv", 3, None),
        ("nodes.csv", 4, "id"),
        ("nodes.csv", 5, "id"),
        ("utf16.csv", 1, None),
    ]


def test_an_issue_reads_as_one_line() -> None:
    """IMPORT-3."""
    found = issues(n_csv="id,label,weight\na,A,x\n")

    assert str(found[0]) == "n.csv:2 (weight): expected a number, but there is 'x'"


def test_the_first_errors_are_shown_and_all_are_counted() -> None:
    """IMPORT-3."""
    rows = "".join(f"{i},N,x\n" for i in range(250))
    with pytest.raises(TableErrors) as raised:
        read(n_csv="id,label,weight\n" + rows)

    assert len(raised.value.issues) == MAX_ISSUES_SHOWN
    assert raised.value.count == 250


def test_a_row_is_named_by_the_line_it_starts_on() -> None:
    """IMPORT-3: cells with line breaks and blank rows are counted."""
    assert places(n_csv='id,label,weight\n\na,"two\nlines",1\n,,\nb,B,x\n') == [("n.csv", 6, "weight")]


@pytest.mark.parametrize("cell", ["true", "TRUE", "yes", "Yes", "y", "1"])
def test_words_for_true(cell: str) -> None:
    """IMPORT-4."""
    assert read(n_csv=f"id,label,is_partition\na,A,{cell}\n").content.nodes[0].is_partition is True


@pytest.mark.parametrize("cell", ["false", "no", "n", "N", "0", ""])
def test_words_for_false(cell: str) -> None:
    """IMPORT-4."""
    assert read(n_csv=f"id,label,is_partition\na,A,{cell}\n").content.nodes[0].is_partition is False


@pytest.mark.parametrize(
    ("cell", "number"), [("1", 1), ("1.0", 1), ("-2.5", -2.5), ("+.5", 0.5), ("1e3", 1000), ("", None)]
)
def test_numbers(cell: str, number: float | None) -> None:
    """IMPORT-4."""
    weight = read(n_csv=f"id,label,weight\na,A,{cell}\n").content.nodes[0].weight

    assert (weight, type(weight)) == (number, type(number))


@pytest.mark.parametrize("cell", ["x", "nan", "inf", "1e999", "1_000", "0x10", "١", "9007199254740993000", "1 2"])
def test_what_is_no_number_is_refused(cell: str) -> None:
    """IMPORT-4."""
    assert places(n_csv=f"id,label,weight\na,A,{cell}\n") == [("n.csv", 2, "weight")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.csv", "id,label\r\na,A\r\n"),
        ("n.csv", "\ufeffid,label\na,A"),
        ("n.csv", "id;label\na;A\n"),
        ("n.tsv", "id\tlabel\na\tA\n"),
        ("n.txt", "id\tlabel\na\tA\n"),
        ("n.csv", '"id","label"\n"a" ,"A"\n'.replace('" ,', '",')),
        ("n.csv", "\n,\nid,label,\na, A ,\n,,\n"),
    ],
)
def test_separators_marks_line_ends_and_blank_rows(name: str, text: str) -> None:
    """IMPORT-5."""
    assert read_graph([TableFile(name, text.encode())]).content.nodes == (Node("a", "A"),)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("id,label\na,é\n".encode("latin-1"), 2),
        ("id,label\n".encode("utf-16"), 1),
        (b"id,label\na,A\nb,\0\n", 3),
        (b'id,label\na,"A\nb,B\n', 2),
        (b'id,label\na,"A"x\n', 2),
        (b"id,label,\na,A,lost\n", 2),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(data: bytes, line: int) -> None:
    """IMPORT-5."""
    assert [place[:2] for place in places(n_csv=data)] == [("n.csv", line)]


def test_edges_without_ids_are_named_by_their_ends() -> None:
    """IMPORT-6: the same ids every time, one for each parallel edge."""
    edges = "source,target\na,b\na,c\na,b\na,b\n"
    first, second = (read(n_csv=NODES, e_csv=edges).content.edges for _ in range(2))

    assert first == second
    assert [edge.id for edge in first] == ["a->b", "a->b#2", "a->b#3", "a->c"]


def test_made_ids_do_not_meet() -> None:
    """IMPORT-6."""
    edges = "source,target\na,b#2\na,b\na,b\n"
    content = read(n_csv="id,label\na,A\nb,B\nb#2,B\n", e_csv=edges).content

    assert sorted(edge.id for edge in content.edges) == ["a->b", "a->b#2", "a->b#3"]


def test_an_id_is_bounded() -> None:
    """IMPORT-6."""
    assert read(n_csv=f"id,label\n{'é' * (MAX_KEY_BYTES // 2)},A\n").content.nodes
    assert places(n_csv=f"id,label\n{'é' * (MAX_KEY_BYTES // 2)}x,A\n") == [("n.csv", 2, "id")]


def test_a_parent_must_be_there() -> None:
    """IMPORT-7."""
    assert places(n_csv="id,label,belongs_to\na,A,x\n") == [("n.csv", 2, "belongs_to")]


def test_no_node_is_within_itself() -> None:
    """IMPORT-7: one error for each circle, at a node of it."""
    found = issues(n_csv="id,label,belongs_to\nroot,R,\nx,X,a\na,A,b\nb,B,c\nc,C,a\ns,S,s\nok,O,root\n")

    assert [(issue.line, issue.message.partition(": ")[2]) for issue in found] == [
        (4, "a in b in c in a"),
        (7, "s in s"),
    ]


def test_a_broken_table_of_nodes_makes_no_errors_elsewhere() -> None:
    """IMPORT-7: nobody knows which nodes it would have had."""
    assert places(n_csv="label,is_partition\nA,no\n", e_csv="source,target\na,b\n") == [("n.csv", 1, "id")]


def test_the_layer_of_a_node_must_be_in_the_table_of_layers() -> None:
    """IMPORT-8."""
    nodes = "id,label,layer\na,A,base\nb,B,bsae\n"

    assert read(n_csv=nodes).content.nodes[1].layer == "bsae"
    assert places(n_csv=nodes, l_csv="layer,label\nbase,Base\n") == [("n.csv", 3, "layer")]


def test_the_layer_of_an_edge_may_be_any_word() -> None:
    """IMPORT-8."""
    edges = "source,target,layer\na,b,kind of edge\n"
    content = read(n_csv=NODES, e_csv=edges, l_csv="layer,label\nbase,Base\n").content

    assert content.edges[0].layer == "kind of edge"


def test_tables_are_bounded() -> None:
    """IMPORT-9."""
    long_row = f"id,label\na,{'x' * MAX_ROW_CHARACTERS}\n"
    many_rows = "id,label\n" + "".join(f"{i},\n" for i in range(MAX_ROWS + 1))

    assert places(n_csv=long_row) == [("n.csv", 2, None)]
    assert places(n_csv=f"id,label\na,{'x' * 2 * MAX_ROW_CHARACTERS}\n") == [("n.csv", 2, None)]
    assert places(n_csv=many_rows) == [("n.csv", MAX_ROWS + 2, None)]
    assert places(n_csv=b" " * (MAX_FILE_BYTES + 1)) == [("n.csv", None, None)]


def test_progress_ends_with_everything_done() -> None:
    heard: list[tuple[int, int]] = []
    prepare_graph([TableFile("n.csv", NODES.encode())], lambda done, total: heard.append((done, total)))

    assert heard == [(3, 3)]


def test_a_hundred_thousand_rows_take_seconds() -> None:
    """IMPORT-9: time grows with the rows, also for one long chain of parents and one pair with many edges."""
    rows = 50_000
    chain = "id,label,belongs_to\n0,,\n" + "".join(f"{i},,{i - 1}\n" for i in range(1, rows))
    started = time.perf_counter()
    content = read(n_csv=chain, e_csv="source,target\n" + "0,1\n" * rows).content

    assert len({edge.id for edge in content.edges}) == rows
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("folder", "nodes", "edges", "layers", "left_out"),
    [
        ("distributed-monolith", 165, 355, 8, ["resource_labels.csv"]),
        ("ref", 49, 50, 4, []),
        ("attack_tree", 38, 55, 4, []),
        ("kvm_control_flow", 17, 12, 4, []),
    ],
)
def test_real_graphs_are_read_whole(folder: str, nodes: int, edges: int, layers: int, left_out: list[str]) -> None:
    """IMPORT-1 to IMPORT-8 on tables that people made; skipped where they are not at hand."""
    path = SAMPLES / folder
    if not path.is_dir():
        pytest.skip(f"no sample {folder}")
    read = read_graph([TableFile(file.name, file.read_bytes()) for file in sorted(path.glob("*.csv"))])

    assert _counts(read.content) == (nodes, edges, layers)
    assert list(read.left_out) == left_out


def test_the_example_is_a_layered_graph_with_parallel_edges() -> None:
    """What the project ships imports without a word of complaint."""
    files = sorted((ROOT / "examples").glob("*/*.csv"))
    read = read_graph([TableFile(file.name, file.read_bytes()) for file in files])
    pairs = [(edge.source, edge.target) for edge in read.content.edges]

    assert read.left_out == ()
    assert len(pairs) > len(set(pairs))
    assert {node.layer for node in read.content.nodes} == {layer.id for layer in read.content.layers}


def _counts(content: GraphContent) -> tuple[int, int, int]:
    return len(content.nodes), len(content.edges), len(content.layers)
