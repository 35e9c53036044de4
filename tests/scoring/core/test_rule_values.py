"""What a condition looks for and no event may carry."""

import pytest

from scoring.core.rule_values import never_carried

FIELDS = {
    "channel": {"type": "string", "enum": ["web", "app"]},
    "country": {"type": "string", "format": "country"},
    "nights": {"type": "integer", "maximum": 400},
    "loyal": {"type": "boolean"},
    "city": {"type": "string"},
}


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("channel == 'fax'", "no event has 'fax' in channel, which must be one of web, app"),
        ("'fax' != channel", "no event has 'fax' in channel"),
        ("nights > 2 and country in ['DE', 'Germany']", "no event has 'Germany' in country"),
        ("not (country in bad)", "no event has 'Iran' in country"),
        ("channel == one", "no event has 'phone' in channel"),
        ("nights == 500", "no event has 500 in nights, which must be at most 400"),
        ("max(nights, 2) > 3 or channel not in ['fax']", "no event has 'fax' in channel"),
    ],
)
def test_what_no_event_carries_is_told(when, said):
    [found] = never_carried(when, {"bad": ["IR", "Iran"], "one": "phone"}, FIELDS)
    assert found.startswith(said)


@pytest.mark.parametrize(
    "when",
    ["channel == 'web'", "country in ['DE', 'de']", "nights > 500", "loyal == 1", "loyal == true",
     "city == 'anywhere'", "nights == 2.0", "unknown == 'x'", "channel ==", "lower(city) == 'x'",
     "length(channel) == 3"],
)  # fmt: skip
def test_what_an_event_may_carry_is_not(when):
    assert never_carried(when, {}, FIELDS) == []


def test_it_is_told_once():
    assert len(never_carried("channel == 'fax' or channel in ['fax']", {}, FIELDS)) == 1
