"""Bytes to text, whatever the encoding: byte order marks, UTF by its structure, then the script that makes most sense."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SAMPLE: Final = 200_000
WIDE_SAMPLE: Final = 20_000
CONTROL: Final = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str
    encoding: str


def decode(data: bytes) -> Decoded | None:
    """The text and its encoding, or None if the bytes are no text."""
    for mark, name in MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(name, "replace")
            return Decoded(text, name) if _is_text(text) else None
    if b"\x00" in data:
        return _wide(data)
    if b"\x1b$" in data and (japanese := _strict(data, "iso2022_jp")) is not None:
        return Decoded(japanese, "iso2022_jp")
    # A file cut in the middle of a character is still UTF-8.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError:
        return _legacy(data)
    return Decoded(text, "utf-8") if _is_text(text) else None


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeDecodeError, LookupError):
        return None


def _is_text(text: str) -> bool:
    """Hardly any control characters or replacements."""
    sample = text[:SAMPLE]
    odd = sum(1 for char in sample if (char < " " and char not in "\t\n\r\f\x0b\x1b\x07\x08") or char in "\x7f�\uffff")
    return odd <= len(sample) * 0.01


def _wide(data: bytes) -> Decoded | None:
    """UTF-16 or UTF-32 without a mark: where its zero bytes stand tells the width and the order of bytes."""
    sample = data[:SAMPLE]
    zeros = [sample[phase::4].count(0) / max(1, len(sample[phase::4])) for phase in range(4)]
    if min(zeros[2:]) > 0.9 and zeros[0] < 0.5:
        names = ["utf-32-le"]
    elif min(zeros[:2]) > 0.9 and zeros[3] < 0.5:
        names = ["utf-32-be"]
    else:
        names = ["utf-16-le", "utf-16-be"] if zeros[1] + zeros[3] >= zeros[0] + zeros[2] else ["utf-16-be", "utf-16-le"]
    for name in names:
        whole = len(data) - len(data) % (4 if "32" in name else 2)
        text = _strict(data[:whole], name)
        if text and _is_text(text) and _is_one_script(text[:WIDE_SAMPLE]):
            return Decoded(text, name)
    return None


def _is_one_script(sample: str) -> bool:
    """Pairs of bytes of anything are characters of some script; a text's are of one, and not of its rarest letters.

    Two ASCII bytes read as one character make a Chinese one, so that Chinese is believed only where frequent characters
    of Chinese or Japanese stand in it.
    """
    foreign = [char for char in sample if char > "\x7f" and not _MARK.match(char)]
    if len(_LIKELY.findall(sample)) < len(sample) * 0.9:
        return False
    if any(ord(char) & 0xFF == 0 and char not in _USUAL_EAST for char in foreign) and len(foreign) < 50:
        return False
    if not foreign:
        return True
    pairs = [pair for pair in pairwise(sample) if any(char > "\x7f" and char.isalpha() for char in pair)]
    strange = sum(not _may_meet(*pair) for pair in pairs)
    unknown = sum(char.isalpha() and _family(char) < 0 for char in foreign)
    if strange > len(pairs) * 0.1 or unknown > len(foreign) * 0.1:
        return False
    eastern = [char for char in foreign if _family(char) == _EAST]
    usual = sum(char in _USUAL_EAST for char in eastern)
    return len(eastern) < len(sample) / 3 or usual >= len(eastern) * 0.15


def _family(char: str) -> int:
    return next((number for number, family in enumerate(_FAMILIES) if family.match(char)), -1)


def _may_meet(one: str, other: str) -> bool:
    """Whether two neighbours can stand in one word, or do not make a word at all."""
    if not (one.isalpha() and other.isalpha()):
        return True
    return _family(one) == _family(other) or (min(one, other) <= "\x7f" and _family(max(one, other)) == _EAST)


_MARK: Final = re.compile(r"[\u00a0-\u00bf\u2000-\u206f\u20a0-\u22ff\u2500-\u27bf\u3000-\u301f\uff00-\uffef]")
_FAMILIES: Final = tuple(
    re.compile(f"[{family}]")
    for family in (
        r"\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3", r"A-Za-z\u00c0-\u024f\u1e00-\u1eff", r"\u0370-\u03ff", r"\u0400-\u052f",
        r"\u0590-\u05ff", r"\u0600-\u06ff", r"\u0900-\u0dff", r"\u0e00-\u0e7f",
    )
)  # fmt: skip
_EAST: Final = 0
_LIKELY: Final = re.compile(
    r"[\t\n\r -~\u00a0-\u06ff\u0900-\u0e7f\u1e00-\u206f\u20a0-\u22ff"
    r"\u2500-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)

_COMMON_HAN: Final = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然"
    "家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意無時來這個們"
    "說國會發後裡種經麼學現當沒動還進樣開從實"
)


def _legacy(data: bytes) -> Decoded | None:
    """Encodings of one script: each is tried, and the text that looks most like its language wins."""
    sample = data[:SAMPLE]
    if len(CONTROL.findall(sample)) > len(sample) * 0.005:
        return None
    best_name, best = "cp1252", 0.0
    for name, typical in _SCRIPTS:
        text = sample.decode(name, "replace")
        foreign = [char for char in text if char > "\x7f"]
        if not foreign or "�" in text[:-1]:
            continue
        score = sum(typical(char) for char in foreign) / len(foreign)
        # Two bytes that make one character are more telling than two letters of an alphabet.
        if score > best + 0.02:
            best_name, best = name, score
    return Decoded(data.decode(best_name, "replace"), best_name)


@dataclass(frozen=True, slots=True)
class _Typical:
    """How typical a character is of a language: 1 for what is frequent, less for the rest of its script, else below 0."""

    frequent: frozenset[str]
    weight: float
    rest: frozenset[str]
    rest_weight: float

    def __call__(self, char: str) -> float:
        if char in self.frequent:
            return self.weight
        return self.rest_weight if char in self.rest else (0.3 if char in _PUNCTUATION else -1.0)


def _among(letters: str, weight: float = 1.0, rest: str = "", rest_weight: float = 0.5) -> _Typical:
    return _Typical(frozenset(letters), weight, frozenset(rest), rest_weight)


_PUNCTUATION: Final = frozenset("\xa0€‘’“”–—…•«»°§£©®™„‚·")
_LATIN_1: Final = "éèàçùâêîôûëïüäößñáíóúåøæãõìòÉÀÜÖÄ¿¡"
_KANA: Final = "".join(map(chr, (*range(0x3041, 0x30FF), 0x3001, 0x3002)))
_HANGUL: Final = "".join(map(chr, range(0xAC00, 0xD7A4)))
_USUAL_EAST: Final = _COMMON_HAN.union(_KANA, _HANGUL)
_HAN: Final = "".join(map(chr, (*range(0x4E00, 0xA000), *range(0x3000, 0x3018), *range(0xFF00, 0xFF60))))
_CYRILLIC: Final = "".join(map(chr, range(0x410, 0x450))) + "ЁёЄєІіЇїҐґ"
_GREEK: Final = "".join(map(chr, range(0x386, 0x3CF)))
_HEBREW: Final = "".join(map(chr, range(0x5D0, 0x5EB)))
_ARABIC: Final = "".join(map(chr, range(0x60C, 0x653)))

_SCRIPTS: Final = (
    ("cp1252", _among(_LATIN_1, 0.8, "ÿýþðÝÞÐÁÂÃÅÆÇÈÊËÌÍÎÏÑÒÓÔÕØÙÚÛœŒšŠžŽŸºª½¼¾²³¹´×÷±µ¶", 0.1)),
    ("cp1250", _among("ąćęłńóśźżáčďéěíňřšťúůýžőűăâîşţöüä", 0.8, "ĄĆĘŁŃŚŹŻČĎĚŇŘŠŤŮŽŐŰĂŞŢÁÉÍÓÚÝÖÜÄ", 0.2)),
    ("cp1254", _among("ğışöçüİĞŞâîû", 0.82, "ÖÇÜéàè", 0.2)),
    ("cp1251", _among("оеаинтсрвлкмдпу", 1.0, _CYRILLIC, 0.55)),
    ("koi8-r", _among("оеаинтсрвлкмдпу", 1.0, _CYRILLIC, 0.55)),
    ("cp866", _among("оеаинтсрвлкмдпу", 1.0, _CYRILLIC, 0.5)),
    ("cp1253", _among("αεοιτνσηρςκπυλάόί", 1.0, _GREEK, 0.5)),
    ("cp1255", _among(_HEBREW, 0.9)),
    ("cp1256", _among("ايلمنورتبهدعسفق", 0.9, _ARABIC, 0.4)),
    ("cp932", _among(_KANA, 1.2, _HAN, 0.6)),
    ("euc_jp", _among(_KANA, 1.2, _HAN, 0.6)),
    ("cp949", _among(_HANGUL, 1.1, _HAN, 0.3)),
    ("gb18030", _among("".join(sorted(_COMMON_HAN)) + "，。、“”：；！？（）", 1.6, _HAN, 0.7)),
    ("big5", _among("".join(sorted(_COMMON_HAN)) + "，。、「」：；！？（）", 1.6, _HAN, 0.7)),
)
