"""Undo what OCR does to the few words that addresses and company names are made of.

Only values are repaired, the quoted text stays as read. A word is changed when, after folding the characters that OCR
mixes up (1 l I i, 0 O, 5 S, 8 B), it equals exactly one word of the list; or, from six letters on, when it is one
letter away from one.
"""

from __future__ import annotations

import re
from functools import cache

from knowledge_sources.mentions.lists import words_of

_LEXICON = words_of(
    """
    jalan jln lorong lebuh lebuhraya persiaran taman bandar kampung seksyen kawasan perindustrian perusahaan
    bangunan menara wisma plaza kompleks tingkat bawah level floor ground block blk unit lot suite building tower
    centre center shopping street road avenue boulevard drive lane square park industrial estate selangor johor
    penang melaka perak pahang kedah kelantan terengganu sabah sarawak kuala lumpur petaling jaya shah alam subang
    damansara darul ehsan cheras seri malaysia singapore straße strasse platz allee boulevard chemin avenue sdn bhd
    berhad enterprise trading restaurant restoran limited company holdings marketing services
    """
)
_WORD = re.compile(r"[^\W_]{2,}")
_FOLD = str.maketrans({"1": "l", "I": "l", "i": "l", "|": "l", "0": "o", "5": "s", "8": "b"})
_LONG = 6


@cache
def _folded() -> dict[str, str]:
    table: dict[str, str] = {}
    for word in dict.fromkeys(_LEXICON):
        table[_fold(word)] = word
    return table


def repair(text: str) -> str:
    """The text with misread words of the lexicon put right; case follows the word that was read."""
    fixed = _WORD.sub(lambda match: _repair_word(match.group()), text)
    return re.sub(r"\b(S)[O0](N)(\.?\s?B(?:HD|hd)\b)", r"\1D\2\3", fixed)


def _repair_word(word: str) -> str:
    low = word.lower()
    if low in _LEXICON or not any(char.isalpha() for char in word):
        return word
    letters = sum(char.isalpha() for char in word)
    if letters < 2 or sum(char.isdigit() for char in word) > 1:
        return word
    target = _folded().get(_fold(word))
    if target is None and len(word) >= _LONG and word.isalpha():
        near = [known for known in _LEXICON if len(known) == len(word) and _differences(known, low) == 1]
        target = near[0] if len(set(near)) == 1 else None
    return word if target is None else _cased(target, word)


def _fold(word: str) -> str:
    return word.translate(_FOLD).lower()


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _cased(target: str, model: str) -> str:
    telling = [char for char in model if char.isalpha() and char != "I"]
    if all(char.isupper() for char in telling) and len(telling) > 1:
        return target.upper()
    return target.capitalize() if model[0].isupper() else target
