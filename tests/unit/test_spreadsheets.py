"""Spreadsheets of any origin are read, and hostile ones refused: IMPORT-14, IMPORT-16 and IMPORT-17 of SPEC.md."""

import errno
import gc
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
import xlsxwriter

from persistence.document import Edge, GraphContent, Layer, Node
from workspace import archives, xlsx_parts, xlsx_reader
from workspace.archives import Archive
from workspace.exporting import ExportFormat, write_export
from workspace.importing import GraphRead, read_graph
from workspace.issues import TableErrors, TableIssue
from workspace.tables import TableFile, TableKind
from workspace.xlsx_writer import write_xlsx

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
NODES = [["id", "label", "weight"], ["a", "A", 1.5], ["b", "B", None]]


def workbook(**sheets: list[list[Any]]) -> bytes:
    """Write a workbook as another program does: with styles and dimensions."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return saved(book)


def shared(rows: list[list[Any]], texts: str = "") -> bytes:
    """Write a workbook of one sheet whose texts are shared, or replaced by `texts` as XML."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("nodes")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    part = f'<sst xmlns="{MAIN}">{texts}</sst>'.encode()
    return package(out.getvalue(), {"xl/sharedStrings.xml": part} if texts else {})


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(data: bytes, kind: TableKind | None = None) -> GraphRead:
    return read_graph([TableFile("book.xlsx", data, kind)])


def issues(data: bytes, name: str = "book.xlsx") -> list[TableIssue]:
    with pytest.raises(TableErrors) as raised:
        read_graph([TableFile(name, data)])
    return list(raised.value.issues)


def cells(data: bytes) -> list[list[str]]:
    (sheet,) = xlsx_reader.read_sheets(Archive(data))
    return [list(row) for _, row in sheet.lines]


def package(data: bytes, parts: Mapping[str, bytes | None]) -> bytes:
    """Return the workbook with some of its parts replaced, or left out if they are None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {**dict.fromkeys(old.namelist()), **parts}:
            content = parts.get(name, b"") if name in parts else old.read(name)
            if content is not None:
                new.writestr(name, content)
    return out.getvalue()


def sheet(rows: str, before: str = "") -> bytes:
    """Return a workbook whose one sheet has these rows as XML."""
    part = f'<?xml version="1.0"?>{before}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    return package(workbook(nodes=NODES), {"xl/worksheets/sheet1.xml": part.encode()})


def test_sheets_are_found_by_their_name_or_their_header() -> None:
    """IMPORT-14: links are edges; other sheets are left out and named."""
    data = workbook(
        Nodes=NODES,
        links=[["id", "source", "target"], ["e", "a", "b"]],
        Whatever=[["layer", "label", "background"], ["base", "Base", "#fff"]],
        Notes=[["read me"]],
    )
    found = read(data)

    assert found.content == GraphContent(
        nodes=(Node("a", "A", weight=1.5), Node("b", "B")),
        edges=(Edge("e", "a", "b"),),
        layers=(Layer("base", "Base", "#fff"),),
    )
    assert found.left_out == ("book.xlsx/Notes",)


def test_an_explicit_kind_is_that_of_the_first_sheet() -> None:
    """IMPORT-14."""
    found = read(workbook(Sheet1=[["id", "label"], ["a", "A"]], Sheet2=NODES), TableKind.NODES)

    assert (found.content.nodes, found.left_out) == ((Node("a", "A"),), ("book.xlsx/Sheet2",))


def test_errors_name_sheet_row_and_column() -> None:
    """IMPORT-3, IMPORT-14: blank rows are counted."""
    data = workbook(
        nodes=[["id", "label", "weight"], ["a", "A", "heavy"], [], ["b", "B", None, "lost"]],
        edges=[["source", "target"], ["a", "zz"]],
    )

    assert [(issue.file, issue.line, issue.column) for issue in issues(data)] == [
        ("book.xlsx/edges", 2, "target"),
        ("book.xlsx/nodes", 2, "weight"),
        ("book.xlsx/nodes", 4, None),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (0.25, "0.25"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        ("=1", "=1"),
        ("  spaces ", "  spaces "),
        ("a\nb\tc", "a\nb\tc"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime.fromisoformat("2026-01-31T10:20:30"), "2026-01-31T10:20:30"),
        (time(10, 20, 30), "10:20:30"),
        (timedelta(hours=36, minutes=5), "36:05:00"),
        (date(1900, 1, 5), "1900-01-05"),
        ("#REF!", "#REF!"),
    ],
)
def test_a_cell_is_read_as_its_plain_text(value: object, text: str) -> None:
    """IMPORT-14."""
    book = openpyxl.Workbook()
    cell = book.active.cell(1, 1)
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"

    assert cells(saved(book)) == [[text]]


@pytest.mark.parametrize(
    ("code", "text"),
    [("0.00", "45000.5"), ('"day" 0', "45000.5"), ("[Red]0", "45000.5"), ("d/m/yy h:mm", "2023-03-15T12:00:00")],
)
def test_the_format_of_a_number_says_whether_it_is_a_date(code: str, text: str) -> None:
    """IMPORT-14."""
    book = openpyxl.Workbook()
    book.active.cell(1, 1, 45000.5).number_format = code

    assert cells(saved(book)) == [[text]]


def test_dates_may_count_from_1904() -> None:
    """IMPORT-14."""
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.cell(1, 1, date(2026, 1, 31))

    assert cells(saved(book)) == [["2026-01-31"]]


def test_of_a_formula_the_last_value_is_read() -> None:
    """IMPORT-14: and nothing where none was computed."""
    rows = '<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1"><f>A1</f></c><c r="C1" t="str"><v>x</v></c></row>'

    assert cells(sheet(rows)) == [["2", "", "x"]]


def test_rich_text_is_joined_and_its_pronunciation_left_out() -> None:
    """IMPORT-14."""
    rich = "<is><r><t>ta</t></r><r><rPr><b/></rPr><t>ble</t></r><rPh sb='0' eb='1'><t>no</t></rPh></is>"

    assert cells(sheet(f'<row><c t="inlineStr">{rich}</c><c><v>1</v></c></row><row r="5"><c><v>2</v></c></row>')) == [
        ["table", "1"],
        ["2"],
    ]


def test_what_xml_cannot_hold_is_escaped() -> None:
    """IMPORT-14: `_x000D_` is a carriage return, and half of a surrogate pair nothing."""
    text = "<is><t>a_x000D_b_x005F_x000D__xD800_</t></is>"

    assert cells(sheet(f'<row><c t="inlineStr">{text}</c></row>')) == [["a\rb_x000D__xD800_"]]


def test_shared_texts_are_read_as_they_were_written() -> None:
    """IMPORT-14: with their escapes, and what only looks like one."""
    texts = ["a\rb", "_x000D_", "0x005F_1", "_x005F_", " x "]

    assert cells(shared([texts])) == [texts]


def test_runs_of_a_shared_text_are_joined() -> None:
    """IMPORT-14: how they are pronounced is left out."""
    rich = "<si><r><t>ta</t></r><r><rPr><b/></rPr><t>ble</t></r><rPh sb='0' eb='1'><t>no</t></rPh></si>"

    assert cells(shared([["x"]], rich)) == [["table"]]


def test_others_read_what_is_exported() -> None:
    """EXPORT-2: with every text as text, in a cell of that format."""
    node = Node("=a", "+1", None, True, None, 2.5, "001", {"k": "@x", "n": 1}, UUID(int=3), {"x": 1, "y": 2})
    out = io.BytesIO()
    write_export(out, {}, GraphContent(nodes=(node,)), ExportFormat.XLSX)
    book = openpyxl.load_workbook(out)
    header, row = book["nodes"].iter_rows()

    assert book.sheetnames == ["nodes", "edges", "layers"]
    assert {one.value: (cell.value, cell.data_type) for one, cell in zip(header, row, strict=True)} == {
        "id": ("=a", "s"),
        "label": ("+1", "s"),
        "layer": (None, "n"),
        "is_partition": (True, "b"),
        "belongs_to": (None, "n"),
        "weight": (2.5, "n"),
        "comment": ("001", "s"),
        "lineage_id": (str(UUID(int=3)), "s"),
        "position": ('{"x":1,"y":2}', "s"),
        "content": (None, "n"),
        "k": ("@x", "s"),
        "properties": ('{"n":1}', "s"),
    }
    assert row[0].number_format == "@"
    assert (header[0].font.name, header[0].font.sz, header[0].font.b) == ("Calibri", 11, True)


@pytest.mark.parametrize("name", ["book.xlsx", "book.csv", "book", "book.json"])
def test_the_content_says_what_a_file_is(name: str) -> None:
    """IMPORT-16."""
    assert len(read_graph([TableFile(name, workbook(nodes=NODES))]).content.nodes) == 2


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("book.xlsx", b"id,label\na,A\n", "expected a whole archive"),
        ("book.xlsx", workbook(nodes=NODES)[:-200], "expected a whole archive"),
        ("book.xlsx", b"PK\x03\x04", "expected a whole archive"),
        ("book.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "older spreadsheet"),
        ("book.zip", b"", "expected a whole archive"),
        (
            "book.xlsx",
            package(workbook(nodes=NODES), {"xl/_rels/workbook.xml.rels": None}),
            "no item named 'xl/_rels/workbook.xml.rels'",
        ),
        ("book.xlsx", package(workbook(nodes=NODES), {"xl/workbook.xml": b"<workbook>"}), "expected well-formed XML"),
        ("book.xlsx", package(workbook(nodes=NODES), {"[Content_Types].xml": b"<Types/>"}), "in the format XLSX"),
        (
            "book.xlsx",
            package(workbook(nodes=NODES), {"xl/styles.xml": b'<x><fonts><font><sz val="x"/></font></fonts></x>'}),
            "in the format XLSX",
        ),
    ],
)
def test_a_broken_file_is_refused_in_words(name: str, data: bytes, expected: str) -> None:
    """IMPORT-16."""
    (issue,) = issues(data, name)

    assert expected in issue.message
    assert issue.file == name


@pytest.mark.parametrize("encoding", ["foo", "utf-7", "big5", "utf-16"])
def test_a_part_is_read_as_utf_8_whatever_it_declares(encoding: str) -> None:
    """IMPORT-16: found by changing bytes at random."""
    part = f'\ufeff<?xml version="1.0" encoding="{encoding}"?><worksheet/>'

    assert cells(package(workbook(nodes=NODES), {"xl/worksheets/sheet1.xml": part.encode()})) == []


def test_a_part_without_a_name_is_one_like_any_other() -> None:
    """IMPORT-16: found by changing bytes at random."""
    data = workbook(nodes=NODES)
    name = b"docProps/core.xml"
    nameless = data.replace(len(name).to_bytes(2, "little") + bytes(2), bytes(4))

    assert nameless != data
    assert issues(nameless)


def test_a_part_that_was_changed_is_refused() -> None:
    """IMPORT-16: every byte of a part is checked against its sum."""
    data = bytearray(workbook(nodes=NODES))
    at = data.index(b"xl/worksheets/sheet1.xml") + len(b"xl/worksheets/sheet1.xml") + 40
    data[at : at + 20] = bytes(20)

    assert issues(bytes(data))


def test_tables_may_come_packed() -> None:
    """IMPORT-16: what else is in the archive is left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/nodes.csv", "id,label\na,A\n")
        archive.writestr("read me.txt", "\0")
        archive.writestr("__MACOSX/a/._nodes.csv", "\0")
    found = read_graph([TableFile("deck.zip", out.getvalue())])

    assert found.content.nodes == (Node("a", "A"),)
    assert found.left_out == ("deck.zip/read me.txt", "deck.zip/__MACOSX/a/._nodes.csv")


def test_an_archive_may_unpack_to_so_much_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-17: a zip bomb is unpacked no further than the bound, whatever sizes it claims."""
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = package(workbook(nodes=NODES), {"xl/worksheets/sheet1.xml": b" " * 5_000_000})
    small = re.sub(re.escape((5_000_000).to_bytes(4, "little")), (10).to_bytes(4, "little"), bomb)

    assert len(bomb) < 20_000
    assert "when unpacked" in issues(bomb)[0].message
    assert issues(small)


def test_an_archive_has_so_many_parts_only() -> None:
    """IMPORT-17."""
    data = package(workbook(nodes=NODES), {f"x{number}": b"" for number in range(archives.MAX_PARTS)})

    assert f"at most {archives.MAX_PARTS} parts" in issues(data)[0].message


def test_an_encrypted_archive_is_refused() -> None:
    """IMPORT-17."""
    data = bytearray(package(workbook(nodes=NODES), {}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = 0
        while (at := data.find(signature, at)) >= 0:
            data[at + offset] |= 1
            at += 4

    assert "without a password" in issues(bytes(data))[0].message


_LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(10))


@pytest.mark.parametrize(
    "doctype",
    [
        f"<!DOCTYPE x [{_LAUGHS}]>",
        '<!DOCTYPE x [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://localhost/x.dtd">',
    ],
)
def test_no_entity_is_expanded(doctype: str) -> None:
    """IMPORT-17: a document type is refused before anything of it is used."""
    data = sheet('<row><c t="inlineStr"><is><t>&l9;</t></is></c></row>', before=doctype)

    assert "without a document type" in issues(data)[0].message


@pytest.mark.parametrize("reference", ["XFD1", "ALM1", "A1000001", "A1048576", "A99999999999"])
def test_cells_lie_within_bounds(reference: str) -> None:
    """IMPORT-17: two cells far apart make no large sheet; the error says where."""
    row = re.sub("[A-Z]", "", reference)
    data = sheet(f'<row r="{row}"><c r="{reference}"><v>1</v></c></row>')

    (issue,) = issues(data)
    assert f"at most {xlsx_reader.MAX_COLUMNS} columns" in issue.message
    assert re.search(rf"sheet 'nodes' has more in line {min(int(row), 1_048_577)}$", issue.message)


def test_no_column_is_beyond_all_columns() -> None:
    """IMPORT-17."""
    assert "'ZZZZZZ' is not a valid column name" in issues(sheet('<row r="1"><c r="ZZZZZZ1"/></row>'))[0].message


def test_what_a_sheet_claims_to_measure_is_not_believed() -> None:
    """IMPORT-17: nor are cells that are only coloured."""
    part = (
        f'<worksheet xmlns="{MAIN}"><dimension ref="A1:XFD1048576"/><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c><c r="B1" t="inlineStr"><is><t>label</t></is></c>'
        '<c r="XFD1" s="1"/></row><row r="2"><c r="A2"><v>7</v></c></row><row r="1048576"><c r="A1048576" s="1"/></row>'
        "</sheetData></worksheet>"
    )
    data = package(workbook(nodes=NODES), {"xl/worksheets/sheet1.xml": part.encode()})

    assert read(data).content.nodes == (Node("7"),)


def test_a_shared_text_is_counted_in_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-17: one long text in many cells is as large as they are together."""
    monkeypatch.setattr(xlsx_reader, "MAX_TEXT_CHARACTERS", 100_000)
    data = shared([["id", "label"], *([number, "x" * 1_000] for number in range(200))])

    assert len(zipfile.ZipFile(io.BytesIO(data)).read("xl/sharedStrings.xml")) < 2_000
    assert "characters in all cells" in issues(data)[0].message


def test_empty_cells_before_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-17: rows of one far cell each take the room of all that could be before it."""
    monkeypatch.setattr(xlsx_reader, "MAX_CELLS", 10_000)

    assert "at most 10000 cells" in issues(sheet('<row><c r="ALK1"><v>1</v></c></row>' * 20))[0].message


@pytest.mark.parametrize(
    "rows", ["<row>" + "<c/>" * 1_000 + "</row>", "<row/>" + '<b a="1"/>' * 500 + "<row/>" + "<b/>" * 500]
)
def test_only_so_much_is_held_at_a_time(rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-17: what is between rows, or in one row, is in memory as a whole."""
    monkeypatch.setattr(xlsx_parts, "MAX_ELEMENTS_HELD", 1_000)

    assert "1000 elements in one of them" in issues(sheet(rows))[0].message
    assert cells(sheet('<row><c t="inlineStr"><is><t>x</t></is></c></row>' * 1_000)) == [["x"]] * 1_000


def test_there_are_only_so_many_rows_and_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    """IMPORT-17: however little is in them."""
    monkeypatch.setattr(xlsx_parts, "MAX_CELL_ROWS", 100)
    assert "at most 100 rows" in issues(sheet("<row/>" * 101))[0].message
    assert "at most 100 rows" in issues(shared([["x"]], "<si/>" * 101))[0].message

    monkeypatch.setattr(xlsx_parts, "MAX_ELEMENTS", 1_000)
    assert "1000 in all" in issues(sheet(("<row>" + "<c/>" * 20 + "</row>") * 50))[0].message


@pytest.mark.parametrize("rows", ['<row r="2"/><row r="1"/>', '<row r="7"/><row r="7"/>', '<row/><row r="1"/>'])
def test_rows_come_in_their_order(rows: str) -> None:
    """IMPORT-16: none is passed over."""
    assert "rows in their order" in issues(sheet(rows))[0].message


def test_a_tag_has_so_many_bytes_only() -> None:
    """IMPORT-17: no time is lost in one of many megabytes."""
    attributes = " ".join(f'a{number}="{"x" * 1_000}"' for number in range(4_000))

    assert "tags of at most" in issues(sheet(f"<row><c {attributes}/></row>"))[0].message


def test_a_sheet_is_read_once() -> None:
    """IMPORT-17: a workbook of 64 sheets that are all the same part is no way to make the server read it 64 times."""
    data = workbook(nodes=NODES, edges=[["source", "target"]])
    relations = zipfile.ZipFile(io.BytesIO(data)).read("xl/_rels/workbook.xml.rels")
    same = package(data, {"xl/_rels/workbook.xml.rels": relations.replace(b"sheet2.xml", b"sheet1.xml")})

    assert "each of its own" in issues(same)[0].message


def test_a_workbook_has_so_many_sheets_only() -> None:
    """IMPORT-17."""
    data = workbook(**{f"s{number}": NODES for number in range(xlsx_reader.MAX_SHEETS + 1)})

    assert f"at most {xlsx_reader.MAX_SHEETS} sheets" in issues(data)[0].message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1e999", ["#VALUE!", "#VALUE!"]),
        ("-5", ["1899-12-25", "-120:00:00"]),
        ("1e9", ["#VALUE!", "#VALUE!"]),
        ("99999999999999999999", ["#VALUE!", "#VALUE!"]),
    ],
)
def test_numbers_that_are_no_dates_are_errors_in_their_cells(value: str, expected: list[str]) -> None:
    """IMPORT-14, IMPORT-17: a date format makes nothing fail."""
    assert cells(dated(value)) == [expected]


@pytest.mark.parametrize("value", ["nan", "inf", "x", "1" * 5_000])
def test_what_is_no_number_is_refused_in_words(value: str) -> None:
    """IMPORT-16."""
    (issue,) = issues(dated(value))

    assert "in the format XLSX" in issue.message
    assert len(issue.message) < 300


def dated(value: str) -> bytes:
    """Return a workbook with a number in the format of a date, and in that of a duration."""
    book = openpyxl.Workbook()
    for column, code in enumerate(("yyyy-mm-dd", "[h]:mm"), start=1):
        book.active.cell(1, column, 1).number_format = code
    row = f'<row><c s="1"><v>{value}</v></c><c s="2"><v>{value}</v></c></row>'
    part = f'<worksheet xmlns="{MAIN}"><sheetData>{row}</sheetData></worksheet>'
    return package(saved(book), {"xl/worksheets/sheet1.xml": part.encode()})


def test_strict_workbooks_are_read() -> None:
    """IMPORT-14: ECMA-376 has other namespaces for these."""
    data = workbook(nodes=NODES)
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {name: old.read(name) for name in old.namelist() if name.startswith("xl/")}
    for usual, strict in (
        (MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main"),
        (MAIN[:43] + "officeDocument/2006/relationships", "http://purl.oclc.org/ooxml/officeDocument/relationships"),
    ):
        parts = {name: part.replace(usual.encode(), strict.encode()) for name, part in parts.items()}

    assert b"purl" in parts["xl/workbook.xml"]
    assert read(package(data, parts)).content == read(data).content


def test_all_that_a_spreadsheet_takes_is_in_the_folder_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXPORT-5: so whoever gives it removes what a killed writer leaves; else the writer does, if it fails, too."""
    (folder := tmp_path / "given").mkdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))

    def rows() -> Iterator[list[str]]:
        yield ["a"]
        assert any(path.is_file() for path in folder.rglob("*"))
        assert list(elsewhere.iterdir()) == []
        raise RuntimeError("amid the rows")

    with pytest.raises(RuntimeError, match="amid the rows"):
        write_xlsx(io.BytesIO(), [("nodes", ["id"], rows())], folder)
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_one_error() -> None:
    """EXPORT-6: which says so; nothing follows it when the rest is collected."""
    content = GraphContent(tuple(Node(str(number), "x" * 50) for number in range(5_000)))
    with pytest.raises(OSError, match="No space left") as raised, Path("/dev/full").open("wb") as out:
        write_export(out, {}, content, ExportFormat.XLSX)
    assert raised.value.errno == errno.ENOSPC
    del raised
    gc.collect()  # a warning of pytest's, and so an error, if there was one in a finalizer
