"""Runs of capitalised words, which names are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from knowledge_sources.mentions import lexicon, words
from knowledge_sources.mentions.gazetteer import first_names, places
from knowledge_sources.mentions.lists import word_set

_WORD = re.compile(
    r"(?:[A-Z]\.){2,6}|(?:St|Mt|Ft|Dr|Mr|Mrs|Ms|Prof|Gen|Col|Sen|Rep|Gov|Lt|Sgt|Capt|Rev|Hon|Inc|Corp|Co|Ltd|Jr|"
    r"Sr|Bros|Dept|No)\.|"
    r"[A-Z]\.(?=\s[A-Z])|[^\W_]+(?:[’'\-.&/][^\W_]+)*|[^\w\s]"
)
_SENTENCE_END = frozenset('.!?:;"“”•*-–|>/')
_MAX_TOKENS = 9
_SHORT_LINE = 45
_LONG_LINE = 60
_SMALL_WORD = re.compile(r"(?<!\S)[a-z]+(?!\S)")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text. `first`: it begins a sentence or a line, so its capital says nothing."""

    text: str
    start: int
    end: int
    first: bool

    @property
    def low(self) -> str:
        return self.text.lower().rstrip(".")

    @property
    def capital(self) -> bool:
        if not (self.text[0].isupper() or (self.text[0].isdigit() and any(char.isupper() for char in self.text))):
            return False
        return self.text.isascii() or not any(char.isalpha() and char.lower() == char.upper() for char in self.text)


def words_in(text: str) -> list[Word]:
    """The words and marks of the text, in order."""
    tokens: list[Word] = []
    at = 0
    begins = True
    for match in _WORD.finditer(text):
        if "\n" in text[at : match.start()]:
            begins = (
                begins or text[at : match.start()].count("\n") > 1 or not tokens or not tokens[-1].text[-1].isalnum()
            )
        shown = match.group()
        tokens.append(Word(shown, match.start(), match.end(), begins))
        begins = shown in _SENTENCE_END or (begins and not shown[0].isalnum())
        at = match.end()
    return tokens


def runs(tokens: list[Word], text: str, prose: bool) -> Iterator[tuple[int, int]]:
    """(first, last) of maximal runs of capitalised words, with the small words that names keep inside."""
    at = 0
    while at < len(tokens):
        if not _starts_name(tokens, at):
            at += 1
            continue
        last = at
        while last - at < _MAX_TOKENS:
            step = _next_in_run(tokens, at, last, text, prose)
            if step is None:
                break
            last = step
        yield at, last
        at = last + 1


def _starts_name(tokens: list[Word], at: int) -> bool:
    token = tokens[at]
    if not token.capital:
        return False
    if token.low not in lexicon.NO_NAME or token.low in lexicon.PARTIES | lexicon.PARTY_ORGANISATIONS:
        return True
    if token.text.isupper() and len(token.text) > 1 and token.low in ("us", "up", "un", "it"):
        return not token.first or token.low == "us"
    pair = " ".join(word.low for word in tokens[at : at + 2])
    return pair in places() or " ".join(word.low for word in tokens[at : at + 3]) in places()


def _next_in_run(tokens: list[Word], first: int, last: int, text: str, prose: bool) -> int | None:
    """The next token that belongs to the run, None when it ends here."""
    here = tokens[last]
    at = last + 1
    if at >= len(tokens):
        return None
    gap = text[here.end : tokens[at].start]
    if len(gap) > 2 or gap.count("\n") > 1 or ("\n" in gap and not (prose or _is_wrapped(text, here.end))):
        return None
    begins = text.rfind("\n", max(0, here.end - _SHORT_LINE), here.end) >= 0 or here.end <= _SHORT_LINE
    if "\n" in gap and begins:
        return None  # a short line is no wrapped prose: an address, a signature
    token = tokens[at]
    if token.text == "," and at + 1 < len(tokens) and words.LEGAL_FORM.fullmatch(tokens[at + 1].text.rstrip(".")):
        return at + 1
    if token.text == "-" and at + 1 < len(tokens) and here.low in ("al", "el", "ul", "ad") and tokens[at + 1].capital:
        return at + 1
    if token.capital and (
        token.low not in lexicon.NO_NAME or token.low in lexicon.ORGANISATION_HEADS | lexicon.PLACE_HEADS
    ):
        return at
    if token.capital and token.low in _LATE and last >= first:
        return at
    if (
        token.text in ("A", "I")
        and at + 1 < len(tokens)
        and tokens[at + 1].capital
        and tokens[first].low in first_names()
    ):
        return at
    if token.low not in lexicon.CONNECTORS or token.capital:
        return None
    return _past_connector(tokens, first, last, at)


def _is_wrapped(text: str, end: int) -> bool:
    """Whether the line that ends at `end` is running text, as the letter on an invoice's second page is."""
    line = text[text.rfind("\n", 0, end) + 1 : end]
    return len(line) > _LONG_LINE and "  " not in line and len(_SMALL_WORD.findall(line)) >= 6


_LATE = word_set(
    """
    house office home place times post news web law business part service great house open free people
    """
)


_ARTICLES = frozenset({"der", "den", "dem", "la", "le", "los", "las", "het"})


def _past_connector(tokens: list[Word], first: int, last: int, at: int) -> int | None:
    after = at + 1
    if after < len(tokens) and tokens[at].low == "of" and tokens[after].low == "the":
        after += 1
    if after < len(tokens) and tokens[at].low in ("van", "von", "de") and tokens[after].low in _ARTICLES:
        after += 1
    if after >= len(tokens) or not tokens[after].capital or tokens[after].low in lexicon.NO_NAME:
        return None
    name = {token.low for token in tokens[first : last + 1]}
    small = tokens[at].low
    if small == "of":
        return after if name & lexicon.HEAD_OF else None
    if small in ("and", "for"):
        inside = "of" in name and name & lexicon.HEAD_OF and tokens[after].low not in places()
        return after if inside else None
    if small == "&":
        return after
    if small in lexicon.PERSON_CONNECTORS and not tokens[last].first | (tokens[last].low in lexicon.NO_NAME):
        return after
    return None
