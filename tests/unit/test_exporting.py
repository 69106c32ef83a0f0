"""A graph becomes a file: EXPORT-2 to EXPORT-6 of SPEC.md; and files as imports read them: IMPORT-13, IMPORT-15."""

import csv
import io
import pickle
import zipfile
from typing import Any
from uuid import UUID

import orjson
import pytest

from persistence.document import Edge, GraphContent, Layer, Node
from workspace.export_tables import MAX_PROPERTY_COLUMNS, ExportError
from workspace.exporting import ExportFormat, export_file_name, write_export
from workspace.importing import read_graph
from workspace.issues import TableErrors
from workspace.tables import MAX_ROW_CHARACTERS, TableFile, TableKind
from workspace.xlsx_cells import MAX_CELL_CHARACTERS

LINEAGE = UUID(int=3)
HEAD = {"id": str(UUID(int=1)), "name": "Deck", "graph_type": "data", "description": None}


def exported(
    content: GraphContent, export_format: ExportFormat = ExportFormat.CSV, table: TableKind | None = None
) -> bytes:
    out = io.BytesIO()
    write_export(out, HEAD, content, export_format, table)
    return out.getvalue()


def table(content: GraphContent, kind: TableKind) -> list[list[str]]:
    return list(csv.reader(io.StringIO(exported(content, table=kind).decode(), newline="")))


def nodes(*properties: dict[str, Any]) -> GraphContent:
    return GraphContent(
        tuple(Node(str(number), lineage_id=LINEAGE, properties=one) for number, one in enumerate(properties))
    )


def own_columns(content: GraphContent) -> list[str]:
    return table(content, TableKind.NODES)[0][10:-1]


def test_csv_is_an_archive_of_three_tables_or_one_of_them() -> None:
    """EXPORT-2."""
    node = Node("a", "A, B", "base", True, None, 2, 'say "x"\nso', {}, LINEAGE, {"x": 1, "y": 2.5}, "text")
    content = GraphContent((node,), (Edge("e", "a", "a", lineage_id=LINEAGE),), (Layer("base", "Base", "#fff"),))
    with zipfile.ZipFile(io.BytesIO(exported(content))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}

    assert files == {
        "nodes.csv": "id,label,layer,is_partition,belongs_to,weight,comment,lineage_id,position,content,properties\r\n"
        f'a,"A, B",base,true,,2,"say ""x""\nso",{LINEAGE},"{{""x"":1,""y"":2.5}}",text,\r\n',
        "edges.csv": f"id,source,target,label,layer,weight,comment,lineage_id,properties\r\ne,a,a,,,,,{LINEAGE},\r\n",
        "layers.csv": "id,name,background_color,text_color,border_color,properties\r\nbase,Base,#fff,,,\r\n",
    }
    for kind in TableKind:
        assert exported(content, table=kind).decode() == files[f"{kind.value}.csv"]


def test_json_is_one_document_with_an_entity_a_line() -> None:
    """EXPORT-2."""
    content = GraphContent((Node("a", lineage_id=LINEAGE), Node("b", lineage_id=LINEAGE)), (), (Layer("base"),))
    data = exported(content, ExportFormat.JSON)
    document = orjson.loads(data)

    assert list(document) == ["id", "name", "graph_type", "description", "nodes", "edges", "layers"]
    assert HEAD.items() <= document.items()
    assert (document["nodes"], document["edges"]) == (orjson.loads(orjson.dumps(content.nodes)), [])
    assert sum(line.startswith(b'{"id"') for line in data.splitlines()) == 1 + 2 + 1


def test_an_empty_graph_can_be_exported() -> None:
    """EXPORT-2: and its tables still say what they are."""
    for export_format in ExportFormat:
        assert read_graph([TableFile("x", exported(GraphContent(), export_format))]).content == GraphContent()


def test_texts_get_columns_of_their_own_and_other_properties_share_one() -> None:
    """EXPORT-3."""
    content = nodes({"owner": "Ada", "cost": 5}, {"owner": 7, "cost": "5", "note": ""})

    assert own_columns(content) == ["cost", "note", "owner"]
    assert [row[10:] for row in table(content, TableKind.NODES)[1:]] == [
        ["", "", "Ada", '{"cost":5}'],
        ["5", "", "", '{"note":"","owner":7}'],
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " x",
        "x ",
        "label",
        "Label",
        "text",
        "SOURCE",
        "properties",
        "=x",
        "a;b",
        "a,b",
        "a\tb",
        "a\nb",
        '"',
        "1",
        "x" * 101,
    ],
)
def test_names_that_an_import_could_mistake_get_no_column(name: str) -> None:
    """EXPORT-3."""
    assert own_columns(nodes({name: "text"})) == []


def test_names_that_differ_in_case_only_get_no_column() -> None:
    """EXPORT-3."""
    assert own_columns(nodes({"Owner": "a"}, {"owner": "b", "Über x": "c"})) == ["Über x"]


def test_the_columns_of_properties_are_bounded() -> None:
    """EXPORT-3: and what is beyond the bound is in the column that holds the others."""
    content = nodes({f"p{number:03}": "x" for number in range(MAX_PROPERTY_COLUMNS + 5)})

    assert len(own_columns(content)) == MAX_PROPERTY_COLUMNS
    assert read_graph([TableFile("x", exported(content))]).content == content


@pytest.mark.parametrize(
    ("export_format", "node", "field", "reason"),
    [
        (ExportFormat.CSV, Node("a", "\0"), "label", "NUL"),
        (ExportFormat.CSV, Node("a\0"), "id", "NUL"),
        (ExportFormat.XLSX, Node("a", comment="x" * (MAX_CELL_CHARACTERS + 1)), "comment", "32767"),
        (ExportFormat.XLSX, Node("a", comment="😀" * (MAX_CELL_CHARACTERS // 2 + 1)), "comment", "32767"),
        (ExportFormat.XLSX, Node("a", properties={"k": "x" * 40_000}), "properties", "32767"),
    ],
)
def test_what_a_format_cannot_hold_is_named(export_format: ExportFormat, node: Node, field: str, reason: str) -> None:
    """EXPORT-4: with the format that can."""
    content = GraphContent((node,))
    with pytest.raises(ExportError) as raised:
        exported(content, export_format)
    copy = pickle.loads(pickle.dumps(raised.value))

    assert (copy.kind, copy.id, copy.field) == (TableKind.NODES, node.id, field)
    assert reason in copy.reason
    assert str(copy) == f"node {node.id!r}: its {field} {copy.reason}; export JSON, which holds everything"
    assert read_graph([TableFile("x", exported(content, ExportFormat.JSON))]).content == content


def test_the_most_that_a_cell_holds_is_written() -> None:
    """EXPORT-4: and NUL where a spreadsheet is concerned."""
    content = GraphContent((Node("a", "\0", comment="x" * MAX_CELL_CHARACTERS),))

    assert read_graph([TableFile("x", exported(content, ExportFormat.XLSX))]).content == content


def test_progress_ends_with_everything_written() -> None:
    """EXPORT-6."""
    content = GraphContent(tuple(Node(f"{number:05}") for number in range(2_345)), (), (Layer("base"),))
    for export_format in ExportFormat:
        heard: list[int] = []
        write_export(io.BytesIO(), HEAD, content, export_format, None, heard.append)
        assert sum(heard) == 2_346
        assert max(heard) == 1_000


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Deck", "Deck.zip"),
        ("../../etc/passwd", "etc_passwd.zip"),
        ('a"b\\c:d|e', "a_b_c_d_e.zip"),
        ("Über 橋", "Über 橋.zip"),
        ("...", "graph.zip"),
        ("\u202egnp.exe", "gnp.exe.zip"),
        ("x" * 300, "x" * 200 + ".zip"),
        ("橋" * 100, "橋" * 66 + ".zip"),
    ],
)
def test_the_name_of_a_file_is_safe(name: str, file: str) -> None:
    """EXPORT-5."""
    assert export_file_name(name, ExportFormat.CSV) == file


def test_the_name_of_a_file_says_what_it_is() -> None:
    """EXPORT-5."""
    assert export_file_name("Deck", ExportFormat.JSON) == "Deck.json"
    assert export_file_name("Deck", ExportFormat.XLSX) == "Deck.xlsx"
    assert export_file_name("Deck", ExportFormat.CSV, TableKind.EDGES) == "Deck edges.csv"


@pytest.mark.parametrize("export_format", ExportFormat)
def test_what_no_import_makes_is_exported_and_refused_as_a_new_graph(export_format: ExportFormat) -> None:
    """EXPORT-1: with all errors told."""
    nodes = (Node("a", belongs_to="b"), Node("b", belongs_to="a"), Node("x" * 1_025), Node("", "none"))
    content = GraphContent(nodes, (Edge("e", "a", "nowhere"),))
    with pytest.raises(TableErrors) as raised:
        read_graph([TableFile("x", exported(content, export_format))])
    told = " ".join(str(issue) for issue in raised.value.issues)

    assert raised.value.count == 4
    assert [word for word in ("of 1 to 1024 bytes", "no node 'nowhere'", "a in b in a") if word not in told] == []


def read_json(document: object) -> GraphContent:
    return read_graph([TableFile("deck.json", orjson.dumps(document))]).content


def test_a_document_is_read_as_it_is_answered() -> None:
    """IMPORT-15: members beside the lists are left alone, and so are lists that are absent."""
    node = {"id": "a", "label": None, "weight": 2.0, "is_partition": True, "properties": {"k": [1.0, 1e16, None]}}

    assert read_json({"name": "x", "created_at": "today", "nodes": [node]}).nodes == (
        Node("a", weight=2, is_partition=True, properties={"k": [1, 1e16, None]}),
    )


def test_all_that_is_wrong_in_a_document_is_told_with_its_pointer() -> None:
    """IMPORT-3, IMPORT-15."""
    deep: Any = "x"
    for _ in range(65):
        deep = [deep]
    document = {
        "nodes": [
            *(
                {"id": "a"},
                {"id": "a", "label": 1},
                {"id": "b", "is_partition": "yes", "colour/x": 1},
                5,
                {"label": "B"},
            ),
            *({"id": "c", "weight": True}, {"id": "d", "weight": 2**53 + 1}, {"id": "e", "properties": []}),
            *(
                {"id": "f", "properties": {"k": deep}},
                {"id": "g", "position": {"x": 1}},
                {"id": "h", "lineage_id": "1"},
            ),
            *({"id": ""}, {"id": "i" * 1025}, {"id": "j", "belongs_to": "zz", "comment": "x" * MAX_ROW_CHARACTERS}),
        ],
        "edges": {"id": "e"},
        "layers": [{"id": "l", "name": []}],
    }
    with pytest.raises(TableErrors) as raised:
        read_json(document)

    assert sorted((issue.line, str(issue.column)) for issue in raised.value.issues) == sorted(
        (None, pointer)
        for pointer in (
            *(
                "/nodes/1/id",
                "/nodes/1/label",
                "/nodes/2/is_partition",
                "/nodes/2/colour~1x",
                "/nodes/3",
                "/nodes/4/id",
            ),
            *("/nodes/5/weight", "/nodes/6/weight", "/nodes/7/properties", "/nodes/8/properties", "/nodes/9/position"),
            *("/nodes/10/lineage_id", "/nodes/11/id", "/nodes/12/id", "/nodes/13", "/nodes/13/belongs_to"),
            *("/edges", "/layers/0/name"),
        )
    )


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{\n"nodes": [\n', 3),
        (b"{}", None),
        (b"[]", None),
        (b"{\xff}", 1),
        (b"[" * 5_000, 1),
        (b'{"nodes": [NaN]}', 1),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, line: int | None) -> None:
    """IMPORT-15."""
    with pytest.raises(TableErrors) as raised:
        read_graph([TableFile("deck.json", data)])

    assert [(issue.file, issue.line) for issue in raised.value.issues] == [("deck.json", line)]


def test_a_document_is_no_table_of_one_kind() -> None:
    """IMPORT-15, IMPORT-16."""
    with pytest.raises(TableErrors) as raised:
        read_graph([TableFile("x", b'\xef\xbb\xbf {"nodes": []}', TableKind.NODES)])

    assert "JSON says itself" in raised.value.issues[0].message


def test_a_document_and_a_table_of_one_kind_are_refused() -> None:
    """IMPORT-2, IMPORT-15."""
    with pytest.raises(TableErrors) as raised:
        read_graph([TableFile("a", b'{"nodes": [{"id": "a"}]}'), TableFile("b.csv", b"id,label\na,A\n")])

    assert raised.value.issues[0].file == "b.csv"


def test_spaces_count_where_there_is_a_column_of_properties() -> None:
    """IMPORT-13: in any other table they do not."""
    as_they_are = read_graph([TableFile("x", b'id,label,properties,k\n a, A,"{""n"": 1}", v\n')]).content
    without = read_graph([TableFile("x", b"id,label,k\n a, A, v\n")]).content

    assert as_they_are.nodes == (Node(" a", " A", properties={"n": 1, "k": " v"}),)
    assert without.nodes == (Node("a", "A", properties={"k": "v"}),)


@pytest.mark.parametrize(
    ("column", "cell"),
    [("properties", "[]"), ("properties", "x"), ("position", '{""x"":1}'), ("position", "1"), ("lineage_id", "1")],
)
def test_cells_of_exported_columns_are_checked(column: str, cell: str) -> None:
    """IMPORT-13."""
    with pytest.raises(TableErrors) as raised:
        read_graph([TableFile("x", f'id,label,{column}\na,A,"{cell}"\n'.encode())])

    assert [(issue.line, issue.column) for issue in raised.value.issues] == [(2, column)]
