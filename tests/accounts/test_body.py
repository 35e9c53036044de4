"""What bodies of requests are read as."""

import pytest
from rest_framework.exceptions import ValidationError

from accounts.body import Number, Text


@pytest.mark.parametrize("said", [5555555555555, 1.5, True, ["a"], {}])
def test_text_is_not_made_of_anything_else(said):
    with pytest.raises(ValidationError):
        Text().run_validation(said)


@pytest.mark.parametrize("said", [True, False, "lots", [1]])
def test_a_number_is_not_made_of_true_or_false(said):
    with pytest.raises(ValidationError):
        Number().run_validation(said)


def test_what_is_text_or_a_number_stays_what_it_is():
    assert (Text().run_validation("123"), Number().run_validation(60)) == ("123", 60.0)
