"""Does a passage contradict a claim? Only where both say the same of the same thing but for one number, opposite or "not"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from knowledge_sources.checks.lexicon import NUMBER_WORDS, fellows, opposites
from knowledge_sources.words import NEGATIONS, Token, content, stem, tokens

SAME_SUBJECT = 0.8
"""The share of the claim's words that the passage must say too, and of the passage's that the claim says: `BACK`."""
BACK = 0.65
MIN_SHARED = 3
"""Words in common without which two sentences do not speak of the same thing."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """How a passage contradicts a claim: `claimed` and `found` are the words that differ."""

    check: Literal["number_differs", "opposite", "negation"]
    claimed: str
    found: str

    @property
    def reason(self) -> str:
        if self.check == "number_differs":
            return f"It says {self.claimed}, but another passage on the same matter says {self.found}."
        if self.check == "opposite":
            return f'It says "{self.claimed}", but another passage on the same matter says "{self.found}".'
        return "Another passage says the same with a negation on one side only."


_LABELS = """
table figure fig section sec clause article paragraph page chapter step item no number phase appendix annex exhibit version
level part day week month year quarter question point line row column room floor building unit type class group stage round
"""
_NAMED = frozenset(stem(w) for w in _LABELS.split())
"""Words whose number is a name: Table 1 and Table 2 are two tables, not two counts of one."""
_PART_OF_CODE = re.compile(r"\w[-‐‑–/]\s?$")
"""Before a number: it ends a code such as FAA-2020-0686, and two codes are two things."""
_YEAR = re.compile(r"(?:1[89]|20)\d\d")


@dataclass(frozen=True, slots=True)
class _Number:
    text: str
    value: str
    unit: str
    """What it counts; empty for a year, and for a number that is a name."""


def contradiction(claim: str, passage: str) -> Contradiction | None:
    """The contradiction between two sentences, None where there is none or their subjects may differ."""
    mine, theirs = tokens(claim), tokens(passage)
    a, b = _subject(mine), _subject(theirs)
    if len(a) < MIN_SHARED or len(b) < MIN_SHARED:
        return None
    there, back = _share(a, b), _share(b, a)
    if there < SAME_SUBJECT or back < BACK or len(a & b) < MIN_SHARED:
        return _opposite(mine, theirs, a, b)
    if found := _number(_numbers(mine, claim), _numbers(theirs, passage)):
        return found
    if there >= 0.95 and back >= 0.9 and len(a & b) >= 4 and _negations(mine) % 2 != _negations(theirs) % 2:
        return Contradiction("negation", claim, passage)
    return _opposite(mine, theirs, a, b)


def _subject(said: list[Token]) -> frozenset[str]:
    words = content(said)
    return frozenset(
        t.stem
        for t in words
        if not t.text[0].isdigit() and t.text.lower() not in NEGATIONS and t.text.lower() not in NUMBER_WORDS
    )


def _share(of: frozenset[str], by: frozenset[str]) -> float:
    return len(of & by) / len(of)


def _numbers(said: list[Token], text: str) -> list[_Number]:
    """The numbers with what they count: the word behind, or the currency mark before or behind."""
    found = []
    for last, token, after in zip([None, *said[:-1]], said, [*said[1:], None], strict=True):
        low = token.text.lower()
        if not token.text[0].isdigit() and low not in NUMBER_WORDS:
            continue
        value = str(NUMBER_WORDS[low]) if low in NUMBER_WORDS else _plain(low)
        around = re.search(r"([$€£¥₹%])", text[max(0, token.start - 2) : token.start] + text[token.end : token.end + 2])
        before = re.search(r"\b([A-Z]{3})\s$", text[max(0, token.start - 5) : token.start])
        unit = around[1] if around else before[1] if before else after.stem if after else ""
        part = _PART_OF_CODE.search(text, max(0, token.start - 4), token.start) or re.fullmatch(r"0\d+", token.text)
        if part or _YEAR.fullmatch(token.text) or (last is not None and last.stem in _NAMED):
            unit = ""
        found.append(_Number(token.text, value, unit))
    return found


def _plain(number: str) -> str:
    digits = number.replace(",", "")
    return re.sub(r"\.0+$", "", digits).lstrip("0") or "0"


def _number(mine: list[_Number], theirs: list[_Number]) -> Contradiction | None:
    """The one number of a kind that differs, where all other numbers of the two sentences agree."""
    own = [n for n in mine if n.value not in {o.value for o in theirs}]
    others = [n for n in theirs if n.value not in {o.value for o in mine}]
    if len(mine) != len(theirs) or len(own) != 1 or len(others) != 1 or mine.index(own[0]) != theirs.index(others[0]):
        return None
    if own[0].unit != others[0].unit or not own[0].unit:
        return None
    return Contradiction("number_differs", own[0].text, others[0].text)


def _negations(said: list[Token]) -> int:
    """Negated verbs only: "no" and "without" may stand beside what both sentences assert."""
    return sum(
        t.text.lower().replace("’", "'") in ("not", "never", "cannot") or t.text.lower().endswith("n't") for t in said
    )


def _opposite(mine: list[Token], theirs: list[Token], a: frozenset[str], b: frozenset[str]) -> Contradiction | None:
    """An opposite where everything else is the same, and no negation turns it round."""
    if _negations(mine) or _negations(theirs):
        return None
    table = opposites()
    words, others = content(mine), content(theirs)
    for i, token in enumerate(words):
        against = table.get(token.stem, frozenset()) & b
        if not against or not fellows(token.stem).isdisjoint(b) or not against.isdisjoint(a):
            continue
        word = min(against)
        at = next(j for j, t in enumerate(others) if t.stem == word)
        if i + 1 < len(words) and [t.stem for t in words[i + 1 : i + 2]] != [t.stem for t in others[at + 1 : at + 2]]:
            continue
        rest_a, rest_b = a - {token.stem}, b - {word}
        same = len(rest_a) >= MIN_SHARED and len(rest_b) >= MIN_SHARED
        if same and _share(rest_a, rest_b) >= SAME_SUBJECT and _share(rest_b, rest_a) >= SAME_SUBJECT:
            return Contradiction("opposite", token.text, others[at].text)
    return None
