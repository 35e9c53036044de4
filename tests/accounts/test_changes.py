"""What an audit entry says, in words: fields with before and after, and the rest."""

import pytest

from accounts.changes import Change, changes_of, facts_of, in_short, shown


def test_only_what_differs_of_two_settings_is_told_however_deep():
    before = {"audit_rate": 0.01, "screening": {"review": 0.9, "block": 0.97}}
    after = {"audit_rate": 0.01, "screening": {"review": 0.8, "block": 0.97}, "review_after": 90}
    assert changes_of("policy.settings_changed", {"before": before, "after": after}) == [
        Change("review after", "–", "1.5 minutes"),  # noqa: RUF001
        Change("screening review", "0.9", "0.8"),
    ]


@pytest.mark.parametrize(
    ("action", "detail", "said"),
    [
        ("user.roles_changed", {"before": [], "after": ["Lead"]}, "roles: – → Lead"),  # noqa: RUF001
        ("case.escalate", {"from": "open", "to": "held"}, "escalate: open → held"),
        (
            "exchange_rates.set",
            {"rates": {"CHF": {"before": "1.02", "after": "1.04"}}, "to": "EUR"},
            "rates CHF: 1.02 → 1.04; to: EUR",
        ),
        ("detector.added", {"digest": "ab", "previous": ""}, "digest: – → ab"),  # noqa: RUF001
        (
            "watchlist.synced",
            {"digest": "ab" * 32, "previous": "ab" * 32, "names": 3},
            "digest: abababababab…; names: 3",
        ),
        (
            "watchlist.synced",
            {"digest": "cd" * 32, "previous": "ab" * 32},
            "digest: abababababab… → cdcdcdcdcdcd…",
        ),
        (
            "model.move_thresholds",
            {"from": "v3", "review": [0.5, 0.6], "block": [0.9, 0.9], "reason": "calm"},
            "review: 0.5 → 0.6; block: 0.9; from: v3; reason: calm",
        ),
        (
            "schedule.task_changed",
            {"task": "cases.sweep", "before": "every 5 s", "after": "every 9 s"},
            "timetable: every 5 s → every 9 s; task: cases.sweep",
        ),
        ("user.roles_changed", {"before": ["Lead"], "after": ["Lead"]}, "roles: Lead"),
        ("alert.closed", {"disposition": "fraud", "sure": True}, "disposition: fraud; sure: yes"),
        (
            "alert.closed",
            {"at_risk": [["USD", "138.86", "0.92"], ["EUR", "5.00", "1"], ["XYZ", "1.00", None]]},
            "at risk: 138.86 USD at 0.92 and 5.00 EUR and 1.00 XYZ without a rate",
        ),
        (
            "retraining.policy_changed",
            {"review_after": {"before": 0, "after": 180 * 86_400.0}},
            "review after: never → 180 days",
        ),
        ("policy.kept", {"settings": {"review_after": 86_400}}, "settings: review after: 1 day"),
        ("user.created", {}, ""),
    ],
)
def test_an_entry_is_one_line_of_words(action, detail, said):
    assert in_short(action, detail) == said


def test_what_changed_is_not_told_twice():
    detail = {"before": "a", "after": "b", "reason": "because", "limits": {"low": 1, "high": None}}
    assert facts_of("case.held", detail) == [("limits", "low: 1, high: –"), ("reason", "because")]  # noqa: RUF001


def test_what_stands_beside_a_pair_is_told_too():
    detail = {"rates": {"CHF": {"before": 1, "after": 2}, "source": "ECB"}}
    assert facts_of("exchange_rates.set", detail) == [("rates source", "ECB")]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"7": [1, 2], "8": [3]}, "7: (1, 2), 8: 3"),
        ([["mon", "tue"], ["wed"]], "(mon, tue), wed"),
        ({"a": {"b": 1, "c": []}}, "a: (b: 1, c: –)"),  # noqa: RUF001
    ],
)
def test_values_within_values_stand_in_brackets(value, said):
    assert shown(value) == said
