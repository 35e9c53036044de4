"""Codes of currencies that nobody knows: most are a sender's mistake.

They are told and not refused: an event of a code that is not listed (a cryptocurrency, one that was
withdrawn) has to be judged as well.
"""

from collections.abc import Iterable

_LISTED = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN
BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD
FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS
KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH
UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF
XPD XPF XPT XSU XUA YER ZAR ZMW ZWG
"""
ISO_4217 = frozenset(_LISTED.split())
"""Those in force in 2026, without the codes for a test and for no currency."""


def unknown_currencies(codes: Iterable[str]) -> list[str]:
    """Those of `codes` that are not listed, in whatever letters; an empty one is none."""
    return sorted(code for code in codes if code and code.upper() not in ISO_4217)


def word_of_unknown(codes: Iterable[str]) -> str:
    """What to do about those of `codes` that are not listed; empty where all are."""
    unknown = unknown_currencies(codes)
    if not unknown:
        return ""
    return f"Not in ISO 4217: {', '.join(unknown)}. Ask who sends it, or declare its rate."
