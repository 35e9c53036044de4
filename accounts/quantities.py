"""Numbers as people read them: what is not certain is never said to be, what is there is never
nothing, and nothing has no sign."""

from decimal import ROUND_HALF_UP, Context, Decimal
from math import copysign, floor, inf, isinf, log10, nextafter
from typing import Final

MINUS: Final = "−"  # noqa: RUF001 - as wide as a plus
ALMOST: Final = 0.995
HARDLY: Final = 0.005
"""From the one on a share would be rounded up to all, to the other down to nothing."""
LEAST_CHANCE: Final = 0.001
SIGNS: Final = {"EUR": "€", "USD": "$", "GBP": "£"}
CENT, WHOLE = Decimal("0.01"), Decimal(1)
WHOLE_FROM: Final = 100
"""From this amount on cents are left out."""
LEAST_POWER, MOST_POWER = 1e-9, 1e10
"""From the one up to the other a value is written without an exponent."""
LEAST_A_DAY, WHOLE_A_DAY = 0.1, 10
"""The least daily number that is written out; from which one on decimals are left out."""
HALVES: Final = 2.0**52
"""From here on a float is whole."""
_ROOMY: Final = Context(prec=400)
"""Digits for the largest float with its cents."""


def half_up(value: float) -> float:
    """`value` such that formatting rounds the half it is written as away from nothing, as people do
    and money is: to even as it is stored, 2.675 would be 2.67 and 97,000.5 be 97,000."""
    return nextafter(value, copysign(inf, value)) if 0.0 < abs(value) < HALVES else value


def in_hundred(share: float) -> float:
    """A share as a percentage, ready to be formatted (`half_up`)."""
    return half_up(100.0 * half_up(share))


def whole_percent(share: float) -> str:
    """`87`; `> 99` of what is not all, `< 1` of what is not nothing."""
    if ALMOST <= share < 1.0:
        return "> 99"
    if 0.0 < share <= HARDLY:
        return "< 1"
    return f"{in_hundred(share):.0f}"


def fine_percent(share: float) -> str:
    """A percentage with two figures where it is small (`0.078`, `1.2`, `42`), and so many near all
    that it is not said to be all (`99.5`)."""
    if share <= 0.0 or share >= 1.0:
        return f"{100.0 * share:.0f}"
    edge = 100.0 * min(share, 1.0 - share)
    places = max(0, (1 if share < 0.5 else 0) - floor(log10(edge)))
    return f"{in_hundred(share):.{places}f}"


def in_percent(share: float) -> str:
    """`fine_percent` with its sign, for sentences: `0.078 %`."""
    return f"{fine_percent(share)} %"


def threshold(risk: float) -> str:
    """A threshold on a risk of 0 to 1, with four decimals and as many more as set it apart from
    both; `never` above 1, which nothing reaches."""
    if risk > 1.0:
        return "never"
    edge = min(risk, 1.0 - risk)
    return f"{half_up(risk):.{max(4, 1 - floor(log10(edge))) if edge > 0.0 else 4}f}"


def in_full(risk: float) -> str:
    """A number of 0 to 1 with all its decimals, four at least, and no exponent."""
    digits = f"{Decimal(repr(risk)):f}".partition(".")[2]
    return f"{int(risk)}.{digits:0<4}"


def counted(number: int, noun: str) -> str:
    """`1 job`, `1,200 jobs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def written(value: float, figures: int = 4) -> str:
    """A number with so many figures at most, without an exponent or empty decimals: `0.004`."""
    if not value:
        return "0"
    places = max(0, figures - 1 - floor(log10(abs(value))))
    text = f"{half_up(value):,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def measured(value: float, figures: int = 4) -> str:
    """A feature's value, whatever it is: `written` with a real minus, beyond nine powers of ten
    with an exponent (`1.5e−300`), and `∞`."""  # noqa: RUF002
    sign, size = MINUS if value < 0 else "", abs(value)
    if isinf(size):
        return f"{sign}∞"
    if size and not LEAST_POWER <= size < MOST_POWER:
        mantissa, _, power = f"{half_up(size):.{figures - 1}e}".partition("e")
        digits = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{sign}{digits}e{MINUS if power.startswith('-') else ''}{abs(int(power))}"
    return f"{sign}{written(size, figures)}"


def per_day(value: float) -> str:
    """A daily number: whole, or with a decimal where it is small; only nothing is 0."""
    if not value:
        return "0"
    if value < LEAST_A_DAY:
        return f"under {LEAST_A_DAY}"
    return f"{half_up(value):,.{0 if value >= WHOLE_A_DAY else 1}f}"


def signed(value: float, places: int) -> str:
    """A difference with its sign; what is rounded to nothing has none."""
    text = f"{half_up(abs(value)):,.{places}f}"
    if not text.strip("0.,"):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def fixed(value: float, places: int) -> str:
    """A number with so many decimals and a real minus; what is rounded to nothing has no sign."""
    return signed(value, places).removeprefix("+")


def chance(p: float) -> str:
    """A p-value: `0.031`, `< 0.001`."""
    return f"< {LEAST_CHANCE}" if p < LEAST_CHANCE else f"{half_up(p):.3f}"


def p_value(p: float) -> str:
    """`p = 0.031`, `p < 0.001`."""
    return f"p {chance(p)}" if p < LEAST_CHANCE else f"p = {chance(p)}"


def places(number: Decimal, step: Decimal) -> str:
    """Rounded half up to a step, thousands apart; what is rounded to nothing has no sign."""
    rounded = number.quantize(step, ROUND_HALF_UP, _ROOMY)
    return f"{rounded if rounded else abs(rounded):,f}"


def short_amount(amount: Decimal) -> str:
    """An amount without its currency; cents below 100."""
    return places(amount, CENT if abs(amount) < WHOLE_FROM else WHOLE)


def money(amount: Decimal | float, currency: str) -> str:
    """`€ 1,235`, `€ 0.40`: an amount in a currency (ISO 4217), as pages and mails show it; a loss
    begins with MINUS."""
    text = short_amount(amount if isinstance(amount, Decimal) else Decimal(repr(float(amount))))
    sign = MINUS if text.startswith("-") else ""
    return f"{sign}{SIGNS.get(currency, currency)}\N{NO-BREAK SPACE}{text.lstrip('-')}"
