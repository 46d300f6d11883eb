"""Checking a sentence against the rest of its document: find the passages nearest to it, then judge by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from blackboard.levels import Where
from knowledge_sources.checks.contradiction import contradiction
from knowledge_sources.checks.judge import Judgement, Label, judge
from knowledge_sources.once import once
from knowledge_sources.passages import Index
from knowledge_sources.words import content, tokens

NEAREST = 8
"""Passages that are looked at for one claim; the right one is among the first five for 98 % of claims."""
SHOWN = 3
ENOUGH = 0.85
"""One passage must bear a claim out as well as this, alone: a document's passages share their subject and its words."""

FIGURES_ENOUGH = 0.72
"""The same where the claim's dates or amounts come again with it."""
_TELLING = re.compile(r"\d.*\d.*\d")
"""A number of three digits or more, such as a year, an amount or a document's number."""
_MARKER = re.compile(r"^\s*(?:\(?[0-9A-Za-z]{1,3}[).]\s+|\([0-9A-Za-z]{1,3}\)\s*|[-*•]\s+)+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rest of the document says of a sentence."""

    label: Label
    check: str
    reason: str
    evidence: tuple[Where, ...]
    confidence: float


@partial(once, kept=4)
def _index(texts: tuple[str, ...]) -> Index:
    """Built once for a document however many of its pages are checked; the texts are the key, so boards cannot mix."""
    return Index(texts)


class Evidence:
    """A document's passages, ready to be asked."""

    def __init__(self, passages: Sequence[Where]) -> None:
        self._passages = passages
        self._index = _index(tuple(p.text for p in passages))

    def check(self, text: str, own: Sequence[Where] = ()) -> Outcome:
        """Judge a sentence by passages other than its own places; a word-for-word repetition is no evidence either."""
        near = self.near(text, own)
        said = _MARKER.sub("", text)
        for place in near:
            found = contradiction(said, _MARKER.sub("", place.text)) if _ended(said) and _ended(place.text) else None
            if found:
                return Outcome("refuted", found.check, found.reason, (place,), 0.75)
        best, alone = max(
            ((p, judge(said, [p.text])) for p in near), key=lambda one: one[1].score, default=(None, None)
        )
        if best and alone and alone.label == "supported" and alone.score >= ENOUGH and len(content(tokens(said))) >= 4:
            reason = f"Page {best.page} says so in nearly the same words."
            return Outcome("supported", alone.check, reason, (best,), alone.score)
        if stated := self._figures(said, near):
            return stated
        judged = judge(said, [p.text for p in near])
        shown = near[:SHOWN] if judged.check != "no_evidence" else []
        return Outcome(
            "not_enough_information", judged.check, _why_not(judged), tuple(shown), round(1 - judged.score, 3)
        )

    def _figures(self, said: str, near: Sequence[Where]) -> Outcome | None:
        """Support by the figures themselves: all of the claim's telling numbers stand together in up to three passages.

        A date or an amount that comes again beside words of the claim is seldom another one, so fewer words must agree.
        """
        words = tokens(said)
        telling = {t.stem for t in words if _TELLING.search(t.text)}
        numbers = {t.stem for t in words if t.text[0].isdigit()}
        holders = [p for p in near if not telling.isdisjoint(t.stem for t in tokens(p.text))]
        if not telling or not holders or sum(t.stem not in numbers for t in content(words)) < 2:
            return None
        together = _least(holders, said, numbers)
        judged = judge(said, [p.text for p in together])
        held = {t.stem for p in together for t in tokens(p.text)}
        if not numbers <= held or judged.label != "supported" or judged.score < FIGURES_ENOUGH:
            return None
        shown = ", ".join(dict.fromkeys(t.text for t in words if t.stem in numbers))
        reason = f"Page {together[0].page} gives the same figures: {shown}."
        return Outcome("supported", "same_figures", reason, tuple(together), judged.score)

    def stands(self, text: str) -> Where | None:
        """The passage that is this sentence word for word, spacing and case aside."""
        wanted = _squash(text)
        nearest = self._index.search(text, NEAREST)
        return next((self._passages[i] for i, _ in nearest if wanted in _squash(self._passages[i].text)), None)

    def near(self, text: str, own: Sequence[Where] = ()) -> list[Where]:
        """The passages nearest to a sentence, best first, without its own places and its repetitions."""
        same = _squash(text)
        found = []
        for i, _ in self._index.search(text, NEAREST + len(own) + 4):
            place = self._passages[i]
            if not any(_overlap(place, o) for o in own) and _squash(place.text) != same:
                found.append(place)
        return found[:NEAREST]


def _least(holders: Sequence[Where], said: str, numbers: set[str]) -> list[Where]:
    """The nearest passage, and those of its page that add numbers it lacks, `SHOWN` at most."""
    ranked = sorted(holders, key=lambda p: -judge(said, [p.text]).score)
    chosen = [ranked[0]]
    missing = numbers - {t.stem for t in tokens(ranked[0].text)}
    for place in ranked[1:]:
        adds = missing & {t.stem for t in tokens(place.text)}
        if adds and place.page == ranked[0].page and len(chosen) < SHOWN:
            chosen.append(place)
            missing -= adds
    return chosen


def _ended(text: str) -> bool:
    """Whether a text is a finished sentence; headings and labels contradict nothing."""
    return text.rstrip("\"'”’») ")[-1:] in (".", "!", ";", "。")


def _overlap(a: Where, b: Where) -> bool:
    return a.page == b.page and a.start < b.end and b.start < a.end


def _squash(text: str) -> str:
    return " ".join(text.split()).casefold()


def _why_not(judged: Judgement) -> str:
    words = ", ".join(judged.missing)
    if judged.check == "number_absent":
        return f"No other passage gives the number {words}."
    if judged.check == "name_absent":
        return f"No other passage names {words} in this connection."
    if judged.check == "opposite":
        return f'The nearest passage speaks against "{words}", but perhaps of something else.'
    if judged.check == "no_evidence":
        return "No other passage of the document speaks of it."
    return "Other passages are too different in their words to tell."
