"""Small word lists of opposites and of number words, set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from knowledge_sources.words import stem

_UP = """
increase raise rise grow growth gain promote enhance induce activate elevate boost improve stimulate upregulate accelerate
strengthen facilitate amplify escalate expand exacerbate worsen heighten exceed
"""
_DOWN = """
decrease reduce reduction lower lessen decline drop fall suppress inhibit prevent impair attenuate diminish downregulate
weaken hinder block slow shrink abolish deplete limit alleviate ameliorate mitigate curb cut
"""
_PAIRS = """
effective ineffective, efficacy futility, success failure, succeed fail, successful unsuccessful, able unable,
possible impossible, capable incapable, safe unsafe, safe dangerous, safe harmful, beneficial harmful, benefit harm,
legal illegal, lawful unlawful, guilty innocent, alive dead, live die, birth death, male female, man woman, boy
girl, husband wife, king queen, father mother, brother sister, son daughter, north south, northern southern, east
west, eastern western, before after, early late, earlier later, first last, oldest youngest, old young, older
younger, largest smallest, large small, larger smaller, big little, high low, higher lower, highest lowest, more
less, more fewer, most least, best worst, better worse, majority minority, win lose, winner loser, victory defeat,
accept reject, accept refuse, agree disagree, approve reject, allow forbid, allow prohibit, permit prohibit, buy
sell, buyer seller, lend borrow, landlord tenant, lessor lessee, import export, arrive depart, enter leave, open
close, begin end, start end, start finish, begin finish, married divorced, single married, positive negative,
present absent, presence absence, include exclude, inside outside, public private, native foreign, domestic foreign,
urban rural, rich poor, strong weak, hot cold, warm cold, dry wet, fast slow, long short, longer shorter, always
never, all none, everyone nobody, common rare, frequent rare, true false, correct wrong, correct incorrect,
sufficient insufficient, adequate inadequate, complete incomplete, dependent independent, related unrelated,
significant insignificant, active inactive, sensitive resistant, susceptible resistant, susceptibility resistance,
acute chronic, mild severe, minor major, hero villain, protagonist antagonist, comedy tragedy, fiction nonfiction,
fictional real, amateur professional, defend attack, love hate, like dislike, praise criticize, support oppose,
supporter opponent, friend enemy, ally enemy, profit loss, income expense, credit debit, asset liability, paid
unpaid, employed unemployed, exclusive nonexclusive, exclusively partly, mandatory optional, required optional,
known unknown, famous unknown, healthy sick, day night, summer winter, left right, upper lower
"""

_ONES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""
NUMBER_WORDS = {word: value for value, word in enumerate(_ONES.split())} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}


@cache
def opposites() -> Mapping[str, frozenset[str]]:
    """Stem -> stems that say the opposite."""
    found: dict[str, set[str]] = {}
    up, down = {stem(w) for w in _UP.split()}, {stem(w) for w in _DOWN.split()}
    for a in up:
        found.setdefault(a, set()).update(down)
    for b in down:
        found.setdefault(b, set()).update(up)
    for pair in _PAIRS.split(","):
        a, b = (stem(w) for w in pair.split())
        if a != b:
            found.setdefault(a, set()).add(b)
            found.setdefault(b, set()).add(a)
    return MappingProxyType({word: frozenset(others - {word}) for word, others in found.items()})


@cache
def fellows(word: str) -> frozenset[str]:
    """Stems that say the same direction as `word` does: whoever wrote 'reduces' may have read 'decreased'."""
    up, down = {stem(w) for w in _UP.split()}, {stem(w) for w in _DOWN.split()}
    if word in up:
        return frozenset(up)
    if word in down:
        return frozenset(down)
    return frozenset({word})
