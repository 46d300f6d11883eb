"""Organisations, people and places in running text, by lists of names and by the shape and company of capitalised words.

The method is that of the rule-based systems of the seventh Message Understanding Conference (1998): runs of capitalised
words are cut out, then told apart by their head word, by lists, by titles and prepositions around them. It knows English
best; names of other languages are found by lists and legal forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from knowledge_sources.mentions import lexicon, words
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.gazetteer import all_first_names, first_names, last_names, places
from knowledge_sources.mentions.lists import word_set
from knowledge_sources.mentions.runs import Word, runs, words_in

_LEGALESE = re.compile(
    r"\b(?:shall|agreements?|hereunder|hereof|thereof|pursuant|obligations?|covenants?|section \d|default|warrant\w*|"
    r"collateral|violat\w+|undertak\w+)\b",
    re.IGNORECASE,
)
_FORMS = frozenset(("inc", "ltd", "llc", "llp", "gmbh", "plc"))
_SIDES = frozenset(
    ("receiving", "disclosing", "other", "either", "third", "each", "contracting", "providing", "recipient")
)
"""Before "party" these make a role in a contract, no organisation."""
_BIG_CITY = 100_000
_COMMON_SURNAME = 0.01


def find_names(text: str, prose: bool = True) -> list[Found]:
    """Organisations, people and locations. Where the text is no prose (rows of a receipt), only companies with a legal form
    and people with a title are taken."""
    tokens = words_in(text)
    lower = {token.text for token in tokens if token.text.islower()}
    legal = _is_legal(text, tokens)
    finds: list[Found] = []
    for first, last in runs(tokens, text, prose):
        for start, end in _trimmed(tokens, first, last, lower):
            find = _classified(text, tokens, start, end, legal)
            if find and (prose or find.confidence >= 0.8):
                finds.append(find)
    return finds


def _trimmed(tokens: list[Word], first: int, last: int, lower: set[str]) -> Iterator[tuple[int, int]]:
    """The run without a sentence's ordinary first word, without titles, and cut where two names meet."""
    if tokens[first].first and last > first and _ordinary(tokens[first], lower):
        first += 1
    while first < last and tokens[first].low in lexicon.TITLES and not _is_place(tokens, first, last):
        first += 1
    if first > last or tokens[first].text in ("&", "-"):
        return
    for at in range(first + 2, last + 1):
        if tokens[at].low in lexicon.OFFICES and tokens[last].low not in lexicon.ORGANISATION_HEADS:
            last = at - 1  # "Jane Doe Chairman & Managing Director" is a name and an office
            break
    while last > first and tokens[last].low in lexicon.CONNECTORS and not tokens[last].capital:
        last -= 1
    for at in range(first + 1, last - 1):
        if tokens[at].low in _FORMS and tokens[at + 1].capital and tokens[at + 1].low not in _FORMS:
            yield first, at  # the columns of a signature page: "Foo, Inc. Bar Corp."
            first = at + 1
    yield first, last


def _ordinary(token: Word, lower: set[str]) -> bool:
    low = token.low
    if low in places() or low in first_names() or low in lexicon.DEMONYMS or low in lexicon.DIRECTIONS:
        return False
    if token.text.isupper() and len(token.text) > 1:
        return False
    return low in lower or low in lexicon.NO_NAME or low.endswith(("ing", "ed", "ly")) or low in lexicon.PARTIES


def _is_place(tokens: list[Word], first: int, last: int) -> bool:
    return " ".join(token.low for token in tokens[first : last + 1]) in places()


def _is_legal(text: str, tokens: list[Word]) -> bool:
    """Only texts of law use role nouns as names: it has words of law, or it does so twice."""
    return bool(_LEGALESE.search(text)) or sum(_is_bare_role(tokens, at) for at in range(len(tokens))) > 1


def _is_bare_role(tokens: list[Word], at: int) -> bool:
    """A role noun with a capital, without an article, in a sentence: "paid by Borrower"."""
    token = tokens[at]
    if token.low not in lexicon.PARTIES | lexicon.PARTY_ORGANISATIONS or not token.text.istitle():
        return False
    before = tokens[at - 1] if at else None
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if token.first:
        return after is not None and after.low in _VERBS
    return (
        before is not None and before.low not in _DETERMINERS and (before.text.islower() or not before.text.isalpha())
    )


def _classified(text: str, tokens: list[Word], first: int, last: int, legal: bool) -> Found | None:
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

    if len(run) == 1 and lows[0] in lexicon.PARTIES | lexicon.PARTY_ORGANISATIONS:
        kind = "person" if lows[0] in lexicon.PARTIES else "organisation"
        return found(kind, 0.3) if legal and _is_bare_role(tokens, first) else None
    if words.has_legal_form(shown) and len(run) > 1:
        return found("organisation", 0.9)
    if len(value) < 2 or value.isdigit() or _says_nothing(run, lows):
        return None
    if (
        before is not None
        and _is_titled(text, before, run, legal)
        and not _headed(lows, lexicon.ORGANISATION_HEADS)
        and not _all_heads(lows)
    ):
        return found("person", 0.85)
    kind, confidence = _by_lists(run, lows, before, after, legal)
    return found(kind, confidence) if kind else None


_DETERMINERS = word_set(
    """
    the a an each any such this that every no other either said all both its their his
    """
)
_VERBS = word_set(
    """
    shall will has have may is agrees acknowledges represents warrants must can does hereby and or under
    """
)


def _by_lists(
    run: list[Word], lows: list[str], before: Word | None, after: Word | None, legal: bool
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
        return _several(run, lows, before, legal)
    return _single(run[0], before, after, legal)


def _is_titled(text: str, before: Word, run: list[Word], legal: bool) -> bool:
    """A title stands before the run, on the same line; of a contract's "General Release" the title is no person's."""
    if before.low not in lexicon.TITLES or not before.capital or "\n" in text[before.end : run[0].start]:
        return False
    if any(token.low in lexicon.OFFICES or token.low in lexicon.NO_NAME for token in run):
        return False
    known = run[-1].low in last_names() or run[0].low in all_first_names()
    return before.low in lexicon.HONORIFICS or not legal or (known and len(run) > 1)


def _says_nothing(run: list[Word], lows: list[str]) -> bool:
    """Only adjectives of nations and words that are capitalised for other reasons."""
    if lows[-1] in ("party", "parties") and lows[0] in _SIDES:
        return True
    if len(run) > 1 and (" ".join(lows) in places() or _headed(lows[1:], lexicon.ORGANISATION_HEADS)):
        return False
    return all(low in lexicon.DEMONYMS | lexicon.NO_NAME for low in lows) and not run[0].text.isupper()


def _headed(lows: list[str], heads: frozenset[str]) -> bool:
    return lows[-1] in heads or any(
        low in heads and lows[at + 1 : at + 2] in (["of"], ["for"]) for at, low in enumerate(lows)
    )


def _all_heads(lows: list[str]) -> bool:
    return all(low in lexicon.ORGANISATION_HEADS | lexicon.TITLES | lexicon.NO_NAME for low in lows)


def _several(run: list[Word], lows: list[str], before: Word | None, legal: bool) -> tuple[str, float]:
    """Two and more capitalised words without a telling head."""
    given = lows[0] in first_names() or (lows[0] in all_first_names() and lows[-1] in last_names())
    if given and len(run) <= 4 and lows[-1] not in lexicon.NO_NAME:
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
    acronym = run[0].text.isupper() and 2 <= len(run[0].text) <= 6
    if acronym and len(run) <= 4 and not any(token.text.isupper() for token in run[1:]):
        return "organisation", 0.45
    if len(run) <= 3 and lows[0] in places() and places()[lows[0]] > 1_000_000:
        return "organisation", 0.4
    defined = legal or any(low in lexicon.NO_NAME for low in lows)  # contracts give every notion of theirs capitals
    if len(run) <= 3 and not run[0].first and not defined:
        definite = before is not None and (before.low == "the" or not (before.text.isalpha() or before.text in ",("))
        some = any(low in last_names() or low in all_first_names() for low in lows)
        return ("person", 0.4) if some and not definite and all(_like_a_name(token) for token in run) else ("", 0.0)
    return "", 0.0


def _is_no_acronym(token: Word) -> bool:
    ordinary = token.low in lexicon.NO_NAME or token.low in lexicon.OFFICES
    return ordinary or bool(re.fullmatch(r"[IVXLC]+", token.text))


def _like_a_name(token: Word) -> bool:
    return token.text.istitle() and token.text.isalpha() and not token.low.endswith(_ABSTRACT)


_ABSTRACT = (
    "ing",
    "tion",
    "ment",
    "ness",
    "ity",
    "ics",
    "ance",
    "ence",
    "ism",
    "ware",
    "ship",
    "ed",
    "ly",
    "al",
    "ive",
    "s",
)


_PARTS_OF_NAMES = lexicon.ORGANISATION_HEADS | lexicon.PLACE_HEADS | lexicon.TITLES | lexicon.DIRECTIONS


def _single(token: Word, before: Word | None, after: Word | None, legal: bool) -> tuple[str, float]:
    """One capitalised word on its own."""
    low, shown = token.low, token.text
    related = before is not None and before.low in lexicon.RELATIONS
    speaks = after is not None and after.low in lexicon.SPEECH
    if low in _PARTS_OF_NAMES or (low in ("us", "it") and shown not in ("US", "U.S", "U.S.")):
        return "", 0.0
    if low in lexicon.KNOWN_ORGANISATIONS:
        return "organisation", 0.7
    size = places().get(low, 0)
    if size >= 1_000_000 or (size >= _BIG_CITY and low not in first_names() and low not in last_names()):
        return "location", 0.85
    if shown.isupper() and len(shown) > 1:
        heading = any(other is not None and other.text.isupper() and len(other.text) > 1 for other in (before, after))
        acronym = (
            (3 <= len(shown) <= 6 or shown == "UN") and shown.isalpha() and size == 0 and not _is_no_acronym(token)
        )
        return ("organisation", 0.5) if acronym and not heading else ("", 0.0)
    if size and related:
        return "location", 0.7
    if low in first_names() and (first_names()[low] > 0.004 or speaks):
        return "person", 0.65
    if legal:
        return "", 0.0
    if speaks and not token.first:
        return "person", 0.6
    if size and not token.first and low not in last_names():
        return "location", 0.5
    if related and before is not None and before.low in ("in", "near") and shown.isalpha() and len(shown) > 3:
        return "location", 0.4
    definite = before is not None and before.low == "the"
    abstract = low.endswith(("ing", "tion", "ment", "ness", "ity"))
    if last_names().get(low, 0.0) >= 0.003 and not (token.first or definite or abstract) and len(shown) > 3:
        return "person", 0.4
    return "", 0.0
