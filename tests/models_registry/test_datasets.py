"""A dataset holds what was logged, with the labels that were known at its time."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import yaml
from django.utils import timezone

from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from models_registry.core.splits import TimeSplit
from models_registry.datasets import (
    DatasetError,
    dataset_rows,
    describe_dataset,
    digest,
    read_rows,
)
from models_registry.logged_vectors import NEW_FEATURES, NO_BUNDLE
from scoring.core.bundle import BundleError
from scoring.declarations import load_detector
from scoring.labelling import record_label, record_truths, retract_labels
from scoring.models import Label, Prediction
from tests.factories import START, card, config_of, payment, scored_many
from tests.models_registry.learning import KNOWN_AT

pytestmark = pytest.mark.django_db
LATER = START + timedelta(days=30)


def quiet(fraction):
    """Nobody listens."""


def read(detector, known_at=LATER):
    return read_rows(detector, known_at=known_at, report=quiet)


def known(rows):
    return rows.labels.as_known_at(rows.known_at.timestamp(), len(rows.event_time)).tolist()


@pytest.fixture
def cards(cards_detector):
    """Three events, ten minutes apart, that arrived in another order."""
    return scored_many("cards", [
        card(i, TX_DATETIME=(START + timedelta(minutes=10 * i)).isoformat(), TX_AMOUNT=10.0 + i)
        for i in (2, 0, 1)
    ])  # fmt: skip


def label(row, is_fraud, days):
    record_label(
        row, is_fraud=is_fraud, source=Label.Source.IMPORT, label_time=START + timedelta(days=days)
    )


def test_a_label_that_was_taken_back_is_learnt_only_as_of_before(cards_detector, cards, analyst):
    said = START + timedelta(days=9)
    record_label(
        cards[1], is_fraud=True, source=Label.Source.ANALYST, label_time=said, author=analyst
    )
    gone = START + timedelta(days=10)
    retract_labels([cards[1].pk], author=analyst, label_time=said, actor=analyst, at=gone)
    assert known(read(cards_detector)) == [-1, -1, -1]
    assert known(read(cards_detector, known_at=gone - timedelta(hours=1))) == [1, -1, -1]


def test_rows_are_what_was_logged_oldest_first(cards_detector, cards):
    rows = read(cards_detector)
    assert rows.amounts.tolist() == [10.0, 11.0, 12.0]
    assert np.array_equal(rows.vectors[2], cards[0].vector_array(), equal_nan=True)
    assert (np.diff(rows.event_time) == 600.0).all()
    assert len(set(rows.entities.tolist())) == 1


def test_only_labels_known_at_the_time_count(cards_detector, cards):
    label(cards[0], True, days=1)
    label(cards[1], True, days=8)
    at = START + timedelta(days=7)
    assert known(read(cards_detector, at)) == [-1, -1, 1]
    assert known(read(cards_detector)) == [1, -1, 1]


def test_the_newest_label_counts(cards_detector, cards):
    label(cards[1], True, days=1)
    label(cards[1], False, days=2)
    assert known(read(cards_detector))[0] == 0
    assert known(read(cards_detector, START + timedelta(days=1)))[0] == 1


def test_events_of_the_future_are_left_out(cards_detector, cards):
    rows = read(cards_detector, START + timedelta(minutes=15))
    assert len(rows.event_time) == 2


def test_events_of_other_detectors_are_left_out(cards_detector, cards, payments_detector):
    scored_many("payments", [payment(timestamp=START.isoformat())])
    rows = read(cards_detector)
    assert len(rows.event_time) == 3
    named = dataset_rows(describe_dataset(cards_detector, rows))
    assert [row[1] for row in named] == ["0", "1", "2"]


def test_who_reads_again_as_of_one_moment_reads_the_same_rows(cards_detector, cards):
    label(cards[0], True, days=1)
    then = timezone.now()
    label(cards[0], False, days=2)
    label(cards[1], True, days=1)
    scored_many("cards", [card(9, TX_DATETIME=START.isoformat())])
    again = read_rows(cards_detector, known_at=LATER, report=quiet, stored_by=then)
    assert known(again) == [-1, -1, 1]
    assert again.origin["read_at"] == then.isoformat()
    assert known(read(cards_detector)).count(-1) == 2
    with pytest.raises(DatasetError):
        read_rows(cards_detector, known_at=LATER, report=quiet, stored_by=START)


def test_who_was_to_be_looked_at_by_people_is_kept_with_its_chance(cards_detector, cards):
    chosen = {"random_audit": 0.25, "rule": 1.0, "": 0.25}
    for row, (reason, chance) in zip(cards, chosen.items(), strict=True):
        Prediction.objects.filter(pk=row.pk).update(selection_reason=reason, propensity=chance)
    found = read(cards_detector).selection  # In the order of the events: 0, 1, 2.
    assert found.kind.tolist() == [SELECTED, NOT_SELECTED, AUDITED]
    assert found.propensity.tolist() == [1.0, 0.25, 0.25]


def redeclared(tmp_path, config):
    path = tmp_path / "cards.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_detector(path)[0]


def test_a_feature_that_is_new_is_computed_from_stored_events(cards_detector, cards, tmp_path):
    before = read(cards_detector).vectors
    names = cards_detector.spec().feature_names
    config = config_of("cards")
    step = {"entity_key": "TERMINAL_ID", "windows": ["15m"], "aggregations": ["sum"]}
    config["features"]["transformations"] += [{"type": "time_window_aggregation", "config": step}]
    detector = redeclared(tmp_path, config)
    assert detector.spec().feature_names == (*names, "TERMINAL_ID_sum_TX_AMOUNT_15m")
    found = read(detector).vectors
    assert np.array_equal(found[:, :-1], before, equal_nan=True)
    assert found[:, -1].tolist() == [10.0, 21.0, 23.0]


def test_a_new_feature_of_personal_numbers_and_truths_is_computed_too(cards_detector, tmp_path):
    config = config_of("cards")
    config["event"]["schema"]["properties"]["abroad"] = {"type": "boolean"}
    config["event"]["pii"], config["rules"] = ["abroad", "TX_AMOUNT"], []
    redeclared(tmp_path, config)
    scored_many("cards", [card(i, TX_AMOUNT=10.0 + i, abroad=i != 1) for i in range(3)])
    window = {"entity_key": "TERMINAL_ID", "windows": ["15m"], "aggregations": ["sum"]}
    config["features"]["transformations"] += [
        {"type": "numeric", "config": {"fields": ["abroad"]}},
        {"type": "time_window_aggregation", "config": window},
    ]
    found = read(redeclared(tmp_path, config)).vectors[:, -2:]
    assert found.tolist() == [[1.0, 10.0], [0.0, 21.0], [1.0, 33.0]]


def test_what_arrived_late_is_seen_only_by_vectors_computed_again(cards_detector, monkeypatch):
    """Online it was not there yet; the difference is told in docs/learning.md."""
    for minutes in (0, 20, 10):
        at = START + timedelta(minutes=minutes)
        scored_many("cards", [card(minutes, TX_DATETIME=at.isoformat())])
    place = cards_detector.spec().feature_names.index("CUSTOMER_ID_count_1d")
    assert read(cards_detector).vectors[:, place].tolist() == [1.0, 2.0, 2.0]
    monkeypatch.setattr("models_registry.logged_vectors.loaded", unreadable)
    assert read(cards_detector).vectors[:, place].tolist() == [1.0, 2.0, 3.0]


def test_known_fraud_is_computed_as_it_was_known_then(cards_detector, tmp_path):
    days = (0, 8, 9)
    rows = scored_many("cards", [
        card(i, TX_DATETIME=(START + timedelta(days=day)).isoformat())
        for i, day in enumerate(days)
    ])  # fmt: skip
    label(rows[0], True, days=8.5)
    config = config_of("cards")
    step = {"entity_key": "TERMINAL_ID", "windows": ["5d"], "delay": "6d"}
    config["features"]["transformations"] += [{"type": "label_risk", "config": step}]
    found = read(redeclared(tmp_path, config)).vectors[:, -2:]
    assert found.tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]


def test_vectors_go_on_to_count_when_features_are_taken_away(cards_detector, cards, tmp_path):
    before = read(cards_detector).vectors
    config = config_of("cards")
    config["features"]["transformations"][1]["config"]["parts"] = ["weekend"]
    names = cards_detector.spec().feature_names
    detector = redeclared(tmp_path, config)
    kept = [names.index(name) for name in detector.spec().feature_names]
    assert len(kept) < len(names)
    assert np.array_equal(read(detector).vectors, before[:, kept], equal_nan=True)


def test_without_events_it_says_what_is_missing(cards_detector):
    with pytest.raises(DatasetError, match="import or send"):
        read(cards_detector)


def test_how_sure_a_label_is_comes_with_it_and_is_counted(cards_detector, cards):
    label(cards[0], True, days=1)
    assert read(cards_detector).labels.confidence is None
    before = digest(read(cards_detector))
    Label.objects.update(confidence=0.5)
    rows = read(cards_detector)
    assert rows.labels.confidence.tolist() == [0.5]
    assert digest(rows) != before
    assert describe_dataset(cards_detector, rows).detail["unsure"] == 1


def test_the_digest_tells_equal_data_from_other_data(cards_detector, cards):
    before = digest(read(cards_detector))
    assert digest(read(cards_detector)) == before
    label(cards[0], True, days=1)
    assert digest(read(cards_detector)) != before


def test_the_digest_is_of_everything_that_a_learner_sees(cards_detector, cards):
    for row, days in zip(cards, (1, 2, 3), strict=True):
        label(row, True, days=days)
    rows = read(cards_detector)
    labels, plus = rows.labels, {}
    plus |= {name: getattr(rows, name) + 1 for name in ("vectors", "event_time", "amounts")}
    others = [replace(rows, **{name: changed}) for name, changed in plus.items()]
    for name in ("row", "value", "time"):
        changed = replace(labels, **{name: getattr(labels, name) + 1})
        others.append(replace(rows, labels=changed))
    others.append(replace(rows, labels=replace(labels, confidence=np.full(3, 0.5))))
    assert len({digest(rows), *map(digest, others)}) == 8


def test_what_the_data_was_is_kept(cards_detector, cards):
    label(cards[0], True, days=1)
    label(cards[1], False, days=1)
    found = describe_dataset(cards_detector, read(cards_detector))
    assert (found.rows, found.positives, found.detail["labelled"]) == (3, 1, 2)
    assert (found.first_event_at, found.last_event_at) == (START, START + timedelta(minutes=20))
    assert found.feature_names == list(cards_detector.spec().feature_names)


def lived(detector, *, days=40, a_day=12):
    """Events day by day, each day's labels recorded a day later: as in live use."""
    rng = np.random.default_rng(2)
    for day in range(days):
        raws = [
            card(
                day * a_day + i,
                TX_DATETIME=(START + timedelta(days=day, hours=24 * i / a_day)).isoformat(),
                CUSTOMER_ID=int(rng.integers(8)),
                TERMINAL_ID=int(rng.integers(4)),
                TX_AMOUNT=float(np.round(rng.lognormal(3.5, 1.0), 2)),
            )
            for i in range(a_day)
        ]
        rows = scored_many("cards", raws)
        truths = {
            row.external_id: (bool(rng.random() < 0.2), row.event_time + timedelta(days=1))
            for row in rows
        }
        record_truths(detector.pk, truths, source=Label.Source.IMPORT)


def test_vectors_computed_again_equal_those_that_were_logged(cards_detector, monkeypatch):
    lived(cards_detector)
    logged = read(cards_detector, KNOWN_AT)
    monkeypatch.setattr("models_registry.logged_vectors.loaded", unreadable)
    again = read(cards_detector, KNOWN_AT)
    assert again.origin["recomputed"] == {NO_BUNDLE: 480}
    assert logged.origin["recomputed"] == {}
    # Windows, ratios and the terminals' known fraud are all there to be compared.
    assert (logged.vectors[:, -5:-2] > 0).any(axis=0).all()
    assert np.allclose(again.vectors, logged.vectors, rtol=1e-9, atol=1e-9, equal_nan=True)


def unreadable(digest):
    raise BundleError("gone")


def test_where_rows_and_labels_come_from_is_kept(cards_detector, cards, tmp_path):
    label(cards[0], True, days=1)
    record_label(
        cards[0], is_fraud=False, source=Label.Source.ANALYST, label_time=START + timedelta(days=2)
    )
    label(cards[1], False, days=1)
    scored_many("cards", [card(9, TX_DATETIME=START.isoformat(), TX_AMOUNT=10.0)])
    config = config_of("cards")
    step = {"entity_key": "TERMINAL_ID", "windows": ["15m"], "aggregations": ["sum"]}
    config["features"]["transformations"] += [{"type": "time_window_aggregation", "config": step}]
    detector = redeclared(tmp_path, config)
    detail = describe_dataset(detector, read(detector)).detail
    assert (detail["logged"], detail["recomputed"]) == (0, {NEW_FEATURES: 4})
    assert detail["label_sources"] == {"analyst": 1, "import": 1}
    assert (detail["legitimate"], detail["unknown"], detail["duplicates"]) == (2, 2, 1)


def test_unknown_events_are_told_apart_by_age(cards_detector, cards):
    young = describe_dataset(cards_detector, read(cards_detector, START + timedelta(days=6))).detail
    old = describe_dataset(cards_detector, read(cards_detector)).detail
    assert (young["unknown"], young["young"]) == (3, 3)
    assert (old["unknown"], old["young"]) == (3, 0)


def test_the_ids_of_a_dataset_are_those_that_had_arrived(cards_detector, cards):
    dataset = describe_dataset(cards_detector, read(cards_detector))
    scored_many("cards", [card(99)])
    assert [row[1] for row in dataset_rows(dataset)] == ["0", "1", "2"]


def test_each_event_of_a_dataset_is_named_with_its_part(cards_detector, cards):
    start = START.timestamp()
    split = TimeSplit(
        train_start=start, train_end=start + 1, validation_end=start + 602,
        test_end=start + 10_000, delay=0.5,
    )  # fmt: skip
    rows = read(cards_detector)
    told = list(dataset_rows(describe_dataset(cards_detector, rows, split)))
    assert [row[3] for row in told] == ["training", "validation", "test"]
    assert [row[2] for row in told] == [START + timedelta(minutes=m) for m in (0, 10, 20)]
    assert {row[3] for row in dataset_rows(describe_dataset(cards_detector, rows))} == {""}
