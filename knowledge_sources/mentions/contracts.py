"""From when, for how long and under which law a contract holds: the standing phrases of contracts."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.gazetteer import regions, state_codes
from knowledge_sources.mentions.layout import Row
from knowledge_sources.mentions.parties import find_parties

_SINCE = re.compile(
    r"(?:dated|made|entered|effective|executed|commencing|agreed)\b[^.;]{0,60}?(?:as\s+of|on|this|effective|the|"
    r"date|:)?[\s,:(]{0,3}(?:the\s+|this\s+)?$",
    re.IGNORECASE,
)
_OTHER_DEED = re.compile(
    r"that\s+certain|purchase\s+agreement|amended|prior\s+agreement|employment\s+with|commenced|"
    r"merger\s+agreement|through\b"
    r"|terminat|expire|filed|securities\s+act|until",
    re.IGNORECASE,
)
_LAW = re.compile(
    r"\b(?:governed|construed|interpreted|enforced|subject\s+to)\b[^;]{0,200}?\blaws?\s+(?:of|in|"
    r"and\s+decisions\s+of)\s+(?:the\s+)?"
    r"(?:(?:state|commonwealth|province|republic|kingdom|city|"
    r"federal\s+republic)\s+of\s+(?:the\s+)?)?(?:State\s+of\s+)?",
    re.IGNORECASE,
)
_LAW_ADJECTIVE = re.compile(
    r"\bgoverned\s+by\s+(?:and\s+[^.;]{0,60}\s)?(?P<place>[A-Z][a-z]+(?:\s[A-Z][a-z]+)?)(?:\s+state)?\s+law\b"
)
_VENUE = re.compile(
    r"\bcourts?\b[^.;]{0,60}?\b(?:of|in)\s+(?:the\s+)?(?:State|Commonwealth|Province)\s+of\s+", re.IGNORECASE
)
_PLACE = re.compile(r"[A-Z][A-Za-z’'\-]+(?:\s{1,3}(?:of\s{1,3}|and\s{1,3})?[A-Z][A-Za-z’'\-]+){0,3}")

_MAX_DURATIONS = 200
"""More on one page are a table, not the clauses of a contract."""
_LETTER_HEAD = 14
"""Rows in which a letter has its date."""

_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "eighteen": 18, "twenty": 20, "twenty-four": 24, "thirty": 30,
    "thirty-six": 36, "forty-eight": 48, "sixty": 60, "ninety": 90,
}  # fmt: skip
_DURATION = re.compile(
    rf"(?<![\w.,])(?P<count>{'|'.join(sorted(_WORDS, key=len, reverse=True))}|"
    rf"\d{{1,3}})\s{{0,3}}(?:\(\s?(?P<digits>\d{{1,3}})\s?\)\s{{0,3}})?"
    r"[\s\-]{1,3}(?:full\s|consecutive\s|calendar\s)?(?P<unit>year|month|week|day)s?(?![^\W_])",
    re.IGNORECASE,
)
_LASTS = re.compile(
    r"(?:agreement|obligations?|undertakings?|confidentiality|restrictions?|terms?|provisions?|covenants?|"
    r"duties)\b[^.;]{0,260}"
    r"\b(?:expires?|terminates?|remain|continues?|lasts?|effective|in\s+(?:full\s+)?(?:force|effect)|cease|"
    r"binding|survive|be\s+for|"
    r"endure|lapse|end)\b[^.;]{0,100}$|\bterm\s+of\s+(?:this|the)\s+agreement\b[^.;]{0,60}\b(?:is|be|"
    r"for)\b[^.;]{0,40}$|"
    r"\b(?:initial\s+)?(?:term|period)\s+of\s+(?:this\s+agreement\s+)?(?:is|shall\s+be|will\s+be)\b[^.;]{0,30}$",
    re.IGNORECASE,
)
_HELD_SECRET = re.compile(
    r"(?:confiden|disclos|secret)\w*\b[^.;]{0,160}\bfor\s+(?:a|the)\s+(?:period|term)\s+of\s*$", re.IGNORECASE
)
_OTHER_TERM = re.compile(
    r"solicit|\bhire|employ|compet|purchase|securities|stock|standstill|proxy|salary|notice|prior\s+to|preceding|"
    r"patent|engage|"
    r"acquire|shares",
    re.IGNORECASE,
)


def contract_roles(text: str, rows: Sequence[Row], finds: Sequence[Found]) -> list[Found]:
    """Finds with the roles party, effective_date, jurisdiction and term on one page of a contract."""
    dates = [find for find in finds if find.type == "date" and len(find.value) == 10]
    return [*find_parties(text, rows), *_effective(text, rows, dates), *_jurisdictions(text), *_terms(text)]


def find_durations(text: str) -> list[Found]:
    """Every length of time, as `12 months` or `1 year`."""
    finds = []
    for match in _DURATION.finditer(text):
        word = match["digits"] or match["count"]
        count = int(word) if word.isdigit() else _WORDS[word.lower()]
        unit = match["unit"].lower() + ("" if count == 1 else "s")
        finds.append(Found("term", match.start(), match.end(), f"{count} {unit}", 0.8))
    return finds


def _effective(text: str, rows: Sequence[Row], dates: Sequence[Found]) -> Iterator[Found]:
    starts = [row.start for row in rows]
    for find in dates:
        sentence = re.split(r"[.;]\s|\n\s*\n", text[max(0, find.start - 110) : find.start])[-1]
        if _SINCE.search(sentence) and not _OTHER_DEED.search(sentence):
            yield replace(find, role="effective_date", confidence=0.9 if find.start < 4000 else 0.7)
        number = bisect_right(starts, find.start) - 1
        if number < 0 or find.start >= rows[number].end:
            continue
        row = rows[number]
        labelled = bool(re.search(r"\bdated?\b", text[row.start : find.start], re.IGNORECASE))
        if number < _LETTER_HEAD and len(row.text) < find.end - find.start + 12:
            yield replace(find, role="effective_date", confidence=0.5 if labelled else 0.8)
        elif number >= _LETTER_HEAD and (labelled or "/s/" in row.text):
            yield replace(find, role="effective_date", confidence=0.4 if labelled else 0.3)


def _jurisdictions(text: str) -> Iterator[Found]:
    known = regions()
    for pattern, confidence in ((_LAW, 0.9), (_VENUE, 0.5)):
        for match in pattern.finditer(text):
            if found := _PLACE.match(text, match.end()):
                yield from _region(text, found.start(), found.end(), confidence)
    for match in _LAW_ADJECTIVE.finditer(text):
        if match["place"].lower() in known:
            yield Found(
                "location", match.start("place"), match.end("place"), known[match["place"].lower()], 0.8, "jurisdiction"
            )


def _region(text: str, start: int, end: int, confidence: float) -> Iterator[Found]:
    """The longest known region that the span begins with; an unknown name is taken as it stands, with less confidence."""
    shown = text[start:end]
    cuts = [match.start() for match in re.finditer(r"\s", shown)] + [len(shown)]
    for cut in reversed(cuts):
        name = " ".join(shown[:cut].split()).lower()
        if name in regions():
            yield Found("location", start, start + cut, regions()[name], confidence, "jurisdiction")
            return
        if name.upper() in state_codes():
            yield Found("location", start, start + cut, state_codes()[name.upper()], confidence, "jurisdiction")
            return


def _terms(text: str) -> Iterator[Found]:
    for find in find_durations(text)[:_MAX_DURATIONS]:
        far = max(0, find.start - 420)
        begin = max(text.rfind(stop, far, find.start) for stop in (". ", ".\n", ".\r"))
        before = " ".join(text[max(begin, far) : find.start].split())
        after = " ".join(text[find.end : find.end + 70].split())
        if re.match(r"(?:\W{0,2}(?:prior|preceding|before|of\s+service|notice))", after, re.IGNORECASE):
            continue
        if _OTHER_TERM.search(before[-260:]) or find.value.endswith(("day", "days")):
            continue
        lasting, secret = _LASTS.search(before), _HELD_SECRET.search(before)
        if not lasting and not secret:
            continue
        confidence = 0.8 if lasting else 0.5
        if re.search(r"surviv|(?:after|following)\b.{0,30}\bterminat", before + " " + after, re.I):
            confidence -= 0.3
        if re.match(r"\W{0,2}(?:from|after|following|of|commencing|beginning)\b", after, re.IGNORECASE):
            confidence += 0.1
        yield replace(find, role="term", confidence=confidence)
