"""What an audit entry says, in words: fields with before and after, and the rest."""

import pytest

from accounts.changes import Change, changes_of, facts_of, in_short


def test_only_what_differs_of_two_settings_is_told_however_deep():
    before = {"audit_rate": 0.01, "screening": {"review": 0.9, "block": 0.97}}
    after = {"audit_rate": 0.01, "screening": {"review": 0.8, "block": 0.97}, "review_after": 90}
    assert changes_of("policy.settings_changed", {"before": before, "after": after}) == [
        Change("review after", "–", "90"),  # noqa: RUF001
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
        ("alert.closed", {"disposition": "fraud", "sure": True}, "disposition: fraud; sure: yes"),
        ("user.created", {}, ""),
    ],
)
def test_an_entry_is_one_line_of_words(action, detail, said):
    assert in_short(action, detail) == said


def test_what_changed_is_not_told_twice():
    detail = {"before": "a", "after": "b", "reason": "because", "limits": {"low": 1, "high": None}}
    assert facts_of(detail) == [("limits", "low: 1, high: –"), ("reason", "because")]  # noqa: RUF001
