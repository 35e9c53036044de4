"""`training.guard` of a declaration: defaults, what is read, and what is told as wrong."""

import pytest

from scoring.core.guard_spec import GuardSpec
from scoring.core.reader import SpecError
from scoring.core.spec import parse_spec
from tests.factories import config_of


def guard_of(**guard):
    config = config_of("fraud")
    config["training"] = dict(config["training"]) | {"guard": guard}
    return parse_spec(config).training.guard


def test_every_setting_has_a_default():
    assert parse_spec(config_of("fraud")).training.guard == GuardSpec() == guard_of()


def test_what_is_declared_is_read():
    found = guard_of(events=2000, latency=1.5, watch="3d", enabled=False)
    assert (found.events, found.latency, found.watch, found.enabled) == (
        2000, 1.5, 3 * 86400.0, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("guard", "place"),
    [
        ({"latency": 0.5}, "training.guard.latency"),
        ({"latency": float("nan")}, "training.guard.latency"),
        ({"cost": "much"}, "training.guard.cost"),
        ({"fewer_alerts": 0.2}, "training.guard.fewer_alerts"),
        ({"degraded": 1.5}, "training.guard.degraded"),
        ({"recall": 0}, "training.guard.recall"),
        ({"events": 0}, "training.guard.events"),
        ({"enabled": "yes"}, "training.guard.enabled"),
        ({"watch": "long"}, "training.guard.watch"),
        ({"p99": 2.0}, "training.guard.p99"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(guard, place):
    with pytest.raises(SpecError) as told:
        guard_of(**guard)
    assert [where for where, _ in told.value.problems] == [place]


def test_a_guard_that_is_no_mapping_is_told():
    config = config_of("fraud")
    config["training"] = dict(config["training"]) | {"guard": [1]}
    with pytest.raises(SpecError, match="mapping"):
        parse_spec(config)
