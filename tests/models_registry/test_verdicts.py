"""What the numbers of a version mean, in words; a bound that is just reached is reached."""

import pytest

from models_registry.models import ModelVersion
from models_registry.verdicts import alike, more_or_less, share, sure_of, verdict_of
from tests.models_registry.versions import METRICS, comparison


def judged(*, stage="challenger", **changed):
    found = {name: value for name, value in comparison(**changed).items() if value != "never told"}
    version = ModelVersion(number=2, stage=stage, metrics=METRICS, comparison=found)
    return verdict_of(version, rival="v1", currency="EUR")


@pytest.mark.parametrize(
    ("changed", "warned"),
    [
        ({"positives": 20, "least_positives": 20}, ""),
        ({"positives": 19, "least_positives": 20}, "Only 19 positives were known"),
        ({"positives": 10, "least_positives": "never told"}, ""),
        ({"positives": 9, "least_positives": "never told"}, "Only 9 positives were known"),
        ({"rows": 120, "positives": 100, "least_positives": 20}, ""),
        ({"rows": 119, "positives": 100, "least_positives": 20}, "Only 19 legitimate events were"),
        ({"blocks": 6.0, "least_blocks": 6}, ""),
        ({"blocks": 5.9, "least_blocks": 6}, "no more than 5.9 entities with as many each"),
        ({"blocks": "never told", "least_blocks": "never told"}, ""),
    ],
)
def test_what_could_decide_nothing_says_what_was_too_few(changed, warned):
    warnings = judged(**changed).warnings
    assert len(warnings) == bool(warned)
    assert all(warned in text for text in warnings)


@pytest.mark.parametrize(
    ("verdict", "cheaper", "headline", "advice"),
    [
        ("better", "better", "and its decisions cost less", "Promoting it is well founded."),
        ("better", "worse", "but its decisions cost more", "decide which of the two counts"),
        ("undecided", "better", "costs less than v1", "well founded by its cost"),
        ("undecided", "undecided", "not surely better or worse", "may be luck"),
        ("undecided", "worse", "costs more than v1", "Keep the champion"),
        ("worse", "better", "ranks worse than v1", "decide which of the two counts"),
        ("worse", "undecided", "v2 is worse than v1", "Keep the champion"),
    ],
)
def test_only_a_challenger_is_told_what_to_do(verdict, cheaper, headline, advice):
    waits = judged(verdict=verdict, cheaper=cheaper)
    serves = judged(verdict=verdict, cheaper=cheaper, stage="champion")
    assert headline in waits.headline
    assert serves.headline == waits.headline
    assert advice in waits.evidence[-1]
    assert waits.evidence[:-1] == serves.evidence


def test_two_that_never_differ_are_not_told_to_wait_for_labels():
    same = {"champion": 0.6, "candidate": 0.6, "difference": 0.0, "low": 0.0, "high": 0.0}
    found = judged(average_precision=same, cost=same, verdict="undecided", cheaper="undecided")
    assert found.evidence[-1].startswith("Both do equally well in every draw")
    unsure = same | {"low": -0.1, "high": 0.1}
    found = judged(average_precision=unsure, cost=same, verdict="undecided", cheaper="undecided")
    assert "wait for more labels" in found.evidence[-1]


def test_where_amounts_are_unknown_nothing_is_said_of_cost():
    found = judged(cost=None, cheaper="undecided", verdict="better")
    assert found.headline == "v2 is better than v1."
    assert not [text for text in found.evidence if "cost" in text]


def test_a_champion_that_had_seen_the_events_was_flattered():
    assert judged(champion_saw_test_rows=False).warnings == ()
    (told,) = judged(champion_saw_test_rows=True).warnings
    assert told.startswith("v1 learnt from some of these events")


def test_a_difference_of_costs_is_more_or_less_or_nothing():
    assert more_or_less(0.25, "EUR") == f"{more_or_less(-0.25, 'EUR').removesuffix('less')}more"
    assert more_or_less(-1e-9, "EUR") == more_or_less(0.0, "EUR") == more_or_less(1e-9, "EUR")
    assert not more_or_less(1e-9, "EUR").endswith(("more", "less"))
    assert more_or_less(None, "EUR") == "unknown"


def test_decisions_that_differ_are_never_all_alike():
    assert alike(2000, 2000) == f"{share(1.0)} of 2,000"
    assert alike(1999, 2000) == "all but 1 of 2,000"
    assert alike(1998, 2000) == "all but 2 of 2,000"
    assert alike(1997, 2000) == f"{share(0.9985)} of 2,000"
    assert [sure_of(verdict) for verdict in ("better", "worse", "undecided")] == [True, False, None]
