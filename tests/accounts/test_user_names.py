"""One user a name, in whatever letters it is written."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts.lockout import MAX_FAILURES, locked_for, locked_names, note_failed_login
from accounts.selectors import AmbiguousName, failed_logins, find_user, list_keys
from accounts.services import create_user, unlock_user
from accounts.user_forms import NewUserForm
from accounts.usernames import folded
from tests.accounts.factories import UserFactory, key_for

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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u00c4rger", "\u00e4rger"),
        ("\u00c4rger", "A\u0308RGER"),
        ("Stra\u00dfe", "STRASSE"),
        ("\u0416anna", "\u0436ANNA"),
        ("Ann", FULLWIDTH),
        ("ann\0", " ANN "),
    ],
)
def test_names_that_differ_in_letters_alone_are_one(one, other):
    assert folded(one) == folded(other) == folded(folded(one))


def test_a_name_is_folded_to_what_a_column_holds():
    assert len(folded("\u00df" * 150)) == 150
    assert folded("anna") != folded("\u00e4nna")


def test_a_name_of_any_script_is_locked_shown_and_unlocked(client, admin):
    user = create_user(username="\u00c4rger", actor=admin)
    for name in ("\u00c4rger", "\u00e4rger", "\u00c4RGER", "A\u0308rger", "\u00e4RGER"):
        note_failed_login(name, "10.0.0.1")
    assert locked_for("\u00e4rger", "10.0.0.1")
    assert locked_names(["\u00c4rger"]) == {folded("\u00c4rger")}
    assert failed_logins(user, 5)[0][0].failures == MAX_FAILURES
    client.force_login(admin)
    shown = client.get(reverse("user_list"), {"q": "rger"}).context["rows"][0]
    assert shown["locked"] and client.get(user.get_absolute_url()).context["is_locked"]
    assert unlock_user(user, actor=admin) == 1
    assert locked_for("\u00c4rger", "10.0.0.1") is None


def test_no_twin_of_a_name_in_any_script(admin):
    user = create_user(username="\u00c4rger", actor=admin)
    for twin in ("\u00e4rger", "A\u0308RGER"):
        assert "username" in NewUserForm({"username": twin, "time_zone": "UTC"}).errors
        with pytest.raises(ValidationError, match="Another user has this name"):
            create_user(username=twin, actor=admin)
        assert find_user(twin) == user
    key, _ = key_for(user)
    assert list(list_keys(timezone.now(), owner="\u00e4RGER")) == [key]
