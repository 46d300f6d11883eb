"""The words business documents label their fields with, in the languages they come in."""

from __future__ import annotations

import re

LEGAL_FORM = re.compile(
    r"(?<![^\W\d_])(?:sdn\.?,?\s?bhd|s[o0]n\.?\s?bhd|s/b|bhd|berhad|pte\.?\s?ltd|pvt\.?\s?ltd|pty\.?\s?ltd|"
    r"co\.?,?\s?ltd|ltd|limited|"
    r"plc|llc|l\.l\.c|llp|l\.l\.p|lp|l\.p|inc|incorporated|corp|corporation|company|gmbh(?:\s?&\s?co\.?\s?kg)?|"
    r"mbh|ag|kg|"
    r"ohg|e\.?v|ug|se|s\.?a\.?r\.?l|sas|s\.a\.s|sasu|eurl|s\.a|sa|n\.v|nv|b\.v|bv|s\.p\.a|spa|s\.r\.l|srl|s\.l\.u?|a/s|"
    r"aps|ab|oy|oyj|as|asa|sp\.?\s?z\s?o\.?\s?o|s\.?r\.?o|a\.s|kft|zrt|d\.o\.o|ltda|tbk|k\.k)\b\.?(?![^\W_])",
    re.IGNORECASE,
)
"""Legal forms of companies. Short ones that are also words (as, se, sa, ...) need their usual case: `has_legal_form`."""

_SHORT_FORM = {"as", "se", "sa", "ag", "ab", "kg", "spa", "ug", "oy", "nv", "bv", "lp", "sas", "asa", "aps"}

TRADE = re.compile(
    r"(?<![^\W\d_])(?:restaurants?|restoran|resto|bistro|cafe|café|kopitiam|kitchen|bakery|bakeries|confectionery|"
    r"pub|bar|"
    r"grill|enterprises?|trading|traders?|marketing|market|mini\s?market|supermarket|hypermarket|mart|store|"
    r"stores|shop|"
    r"hardware|pharmacy|farmasi|clinic|hospital|books?|bookstores?|stationery|supply|supplies|supplier|services?|"
    r"holdings?|hotel|motel|gifts?|deco|fashion|boutique|electronics?|electrical|auto|motors?|petrol|station|"
    r"industries|"
    r"industry|resources|group|ventures?|center|centre|house|foods?|salon|spa|studio|laundry|optical|jewell?ery|"
    r"furniture|packaging|printing|workshop|perniagaan|kedai|syarikat|pasaraya|perusahaan|kafe|warung|bros|brothers|"
    r"bank|insurance|agency|partners|associates|consulting|solutions|systems|technologies|international|"
    r"global)(?![^\W\d_])",
    re.IGNORECASE,
)

TITLE_ROW = re.compile(
    r"^\W*(?:(?:simplified|full|original|customer|duplicate|guest|official|cash|sales?|tax|credit|pro\s?forma|vat|"
    r"gst|the)\W*)*"
    r"(?:invoice|receipt|bill|check|cheque|copy|sales?|memo|statement|note|order|quotation|rechnung|facture|factuur|"
    r"factura|fattura|fatura|quittung|ticket|reçu|bon|kassenbon|tax|page|delivery)\b[^\d]{0,25}$|"
    r"^\W*(?:welcome|thank\s?you|selamat|terima|visit|please|goods\s+sold|opening|shopping\s+hours|duplicate|reprint|"
    r"licensee|branch|buy|member)\b",
    re.IGNORECASE,
)

INVOICE = re.compile(
    r"(?<![^\W\d_])(?:tax\s?invoice|invoice|rechnung|rechnungs\w+|facture|factuur\w*|factura|fattura|fatura|"
    r"faktura)(?![^\W\d_])",
    re.IGNORECASE,
)

TOTAL_STRONG = re.compile(
    r"grand\s*total|(?:total|totai|amount|amt|sum|balance)\W{0,3}(?:\w{1,6}\W{1,3}){0,2}(?:payable|due|to\s+pay|"
    r"owed|owing)|"
    r"net\W{0,2}t?\W{0,2}(?:total|amt|amount|payable)|nett\s+(?:total|amt|amount)|total\s+round|"
    r"rounded\s+(?:total|amount|amt)|"
    r"total\s+after|(?:^|\s)due\W*(?:$|\s)|zu\s+zahlen|zahlbetrag|gesamt\s?betrag|rechnungs\s?betrag|"
    r"end\s?(?:betrag|summe)|"
    r"gesamtsumme|brutto\s?(?:betrag|summe)|total\s+t\.?t\.?c|(?:net|somme|montant|total|reste)\s+(?:à|a)\s+payer|"
    r"total(?:e)?\s+(?:a\s+pagar|da\s+pagare|fattura|factura|general)|importe\s+total|te\s+betalen|totaal\s?bedrag|"
    r"totaal\s+(?:te\s+betalen|incl)|jumlah\s+(?:besar|bersih|perlu)|att\s+betala|do\s+zapłaty|k\s+úhradě|"
    r"invoice\s+total|"
    r"total\s+for\s+this|amount\s+(?:charged|paid\s+by)|total\s+facture",
    re.IGNORECASE,
)
TOTAL_GROSS = re.compile(
    r"(?:total|totai|amount|amt)\b[^\d]{0,20}\b(?:incl|inclusive|including|with)|gross\s+total|total\s+gross|"
    r"total\s*inc\b",
    re.IGNORECASE,
)
TOTAL_PLAIN = re.compile(
    r"(?<![^\W\d_])(?<!sub)(?<!sub[\s\-])(?:tota[li1]|t0tal|totaal|totale|summe|gesamt|jumlah|suma|totalt|celkem|razem)"
    r"(?![^\W\d_](?!md))",
    re.IGNORECASE,
)
SUBTOTAL = re.compile(
    r"sub\s?-?\s?t[o0]ta[li1]|suò-total|zwischensumme|sous[\s-]total|subtotaal|subtotale|total\s+h\.?\s?t|"
    r"(?:total|amount|sales?|amt)\W{0,4}(?:\(?excl|\(?exclu|before|without|untaxed|net\s+of)|untaxed|net\s?to\s?betrag|"
    r"netto(?:betrag|summe)?|exclusief|excl\.?\s+btw|base\s+imponible|imponibile|taxable",
    re.IGNORECASE,
)
NOT_TOTAL = re.compile(
    r"\b(?:qty|oty|q'ty|quantity|quan\w*|items?|item\(s\)|pcs|units?|disc\w*|sav(?:ing|ings|ed)|points?|summary|"
    r"analysis|"
    r"rounding|adj\w*ment|tender\w*|change|cash|accepted|received|includes|supplies|taxes|weight|discount|hours|"
    r"rabatt|remise|outstanding|previous|page)\b|\btotal\s*(?:gst|g\$t|tax|vat|sst|svc|service|tva|mwst|btw|"
    r"iva)(?!\s*(?:incl|inv))|"
    r"\bincluded\b.{0,14}(?:gst|tax|vat)|(?:gst|tax|vat)[^\n]{0,10}\bincluded\s+in\b|\bexcl",
    re.IGNORECASE,
)
TAX = re.compile(
    r"(?<![^\W\d_])(?:gst|vat|tax|sst|tva|mwst|ust|umsatzsteuer|mehrwertsteuer|btw|iva|moms|dph)(?![^\W\d_])",
    re.IGNORECASE,
)
TENDERED = re.compile(
    r"(?<![^\W\d_])(?:cash|tender\w*|paid|received|accepted|visa|master\s?card|credit\s?card|debit|amex|bar|gegeben|"
    r"espèces|especes|contant|pin|tunai)(?![^\W\d_])",
    re.IGNORECASE,
)
CHANGE = re.compile(
    r"(?<![^\W\d_])(?:change|rückgeld|ruckgeld|rendu|wisselgeld|resto|cambio|baki|balance)(?![^\W\d_])", re.I
)
ROUNDING = re.compile(
    r"(?<![^\W\d_])(?:round\w*|rundung\w*|arrondi\w*|afronding|pembulatan)(?![^\W\d_])", re.IGNORECASE
)
SUMMARY_HEAD = re.compile(
    r"(?:gst|tax|vat|sst)\s*(?:summ?ary|sumary|analysis|details?|breakdown|code)|summary\b|mwst\s?-?aufstellung",
    re.IGNORECASE,
)

DATE_LABEL = re.compile(
    r"(?<![^\W\d_])(?:date|dated|datum|dato|fecha|data|tarikh|issued|issue\s+date|invoice\s+date|rechnungsdatum|"
    r"factuurdatum|"
    r"belegdatum|date\s+de\s+facturation|d[ou]|vom)(?![^\W\d_])",
    re.IGNORECASE,
)
DUE_LABEL = re.compile(
    r"(?<![^\W\d_])(?:due|due\s?date|payable\s+by|pay\s+by|date\s+limite|échéance|echeance|fällig\w*|"
    r"zahlbar\s+bis|zahlungsziel|"
    r"vervaldatum|te\s+betalen\s+(?:voor|vóór)|scadenza|vencimiento|vencimento|förfallodatum|forfaldsdato|"
    r"prélèvement)(?![^\W\d_])",
    re.IGNORECASE,
)
OTHER_DATE = re.compile(
    r"(?<![^\W\d_])(?:exp|expiry|expires?|valid|until|before|birth|dob|since|best|delivery|liefer\w*|order\s?date|"
    r"orderdatum|"
    r"bestell\w*|shipped|ship|period|from|leistungs\w*|zeitraum|from|to|bis|act|between|entry|arrival|departure|"
    r"check-?in|"
    r"check-?out|print\w*|prn|billing\s+period|statement\s+period)(?![^\W\d_])",
    re.IGNORECASE,
)
INVOICE_DATE = re.compile(
    r"(?:invoice|bill|tax\s+point|issue|document)\s?-?\s?date|date\s+(?:of\s+)?(?:issue|invoice)|"
    r"rechnungs\s?-?\s?datum|factuurdatum|"
    r"belegdatum|date\s+(?:de\s+)?(?:la\s+)?factur\w*|facture\b.{0,40}\bdu\b|fecha\s+(?:de\s+)?(?:factura|emisi)|"
    r"data\s+fattura|fakturadatum|"
    r"data\s+wystawienia|rechnung\b.{0,30}\bvom\b",
    re.IGNORECASE,
)
BUYER = re.compile(
    r"(?:bill(?:ed)?|ship(?:ped)?|sold|deliver|invoice|issued)\s*-?to\b|customer|client\b|attn|buyer|recipient|"
    r"kunde|empfänger|"
    r"klant|abonné|destinataire|facturé\s+à|adresse\s+de|cliente|destinatario|delivery\s+address",
    re.IGNORECASE,
)


def has_legal_form(text: str) -> bool:
    """Whether a company's legal form stands in the text."""
    for match in LEGAL_FORM.finditer(text):
        form = match.group().rstrip(".").lower()
        if form in _SHORT_FORM and not (match.group().isupper() and text != text.upper()):
            continue
        if match.start() > 0:
            return True
    return False
