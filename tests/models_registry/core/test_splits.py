from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from models_registry.core.splits import (
    LabelHistory,
    SplitError,
    TimeSplit,
    plan_split,
    prequential_splits,
)

DAY = 86400.0
NOBODY = LabelHistory(np.array([], dtype=np.intp), np.array([], dtype=np.int8), np.array([]))
SPLIT = TimeSplit(
    train_start=0, train_end=7 * DAY, validation_end=21 * DAY, test_end=35 * DAY, delay=7 * DAY
)
DAILY = np.arange(40) * DAY


def history(*entries: tuple[int, int, float]) -> LabelHistory:
    rows, values, days = zip(*entries, strict=True)
    return LabelHistory(np.array(rows), np.array(values, dtype=np.int8), np.array(days) * DAY)


def test_a_label_is_unknown_before_it_was_given():
    given = history((0, 1, 5.0))
    assert given.as_known_at(4.9 * DAY, 2).tolist() == [-1, -1]
    assert given.as_known_at(5.0 * DAY, 2).tolist() == [1, -1]


def test_the_newest_label_counts_whatever_the_order_of_rows():
    given = history((0, 0, 9.0), (0, 1, 3.0))
    assert given.as_known_at(5 * DAY, 1).tolist() == [1]
    assert given.as_known_at(9 * DAY, 1).tolist() == [0]


def test_of_two_labels_of_one_moment_the_one_told_last_counts():
    rows, rng = np.tile(np.arange(100), 2), np.random.default_rng(5)
    times = np.tile(rng.integers(0, 5, 100) * DAY, 2)
    values = np.repeat(np.array([0, 1], np.int8), 100)
    given = LabelHistory(rows, values, times, np.where(values == 1, 0.5, 0.25))
    assert set(given.as_known_at(9 * DAY, 100)) == {1}
    assert set(given.confidence_at(9 * DAY, 100)) == {0.5}


def test_how_sure_a_label_is_comes_with_the_newest_one():
    given = history((0, 0, 9.0), (0, 1, 3.0), (2, 1, 4.0))
    assert given.confidence_at(9 * DAY, 3) is None
    unsure = LabelHistory(given.row, given.value, given.time, np.array([0.5, 0.25, 1.0]))
    assert unsure.confidence_at(9 * DAY, 3).tolist() == [0.5, 1.0, 1.0]
    assert unsure.confidence_at(5 * DAY, 3).tolist() == [0.25, 1.0, 1.0]
    assert unsure.confidence_at(2 * DAY, 3) is None


def test_a_part_weighs_its_rows_by_how_sure_their_labels_are():
    given = LabelHistory(np.array([1, 16]), np.array([1, 1], np.int8), np.array([2.0, 17.0]) * DAY,
                         np.array([0.5, 1.0]))  # fmt: skip
    parts = SPLIT.apply(DAILY, given, matured_is_genuine=True)
    assert parts.train.weights[parts.train.rows == 1].tolist() == [0.5]
    assert (parts.train.weights[parts.train.rows != 1] == 1.0).all()
    assert parts.train.weights.shape == parts.train.labels.shape


def test_delay_blocks_lie_between_the_parts():
    parts = SPLIT.apply(DAILY, NOBODY, matured_is_genuine=True)
    assert parts.train.rows.tolist() == list(range(7))
    assert parts.validation.rows.tolist() == list(range(14, 21))
    assert parts.test.rows.tolist() == list(range(28, 35))


def test_training_reads_labels_as_known_when_validation_begins():
    late = history((3, 1, 14.5), (4, 1, 13.9))
    parts = SPLIT.apply(DAILY, late, matured_is_genuine=True)
    assert parts.train.labels.tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert parts.train.positives == 1


def test_rows_that_nobody_labelled_can_be_left_out():
    given = history((3, 1, 8.0), (15, 0, 16.0), (30, 1, 31.0))
    parts = SPLIT.apply(DAILY, given, matured_is_genuine=False)
    assert [part.rows.tolist() for part in (parts.train, parts.validation, parts.test)] == [
        [3],
        [15],
        [30],
    ]


def test_what_needs_no_labels_learns_from_all_and_is_judged_on_what_is_known():
    given = history((3, 1, 8.0), (15, 0, 16.0), (30, 1, 31.0))
    parts = SPLIT.apply(DAILY, given, matured_is_genuine=False, needs_labels=False)
    assert parts.train.rows.tolist() == list(range(7))
    assert parts.train.labels.tolist() == [-1, -1, -1, 1, -1, -1, -1]
    assert (parts.train.labelled, parts.train.positives) == (1, 1)
    assert (parts.validation.rows.tolist(), parts.test.rows.tolist()) == ([15], [30])
    nothing = SPLIT.apply(DAILY, NOBODY, matured_is_genuine=False, needs_labels=False)
    assert (nothing.train.labelled, nothing.test.rows.size, nothing.test.span.size) == (0, 0, 7)
    with pytest.raises(SplitError, match="The test part has no event"):
        SPLIT.apply(DAILY[:28], NOBODY, matured_is_genuine=False, needs_labels=False)


def test_a_part_tells_which_events_of_its_time_are_known():
    given = history((5, 0, 7.0), (3, 1, 8.0), (15, 0, 16.0), (30, 1, 31.0))
    part = SPLIT.apply(DAILY, given, matured_is_genuine=False).train
    assert part.span.tolist() == list(range(7))
    assert part.known.tolist() == [False, False, False, True, False, True, False]
    assert part.span_labels.tolist() == [-1, -1, -1, 1, -1, 0, -1]


def test_rows_come_oldest_first():
    parts = SPLIT.apply(DAILY[::-1].copy(), NOBODY, matured_is_genuine=True)
    assert parts.train.rows.tolist() == [39, 38, 37, 36, 35, 34, 33]


def test_a_part_without_labels_is_named():
    with pytest.raises(SplitError, match="training"):
        SPLIT.apply(DAILY, NOBODY, matured_is_genuine=False)


def test_a_part_is_told_to_lack_labels_or_events():
    given = history((3, 1, 8.0))
    with pytest.raises(SplitError, match="The validation part has no labelled event"):
        SPLIT.apply(DAILY, given, matured_is_genuine=False)
    with pytest.raises(SplitError, match="The validation part has no event"):
        SPLIT.apply(DAILY[:9], given, matured_is_genuine=False, needs_labels=False)


def test_a_plan_leaves_out_what_has_not_matured():
    split = plan_split(0, 121 * DAY, delay=7 * DAY)
    assert split.test_end == pytest.approx(114 * DAY)
    assert split.train_end == pytest.approx(60 * DAY)
    assert split.validation_end == pytest.approx(87 * DAY)
    assert split.validation_start - split.train_end == 7 * DAY
    assert split.test_start - split.validation_end == 7 * DAY


def test_too_short_a_history_is_refused():
    with pytest.raises(SplitError, match="too few"):
        plan_split(0, 20 * DAY, delay=7 * DAY)
    with pytest.raises(SplitError, match="too short"):
        TimeSplit(train_start=0, train_end=1, validation_end=2, test_end=9, delay=5)


@pytest.mark.parametrize("ends", [(0, 19, 29), (9, 14, 29), (9, 19, 24)])
def test_a_part_without_any_time_is_refused(ends):
    train, validation, test = ends
    with pytest.raises(SplitError, match="too short"):
        TimeSplit(train_start=0, train_end=train, validation_end=validation, test_end=test, delay=5)


@pytest.mark.parametrize("start", [0, 20_000 * DAY])
def test_a_history_must_be_longer_than_three_delays_whenever_it_began(start):
    for plan in (plan_split, partial(prequential_splits, folds=2)):
        with pytest.raises(SplitError, match=r"^21\.0 days .* takes more than 21\.0\.$"):
            plan(start, start + 21 * DAY, delay=7 * DAY)
        assert plan(start, start + 21.5 * DAY, delay=7 * DAY)


def test_shares_need_not_add_up_to_one():
    few, many = (
        plan_split(0, 121 * DAY, delay=7 * DAY, shares=(3.0 * n, n, n)) for n in (0.2, 5.0)
    )
    assert list(few.bounds.values()) == [pytest.approx(part) for part in many.bounds.values()]


@pytest.mark.parametrize("delay", [-1.0, float("nan")])
def test_a_label_does_not_come_before_its_event(delay):
    with pytest.raises(SplitError, match="negative"):
        TimeSplit(train_start=0, train_end=9, validation_end=19, test_end=29, delay=delay)


def test_labels_that_come_at_once_need_no_days_between_the_parts():
    split = plan_split(0, 10 * DAY, delay=0)
    assert [end / DAY for _, end in split.bounds.values()] == pytest.approx([6, 8, 10])
    assert [start / DAY for start, _ in split.bounds.values()] == pytest.approx([0, 6, 8])


def test_a_young_event_without_a_label_is_never_a_negative():
    given = history((0, 1, 1.0), (8, 1, 9.0))
    found = given.matured(10 * DAY, DAILY[:10], delay=7 * DAY, matured_is_genuine=True)
    assert found.tolist() == [1, 0, 0, 0, -1, -1, -1, -1, 1, -1]


def test_where_nobody_reports_silence_says_nothing():
    given = history((0, 1, 1.0), (1, 0, 2.0))
    found = given.matured(10 * DAY, DAILY[:4], delay=DAY, matured_is_genuine=False)
    assert found.tolist() == [1, 0, -1, -1]


def test_what_had_not_matured_when_labels_were_read_is_left_out():
    parts = SPLIT.apply(DAILY, NOBODY, matured_is_genuine=True, known_at=38 * DAY)
    assert parts.test.rows.tolist() == [28, 29, 30, 31]


def test_each_day_lies_in_one_part_or_in_a_delay():
    named = [SPLIT.part_of(day * DAY) for day in (0, 7, 14, 21, 28, 35)]
    assert named == ["training", "", "validation", "", "test", ""]


def test_folds_walk_forward_and_each_is_judged_on_days_of_its_own():
    folds = prequential_splits(0, 131 * DAY, delay=7 * DAY, folds=4)
    assert [fold.test_end / DAY for fold in folds] == pytest.approx([91, 102, 113, 124])
    for earlier, later in pairwise(folds):
        assert later.test_start == pytest.approx(earlier.test_end, abs=1e-3)
        assert later.train_end > earlier.train_end
    for fold in folds:
        assert fold.test_start - fold.validation_end == 7 * DAY
        assert fold.validation_start - fold.train_end == 7 * DAY


def test_there_are_as_many_folds_as_were_asked_for_and_four_at_most():
    for asked, made in ((1, 1), (3, 3), (4, 4), (9, 4)):
        folds = prequential_splits(0, 131 * DAY, delay=7 * DAY, folds=asked)
        assert len(folds) == made
        assert folds[-1].test_end == pytest.approx(124 * DAY)
        assert {fold.train_start for fold in folds} == {0}


def test_folds_need_a_history():
    with pytest.raises(SplitError, match="too few"):
        prequential_splits(0, 20 * DAY, delay=7 * DAY, folds=4)
