"""Are the parties called the same everywhere? Names by the role a document gives them, and near-doubles of one name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations

from blackboard.levels import Page, Where
from knowledge_sources.checks.verdicts import Found, quote
from knowledge_sources.mentions.words import LEGAL_FORM, has_legal_form

_FORM = (
    r"(?:Sdn\.? Bhd\.?|Pte\.? Ltd\.?|Pty\.? Ltd\.?|Co\.,? Ltd\.?|Ltd\.?|Limited|PLC|plc|LLC|L\.L\.C\.|LLP|LP|Inc\.?"
    r"|Incorporated|Corp\.?"
    r"|Corporation|Company|GmbH(?: & Co\. KG)?|AG|KG|UG|SE|SARL|S\.?à ?r\.?l\.?|SAS|S\.A\.|SA|N\.V\.|NV|B\.V\.|BV"
    r"|S\.p\.A\.|SpA|S\.r\.l\.|Srl"
    r"|S\.L\.|SL|A/S|ApS|AB|Oy|AS|Kft\.?|s\.r\.o\.)"
)
_WORD = r"(?:[A-Z0-9][\w'’\-]*|&|and|of|de|the|für|und|et|[A-Z]\.)"
_COMPANY = re.compile(rf"(?<![\w])(?P<core>[A-Z][\w'’.&\-]*(?:[ ]{_WORD}){{0,5}}?),?[ ](?P<form>{_FORM})(?![\w])")
_ROLE_NAMES = (
    "supplier|seller|vendor|provider|contractor|consultant|licensor|landlord|lessor|lender|employer|disclosing party"
    "|service provider|"
    "buyer|purchaser|customer|client|licensee|tenant|lessee|borrower|employee|receiving party|company|distributor"
    "|agent|principal|"
    "franchisor|franchisee|guarantor"
)
_DEFINED = re.compile(
    rf"\(\s*(?:hereinafter\s+)?(?:(?:referred to as"
    rf"|called)\s+)?(?:the\s+)?[\"“”'‘]\s*(?:the\s+)?(?P<role>{_ROLE_NAMES})\s*[\"”'’]",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"(?:^|\n|(?<=[ ]{{3}})|\t)[ ]*(?:(?:signed |for and |on |in )*(?:for"
    rf"|behalf of)\s+)?(?:the\s+)?(?P<role>{_ROLE_NAMES}|bill(?:ed)? to|sold to|"
    r"issued by|issuer|from|to|payee|beneficiary|account holder)\s*(?:[:\-–]|\n)\s*(?P<at>)",
    re.IGNORECASE,
)
_FORMED = re.compile(
    rf"(?:for and )?on behalf of\s+(?:the\s+(?P<role>{_ROLE_NAMES})\s*[,:]\s*)?(?P<at>)", re.IGNORECASE
)
_VAGUE = ("company", "agent", "principal", "from", "to")
"""Words that label many things: "Company: ..." in a signature asks who signs, whichever side that is."""
_FOR = re.compile(r"\b(?:for|behalf)\b", re.IGNORECASE)
_SAME_ROLE = {
    "purchaser": "buyer", "customer": "buyer", "client": "buyer", "bill to": "buyer", "billed to": "buyer",
    "sold to": "buyer", "vendor": "seller", "supplier": "seller", "issued by": "seller", "payee": "seller",
    "beneficiary": "seller", "account holder": "seller", "issuer": "seller", "service provider": "provider",
}  # fmt: skip
ALIKE = 0.8
"""From this likeness on (Ratcliff and Obershelp) two different names look like one name, misspelt."""
NEAR = 220
"""Characters between a name and the bracket that gives it its role."""


@dataclass(frozen=True, slots=True)
class Name:
    """A company's name at one place, with the role it has there, if any."""

    core: str
    form: str
    role: str
    page: Page
    where: Where

    @property
    def full(self) -> str:
        return f"{self.core} {self.form}".strip()


def check_parties(pages: Sequence[Page]) -> Iterator[Found]:
    """Parties under one role with two names, and two names that differ by a slip."""
    found = [name for page in pages for name in company_names(page)]
    refuted: set[frozenset[str]] = set()
    by_role: dict[str, list[Name]] = defaultdict(list)
    for name in found:
        if name.role:
            by_role[name.role].append(name)
    for role, group in by_role.items():
        for finding, pair in _role_conflicts(role, group):
            refuted.add(pair)
            yield finding
    yield from _doubles(found, refuted)
    yield from _confirmed(found)


def company_names(page: Page) -> list[Name]:
    """Every company with its legal form, and the role that the words around it give it."""
    matches = list(_COMPANY.finditer(page.text))
    roles: dict[int, str] = {}
    for defined in _DEFINED.finditer(page.text):
        before = [m for m in matches if m.end() <= defined.start() and defined.start() - m.end() < NEAR]
        if before:
            open_ = [m for m in before if m.start() not in roles]
            if open_:
                roles[open_[0].start() if len(open_) == 1 else _opening(page.text, open_, defined).start()] = defined[
                    "role"
                ]
    for label in (*_LABEL.finditer(page.text), *_FORMED.finditer(page.text)):
        if label["role"] and not (label["role"].lower() in _VAGUE and not _FOR.search(label.group())):
            near = next((m for m in matches if label.end("at") <= m.start() <= label.end("at") + 3), None)
            if near:
                roles.setdefault(near.start(), label["role"])
    return [_name(page, m, roles.get(m.start(), "")) for m in matches]


def _opening(text: str, before: Sequence[re.Match[str]], defined: re.Match[str]) -> re.Match[str]:
    """Of the names before a definition the one it speaks of: the first since the last sentence, bracket or "and"."""
    for match in before:
        between = text[match.end() : defined.start()]
        if ")" not in between and not re.search(r"\band\s*(?:\(\d\)|$)|\n\s*\n", between) and len(between) < NEAR:
            return match
    return before[-1]


def _name(page: Page, match: re.Match[str], role: str) -> Name:
    core = re.sub(r"^(?:The|Between|And|By|From|To|For|With|Of)\s+", "", match["core"])
    start = match.end() - len(match.group()) + match.group().index(core)
    low = " ".join(role.lower().split())
    return Name(core, match["form"], _SAME_ROLE.get(low, low), page, quote(page, start, match.end()))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold().replace("&", "and")).strip()


def _form(form: str) -> str:
    low = re.sub(r"[\W_]+", "", form.casefold())
    return {"limited": "ltd", "incorporated": "inc", "corporation": "corp", "company": "co", "coltd": "ltd"}.get(
        low, low
    )


def _key(name: Name) -> str:
    return f"{_plain(name.core)} {_form(name.form)}"


def _role_conflicts(role: str, group: Sequence[Name]) -> Iterator[tuple[Found, frozenset[str]]]:
    """The first name under a role against every later one. A short form of a name is the same name."""
    first = group[0]
    told: set[str] = set()
    for other in group[1:]:
        a, b = _key(first), _key(other)
        core_a, core_b = _plain(first.core), _plain(other.core)
        if a == b or b in told or _misread(first, other):
            continue
        if core_a != core_b and (core_a.startswith(core_b + " ") or core_b.startswith(core_a + " ")):
            continue
        told.add(b)
        reason = (
            f"The {role} is called {first.full} on page {first.page.number}, but {other.full} on page "
            f"{other.page.number}."
        )
        finding = Found("party", "refuted", "party_name", reason, other.where, (first.where, other.where), 0.85)
        yield finding, frozenset((a, b))


def _doubles(found: Sequence[Name], refuted: set[frozenset[str]]) -> Iterator[Found]:
    """Names that look alike but differ: the rarer one is taken for the slip."""
    groups: dict[str, list[Name]] = defaultdict(list)
    for name in found:
        groups[_key(name)].append(name)
    for a, b in combinations(groups, 2):
        first, second = sorted((groups[a], groups[b]), key=len, reverse=True)
        if frozenset((a, b)) in refuted or _misread(first[0], second[0]) or _side_by_side(first, second):
            continue
        core_a, core_b = _plain(first[0].core), _plain(second[0].core)
        same_core = core_a == core_b and first[0].page is not second[0].page
        alike = core_a != core_b and _one_word_off(core_a, core_b, _form(first[0].form) == _form(second[0].form))
        if same_core or alike:
            reason = (
                f"{second[0].full} on page {second[0].page.number} is {first[0].full} on page {first[0].page.number}."
            )
            places = (first[0].where, second[0].where)
            yield Found("party", "refuted", "party_name", reason, second[0].where, places, 0.75)


def _one_word_off(a: str, b: str, same_form: bool) -> bool:
    """One word differs, by its letters and not by a number: Alpha 1 and Alpha 2 are two companies."""
    left, right = a.split(), b.split()
    if len(left) != len(right):
        return False
    different = [(x, y) for x, y in zip(left, right, strict=True) if x != y]
    if len(different) != 1 or not all(w.isalpha() and len(w) > 3 for w in different[0]):
        return False
    x, y = different[0]
    ending = same_form and len(left) > 1 and x[:4] == y[:4]
    return ending or SequenceMatcher(None, a, b).ratio() >= ALIKE


def _side_by_side(first: Sequence[Name], second: Sequence[Name]) -> bool:
    """Two names in one breath are two companies."""
    return any(a.page is b.page and abs(a.where.start - b.where.start) < 200 for a in first for b in second)


def _misread(a: Name, b: Name) -> bool:
    """Whether OCR may have made one name two: on a scanned page a letter or two are easily misread."""
    if "reading" not in (a.page.origin, b.page.origin):
        return False
    x, y = _squash(a.full), _squash(b.full)
    if x == y:
        return True
    blocks = SequenceMatcher(None, x, y).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in blocks if tag != "equal") <= 1


def _squash(name: str) -> str:
    """A name without what OCR confuses: spaces, points, and letters that look alike."""
    low = re.sub(r"[\W_]+", "", name.casefold())
    for seen, meant in (
        ("rn", "m"),
        ("vv", "w"),
        ("cl", "d"),
        ("0", "o"),
        ("1", "l"),
        ("i", "l"),
        ("5", "s"),
        ("8", "b"),
    ):
        low = low.replace(seen, meant)
    return low


def _confirmed(found: Sequence[Name]) -> Iterator[Found]:
    """Companies that are called the same on several pages."""
    groups: dict[str, list[Name]] = defaultdict(list)
    for name in found:
        if has_legal_form(name.full) and LEGAL_FORM.search(name.full):
            groups[_key(name)].append(name)
    for group in groups.values():
        if len({name.page.number for name in group}) > 1:
            pages = sorted({name.page.number for name in group})
            reason = f"{group[0].full} is called the same on pages {', '.join(map(str, pages))}."
            places = tuple({n.page.number: n.where for n in reversed(group)}.values())
            yield Found("party", "supported", "cross_page", reason, group[0].where, places[::-1], 0.85)
