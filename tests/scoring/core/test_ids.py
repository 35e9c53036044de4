from itertools import pairwise

from scoring.core.ids import uuid7


def test_identifiers_are_in_the_order_of_time():
    made = [uuid7(milliseconds) for milliseconds in range(1_800_000_000_000, 1_800_000_000_050)]
    assert all(a < b for a, b in pairwise(made))
    assert made[0].int >> 80 == 1_800_000_000_000


def test_identifiers_of_one_instant_differ():
    made = {uuid7(1_800_000_000_000) for _ in range(1000)}
    assert len(made) == 1000
    assert {(u.version, u.variant) for u in made} == {(7, "specified in RFC 4122")}
