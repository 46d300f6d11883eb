"""Who agreed, from when, for how long and under which law: the standing phrases of contracts.

Parties stand after "between", before a legal description ("a Delaware corporation"), before the short name in brackets, and
above the signatures. Confidence tells which: .9 opening, .8 signature, .6 description, .5 addressee of a letter.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from knowledge_sources.mentions import words
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.gazetteer import regions, state_codes
from knowledge_sources.mentions.layout import Row

_LEGAL = words.LEGAL_FORM.pattern
_PIECE_OF_NAME = r"(?:[A-Z0-9][\w&.’'\-/]*|&)"
_TOKENS = (
    rf"{_PIECE_OF_NAME}(?:\s{{1,3}}(?:{_PIECE_OF_NAME}|of|the|de|van|von|"
    r"and(?=\s{1,3}(?:Co|Company|Sons|Associates|Partners)\b))){0,9}"
)
_NAME = re.compile(
    rf"{_TOKENS}(?:(?:,\s{{1,3}}{_TOKENS}){{0,4}},?\s{{1,3}}(?i:{_LEGAL})(?:,?\s{{1,3}}(?i:{_LEGAL})){{0,2}}|"
    rf"(?:,\s{{1,3}}(?:Jr|Sr|III?|IV)\b\.?)?)"
)
_OPENING = re.compile(r"\b(?:by\s+and\s+)?(?:between|among|amongst)\b[:\s]{1,4}", re.IGNORECASE)
_OPENING_END = re.compile(
    r"\b(?:WITNESSETH|W I T N E S S|WHEREAS|RECITALS?|BACKGROUND|NOW,?\s+THEREFORE|agree\s+as\s+follows|"
    r"is\s+made\s+with|"
    r"In\s+consideration)\b|(?:(?<=[a-z]{4})|(?<=[)”\"]))\.\s{1,3}(?=[A-Z])",
)
_TITLE = re.compile(r"agreement|letter|contract|\bmade\b|\bentered\b|\bdated\b|\bdeed\b", re.IGNORECASE)
_LEAD = re.compile(
    r"^(?:[\s,;:.]|\((?:i{1,3}|iv|v|vi|\d|[a-e])\)|\d\)|and\b|or\b|the\s+following\b|the\s+parties\b|"
    r"the\b(?=\s+[A-Z])|each\s+of\b|"
    r"you\b,?|both\b|on\s+(?:the\s+)?(?:one|other)\s+(?:hand|part)\b,?|(?:Mr|Mrs|Ms|Messrs|Dr|Prof)\.?(?=\s)){1,8}",
    re.IGNORECASE,
)
_DESCRIBED = re.compile(
    r",?\s{0,3}(?:\([^)]{1,40}\)\s{0,3})?,?\s{0,3}\ban?\s{1,3}(?:[\w.&,\-]{1,20}\s{1,3}){0,4}?"
    r"(?:corporation|company|partnership|individual|limited|trust|association|bank|resident|organi[sz]ation|firm|"
    r"LLC)\b",
    re.IGNORECASE,
)
_SHORT_NAME = re.compile(
    r",?\s{0,3}\(\s?(?:(?:together|collectively|hereinafter|herein|referred|called|each|with|its|affiliates|and|"
    r"or|to|as|the|"
    r"individually|also)\W{1,3}){0,10}[“\"'‘](?P<short>[\w .&\-]{1,40})[,”\"'’]",
    re.IGNORECASE,
)
_NOT_PARTY = re.compile(
    r"(?:agreement|exhibit|confidential|non-?disclosure|transaction|effective|date|witnesseth|whereas|recitals?|"
    r"section|article|"
    r"evaluation|material|information|purpose|representatives?|parties|party|dear|attn|attention|board|chief|president|"
    r"director|officer|vice|secretary|state|federal|court|page|section|schedule|title|name|by|its|per|re|subject|"
    r"law|company|receiving|disclosing|this|each|you|we|the|in|if|any|no|such|all)\b",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"(?im)^[ \t]*(?:by|per)\s?[:;.]")
_SIGNED_DETAIL = re.compile(r"[ \t]*(?:name|title|date|address)\b", re.IGNORECASE)
_SIGNED_PERSON = re.compile(
    r"(?im)^[ \t]*(?:employee|consultant|contractor|executive|recipient|individual|advisor|director|seller|buyer|"
    r"purchaser|"
    r"investor|licensee|licensor|participant|stockholder|shareholder|signatory)(?:['’]?s)?\s?(?:name)?\s?:[ \t]{0,3}"
    r"(?:/s/[ \t]*)?(?P<name>[A-Z][\w.’'\-]+(?:[ \t]+[A-Z][\w.’'\-]*){1,3})(?=[ \t]*(?:$|[,(]))",
)
_COMPANY_LABEL = re.compile(
    r"(?im)^[ \t]*(?:company|firm|corporation|for and on behalf of|on behalf of)(?:[ \t]?:[ \t]*|"
    r"(?<=of)[ \t]+)(?=[A-Z])"
)
_BARE_SIGNATURE = re.compile(
    r"(?m)^[ \t]*/s/[ \t]*(?P<name>[A-Z][\w.’'\-]*(?:[ \t]+[A-Z][\w.’'\-]*){1,3})[ \t]*(?:\d|Date|,|$)"
)

_TITLED = re.compile(r"(?:Mr|Mrs|Ms|Dr|Prof)\.?\s{1,3}(?=[A-Z])")
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
    return [*_parties(text, rows, dates), *_effective(text, rows, dates), *_jurisdictions(text), *_terms(text)]


def find_durations(text: str) -> list[Found]:
    """Every length of time, as `12 months` or `1 year`."""
    finds = []
    for match in _DURATION.finditer(text):
        word = match["digits"] or match["count"]
        count = int(word) if word.isdigit() else _WORDS[word.lower()]
        unit = match["unit"].lower() + ("" if count == 1 else "s")
        finds.append(Found("term", match.start(), match.end(), f"{count} {unit}", 0.8))
    return finds


def _parties(text: str, rows: Sequence[Row], dates: Sequence[Found]) -> Iterator[Found]:
    head = text[:5000]
    for opening in _OPENING.finditer(head):
        end = _OPENING_END.search(text, opening.end(), opening.end() + 2500)
        stop = end.start() if end else min(len(text), opening.end() + 1500)
        found = list(_listed(text, opening.end(), stop))
        if found and _opens(text, opening.start(), found):
            yield from found
            break
    for match in _NAME.finditer(head):
        if _DESCRIBED.match(text, match.end()) or _has_short_name(text, match):
            yield from _party(text, match.start(), match.end(), 0.6)
    yield from _signatures(text)
    yield from _addressee(text, rows, dates)


_ROLES = frozenset(
    [
        "company",
        "employee",
        "contractor",
        "consultant",
        "executive",
        "recipient",
        "advisor",
        "adviser",
        "purchaser",
        "buyer",
        "seller",
        "parent",
        "investor",
        "licensee",
        "licensor",
        "discloser",
        "corporation",
        "bank",
        "employer",
        "client",
        "customer",
        "vendor",
        "supplier",
        "participant",
    ]
)


def _has_short_name(text: str, name: re.Match[str]) -> bool:
    """A bracket with a short name follows: a role, a piece of the name, or its initials."""
    match = _SHORT_NAME.match(text, name.end())
    if not match:
        return False
    short, full = match["short"].strip().lower(), " ".join(name.group().split()).lower()
    initials = "".join(word[0] for word in re.findall(r"\w+", full))
    if words.has_legal_form(name.group()):
        return True
    person_like = _looks_personal(" ".join(name.group().split()).title())
    return person_like and (short in _ROLES or short in full or initials.startswith(short.replace(".", "")))


def _opens(text: str, at: int, found: list[Found]) -> bool:
    """Whether a "between" opens the contract: it follows the title or the date, and names a company or describes someone."""
    if not _TITLE.search(text, max(0, at - 300), at):
        return False
    return any(
        words.has_legal_form(find.value) or _DESCRIBED.match(text, find.end) or _SHORT_NAME.match(text, find.end)
        for find in found
    )


def _listed(text: str, start: int, stop: int) -> Iterator[Found]:
    """The names at the heads of the pieces that "and", ";" and the short names' brackets cut the opening into."""
    at = start
    while at < stop:
        lead = _LEAD.match(text[at:stop])
        at += lead.end() if lead else 0
        match = _NAME.match(text, at, stop)
        if match:
            yield from _party(text, match.start(), match.end(), 0.9)
            at = match.end()
        cut = _next_piece(text, at, stop)
        if cut <= at:
            return
        at = cut


_PIECE = re.compile(r"\band\b|;|(?<=[”\"])\s?\),?(?=\s{1,3}[A-Z])|\((?:ii|iii|iv|v|2|b|c)\)", re.IGNORECASE)


def _next_piece(text: str, at: int, stop: int) -> int:
    """Where the next piece of a list of parties begins: after a separator outside brackets that a name follows."""
    for match in _PIECE.finditer(text, at, stop):
        inside = text.count("(", at, match.end()) > text.count(")", at, match.end())
        after = _LEAD.sub("", text[match.end() : match.end() + 60])
        if not inside and re.match(r"[A-Z]", after) and not _is_clause(text, at, match.end()):
            return match.end()
    return stop


def _is_clause(text: str, at: int, end: int) -> bool:
    """Inside "with offices in X and Y" the "and" joins places, not parties."""
    return not re.search(r"[,;)]|\b(?:corporation|company|individual)\b|^\s*$", text[at:end])


def _signatures(text: str) -> Iterator[Found]:
    lines = [(m.start(), m.end()) for m in re.finditer(r"[^\r\n]+", text)]
    for number, (start, end) in enumerate(lines):
        if not _SIGNED.match(text, start, end):
            continue
        for above in range(number - 1, max(-1, number - 5), -1):
            found = [find for span in _split_companies(text, *lines[above]) for find in _party(text, *span, 0.8)]
            yield from found
            if found or _SIGNED.match(text, *lines[above]) or _SIGNED_DETAIL.match(text, *lines[above]):
                break
    for match in _COMPANY_LABEL.finditer(text):
        end = text.find("\n", match.end())
        if name := _NAME.match(text, match.end(), end if end >= 0 else len(text)):
            yield from _party(text, name.start(), name.end(), 0.7)
    for pattern, confidence in ((_SIGNED_PERSON, 0.8), (_BARE_SIGNATURE, 0.6)):
        for match in pattern.finditer(text):
            yield from _party(text, match.start("name"), match.end("name"), confidence)


def _split_companies(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Companies side by side on one line: "A, INC. B CO., LTD." is two, each up to its legal form."""
    for match in _NAME.finditer(text, start, end):
        if not _looks_legal(match.group()):
            continue
        at = match.start()
        for form in words.LEGAL_FORM.finditer(text, at, match.end()):
            rest = text[form.end() : match.end()]
            if (
                re.match(r"[ \t]+[A-Z]", rest)
                and not words.LEGAL_FORM.match(rest.strip(" ,"))
                and "&" not in form.group()
            ):
                if form.start() - at < 3 or re.match(r"[ \t]+[IVX]+\b", rest):
                    continue
                yield at, form.end()
                at = form.end() + len(rest) - len(rest.lstrip())
        if at < match.end():
            yield at, match.end()


def _addressee(text: str, rows: Sequence[Row], dates: Sequence[Found]) -> Iterator[Found]:
    """A company in the address of a letter: between the date and "Dear"."""
    for number, row in enumerate(rows[:25]):
        if re.match(r"\s*(?:Dear|Gentlemen|Ladies|To whom)\b", row.text, re.IGNORECASE):
            for above in rows[max(0, number - 10) : number]:
                match = _NAME.match(text, above.start, above.end)
                if match and words.has_legal_form(match.group()):
                    yield from _party(text, match.start(), match.end(), 0.5)
            return


def _party(text: str, start: int, end: int, confidence: float) -> Iterator[Found]:
    if title := _TITLED.match(text, start, end):
        start = title.end()
    shown = re.sub(r"[’']s$", "", text[start:end].rstrip(" ,;:&\r\n"))
    if shown.endswith(".") and not re.search(r"(?:\b\w{1,5}|\.\w)\.$", shown):
        shown = shown.rstrip(".")
    value = " ".join(shown.split())
    if len(value) < 3 or not re.search(r"[A-Za-z]{2}", value) or _NOT_PARTY.match(value):
        return
    if value.lower() in _ROLES or re.search(r"\. \d|[a-z]{4}\. [A-Z]", value):
        return
    if re.search(r"\b(?:corporation|company|limited|incorporated|association|trust)$", value):
        return  # "Florida corporation" describes a party, it names none
    kind = "organisation" if _looks_legal(value) else "person" if _looks_personal(value) else "organisation"
    yield Found("person" if kind == "person" else "organisation", start, start + len(shown), value, confidence, "party")


def _looks_legal(value: str) -> bool:
    return words.has_legal_form(value) or bool(re.search(r"&|\bCompany\b|\bCorporation\b|\bPartners\b|\bBank\b", value))


def _looks_personal(value: str) -> bool:
    return bool(
        re.fullmatch(r"(?:[A-Z][\w’'\-]+|[A-Z]\.)(?:\s(?:[A-Z]\.|[A-Z][\w’'\-]+)){1,3}(?:,? (?:Jr|Sr|III?)\.?)?", value)
    )


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
