"""The command palette finds pages, entities, alerts, cases and views within a budget."""

import pytest
from django.urls import reverse

from cases import palette_views
from cases.queue_models import SavedView
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


@pytest.fixture
def find(client, analyst):
    client.force_login(analyst)
    return lambda q: client.get(reverse("palette"), {"q": q}).content.decode()


def test_numbers_lead_to_the_alert_and_the_case(find, analyst):
    case = case_of(analyst, "a")
    alert = case.alerts.get()
    assert alert.get_absolute_url() in find(str(alert.pk))
    assert case.get_absolute_url() in find(f"#{case.pk}")
    assert "/alerts/" not in find("9" * 30)


def test_an_entity_is_found_by_its_whole_name_and_shown_masked(find):
    alert = alert_of("somebody-special")
    found = find("somebody-special")
    assert reverse("entity_detail", args=["payments", alert.entity]) in found
    assert "••••cial" in found
    assert reverse("entity_detail", args=["payments", alert.entity]) not in find("somebody")


def test_words_views_and_titles_lead_there(find, analyst):
    alert, case = alert_of("b"), case_of(analyst, "a")
    SavedView.objects.create(owner=analyst, name="High loss", query="low=1000")
    assert alert.get_absolute_url() in find("berlin")
    assert case.get_absolute_url() in find("odd")
    assert "/?low=1000" in find("loss")


def test_titles_of_the_newest_cases_are_looked_through_and_the_list_has_all(
    find, analyst, monkeypatch
):
    monkeypatch.setattr(palette_views, "NEWEST", 1)
    old, new = case_of(analyst, "a"), case_of(analyst, "b")
    found = find("odd")
    assert (old.get_absolute_url() in found, new.get_absolute_url() in found) == (False, True)
    assert f"{reverse('case_list')}?status=all&amp;q=odd" in found


def test_the_queries_do_not_grow_with_what_is_stored(find, analyst, django_assert_max_num_queries):
    for users in (["a"], ["b", "c", "d", "e"]):
        case_of(analyst, *users)
        for user in users:
            alert_of(f"{user}2")
        # Session, user, permissions (two); numbers (two); views; detectors; entities; words; the
        # alerts that say them; cases; the frame's banner.
        with django_assert_max_num_queries(13):
            find("12")


@pytest.mark.parametrize("text", ["", " ", "\0", "'", "%", "a" * 5000, "\\", "<script>"])
def test_nonsense_is_no_error_and_is_escaped(find, text):
    assert "<script>" not in find(text)


def test_an_outsider_finds_nothing_and_a_stranger_signs_in(client, outsider):
    alert = alert_of("somebody-special")
    assert reverse("login") in client.get(reverse("palette")).url
    client.force_login(outsider)
    for text in (str(alert.pk), "somebody-special", "berlin"):
        assert "option" not in client.get(reverse("palette"), {"q": text}).content.decode()
