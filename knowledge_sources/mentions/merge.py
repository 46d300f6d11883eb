"""Mentions of one thing on all pages, joined: by value, by name without its legal form, by a person's full name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from blackboard.levels import Entities, Mention, Mentions, MentionType, Where
from knowledge_sources.mentions import words

_TITLES = re.compile(
    r"^(?:(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|dame|lord|lady|rev|hon|herr|frau|m|mme|mlle|monsieur|madame|"
    r"señor|señora|sr|sra|"
    r"don|doña|sig|ing|capt|captain|col|gen|general|lt|sgt|president|senator|judge|justice|datuk|dato|"
    r"tan\s+sri)\.?\s+)+",
    re.IGNORECASE,
)
_SUFFIXES = re.compile(
    r"(?:,?\s+(?:m\.?d|ph\.?\s?d|esq|jr|sr|ii|iii|iv|mba|cpa|phd|md|rn|dds|ll\.?m|b\.?sc|m\.?sc|m\.?a)\.?)+$", re.I
)
_SLUG_LENGTH = 60
_Place = tuple[int, Mention]


def merge(mentions: Sequence[Mentions]) -> list[Entities]:
    """One entity for everything that all pages name, ordered by type, then by first place."""
    groups: dict[tuple[MentionType, str], list[_Place]] = defaultdict(list)
    for on_page in sorted(mentions, key=lambda one: one.page):
        for mention in on_page.items:
            groups[mention.type, _key(mention)].append((on_page.page, mention))
    _join_short_names(groups)
    taken: set[tuple[MentionType, str]] = set()
    return [_entity(kind, key, found, taken) for (kind, key), found in sorted(groups.items(), key=_order)]


def organisation_key(name: str) -> str:
    """A company's name without case, punctuation and legal form: `Foo & Sons, Inc.` -> `foo and sons`."""
    low = unicodedata.normalize("NFKC", name).casefold().replace("&", " and ")
    previous = None
    while previous != low:
        previous = low
        bare = re.sub(rf"[\s,]+(?:{words.LEGAL_FORM.pattern})[\s.,]*$", "", low, flags=re.IGNORECASE)
        low = bare if len(bare) > 1 else low
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"(?<=\b\w)\.(?=\w\b)|['’]", "", low)))


def person_key(name: str) -> str:
    """A person's name without case, titles, degrees and dots: `Dr. Jane A. Doe, M.D.` -> `jane a doe`."""
    bare = _SUFFIXES.sub("", _TITLES.sub("", " ".join(name.split())))
    return " ".join(re.findall(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*", bare.casefold())) or name.casefold()


def _key(mention: Mention) -> str:
    if mention.type == "organisation":
        return organisation_key(mention.value) or mention.value.casefold()
    if mention.type == "person":
        return person_key(mention.value)
    if mention.type in ("location", "address"):
        return " ".join(re.findall(r"\w+", mention.value.casefold())) or mention.value
    return mention.value


def _join_short_names(groups: dict[tuple[MentionType, str], list[_Place]]) -> None:
    """Give `J. Doe`, `Doe` and `Avanir` to the one full name in the document they can stand for; leave them when two fit."""
    fitting: list[tuple[MentionType, Callable[[str, str], bool]]] = [
        ("person", _short_person),
        ("organisation", _short_organisation),
    ]
    for kind, fits in fitting:
        longer: dict[str, list[str]] = {}
        by_word: dict[str, list[str]] = defaultdict(list)
        for key in [key for one, key in groups if one == kind]:
            longer[key] = []
            for word in set(key.split()):
                by_word[word].append(key)
        for key in longer:
            anchor = key.split()[-1] if key.split() else ""
            longer[key] = [other for other in by_word[anchor] if other != key and fits(key, other)]
        for key, others in longer.items():
            full = [other for other in others if not longer[other]]
            if len(full) == 1:
                groups[kind, full[0]] += groups.pop((kind, key))


def _short_person(short: str, full: str) -> bool:
    some, all_ = short.split(), full.split()
    if not some or len(all_) < 2 or len(some) > len(all_) or some[-1] != all_[-1]:
        return False
    if len(some) == 1:
        return True
    given, whole = some[:-1], all_[:-1]
    fits = all(any(name == other or (len(name) == 1 and other[0] == name) for other in whole) for name in given)
    return fits and given[0][0] == whole[0][0] and (len(some) < len(all_) or given != whole)


def _short_organisation(short: str, full: str) -> bool:
    return " " not in short and len(short) > 3 and full.startswith(short + " ")


def _order(item: tuple[tuple[MentionType, str], list[_Place]]) -> tuple[str, int, int]:
    (kind, _), found = item
    page, mention = found[0]
    return kind, page, mention.start


def _entity(kind: MentionType, key: str, found: list[_Place], taken: set[tuple[MentionType, str]]) -> Entities:
    found = sorted(found, key=lambda place: (place[0], place[1].start))
    spellings = Counter(" ".join(mention.text.split()) for _, mention in found)
    values = Counter(mention.value for _, mention in found)
    best = max(values, key=lambda value: (values[value], value != value.upper(), len(value)))
    if kind in ("person", "organisation"):
        best = max(
            values, key=lambda value: (len(person_key(value)) if kind == "person" else 0, values[value], len(value))
        )
    roles: dict[str, float] = {}
    for _, mention in found:
        if mention.role:
            roles[mention.role] = max(roles.get(mention.role, 0.0), mention.confidence)
    slug = _slug(key)
    if (kind, slug) in taken:
        slug = f"{slug[: _SLUG_LENGTH - 9]}-{_digest(key)}"
    taken.add((kind, slug))
    return Entities(
        type=kind,
        slug=slug,
        value=best,
        names=tuple(name for name, _ in sorted(spellings.items(), key=lambda one: (-one[1], one[0]))),
        roles=tuple(sorted(roles, key=lambda role: (-roles[role], role))),
        mentions=tuple(
            Where(page=page, start=one.start, end=one.end, text=one.text, box=one.box) for page, one in found
        ),
        confidence=_confidence(mention.confidence for _, mention in found),
    )


def _confidence(parts: Iterable[float]) -> float:
    """The surest mention, a little surer for every further one."""
    ranked = sorted(parts, reverse=True)
    doubt = 1.0 - ranked[0]
    for _ in ranked[1:6]:
        doubt *= 0.9
    return round(min(0.99, 1.0 - doubt), 3)


def _slug(key: str) -> str:
    """A name for the entry: ASCII letters, digits and hyphens, with a digest where the key says more than that."""
    plain = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    lost = len(slug) > _SLUG_LENGTH or len(re.findall(r"\w", plain)) < len(re.findall(r"\w", key))
    if not slug or lost:
        slug = f"{slug[: _SLUG_LENGTH - 9]}-{_digest(key)}".lstrip("-")
    return slug


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:8]
