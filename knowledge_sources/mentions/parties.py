"""The parties of a contract: after "between", before a legal description ("a Delaware corporation"), before the short name
in brackets, and above the signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from knowledge_sources.mentions import words
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.layout import Row
from knowledge_sources.mentions.lists import word_set

_LEGAL = words.LEGAL_FORM.pattern
_PIECE_OF_NAME = r"(?:(?!AND\b)[A-Z0-9][\w&.’'\-/]*|&)"
_TOKENS = (
    rf"{_PIECE_OF_NAME}(?:\s{{1,3}}(?:{_PIECE_OF_NAME}|of|the|de|van|von|"
    r"(?i:and)(?=\s{1,3}(?i:Co|Company|Sons|Associates|Partners)\b))){0,9}"
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
_TITLE = re.compile(
    r"\b(?:made|entered|dated|effective|deed|governs)\b|\bas\s+of\b|\bthis\b.{0,120}\bagreement\b|"
    r"(?-i:AGREEMENT|CONTRACT)|(?:agreement|contract|letter)\W{0,12}(?:is\s+)?(?:by\s+and\s+)?$",
    re.IGNORECASE | re.DOTALL,
)
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


def find_parties(text: str, rows: Sequence[Row]) -> Iterator[Found]:
    """Finds with role `party`. Confidence: .9 opening, .8 signature, .6 description, .5 addressee of a letter."""
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
    yield from _addressee(text, rows)


_ROLES = word_set(
    """
    company employee contractor consultant executive recipient advisor adviser purchaser buyer seller parent
    investor licensee licensor discloser corporation bank employer client customer vendor supplier participant
    """
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
    if not _TITLE.search(text[max(0, at - 300) : at]):
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


def _addressee(text: str, rows: Sequence[Row]) -> Iterator[Found]:
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
    shown = re.sub(r"\s(?:as|se|sa|ag|ab|spa)$", "", shown)  # "Acme Company as agent": a word, no legal form
    value = " ".join(shown.split())
    if re.search(r"\b(?:agreement|exhibit|section|confidential\w*)\b", value, re.IGNORECASE):
        return
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
