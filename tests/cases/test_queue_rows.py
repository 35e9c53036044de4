"""What became of a row of the queue, and what a row of it looks like."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.template import engines
from django.utils import timezone

from accounts.models import User
from cases.models import Alert
from cases.queue_rows import Mark, state_of_row

NOW = timezone.now()
ME, OTHER = 7, 8


def alert(**values):
    return Alert(pk=1_234_567, **{"status": "open", **values})


def mark(row):
    return state_of_row(row, user_id=ME, now=NOW).mark


def test_a_row_that_waits_has_no_mark_and_its_number_has_no_commas():
    live = state_of_row(alert(), user_id=ME, now=NOW)
    assert (live.key, live.mark, live.owner) == ("1234567", None, "")


def test_a_closed_row_says_its_outcome():
    row = alert(status="closed", disposition="false_positive")
    assert mark(row) == Mark("check", "Closed", "Closed: false positive", "is-gone")


def test_a_row_in_a_case_says_which():
    row = alert(status="in_case", case_id=4321)
    assert mark(row) == Mark("briefcase", "In a case", "In case 4321", "is-gone")


def test_my_own_lock_and_that_of_others_differ():
    until = NOW + timedelta(minutes=1)
    assert mark(alert(locked_by_id=ME, locked_until=until)).words == "Locked by you"
    other = User(pk=OTHER, display_name="Lea <b>Dorn</b>")
    held = mark(alert(locked_by=other, locked_until=until))
    assert (held.title, held.kind) == ("Locked by Lea <b>Dorn</b>", "is-locked")


def test_a_lock_that_ran_out_is_none():
    assert mark(alert(locked_by_id=ME, locked_until=NOW)) is None


def test_what_sleeps_says_until_when():
    until = NOW + timedelta(hours=1)
    said = mark(alert(snoozed_until=until))
    assert said.title == f"Snoozed until {until:%Y-%m-%d %H:%M} UTC"
    assert mark(alert(snoozed_until=NOW)) is None


def test_a_lock_is_said_before_sleep():
    until = NOW + timedelta(hours=1)
    row = alert(locked_by_id=ME, locked_until=until, snoozed_until=until)
    assert mark(row).words == "Locked by you"


def test_names_are_escaped_where_a_row_changes_in_place():
    live = SimpleNamespace(
        key="1", owner="<i>x</i>", mark=Mark("lock", "<b>", '"><script>', "is-locked")
    )
    for name in ("state", "owner"):
        drawn = engines["django"].get_template(f"cases/queue_{name}.html").render({"live": live})
        assert "<script>" not in drawn and "<i>" not in drawn and "<b>" not in drawn


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{% squeeze %}\n  <b>\n  x</b>  {% endsqueeze %}", " <b> x</b> "),
        ("{% squeeze %} {% if 1 %} a {% endif %} {% endsqueeze %}", " a "),
        ("{% squeeze %}{{ x }}\n{% endsqueeze %}", "&lt;a&gt; b "),
    ],
)
def test_blanks_are_squeezed_and_values_stay_escaped(source, shown):
    made = engines["django"].from_string("{% load markup %}" + source)
    assert made.render({"x": "<a>    b"}) == shown
