"""The source `reviser`: rewrites the sentences of the summary that a check has refuted. What it rewrote is checked again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final

from blackboard import All, Contribution, LanguageModel, ModelFailed, Page, Quoted, Summary, Verdict, knowledge_source
from knowledge_sources.models.answers import Revision
from knowledge_sources.models.asking import LONG_S, holding, tell
from knowledge_sources.models.bids import revision_bid
from knowledge_sources.models.borne import borne_out
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped, plain

ROUNDS: Final = 2
MOST: Final = 12
"""Sentences that are rewritten in one round."""
TRUST: Final = 0.8


class ReviserSettings(Prompted):
    """Its prompt."""

    tasks = ("revision",)


def refuted(summary: Sequence[Summary], verdicts: Sequence[Verdict]) -> list[tuple[Summary, Verdict]]:
    """The sentences that are refuted as they stand, in their order, each with the surest verdict against it."""
    against: dict[str, Verdict] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.confidence):
        if verdict.label == "refuted" and verdict.about.startswith("summary-"):
            against[verdict.subject] = verdict
    ranked = sorted(summary, key=lambda sentence: sentence.rank)
    return [(sentence, against[sentence.text]) for sentence in ranked if sentence.text in against]


def _any_refuted(summary: Sequence[Summary], verdicts: Sequence[Verdict]) -> bool:
    return bool(refuted(summary, verdicts))


@knowledge_source(
    version="1", cost="model", timeout=LONG_S, default=False, revises=Summary, max_rounds=ROUNDS,
    when=_any_refuted, bid=revision_bid,
)  # fmt: skip
async def reviser(
    summary: All[Summary],
    verdicts: All[Verdict],
    pages: All[Page],
    model: LanguageModel,
    settings: ReviserSettings,
    log: logging.Logger,
) -> AsyncIterator[Contribution[Summary]]:
    """Put right what was refuted; a sentence for which that cannot be done stays as it is, and stays refuted."""
    quotes, dropped, failed = Quotes(pages), Dropped(), list[ModelFailed]()
    wrong = refuted(summary, verdicts)[:MOST]
    for sentence, verdict in wrong:
        try:
            answer = await _revised(sentence, verdict, pages, model, settings)
        except ModelFailed as error:
            failed.append(error)
            continue
        if not answer.text.strip():
            dropped("sentences of which nothing true is left")
            continue
        given = [(quote.page, quote.text) for quote in answer.evidence[:10]]
        borne = await asyncio.to_thread(borne_out, answer.text, given, quotes, dropped)
        if borne is None or borne.text == sentence.text:
            continue
        new = Summary(rank=sentence.rank, text=borne.text, evidence=borne.places, confidence=borne.trust(quotes, TRUST))
        yield Contribution(new, confidence=new.confidence, name=_name(sentence))
    if wrong and len(failed) == len(wrong):
        raise failed[0]
    tell(log, dropped, *failed)


async def _revised(
    sentence: Summary, verdict: Verdict, pages: Sequence[Page], model: LanguageModel, settings: ReviserSettings
) -> Revision:
    places = (*verdict.evidence, *sentence.evidence)
    window = next((found for place in places for found in holding(model, pages, place.page)), ())
    against = "\n".join(f"- page {place.page}: {plain(place.text, 600)}" for place in verdict.evidence)
    parts = [Quoted("Sentence", sentence.text), Quoted("What is wrong with it", plain(verdict.reason, 600))]
    if against:
        parts.append(Quoted("What refutes it", against))
    return await model.ask(
        Revision, settings.task("revision"), "Write the sentence again.", *parts, document=window, max_tokens=1024
    )


def _name(sentence: Summary) -> str | None:
    """The name of the entry it stands for; a revision takes its place."""
    return sentence.entry.key.partition("/")[2] if sentence.entry is not None else None
