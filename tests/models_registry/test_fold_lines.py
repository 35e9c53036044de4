"""Metrics over the folds of an evaluation, as the page shows them."""

from models_registry.metric_rows import fold_lines


def lines_of(name, values, *, mean=None):
    """The lines of one metric; `mean` as the evaluation kept it."""
    folds = [{name: value} for value in values]
    metrics = {"folds": folds, "mean": {name: mean}, "std": {name: None}}
    return fold_lines(metrics, currency="EUR")


def test_the_mean_is_over_the_folds_that_have_a_value_and_says_of_how_many():
    [line] = lines_of("recall", [0.25, None, 0.75, None])
    assert line.mean.endswith("(2 of 4 folds)")
    [full] = lines_of("recall", [0.25, 0.75], mean=0.5)
    assert full.mean == line.mean.removesuffix(" (2 of 4 folds)")
    assert full.spread == line.spread
    assert len(line.each) == 4


def test_no_value_at_all_is_no_mean():
    [line] = lines_of("recall", [None, None])
    assert line.mean == line.spread == line.each[0].text
    assert "folds" not in line.mean
