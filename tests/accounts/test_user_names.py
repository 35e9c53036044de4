"""One user a name, in whatever letters it is written."""

import pytest
from django.core.exceptions import ValidationError

from accounts.selectors import AmbiguousName, find_user
from accounts.services import create_user
from accounts.user_forms import NewUserForm
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db
FULLWIDTH = "\uff21nn"


def test_fullwidth_letters_make_no_second_user_of_a_name(admin):
    create_user(username="ann", actor=admin)
    form = NewUserForm({"username": FULLWIDTH, "time_zone": "UTC"})
    assert not form.is_valid() and list(form.errors) == ["username"]
    with pytest.raises(ValidationError, match="Another user has this name"):
        create_user(username=FULLWIDTH, actor=admin)
    with pytest.raises(ValidationError, match="valid username"):
        create_user(username="\ufdfa", actor=admin)  # One letter that is kept as four words.
    assert create_user(username="\uff22en", actor=admin).username == "Ben"


def test_a_name_finds_who_has_it_exactly_else_the_only_one_in_other_letters(db):
    ann = UserFactory(username="ann")
    assert find_user("ANN") == find_user(FULLWIDTH) == ann
    capital = UserFactory(username="Ann")
    assert (find_user("ann"), find_user(FULLWIDTH)) == (ann, capital)
    with pytest.raises(AmbiguousName, match="Ann, ann"):
        find_user("ANN")
    assert find_user("nobody") is None
