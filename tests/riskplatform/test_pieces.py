"""The small pieces of pages: what they write, for every value that a row may hold."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.template import engines
from django.utils import timezone as django_time

from riskplatform.templatetags.pieces import (
    ago,
    commands,
    due,
    icon,
    kbd,
    money,
    probability,
    risk_badge,
)

DASH = '<span class="muted">–</span>'  # noqa: RUF001
EVIL = '"><script>alert(1)</script>'


def rendered(source, **context):
    return engines["django"].from_string(source).render(context)


@pytest.mark.parametrize(
    ("source", "context"),
    [
        ("{% icon x %}", {"x": EVIL}),
        ('{% icon "check" x %}', {"x": EVIL}),
        ("{% kbd x %}", {"x": EVIL}),
        ("{% risk_badge x %}", {"x": EVIL}),
        ("{% money 12 x %}", {"x": EVIL}),
        ('{% money x "EUR" %}', {"x": EVIL}),
        ("{% probability 0.5 x bar=True %}", {"x": EVIL}),
        ("{% probability x %}", {"x": EVIL}),
    ],
)
def test_what_comes_from_data_is_escaped(source, context):
    assert "<script>" not in rendered(source, **context).lower()


@pytest.mark.parametrize(
    "source",
    ['{% money x "EUR" %}', "{% ago x %}", "{% risk_badge x %}"],
)
@pytest.mark.parametrize("value", [None, ""])
def test_what_has_no_value_is_a_dash(source, value):
    assert rendered(source, x=value) == DASH


@pytest.mark.parametrize("source", ['{% money a.b "EUR" %}', "{% ago a.b %}", "{% kbd a.b %}"])
def test_what_is_not_in_the_context_fails_no_page(source):
    assert rendered(source)


@pytest.mark.parametrize("p", [None, "", float("nan"), float("inf"), "no number"])
def test_what_was_not_scored_says_so(p):
    assert probability(p) == DASH.replace(">", ' title="Not scored">', 1)


@pytest.mark.parametrize(
    ("amount", "currency", "title", "shown"),
    [
        (Decimal("3214.5"), "EUR", "3,214.50 EUR", "€&nbsp;3,215"),
        (Decimal("99.99"), "USD", "99.99 USD", "$&nbsp;99.99"),
        (Decimal("99.999"), "GBP", "100.00 GBP", "£&nbsp;100.00"),
        (Decimal("0"), "EUR", "0.00 EUR", "€&nbsp;0.00"),
        (Decimal("-42"), "EUR", "-42.00 EUR", "−€&nbsp;42.00"),  # noqa: RUF001
        (Decimal("-1234567.891"), "JPY", "-1,234,567.89 JPY", "−JPY&nbsp;1,234,568"),  # noqa: RUF001
        (Decimal("12"), "A&B", "12.00 A&amp;B", "A&amp;B&nbsp;12.00"),
        (12.5, "EUR", "12.50 EUR", "€&nbsp;12.50"),
        ("12.5", "EUR", "12.50 EUR", "€&nbsp;12.50"),
        (7, "", "7.00", "7.00"),
        (7, None, "7.00", "7.00"),
        (Decimal("2.675"), "EUR", "2.68 EUR", "€&nbsp;2.68"),
    ],
)
def test_an_amount_is_short_and_its_title_exact(amount, currency, title, shown):
    assert money(amount, currency) == (
        f'<span class="amount nowrap" title="{title}">{shown}</span>'
    )


@pytest.mark.parametrize("amount", [Decimal("9" * 40), 1.7e308, -1.7e308, 10**60])
def test_an_amount_may_be_huge(amount):
    assert money(amount, "EUR").count(",") > 20


@pytest.mark.parametrize("amount", [float("nan"), float("-inf"), Decimal("NaN"), "many"])
def test_an_amount_that_is_no_number_is_a_dash(amount):
    assert money(amount, "EUR") == DASH


@pytest.mark.parametrize(
    ("p", "title", "shown"),
    [
        (0.961234, "0.9612", "96"),
        (Decimal("0.5"), "0.5000", "50"),
        (1, "1.0000", "100"),
        (0, "0.0000", "0"),
        (0.9951, "0.9951", "&gt;&#8239;99"),
        (0.0001, "0.0001", "&lt;&#8239;1"),
        (0.125, "0.1250", "13"),
    ],
)
def test_a_probability_is_a_whole_percentage_that_never_claims_certainty(p, title, shown):
    assert probability(p) == (
        f'<span class="prob" title="{title}"><span class="value">{shown}&#8239;%</span></span>'
    )


def test_a_bar_has_the_colour_of_the_level_and_the_width_of_the_probability():
    drawn = rendered('{% probability 0.42 "HIGH" bar=True %}')
    assert 'class="bar is-high"' in drawn
    assert '<rect class="fill" width="42" height="5" />' in drawn
    assert 'class="bar is-none"' in probability(0.42, bar=True)


def test_a_level_is_said_in_its_word():
    assert risk_badge("CRITICAL") == '<span class="risk risk-critical">CRITICAL</span>'


def test_an_icon_says_nothing_to_a_screen_reader():
    drawn = icon("check", "small")
    assert drawn.startswith('<svg class="icon small" aria-hidden="true" focusable="false"><use ')
    assert drawn.endswith('#check" /></svg>')
    assert 'class="icon"' in icon("check")


def test_a_key_may_be_a_number():
    assert kbd(1) == kbd("1") == '<kbd aria-hidden="true">1</kbd>'


def test_an_age_stands_beside_its_exact_time_in_utc():
    there = timezone(timedelta(hours=2))
    at = datetime(2024, 3, 1, 1, 2, 3, 999_999, tzinfo=there)
    said = ago(at)
    assert said.startswith(
        '<time datetime="2024-02-29T23:02:03Z" title="2024-02-29 23:02:03 UTC" data-ago'
        ' class="nowrap">'
    )
    assert said.endswith("\xa0y</time>")


@pytest.mark.parametrize(
    ("age", "short", "long"),
    [
        (timedelta(seconds=59), "now", "now"),
        (timedelta(minutes=4, seconds=1), "4\xa0min", "4\xa0min ago"),
        (timedelta(hours=23, minutes=59), "23\xa0h", "23\xa0h ago"),
        (timedelta(days=29), "29\xa0d", "29\xa0d ago"),
        (timedelta(days=364), "12\xa0mo", "12\xa0mo ago"),
        (timedelta(days=800), "2\xa0y", "2\xa0y ago"),
        (timedelta(hours=-7, minutes=-1), "7\xa0h", "in 7\xa0h"),
        (timedelta(seconds=-30), "now", "now"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(age, short, long):
    at = django_time.now() - age
    assert ago(at).endswith(f' data-ago class="nowrap">{short}</time>')
    assert ago(at, long=True).endswith(f' data-ago="long" class="nowrap">{long}</time>')


def test_a_due_time_is_written_to_the_minute():
    at = datetime(2024, 3, 3, 14, 5, 59, 7, tzinfo=UTC)
    assert due(at).startswith(
        '<time datetime="2024-03-03T14:05:59Z" title="Due 2024-03-03 14:05 UTC" data-ago="long">'
    )
    assert due(django_time.now() + timedelta(hours=7, minutes=1)).endswith(">in 7\xa0h</time>")


def test_what_is_not_due_is_left_empty():
    assert due(None) == rendered("{% due at %}") == ""


def test_an_old_year_has_four_digits():
    assert 'datetime="0987-01-01T00:00:00Z"' in ago(datetime(987, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [
        ("Not screened. Run ", "python manage.py sync_watchlist FILE_OR_ADDRESS --list un", ""),
        ("Load it with ", "manage.py load_detectors FILE", "."),
        ("It is ", "celery -A riskplatform worker --pool=threads", ": it starts one."),
    ],
)
def test_a_command_in_a_sentence_is_set_as_one(before, command, after):
    marked = f'{before}<code class="command">{command}</code>{after}'
    assert commands(f"{before}`{command}`{after}") == marked


def test_what_a_sentence_with_a_command_quotes_is_escaped():
    assert "<script>" not in commands(f"{EVIL} `manage.py load_detectors {EVIL}`")


def test_a_sentence_without_a_marked_command_stays_as_it_is():
    assert commands("Run manage.py soon. Or ` so.") == "Run manage.py soon. Or ` so."
