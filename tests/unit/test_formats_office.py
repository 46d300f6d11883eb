"""Office documents and the containers they come in, made part by part."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, DocumentUnsafe, PermanentFailure
from knowledge_sources.formats import archive as archives
from knowledge_sources.formats import docx, odt, pptx, reading, xlsx
from knowledge_sources.formats.archive import Archive

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
SHEET = (
    'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def pack(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def relations(**targets: str) -> str:
    """`kind_n=target`, ids in order: rId1, rId2, ..."""
    items = (
        f'<Relationship Id="rId{n}" Type="{RELATION}/{kind.partition("_")[0]}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets.items(), 1)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(items)}</Relationships>'


def document(body: str, **parts: str) -> bytes:
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types>wordprocessingml</Types>",
        "_rels/.rels": relations(officeDocument="word/document.xml"),
        "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(**{name: f"{name}.xml" for name in parts}),
    }
    members.update({f"word/{name}.xml": f"<w:{name} {WORD}>{content}</w:{name}>" for name, content in parts.items()})
    return pack(members)


def p(text: str, extra: str = "") -> str:
    return f"<w:p>{extra}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_a_word_document_with_tables_boxes_and_notes() -> None:
    row = f"<w:tr><w:tc>{p('Net')}</w:tc><w:tc>{p('5.00')}{p('EUR')}</w:tc></w:tr>"
    box = f"<w:p><w:r><w:drawing><w:txbxContent>{p('In a box')}</w:txbxContent></w:drawing></w:r></w:p>"
    body = p("First") + f"<w:tbl>{row}</w:tbl>" + box + "<w:p><w:r><w:t>One</w:t><w:tab/><w:t>two</w:t></w:r></w:p>"
    data = document(
        body,
        header=p("Letterhead"),
        comments=f'<w:comment w:author="Ann" w:id="0">{p("Check this")}</w:comment>',
        footnotes=f'<w:footnote w:type="separator" w:id="0">{p("---")}</w:footnote>'
        f'<w:footnote w:id="2">{p("See page 3")}</w:footnote>',
    )
    (page,) = docx.read(data).pages
    assert page.split("\n\n") == [
        "Letterhead", "First", "Net | 5.00 EUR", "In a box", "One\ttwo", "See page 3", "Comment (Ann): Check this"
    ]  # fmt: skip


def test_deleted_text_and_field_codes_are_not_read() -> None:
    body = "<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
    body += "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    assert docx.read(document(body)).pages == ["new"]


@pytest.mark.parametrize(
    "mark",
    [
        '<w:p><w:r><w:br w:type="page"/></w:r></w:p>' + p("second"),
        "<w:p><w:r><w:lastRenderedPageBreak/><w:t>second</w:t></w:r></w:p>",
        p("second", "<w:pPr><w:pageBreakBefore/></w:pPr>"),
    ],
)
def test_page_breaks_of_word(mark: str) -> None:
    assert docx.read(document(p("first") + mark)).pages == ["first", "second"]


def test_numbers_of_paragraphs_are_those_that_word_shows() -> None:
    def level(depth: int, style: str, text: str) -> str:
        return f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{style}"/><w:lvlText w:val="{text}"/></w:lvl>'

    def item(text: str, depth: int, identity: int = 1) -> str:
        return p(text, f'<w:pPr><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{identity}"/></w:numPr></w:pPr>')

    levels = level(0, "decimal", "%1.") + level(1, "decimal", "%1.%2") + level(2, "lowerRoman", "(%3)")
    numbering = f'<w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
    numbering += f'<w:abstractNum w:abstractNumId="1">{level(0, "bullet", "•")}</w:abstractNum>'
    numbering += (
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    )
    styles = '<w:style w:styleId="Clause"><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
    styles += '<w:style w:styleId="Child"><w:basedOn w:val="Clause"/></w:style>'
    body = item("Term", 0) + item("Start", 1) + item("first", 2) + item("second", 2) + item("End", 1) + item("Law", 0)
    body += p("By style", '<w:pPr><w:pStyle w:val="Child"/></w:pPr>') + item("dot", 0, 2) + item("no list", 0, 9)
    (page,) = docx.read(document(body, numbering=numbering, styles=styles)).pages
    assert page.split("\n\n") == [
        "1. Term", "1.1 Start", "(i) first", "(ii) second", "1.2 End", "2. Law", "2.1 By style", "- dot", "no list"
    ]  # fmt: skip


def test_slides_in_the_order_of_showing_with_tables_and_notes() -> None:
    def slide(body: str) -> str:
        return f"<p:sld xmlns:p='p' xmlns:a='a'><p:cSld><p:spTree>{body}</p:spTree></p:cSld></p:sld>"

    def shape(text: str, place: str = "") -> str:
        kind = f"<p:nvSpPr><p:nvPr><p:ph type='{place}'/></p:nvPr></p:nvSpPr>" if place else ""
        return f"<p:sp>{kind}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"

    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    table = f"<p:graphicFrame><a:tbl><a:tr>{cell.format('Net')}{cell.format('5.00')}</a:tr></a:tbl></p:graphicFrame>"
    data = pack(
        {
            "[Content_Types].xml": "<Types>presentationml</Types>",
            "_rels/.rels": relations(officeDocument="ppt/presentation.xml"),
            "ppt/presentation.xml": f"<p:presentation xmlns:p='p' xmlns:r='{RELATION}'><p:sldIdLst>"
            "<p:sldId r:id='rId2'/><p:sldId r:id='rId1'/></p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(slide_1="slides/slide1.xml", slide_2="slides/slide2.xml"),
            "ppt/slides/slide1.xml": slide(shape("Shown second") + table),
            "ppt/slides/slide2.xml": slide(f"<p:grpSp>{shape('Shown first')}</p:grpSp>{shape('7', 'sldNum')}"),
            "ppt/slides/_rels/slide2.xml.rels": relations(notesSlide="../notesSlides/n1.xml"),
            "ppt/notesSlides/n1.xml": slide(shape("Say hello")),
            "ppt/embeddings/book.xlsx": "never opened",
        }
    )
    paper = pptx.read(data)
    assert paper.pages == ["Shown first\n\nNotes: Say hello", "Shown second\n\nNet | 5.00"]
    assert paper.notes == ["1 embedded file was not read."]
    assert reading.inspect(data)["pages"] == 2


def workbook(cells: str, **attributes: str) -> bytes:
    state = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return pack(
        {
            "[Content_Types].xml": "<Types>spreadsheetml</Types>",
            "_rels/.rels": relations(officeDocument="xl/workbook.xml"),
            "xl/workbook.xml": f'<workbook {SHEET}><sheets><sheet name="Costs" r:id="rId1"{state}/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                worksheet="worksheets/s.xml", sharedStrings="shared.xml", styles="st.xml"
            ),
            "xl/worksheets/s.xml": f"<worksheet {SHEET}><sheetData>{cells}</sheetData></worksheet>",
            "xl/shared.xml": f"<sst {SHEET}><si><t>Item</t></si>"
            "<si><r><t>Green </t></r><r><t>tea</t></r><rPh><t>x</t></rPh></si></sst>",
            "xl/st.xml": f'<styleSheet {SHEET}><numFmts><numFmt numFmtId="164" formatCode="dd/mm/yyyy"/></numFmts>'
            '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="9"/><xf numFmtId="164"/></cellXfs></styleSheet>',
        }
    )


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<c t="s"><v>1</v></c>', "Green tea"),
        ('<c t="inlineStr"><is><t>inline</t></is></c>', "inline"),
        ('<c t="str"><f>A1</f><v>result</v></c>', "result"),
        ('<c t="b"><v>1</v></c>', "TRUE"),
        ('<c t="e"><v>#DIV/0!</v></c>', "#DIV/0!"),
        ("<c><v>1250.5</v></c>", "1250.5"),
        ("<c><v>0.30000000000000004</v></c>", "0.3"),
        ('<c s="1"><v>45413</v></c>', "2024-05-01"),
        ('<c s="3"><v>45413.75</v></c>', "2024-05-01 18:00"),
        ('<c s="2"><v>0.19</v></c>', "19%"),
        ('<c t="s"><v>99</v></c>', ""),
    ],
)
def test_cells_as_they_are_shown(cell: str, shown: str) -> None:
    (page,) = xlsx.read(workbook(f"<row><c t='s'><v>0</v></c>{cell}<c/></row>")).pages
    assert page == "Costs\n\nItem" + (f" | {shown}" if shown else "")


def test_a_hidden_sheet_is_told_and_a_long_one_is_split() -> None:
    paper = xlsx.read(workbook("<row><c><v>123456789</v></c></row>" * 4000, state="hidden"))
    assert len(paper.pages) > 1
    assert sum(page.count("123456789") for page in paper.pages) == 4000
    assert "hidden" in paper.notes[0]


def opendocument(body: str) -> bytes:
    names = " ".join(f'xmlns:{name}="{name}"' for name in ("office", "text", "table", "style", "fo"))
    return pack(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {names}><office:automatic-styles><style:style style:name='P1'>"
            "<style:paragraph-properties fo:break-before='page'/></style:style></office:automatic-styles>"
            f"<office:body><office:text>{body}</office:text></office:body></office:document-content>",
        }
    )


def test_an_opendocument_text() -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    body = "<text:h>Title</text:h><text:p>a<text:s text:c='2'/>b<text:tab/>c<text:note><text:note-citation>1"
    body += "</text:note-citation><text:note-body><text:p>note</text:p></text:note-body></text:note></text:p>"
    body += f"<table:table><table:table-row>{cell.format('Net')}{cell.format('5.00')}</table:table-row></table:table>"
    body += "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
    body += "<text:p text:style-name='P1'>second page</text:p>"
    paper = odt.read(opendocument(body))
    assert paper.pages == ["Title\n\na  b\tc [note]\n\nNet | 5.00\n\none", "second page"]


DTD = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>'


@pytest.mark.parametrize(
    "data",
    [
        pack(
            {
                "[Content_Types].xml": "wordprocessingml",
                "word/document.xml": f"{DTD}<w:document {WORD}>&a;</w:document>",
            }
        ),
        pack({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": f"{DTD}<a>&a;</a>"}),
        pack({"[Content_Types].xml": "wordprocessingml", "word/document.xml": "<a/>", "../evil": "x"}),
        pack({"[Content_Types].xml": "wordprocessingml", "word/document.xml": "<a/>", "/etc/passwd": "x"}),
    ],
)
def test_document_types_and_climbing_paths_are_unsafe(data: bytes) -> None:
    with pytest.raises(DocumentUnsafe):
        reading.inspect(data)


def test_a_link_is_unsafe() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        info = zipfile.ZipInfo("word/document.xml")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DocumentUnsafe):
        Archive(out.getvalue())


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({f"m{n}": b"" for n in range(1001)}, "1,001 members"),
        ({"bomb": bytes(30_000_000)}, "bomb"),
        ({f"m{n}": bytes(900_000) for n in range(230)}, "unpack to 207 MB"),
    ],
)
def test_bombs_are_refused_before_they_are_unpacked(members: dict[str, str | bytes], words: str) -> None:
    with pytest.raises(DocumentTooComplex, match=words):
        Archive(pack(members))


def test_what_comes_out_counts_not_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL", 1000)
    archive = Archive(pack({"a": b"x" * 600, "b": b"y" * 300}))
    assert len(archive.read("a")) == 600
    with pytest.raises(DocumentTooComplex):
        archive.read("a")


READERS: list[tuple[str, Callable[[], bytes]]] = [
    ("docx", lambda: document(p("First") + p("Second"))),
    ("xlsx", lambda: workbook("<row><c><v>1</v></c></row>")),
    ("odt", lambda: opendocument("<text:p>x</text:p>")),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(READERS), st.data())
def test_any_damage_gives_pages_or_a_typed_refusal(reader: tuple[str, Callable[[], bytes]], data: Any) -> None:
    raw = bytearray(reader[1]())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert list(reading.layers(bytes(raw)))
    except PermanentFailure as error:
        assert str(error)


def test_a_missing_part_is_damage() -> None:
    with pytest.raises(DocumentUnreadable, match="main part is missing"):
        reading.inspect(pack({"[Content_Types].xml": "wordprocessingml", "word/x.xml": "<a/>"}))
