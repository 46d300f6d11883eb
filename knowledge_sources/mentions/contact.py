"""E-mail addresses, web addresses and telephone numbers."""

from __future__ import annotations

import re
from functools import cache

from knowledge_sources.mentions.found import Found

_EMAIL = re.compile(
    r"(?<![\w.+%\-])[A-Za-z0-9_][\w.+%\-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![\w\-])"
)
_TLDS = (
    "com org net edu gov mil int info biz io ai app dev co eu uk de fr nl be ch at it es pt pl cz sk hu ro bg gr"
    " tr ru ua"
    " se no dk fi is ie us ca mx br ar cl pe au nz jp cn hk tw kr in my sg id th vn ph ae sa il za ng ke eg ma"
    " me tv xyz"
    " shop store online cloud tech site"
)
_URL = re.compile(
    r"(?<![\w@.\-/])(?:(?P<scheme>https?://|ftp://)[^\s<>\"'\]\[{}|\\^`]{3,2000}"
    rf"|(?:www\.(?:[a-z0-9\-]{{1,63}}\.){{1,6}}[a-z]{{2,24}}|"
    rf"(?:[a-z0-9\-]{{1,63}}\.){{1,5}}(?:{_TLDS.replace(' ', '|')}))"
    r"(?![\w\-@]|\.\w)(?:/[^\s<>\"'\]\[{}|\\^`]{0,2000})?)",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?)’”'\""
_PHONE = re.compile(r"(?<![\w.,/+#])(?:\+|\(\+?)?\d[\d \u00a0.\-–()/]{5,22}\d(?![\w]|[.,/]\d)")
_PHONE_LABEL = re.compile(
    r"(?:\b(?:tel|te1|telephone|téléphone|telefon|teléfono|telefono|telefone|telefoon|phone|ph|fax|telefax|mobile|mob|"
    r"cell|hp|h/p|whatsapp|call|hotline|contact|handy|portable|movil|móvil|gsm)\b(?:\s?(?:no|nr|number|us(?: at)?))?"
    r"|☎|✆)[\s.:#)\-]{0,4}$",
    re.IGNORECASE,
)
_NOT_PHONE = re.compile(
    r"(?:gst|vat|tax|iban|acc(?:oun)?t|a/c|reg|company|invoice|inv|order|receipt|bill|doc|ref|card|id|serial|"
    r"barcode|no)"
    r"[\s.:#]{0,3}(?:(?:no|number|nr|id)[\s.:#]{0,3})?$",
    re.IGNORECASE,
)

_REGION_CUES: tuple[tuple[str, str], ...] = (
    ("MY", r"\bMalaysia\b|\bSDN\.? ?BHD|\bRM\s?\d|\bMYR\b|\bJALAN\b|\bSelangor\b|\bKuala Lumpur\b|\.my\b"),
    ("GB", r"\bUnited Kingdom\b|\bEngland\b|\bU\.K\.|\bLondon\b|\bVAT Reg\b|\.co\.uk\b|£"),
    ("DE", r"\bGmbH\b|\bDeutschland\b|\bGermany\b|\bRechnung\b|\bUSt|\bMwSt\b"),
    ("FR", r"\bFrance\b|\bFacture\b|\bSIRET\b|\bTVA\b|\bRCS\b"),
    ("NL", r"\bNederland\b|\bNetherlands\b|\bFactuur\b|\bBTW\b|\bKvK\b|\bB\.V\."),
    ("BE", r"\bBelgi(?:um|que|ë)\b|\.be\b"),
    ("CH", r"\bSwitzerland\b|\bSchweiz\b|\bSuisse\b|\bCHF\b"),
    ("AT", r"\bAustria\b|\bÖsterreich\b|\.at\b"),
    ("IT", r"\bItal(?:y|ia)\b|\bFattura\b|\bP\.? ?IVA\b|\bS\.p\.A\b|\bS\.r\.l\b"),
    ("ES", r"\bSpain\b|\bEspaña\b|\bFactura\b|\bC\.?I\.?F\b|\bS\.L\."),
    ("IN", r"\bIndia\b|\bGSTIN\b|₹|\bPvt\.? Ltd"),
    ("SG", r"\bSingapore\b|\bPte\.? Ltd|\bSGD\b"),
    ("AU", r"\bAustralia\b|\bABN\b|\bPty\.? Ltd"),
    ("CA", r"\bCanada\b|\bOntario\b|\bQuebec\b|\bB\.C\.|\bCAD\b"),
    ("US", r"\bU\.?S\.?A\b|\bUnited States\b|\bInc\.|\bLLC\b|\b[A-Z]{2} \d{5}(?:-\d{4})?\b|\bDelaware\b|\bUSD\b"),
)
_SCAN = 20_000


@cache
def _cues() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((region, re.compile(pattern, re.IGNORECASE)) for region, pattern in _REGION_CUES)


def find_contacts(text: str) -> list[Found]:
    """E-mails (lower case), URLs (scheme and host lower case) and phones (E.164 where the region is known)."""
    finds = [Found("email", m.start(), m.end(), m.group().lower(), 0.98) for m in _EMAIL.finditer(text)]
    for match in _URL.finditer(text):
        shown = match.group().rstrip(_TRAILING)
        if match["scheme"] or _plausible_host(shown):
            finds.append(Found("url", match.start(), match.start() + len(shown), _url_value(shown), 0.95))
    return finds + _phones(text)


def region_of(text: str) -> str:
    """ISO 3166 code of the country a page seems to come from, by words only one country uses; "" when unclear."""
    head = text[:_SCAN]
    scores = {region: min(3, len(pattern.findall(head))) for region, pattern in _cues()}
    best = max(scores, key=lambda region: scores[region])
    tied = sum(1 for score in scores.values() if score == scores[best]) > 1
    return "" if not scores[best] or (tied and scores[best] < 3) else best


def _plausible_host(shown: str) -> bool:
    host = shown.split("/", 1)[0]
    if host.lower().startswith("www."):
        return True
    label = host.rsplit(".", 1)[0].rsplit(".", 1)[-1]
    return len(label) > 1 and host == host.lower() and not label.isdigit()


def _url_value(shown: str) -> str:
    scheme, colon, rest = shown.partition("://")
    if not colon:
        scheme, rest = "", shown
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{colon}{host.lower()}{slash}{path}"


def _phones(text: str) -> list[Found]:
    candidates = []
    for match in _PHONE.finditer(text):
        digits = sum(char.isdigit() for char in match.group())
        if not 7 <= digits <= 15:
            continue
        before = text[max(0, match.start() - 24) : match.start()]
        labelled = bool(_PHONE_LABEL.search(before))
        if not labelled and (_NOT_PHONE.search(before) or not match.group().startswith(("+", "(+", "00"))):
            continue
        candidates.append((match, labelled))
    if not candidates:
        return []
    region = region_of(text)
    return [find for match, labelled in candidates if (find := _phone(match, labelled, region))]


def _phone(match: re.Match[str], labelled: bool, region: str) -> Found | None:
    shown = match.group()
    if shown.startswith("(") and ")" not in shown:
        return None
    raw = ("+" if "+" in shown[:2] else "") + re.sub(r"\D", "", shown.replace("(0)", "", 1) if "+" in shown else shown)
    number = _e164(raw, region)
    if number:
        return Found("phone", match.start(), match.end(), number, 0.95 if labelled or raw.startswith("+") else 0.7)
    return Found("phone", match.start(), match.end(), raw, 0.5) if labelled else None


def _e164(raw: str, region: str) -> str:
    try:
        import phonenumbers  # 9 MB of metadata, and an optional dependency: without it numbers stay as printed
    except ImportError:
        return raw if raw.startswith("+") else ""
    try:
        parsed = phonenumbers.parse(raw, region or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    if not phonenumbers.is_valid_number(parsed) and not raw.startswith("+"):
        return ""
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
