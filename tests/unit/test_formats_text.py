"""Plain text in any encoding, tables, web pages, mails and RTF as pages."""

from __future__ import annotations

import random
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.errors import DocumentUnreadable, DocumentUnsafe
from knowledge_sources.formats import html, mail, plain, reading, rtf
from knowledge_sources.formats.encoding import decode
from knowledge_sources.formats.paper import PAGE_BREAK, PAGE_SIZE, paginate
from knowledge_sources.formats.quality import clean, text_quality

WORDS = {
    "utf-8": "Größe, naïve, Łódź, Ελλάδα, 東京",
    "cp1252": "Die Größe der Straße beträgt 5 €. Voilà un élève à l’école, où il a été très gâté.",
    "cp1250": "Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "cp1254": "Bu akşam Eskişehir’de yağmur yağıyor, çocuklar dışarı çıkmıyor.",
    "cp1251": "Договор поставки заключён в городе Москве между сторонами",
    "koi8-r": "Договор поставки заключён в городе Москве между сторонами",
    "cp1253": "Η συμφωνία υπογράφηκε στην Αθήνα από τους δύο",
    "cp1255": "ההסכם נחתם בירושלים בין שני הצדדים",
    "cp932": "契約書は東京で締結されました。これはテストです。",
    "euc_jp": "契約書は東京で締結されました。これはテストです。",
    "iso2022_jp": "契約書は東京で締結されました。",
    "cp949": "계약은 서울에서 체결되었습니다 이것은 시험입니다",
    "gb18030": "本合同由双方在北京签订，一式两份，具有同等法律效力。这是我们的第一次合作。",
    "big5": "本合約由雙方在台北簽訂，一式兩份，這是我們的第一次合作，我們說的都是真的。",
}


@pytest.mark.parametrize("name", list(WORDS))
def test_encodings_of_one_script(name: str) -> None:
    text = (WORDS[name] + "\n") * 3
    found = decode(text.encode(name))
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("name", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_unicode_with_and_without_a_mark(name: str, mark: bool) -> None:
    text = "Dear Sir,\nthe sum is 1,250 EUR.\n" + WORDS["utf-8"]
    found = decode(("\ufeff" if mark else "").encode(name) + text.encode(name))
    assert found is not None
    assert (found.text, found.encoding) == (text, name)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Co")), min_size=1))
def test_utf_8_comes_back_as_it_went_in(text: str) -> None:
    found = decode(text.encode())
    assert found is None or found.text == text.removeprefix("\ufeff") or "\ufffd" in text or "\uffff" in text


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    ["Hi", "Größe: 5 €\n", "Привет, мир. ", "契約は東京で締結された。 ", "本合同由双方在北京签订 ", "계약은 서울 "],
)
def test_short_wide_text_without_a_mark(text: str, order: str) -> None:
    found = decode(text.encode(order))
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    "junk",
    [b"\x00\x01\x02rubbish", b"rubbish\x00\x01\x02", b"A\x00\x01\x02rubbish", b"hello\x00world!", b"hello worlds\x00\x00\x00",
     b"\x00asm\x01\x00\x00\x00", b"\x00" * 9 + b"name" + b"\x00" * 9, b"\x03\x00data\x05\x00more\x07\x00",
     b"magic\x00key=value\x00other=thing\x00"],
)  # fmt: skip
def test_binary_that_pairs_up_to_characters_is_no_text(junk: bytes) -> None:
    assert decode(junk) is None


@pytest.mark.parametrize("size", [2, 3, 8, 10, 50, 2000])
def test_noise_is_no_text(size: int) -> None:
    random_bytes = random.Random(7)
    assert all(decode(b"\x00\x01" + random_bytes.randbytes(size)) is None for _ in range(100))
    assert decode(random_bytes.randbytes(2000)) is None


@given(st.lists(st.one_of(st.just(PAGE_BREAK), st.text("ab .\n", max_size=200)), max_size=30), st.integers(20, 200))
def test_pages_keep_every_word_in_order_and_stay_small(blocks: list[str], size: int) -> None:
    pages = paginate(blocks, size=size)
    assert "".join("".join(pages).split()) == "".join("".join(blocks).split())
    assert all(0 < len(page) <= size + 2 for page in pages)


def test_page_breaks_are_kept_and_long_text_is_broken_between_paragraphs() -> None:
    paragraph = "A sentence of some length. " * 40
    pages = plain.read_text("First page.\fSecond page.\n\n" + "\n\n".join([paragraph] * 5)).pages
    assert pages[0] == "First page."
    assert len(pages) == 4
    assert all(len(page) <= PAGE_SIZE for page in pages)
    assert all(page.endswith("length.") or page == pages[0] for page in pages)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_row_of_a_table_is_a_line(delimiter: str) -> None:
    text = "Item,Note,Price\nTea,'green',2.50\n,,\nMilk,\"with\nbreak\",1.20\n".replace(",", delimiter)
    (page,) = plain.read_csv(text).pages
    assert page.splitlines() == ["Item | Note | Price", "Tea | 'green' | 2.50", "Milk | with break | 1.20"]


def test_markdown_is_kept_and_gives_a_title() -> None:
    paper = plain.read_text("# The title\n\n**Bold** text.\n", markdown=True)
    assert (paper.title, paper.pages) == ("The title", ["# The title\n\n**Bold** text."])


PAGE = """<!doctype html><html><head><title> The  title </title><style>p{}</style><script>bad()</script></head><body>
<nav><a href="/">Home</a></nav><h1>Prices</h1><p>Two
words &amp; <b>more</b><br>next line</p><div style="display: none">hidden</div><p hidden>hidden</p>
<table><tr><th>Item</th><th>Price</th></tr><tr><td><p>Green</p><p>tea</p></td><td>2.50 &euro;</td></tr></table>
<ul><li>one</li> <li>two</li></ul><pre>a
   b</pre><noscript>hidden</noscript></body></html>"""


def test_a_web_page_as_its_reader_sees_it() -> None:
    paper = html.read(PAGE)
    assert paper.title is not None
    assert paper.title.split() == ["The", "title"]
    assert paper.pages == [
        "Prices\n\nTwo words & more\nnext line\n\nItem | Price\nGreen tea | 2.50 €\n\n- one\n- two\n\na\n   b"
    ]


def test_deep_nesting_is_walked() -> None:
    assert html.to_text("<div>" * 20_000 + "bottom") == "bottom"


def test_entities_of_its_own_make_a_web_page_unsafe() -> None:
    with pytest.raises(DocumentUnsafe):
        reading.inspect(b'<!DOCTYPE html [<!ENTITY a "b">]><html><body>&a;</body></html>')


def message(**parts: str) -> EmailMessage:
    mail_ = EmailMessage()
    mail_["From"], mail_["To"], mail_["Subject"] = "Ann <a@example.org>", "b@example.org", "Größe der Lieferung"
    mail_["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    if "plain" in parts:
        mail_.set_content(parts["plain"])
    if "html" in parts:
        mail_.add_alternative(parts["html"], subtype="html")
    return mail_


def test_a_mail_with_headers_and_its_plain_part() -> None:
    sent = message(plain="Hello,\n\nthe price is 5.\n", html="<p>Hello in HTML</p>")
    sent.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="offer.pdf")
    paper = mail.read(sent.as_bytes())
    assert paper.pages[0].splitlines()[:4] == [
        "From: Ann <a@example.org>",
        "To: b@example.org",
        "Date: Mon, 01 Jan 2024 10:00:00 +0000",
        "Subject: Größe der Lieferung",
    ]
    assert "the price is 5." in paper.pages[0]
    assert "HTML" not in paper.pages[0]
    assert (paper.title, paper.notes) == ("Größe der Lieferung", ["Attachment 'offer.pdf' is not part of these pages."])


def test_html_is_read_where_a_mail_has_nothing_else() -> None:
    assert "Only HTML" in mail.read(message(html="<p>Only <b>HTML</b></p>").as_bytes()).pages[0]


def test_a_forwarded_mail_is_read() -> None:
    outer = message(plain="See below.")
    outer.add_attachment(message(plain="The inner words."))
    assert "The inner words." in mail.read(outer.as_bytes()).pages[0]


def test_a_wrong_character_set_is_guessed_over() -> None:
    raw = b"From: a@example.org\nMessage-ID: <1>\nContent-Type: text/plain; charset=nonsense\n\nDie Gr\xf6\xdfe\n"
    assert "Die Größe" in mail.read(raw).pages[0]


@given(st.binary(max_size=300))
def test_any_mail_gives_text(body: bytes) -> None:
    head = b"From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"
    assert mail.read(head + body).pages


def test_rtf_with_a_table_and_a_page_break() -> None:
    source = (
        rb"{\rtf1\ansi\ansicpg1252{\info{\title The title}} First gr\'f6\'dfe page.\par \page Second page.\par"
        rb"\trowd Net\cell 5.00\cell\row}"
    )
    paper = rtf.read(source)
    assert paper.pages == ["First größe page.", "Second page.\nNet | 5.00"]
    assert paper.title == "The title"


@pytest.mark.parametrize("data", [b"<html><body><script>x</script></body></html>", b"{\\rtf1 }"])
def test_nothing_to_read_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="no text"):
        reading.inspect(data)


def test_clean_removes_what_cannot_be_stored() -> None:
    assert clean("a\x00b\ud800c\xa0ef\u200b\u00adg \ufb01n") == "ab\ufffdc efg fin"


@given(st.text())
def test_clean_text_can_be_stored(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    clean(text).encode()


@pytest.mark.parametrize(
    "good",
    ["The parties agree to 1,250.00 EUR on 2024-05-01.", "Договор поставки № 12", "契約書は東京で締結されました。",
     "TOTAL 12.50\nVAT 19% 2.00\nIBAN DE30507500940000048567", "Table of contents ........ 3"],
)  # fmt: skip
def test_language_looks_like_language(good: str) -> None:
    assert text_quality(good) > 0.8


SHIFTED = "".join(
    chr((ord(char) - 97 + 3) % 26 + 97) if char.islower() else char
    for char in "The parties hereto agree that the confidential information shall be returned within thirty days"
)
"""What a font with a wrong mapping gives."""


@pytest.mark.parametrize("bad", [SHIFTED, "\ue001\ue002\ue003\ue004 \ue005", "~^|}{ ¬¦ #§ ^^ ]["])
def test_what_is_no_language_does_not(bad: str) -> None:
    assert text_quality(bad) < 0.5
