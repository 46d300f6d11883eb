"""Organisations, people and places in running text, by lists of names and by the shape and company of capitalised words.

The method is that of the rule-based systems of the seventh Message Understanding Conference (1998): runs of capitalised
words are cut out, then told apart by their head word, by lists, by titles and prepositions around them. It knows English
best; names of other languages are found by lists and legal forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from knowledge_sources.mentions import lexicon, words
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.gazetteer import first_names, last_names, places

_WORD = re.compile(
    r"(?:[A-Z]\.){2,6}|(?:St|Mt|Ft|Dr|Mr|Mrs|Ms|Prof|Gen|Col|Sen|Rep|Gov|Lt|Sgt|Capt|Rev|Hon|Inc|Corp|Co|Ltd|Jr|"
    r"Sr|Bros|Dept|No)\.|"
    r"[A-Z]\.(?=\s[A-Z])|[^\W_]+(?:[’'\-.&/][^\W_]+)*|[^\w\s]"
)
_SENTENCE_END = frozenset('.!?:;"“”•*-–|>/')
_BIG_CITY = 100_000
_COMMON_SURNAME = 0.01
_MAX_TOKENS = 9


@dataclass(frozen=True, slots=True)
class _Word:
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
        return self.text[0].isupper() or (self.text[0].isdigit() and any(char.isupper() for char in self.text))


def find_names(text: str, prose: bool = True) -> list[Found]:
    """Organisations, people and locations. Where the text is no prose (rows of a receipt), only companies with a legal form
    and people with a title are taken."""
    tokens = _words(text)
    lower = {token.text for token in tokens if token.text.islower()}
    finds: list[Found] = []
    for first, last in _runs(tokens, text, prose):
        for start, end in _trimmed(tokens, first, last, lower):
            find = _classified(text, tokens, start, end)
            if find and (prose or find.confidence >= 0.8):
                finds.append(find)
    return finds


def _words(text: str) -> list[_Word]:
    tokens: list[_Word] = []
    at = 0
    begins = True
    for match in _WORD.finditer(text):
        if "\n" in text[at : match.start()]:
            begins = (
                begins or text[at : match.start()].count("\n") > 1 or not tokens or not tokens[-1].text[-1].isalnum()
            )
        shown = match.group()
        tokens.append(_Word(shown, match.start(), match.end(), begins))
        begins = shown in _SENTENCE_END or (begins and not shown[0].isalnum())
        at = match.end()
    return tokens


def _runs(tokens: list[_Word], text: str, prose: bool) -> Iterator[tuple[int, int]]:
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


def _starts_name(tokens: list[_Word], at: int) -> bool:
    token = tokens[at]
    if not token.capital:
        return False
    if token.low not in lexicon.NO_NAME or token.low in lexicon.PARTIES | lexicon.PARTY_ORGANISATIONS:
        return True
    if token.text.isupper() and len(token.text) > 1 and token.low in ("us", "up", "un", "it"):
        return not token.first or token.low == "us"
    pair = " ".join(word.low for word in tokens[at : at + 2])
    return pair in places() or " ".join(word.low for word in tokens[at : at + 3]) in places()


def _next_in_run(tokens: list[_Word], first: int, last: int, text: str, prose: bool) -> int | None:
    """The next token that belongs to the run, None when it ends here."""
    here = tokens[last]
    at = last + 1
    if at >= len(tokens):
        return None
    gap = text[here.end : tokens[at].start]
    if gap.count("\n") > (1 if prose else 0) or len(gap) > 3:
        return None
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


_LATE = frozenset(
    [
        "house",
        "office",
        "home",
        "place",
        "times",
        "post",
        "news",
        "law",
        "business",
        "part",
        "service",
        "great",
        "house",
        "open",
        "free",
        "people",
    ]
)


def _past_connector(tokens: list[_Word], first: int, last: int, at: int) -> int | None:
    after = at + 1
    if after < len(tokens) and tokens[at].low == "of" and tokens[after].low == "the":
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


def _trimmed(tokens: list[_Word], first: int, last: int, lower: set[str]) -> Iterator[tuple[int, int]]:
    """The run without a sentence's ordinary first word, without titles, and cut where two names meet."""
    if tokens[first].first and last > first and _ordinary(tokens[first], lower):
        first += 1
    while first < last and tokens[first].low in lexicon.TITLES and not _is_place(tokens, first, last):
        first += 1
    if first > last or tokens[first].text in ("&", "-"):
        return
    if tokens[last].low in lexicon.CONNECTORS and not tokens[last].capital:
        last -= 1
    yield first, last


def _ordinary(token: _Word, lower: set[str]) -> bool:
    low = token.low
    if low in places() or low in first_names() or low in lexicon.DEMONYMS or low in lexicon.DIRECTIONS:
        return False
    if token.text.isupper() and len(token.text) > 1:
        return False
    return low in lower or low in lexicon.NO_NAME or low.endswith(("ing", "ed", "ly")) or low in lexicon.PARTIES


def _is_place(tokens: list[_Word], first: int, last: int) -> bool:
    return " ".join(token.low for token in tokens[first : last + 1]) in places()


def _classified(text: str, tokens: list[_Word], first: int, last: int) -> Found | None:
    """The run's type by its head, then by lists, then by its surroundings; None when nothing speaks for a name."""
    run = tokens[first : last + 1]
    start, end = run[0].start, run[-1].end
    shown = text[start:end]
    value = " ".join(shown.split())
    lows = [token.low for token in run]
    before = tokens[first - 1] if first else None
    after = tokens[last + 1] if last + 1 < len(tokens) else None

    def found(kind: str, confidence: float) -> Found:
        return Found(kind, start, end, value, confidence)  # type: ignore[arg-type]

    if len(run) == 1 and (lows[0] in lexicon.PARTIES or lows[0] in lexicon.PARTY_ORGANISATIONS):
        bare = (
            run[0].text != run[0].text.upper()
            and (before is None or before.low not in _DETERMINERS)
            and not run[0].first
        )
        used = bare or (run[0].first and after is not None and after.low in _VERBS)
        kind = "person" if lows[0] in lexicon.PARTIES else "organisation"
        return found(kind, 0.45) if used else None
    if words.has_legal_form(shown) and len(run) > 1:
        return found("organisation", 0.9)
    if len(value) < 2 or value.isdigit() or _says_nothing(run, lows):
        return None
    titled = before is not None and before.low in lexicon.TITLES and before.capital
    if titled and not _headed(lows, lexicon.ORGANISATION_HEADS) and not _all_heads(lows):
        return found("person", 0.85)
    kind, confidence = _by_lists(run, lows, before, after, text)
    return found(kind, confidence) if kind else None


_DETERMINERS = frozenset(
    [
        "the",
        "a",
        "an",
        "each",
        "any",
        "such",
        "this",
        "that",
        "every",
        "no",
        "other",
        "either",
        "said",
        "all",
        "both",
        "its",
        "their",
        "his",
    ]
)
_VERBS = frozenset(
    [
        "shall",
        "will",
        "has",
        "have",
        "may",
        "is",
        "agrees",
        "acknowledges",
        "represents",
        "warrants",
        "must",
        "can",
        "does",
        "hereby",
        "and",
        "or",
        "under",
    ]
)


def _by_lists(
    run: list[_Word], lows: list[str], before: _Word | None, after: _Word | None, text: str
) -> tuple[str, float]:
    joined = " ".join(lows)
    if len(run) > 1 and joined in places():
        return "location", 0.85
    if _headed(lows, lexicon.ORGANISATION_HEADS) and len(run) > 1:
        return "organisation", 0.75
    if len(run) > 1 and (lows[-1] in lexicon.PLACE_HEADS or lows[0] in lexicon.PLACE_LEADS):
        return "location", 0.7
    if "of" in lows and set(lows[: lows.index("of")]) & lexicon.HEAD_OF:
        place = set(lows[: lows.index("of")]) & (
            lexicon.PLACE_LEADS | {"province", "district", "county", "isle", "democratic"}
        )
        return ("location", 0.6) if place else ("organisation", 0.65)
    if len(run) > 1:
        return _several(run, lows)
    return _single(run[0], before, after)


def _says_nothing(run: list[_Word], lows: list[str]) -> bool:
    """Only adjectives of nations and words that are capitalised for other reasons."""
    if len(run) > 1 and (" ".join(lows) in places() or _headed(lows[1:], lexicon.ORGANISATION_HEADS)):
        return False
    return all(low in lexicon.DEMONYMS | lexicon.NO_NAME for low in lows) and not run[0].text.isupper()


def _headed(lows: list[str], heads: frozenset[str]) -> bool:
    return lows[-1] in heads or any(
        low in heads and lows[at + 1 : at + 2] in (["of"], ["for"]) for at, low in enumerate(lows)
    )


def _all_heads(lows: list[str]) -> bool:
    return all(low in lexicon.ORGANISATION_HEADS | lexicon.TITLES | lexicon.NO_NAME for low in lows)


def _several(run: list[_Word], lows: list[str]) -> tuple[str, float]:
    """Two and more capitalised words without a telling head."""
    if lows[0] in first_names() and len(run) <= 4 and lows[-1] not in lexicon.NO_NAME:
        return "person", 0.8
    initials = [token for token in run if re.fullmatch(r"[A-Z]\.?", token.text)]
    if initials and len(run) <= 5 and not run[-1].text.isupper() and lows[-1] in last_names():
        return "person", 0.75
    if lows[0] in lexicon.DIRECTIONS and " ".join(lows[1:]) in places():
        return "location", 0.75
    if lows[0] in places() and len(run) == 2 and lows[1] in places():
        return "location", 0.5
    if any(low in lexicon.PERSON_CONNECTORS for low in lows[1:-1]) and len(run) <= 5:
        return "person", 0.6
    if len(run) == 2 and lows[0] in lexicon.DEMONYMS:
        return ("", 0.0)
    surname = last_names().get(lows[-1], 0.0)
    if surname > _COMMON_SURNAME and lows[0] in last_names() and len(run) <= 3 and not run[0].first:
        return "person", 0.55
    if any(token.text.isupper() and len(token.text) > 1 for token in run):
        return "organisation", 0.45
    if len(run) <= 3 and lows[0] in places() and places()[lows[0]] > 1_000_000:
        return "organisation", 0.4
    if len(run) <= 3 and not run[0].first and not any(low in lexicon.NO_NAME for low in lows):
        return ("person", 0.4) if surname and all(low in last_names() for low in lows) else ("", 0.0)
    return "", 0.0


def _single(token: _Word, before: _Word | None, after: _Word | None) -> tuple[str, float]:
    """One capitalised word on its own."""
    low, shown = token.low, token.text
    related = before is not None and before.low in lexicon.RELATIONS
    speaks = after is not None and after.low in lexicon.SPEECH
    if (
        low in lexicon.ORGANISATION_HEADS
        or low in lexicon.PLACE_HEADS
        or low in lexicon.TITLES
        or low in lexicon.DIRECTIONS
    ):
        return "", 0.0
    if low in ("us", "it") and shown not in ("US", "U.S", "U.S."):
        return "", 0.0
    size = places().get(low, 0)
    if size >= 1_000_000 or (size >= _BIG_CITY and low not in first_names() and low not in last_names()):
        return "location", 0.85
    if shown.isupper() and len(shown) > 1:
        acronym = 2 <= len(shown) <= 6 and shown.isalpha() and size == 0 and low not in lexicon.NO_NAME
        return ("organisation", 0.5) if acronym else ("", 0.0)
    if size and related:
        return "location", 0.7
    if low in first_names() and (first_names()[low] > 0.004 or speaks):
        return "person", 0.65
    if speaks and not token.first:
        return "person", 0.6
    if size and not token.first and low not in last_names():
        return "location", 0.5
    if related and before is not None and before.low in ("in", "near") and not token.first and len(shown) > 3:
        return "location", 0.4
    definite = before is not None and before.low == "the"
    if last_names().get(low, 0.0) >= 0.003 and not token.first and len(shown) > 3 and not definite:
        return "person", 0.4
    return "", 0.0
