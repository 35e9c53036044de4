"""The small pieces of pages, in every template without a `load`: `{% icon "x" %}`, `{% ago at %}`.

A page of fifty rows shows hundreds of them. As functions they cost a tenth of a template each; the
numbers are written as an analyst reads them, exact on hover. What has no value is a dash.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from accounts.quantities import (
    CENT,
    MINUS,
    SIGNS,
    WHOLE,
    fine_percent,
    fixed,
    places,
    short_amount,
    threshold,
    whole_percent,
    written,
)

register = template.Library()
Number = Decimal | float | int

DASH: Final = mark_safe('<span class="muted">–</span>')  # noqa: RUF001 - how pages write nothing
NOT_SCORED: Final = mark_safe('<span class="muted" title="Not scored">–</span>')  # noqa: RUF001
AGES: Final = ((31_536_000, "y"), (2_592_000, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"))
COMMAND: Final = re.compile("`([^`]+)`")
FOUR_PLACES = Decimal("0.0001")
ALMOST: Final = 0.995
"""Above, a probability is more than 99 %; so much below certainty it is not rounded up to it."""
HARDLY: Final = 0.005


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, size: str = "") -> SafeString:
    """An icon of static/icons.svg (`small` is a size), never alone: words stand beside it or in
    the control's aria-label."""
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}" /></svg>',
        f"icon {size}".rstrip(),
        static("icons.svg"),
        name,
    )


@register.filter
def commands(sentence: str) -> SafeString:
    """A sentence of ours; what stands in backticks is a command, and not broken between lines."""
    found = COMMAND.sub(r'<code class="command">\1</code>', escape(sentence))
    return mark_safe(found)  # noqa: S308 - escaped above


@register.simple_tag
@lru_cache(maxsize=512)
def kbd(key: str | int) -> SafeString:
    """A key hint."""
    return format_html('<kbd aria-hidden="true">{}</kbd>', key)


@register.simple_tag
@lru_cache(maxsize=64)
def risk_badge(level: str | None) -> SafeString:
    """A risk level (LOW, MEDIUM, HIGH, CRITICAL), always with its word; without one a dash."""
    if not level:
        return DASH
    word = str(level)
    return format_html(
        '<span class="risk risk-{}">{}</span>', word.lower(), word[:1].upper() + word[1:]
    )


@register.simple_tag
def ago(at: datetime | None, *, long: bool = False) -> SafeString:
    """A time as its age ("4 min"; long: "4 min ago", "in 2 h"), exact UTC on hover; app.js keeps it
    fresh, in the same words."""
    if not at:
        return DASH
    exact = at.astimezone(UTC).isoformat(" ", "seconds")[:19]
    mark = '="long"' if long else ""
    # Digits and words of our own: nothing to escape.
    return mark_safe(  # noqa: S308
        f'<time datetime="{exact[:10]}T{exact[11:]}Z" title="{exact} UTC" data-ago{mark}'
        f' class="nowrap">{_age(at, long=long)}</time>'
    )


@register.simple_tag
def due(at: datetime | None) -> SafeString:
    """How far off the time is by which something must be done ("in 7 h"), to the minute on hover.
    Nothing where there is none."""
    if not at:
        return mark_safe("")
    exact = at.astimezone(UTC)
    second = exact.isoformat(timespec="seconds")[:19]
    day, minute = second[:10], second[11:16]
    return mark_safe(  # noqa: S308
        f'<time datetime="{second}Z" title="Due {day} {minute} UTC"'
        f' data-ago="long">{_age(at, long=True)}</time>'
    )


def _age(at: datetime, *, long: bool) -> str:
    """As `relative` in app.js: a page whose times change their width when its scripts run moves."""
    seconds = (timezone.now() - at).total_seconds()
    found = next(((size, unit) for size, unit in AGES if abs(seconds) >= size), None)
    if found is None:
        return "now"
    text = f"{int(abs(seconds) // found[0])}\xa0{found[1]}"
    if not long:
        return text
    return f"in {text}" if seconds < 0 else f"{text} ago"


@register.simple_tag
def money(amount: Number | str | None, currency: str | None, note: str = "") -> SafeString:
    """An amount with the sign of its currency (ISO 4217); cents below 100, exact on hover, with a
    note behind it there."""
    exact = _decimal(amount)
    if exact is None:
        return DASH
    shown = short_amount(exact)
    minus = MINUS if shown.startswith("-") else ""
    code, sign = _currency(currency or "")
    said = f", {escape(note)}" if note else ""
    return mark_safe(  # noqa: S308
        f'<span class="amount nowrap" title="{places(exact, CENT)}{code}{said}">'
        f"{minus}{sign}{shown.lstrip('-')}</span>"
    )


@lru_cache(maxsize=256)
def _currency(code: str) -> tuple[str, str]:
    """What stands behind the exact amount and before the short one, as markup."""
    if not code:
        return "", ""
    return f" {escape(code)}", f"{escape(SIGNS.get(code, code))}&nbsp;"


@register.simple_tag
def probability(
    p: Number | str | None, level: str | None = None, *, bar: bool = False
) -> SafeString:
    """A calibrated probability as a whole percentage; `bar` draws it, in the colour of `level`.

    None is not scored. What is not certain is never said to be: > 99 %, < 1 %.
    """
    exact = _decimal(p)
    if exact is None:
        return NOT_SCORED
    percent = int(places(exact * 100, WHOLE))
    drawn = _bar(str(level or "none").lower(), percent) if bar else ""
    if ALMOST < exact < 1:
        words = "&gt;&#8239;99"
    elif 0 < exact < HARDLY:
        words = "&lt;&#8239;1"
    else:
        words = str(percent)
    return mark_safe(  # noqa: S308
        f'<span class="prob" title="{places(exact, FOUR_PLACES)}">{drawn}'
        f'<span class="value">{words}&#8239;%</span></span>'
    )


@register.simple_tag
def percent(share: float) -> str:
    """A share as a whole percentage, never all or nothing where it is not."""
    return f"{whole_percent(share)}\N{NARROW NO-BREAK SPACE}%"


@register.simple_tag(name="fine_percent")
def fine(share: float) -> str:
    """A share as a percentage with two figures where it is small."""
    return f"{fine_percent(share)}\N{NARROW NO-BREAK SPACE}%"


@register.simple_tag(name="threshold")
def threshold_on_the_risk(value: float) -> str:
    """A threshold on the risk, never rounded to 0 or 1."""
    return threshold(value)


@register.simple_tag
def number(value: float) -> str:
    """A number with four figures at most and no empty decimals."""
    return written(value)


@register.simple_tag(name="fixed")
def with_places(value: float, places: int) -> str:
    """A number with so many decimals, below 0 with a minus: `−0.22`."""  # noqa: RUF002
    return fixed(value, places)


@register.simple_tag
def hours(minutes: float) -> str:
    """Minutes as hours: `1.5`."""
    return written(minutes / 60.0)


@lru_cache(maxsize=1024)
def _bar(level: str, percent: int) -> SafeString:
    return format_html(
        '<svg class="bar is-{}" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="5" />'
        '<rect class="fill" width="{}" height="5" /></svg>',
        level,
        percent,
    )


def _decimal(number: Number | str | None) -> Decimal | None:
    """A number as exactly as it is written; None for none, an absent one ("") and no number."""
    if number is None:
        return None
    try:
        exact = Decimal(number if isinstance(number, Decimal | int | str) else repr(float(number)))
    except InvalidOperation:
        return None
    return exact if exact.is_finite() else None
