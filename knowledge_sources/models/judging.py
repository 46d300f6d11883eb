"""Claims before a model: what it is shown of the document besides, and what of its judgement is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from blackboard import LanguageModel, Quoted, Task, Verdict, Where
from knowledge_sources.checks.evidence import Evidence
from knowledge_sources.checks.verdicts import Label
from knowledge_sources.models.answers import Judgement, Judgements, some
from knowledge_sources.models.asking import Window
from knowledge_sources.models.borne import MOST_PLACES, reason_of
from knowledge_sources.models.evidence import Quotes, overlap
from knowledge_sources.models.words import LONGEST_REASON, Dropped, plain

BATCH: Final = 10
"""Claims of one question."""
LONGEST_SHOWN: Final = 600
"""Characters of a claim or a passage in a question."""
MOST_PASSAGES: Final = 6
"""For one claim."""
TRUST: Final[dict[Label, float]] = {"supported": 0.88, "refuted": 0.82, "not_enough_information": 0.6}
CHECK: Final = "model"
UNANSWERED: Final = "model_unanswered"


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be judged. `own`: places that say nothing for or against it; `shown`: places it is said to rest on."""

    about: str
    text: str
    own: tuple[Where, ...]
    shown: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True)
class Court:
    """Asks a model about the claims of one page."""

    model: LanguageModel
    task: Task
    window: Window
    evidence: Evidence
    quotes: Quotes

    async def judge(self, cases: Sequence[Case]) -> Sequence[Judgement]:
        """What the model says of these cases, at most `BATCH`, which it knows by their numbers from 1."""
        parts = await asyncio.to_thread(self._parts, cases)
        asked = "Judge the claim." if len(cases) == 1 else f"Judge the claims, 1 to {len(cases)}."
        answer = await self.model.ask(
            Judgements, self.task, asked, *parts, document=self.window, max_tokens=400 + 300 * len(cases)
        )
        return answer.items

    def _parts(self, cases: Sequence[Case]) -> list[Quoted]:
        """The claims, and the passages that are nearest to them."""
        claims = [f"{number}. {_shown(case.text)}{_from(case)}" for number, case in enumerate(cases, 1)]
        passages = {
            (place.page, place.start): f"- page {place.page}: {_shown(place.text)}"
            for case in cases
            for place in (*case.shown, *self.evidence.near(case.text, case.own)[:MOST_PASSAGES])
        }
        parts = [Quoted("Claims", "\n".join(claims))]
        if passages:
            parts.append(Quoted("Passages", "\n".join(text for _, text in sorted(passages.items()))))
        return parts


def verdicts(cases: Sequence[Case], judged: Sequence[Judgement], quotes: Quotes, dropped: Dropped) -> list[Verdict]:
    """One verdict for each case: the first judgement that names it; where there is none, the verdict says so."""
    by_number: dict[int, Judgement] = {}
    for judgement in some(judged, 2 * BATCH, dropped):
        if not 1 <= judgement.claim <= len(cases):
            dropped("about a claim that was not asked about")
        elif judgement.claim in by_number:
            dropped("about a claim that was judged before")
        else:
            by_number[judgement.claim] = judgement
    found: list[Verdict] = []
    for number, case in enumerate(cases, 1):
        if number in by_number:
            found.append(_verdict(case, by_number[number], quotes, dropped))
        else:
            found += unanswered([case], "the model's answer does not speak of it")
    return found


def unanswered(cases: Sequence[Case], why: str) -> list[Verdict]:
    """Verdicts on what no answer came for."""
    return [
        _made(
            case, "not_enough_information", f"It could not be judged: {plain(why, LONGEST_REASON)}", (), 0.0, UNANSWERED
        )
        for case in cases
    ]


def _verdict(case: Case, judgement: Judgement, quotes: Quotes, dropped: Dropped) -> Verdict:
    given = some(judgement.evidence, 2 * MOST_PLACES, dropped)
    places = quotes.all(((quote.page, quote.text) for quote in given), most=2 * MOST_PLACES)
    dropped("pieces of evidence that are not on the page they are said to be on", len(given) - len(places))
    others = tuple(place for place in places if not overlap(place, case.own))[:MOST_PLACES]
    label = judgement.label
    if label != "not_enough_information" and not others:
        dropped("judgements without evidence")
        reason = "Nothing else in the document was found to decide it."
        return _made(case, "not_enough_information", reason, (), TRUST["not_enough_information"])
    reason = reason_of(judgement.reason, (*others, *case.own), quotes, case.text)
    return _made(case, label, reason or _plain_reason(label, others), others, TRUST[label])


def _plain_reason(label: Label, places: Sequence[Where]) -> str:
    pages = ", ".join(str(page) for page in dict.fromkeys(place.page for place in places))
    if label == "supported":
        return f"It is borne out on page {pages}."
    if label == "refuted":
        return f"Page {pages} says otherwise."
    return "Nothing else in the document decides it."


def _made(
    case: Case, label: Label, reason: str, evidence: tuple[Where, ...], confidence: float, check: str = CHECK
) -> Verdict:
    at = case.own or case.shown
    return Verdict(
        about=case.about,
        subject=case.text,
        label=label,
        check=check,
        reason=reason,
        where=at[0] if at else None,
        evidence=evidence,
        confidence=confidence,
    )


def _shown(text: str) -> str:
    return plain(text, LONGEST_SHOWN)


def _from(case: Case) -> str:
    return f" (from page {case.own[0].page})" if case.own else ""
