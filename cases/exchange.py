"""Declared rates to one common currency: to order and to compare by, never to show instead. No
Django, and no float: amounts and rates are exact."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from typing import Final

from scoring.core.event_section import CURRENCY

LEAST: Final = Decimal("0.000000001")
MOST: Final = Decimal("999999.999999999")
"""Bounds of a rate: 15 digits, nine behind the point, which every database keeps exactly."""
LONGEST: Final = 32
MOST_BYTES: Final = 64 * 1024
MOST_TOLD: Final = 10
LEAP: Final = 10
"""A rate that changes by this factor may be written the wrong way round."""
CENT: Final = Decimal("0.01")
_ROOMY: Final = Context(prec=80)


class RateError(ValueError):
    """A rate, or a file of them, that cannot be taken; says which, where and why."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one unit of each currency is worth in `common`; `version` is the newest of them.

    `setters` are the ids of the people who set them.
    """

    common: str
    by_currency: Mapping[str, Decimal]
    version: int
    setters: Mapping[str, int | None] = field(default_factory=dict)

    def of(self, currency: str) -> Decimal | None:
        """The rate of a currency, 1 for the common one; None where none is declared."""
        code = currency.upper()
        return Decimal(1) if code == self.common else self.by_currency.get(code)


@dataclass(frozen=True, slots=True)
class Part:
    """What is at risk in one currency, and the rate it counts by; None where there is none."""

    currency: str
    total: Decimal
    rate: Decimal | None

    def as_kept(self) -> list[str | None]:
        """[currency, total, rate] as trails keep it."""
        return [
            self.currency,
            f"{self.total:,.2f}",
            None if self.rate is None else plain(self.rate),
        ]


def parts_of(totals: Mapping[str, Decimal], rates: Rates) -> tuple[Part, ...]:
    """Each currency's total with its rate, by currency."""
    return tuple(Part(code, totals[code], rates.of(code)) for code in sorted(totals))


def common_total(parts: Sequence[Part]) -> Decimal:
    """The sum in the common currency of what has a rate. A refund in one currency takes nothing
    from what is at risk in another."""
    with localcontext(_ROOMY):
        return sum(
            (max(part.total, Decimal(0)) * part.rate for part in parts if part.rate is not None),
            Decimal(0),
        )


def without_rate(parts: Sequence[Part]) -> tuple[str, ...]:
    """The currencies of which something is at risk that no rate converts."""
    return tuple(part.currency for part in parts if part.rate is None and part.total > 0)


def plain(number: Decimal) -> str:
    """A rate without an exponent and without empty decimals: `0.0067`."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def approximation(amount: Decimal, rate: Decimal, common: str) -> str:
    """`≈ 335.00 USD at 0.0067`."""
    with localcontext(_ROOMY):
        worth = (amount * rate).quantize(CENT, ROUND_HALF_UP)
    return f"≈ {worth:,f} {common} at {plain(rate)}"


def kept_words(kept: Sequence[Sequence[str | None]]) -> str:
    """`5,000.00 EUR and 50,000.00 JPY at 0.0067`, from what a trail keeps."""
    said = [
        f"{total} {currency}".strip()
        + (" without a rate" if rate is None else f" at {rate}" if rate != "1" else "")
        for currency, total, rate in kept
    ]
    return " and ".join(said)


def check_rate(currency: str, text: str, *, common: str) -> tuple[str, Decimal]:
    """A currency and its rate from what somebody wrote. Raises RateError."""
    code = currency.strip().upper()
    if not CURRENCY.fullmatch(code):
        raise RateError(f"{currency.strip()[:LONGEST]!r} is no currency: write three letters.")
    if code == common:
        raise RateError(f"{code} is the common currency itself: its rate is 1, leave it out.")
    return code, _rate(code, text.strip())


def _rate(code: str, text: str) -> Decimal:
    # Python would read other digits, underscores and `nan` too.
    written = text if text.isascii() and "_" not in text and len(text) <= LONGEST else "?"
    try:
        rate = Decimal(written)
    except InvalidOperation:
        raise RateError(f"The rate of {code} is not a number: {text[:LONGEST]!r}.") from None
    if not (rate.is_finite() and LEAST <= rate <= MOST):
        raise RateError(f"The rate of {code} must lie between {plain(LEAST)} and {plain(MOST)}.")
    if rate != rate.quantize(LEAST, context=_ROOMY):
        raise RateError(f"The rate of {code} has more than nine digits behind the point.")
    return rate.quantize(LEAST, context=_ROOMY)


def leaps(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> list[str]:
    """What changes so much that somebody should look again: `JPY from 0.0067 to 149`."""
    return [
        f"{code} from {plain(before[code])} to {plain(rate)}"
        for code, rate in after.items()
        if code in before and not before[code] < rate * LEAP < before[code] * LEAP**2
    ]


def read_rates(data: bytes, *, common: str) -> dict[str, Decimal]:
    """Rates of a file: CSV with the columns `currency` and `rate`, or a JSON object of them.

    Raises RateError that names each line with something wrong; then nothing of it counts.
    """
    if len(data) > MOST_BYTES:
        raise RateError(f"The file is larger than {MOST_BYTES // 1024} KB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RateError(f"Line {line}: this is no UTF-8.") from None
    found: dict[str, Decimal] = {}
    wrong: list[str] = []
    for line, currency, rate in _json(text) if text.lstrip()[:1] in ("{", "[") else _csv(text):
        try:
            code, value = check_rate(currency, rate, common=common)
            if code in found:
                raise RateError(f"{code} was there before.")
            found[code] = value
        except RateError as error:
            wrong.append(f"Line {line}: {error}")
    if wrong:
        more = f" And {len(wrong) - MOST_TOLD} more." if len(wrong) > MOST_TOLD else ""
        raise RateError(" ".join(wrong[:MOST_TOLD]) + more)
    if not found:
        raise RateError("The file holds no rate.")
    return found


def _csv(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, currency, rate) of each line."""
    reader = csv.reader(io.StringIO(text.replace("\0", "?"), newline=""), strict=True)
    head: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if head is None:
                head = [cell.strip().lower() for cell in cells]
                if head != ["currency", "rate"]:
                    raise RateError(f"Line {reader.line_num}: begin with the line currency,rate.")
            elif len(cells) != 2:
                raise RateError(f"Line {reader.line_num}: {len(cells)} columns in place of two.")
            else:
                yield reader.line_num, cells[0], cells[1]
    except csv.Error as error:
        raise RateError(f"Line {reader.line_num}: {error}.") from None


def _json(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, currency, rate) of each member; a number is taken as it is written."""
    try:
        pairs = json.loads(
            text, object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=str
        )
    except json.JSONDecodeError as error:
        raise RateError(f"Line {error.lineno}: this is no JSON: {error.msg}.") from None
    except RecursionError:
        raise RateError("Line 1: this is no JSON object of rates.") from None
    if not isinstance(pairs, _Pairs):
        raise RateError('Line 1: write one object such as {"JPY": "0.0067"}.')
    place = 0
    for currency, rate in pairs:
        # Members come in the order of the text, so each is found behind the one before.
        place = max(text.find(json.dumps(currency, ensure_ascii=False), place), place)
        line = text.count("\n", 0, place) + 1
        place += 1
        yield line, currency, rate if isinstance(rate, str) else "?"


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, those that come twice too."""
