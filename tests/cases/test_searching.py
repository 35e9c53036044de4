"""Words that few alerts hold, words that many hold: what is found, and how far it is counted."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cases import queue_counts, queue_page, searching
from cases.models import Alert
from cases.queue_models import AlertFacet, AlertText, SavedView
from cases.searching import HasWords, WordsRead, holding, newest_holding
from tests.cases.alerts import waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


@pytest.fixture
def few(monkeypatch):
    """Two alerts are few."""
    for module in (searching, queue_counts, queue_page):
        monkeypatch.setattr(module, "FEW", 2)


def text(response):
    return response.content.decode()


def saying(*texts):
    rows = waiting(len(texts))
    AlertText.objects.bulk_create(
        AlertText(alert=row, words=f" {words} ") for row, words in zip(rows, texts, strict=True)
    )
    return rows


def found(text, tokens=()):
    held = holding(text, list(tokens))
    return held if isinstance(held, list) else [row["alert"] for row in held]


SAID = (
    "card berlin 12", "cards 1234 paris", "scorecard berlin", "=token card2 x", "größe naïve 12",
)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "tokens", "which"),
    [
        ("card", (), {0, 1, 3}),
        ("ber", (), {0, 2}),
        ("card ber", (), {0}),
        ("12", (), {0, 1, 4}),
        ("größ", (), {4}),
        ("nothing", ("token",), {3}),
        ("nothing", (), set()),
        ("", ("token",), {3}),
    ],
)
@pytest.mark.parametrize("words", [HasWords, WordsRead])
def test_looking_up_and_reading_find_the_same(words, asked, tokens, which):
    rows = saying(*SAID)
    kept = words(searching.asked_words(asked), [searching.whole_word(t) for t in tokens])
    held = set(AlertText.objects.filter(kept).values_list("alert", flat=True))
    assert held == {rows[i].pk for i in which}


def test_few_are_named_and_many_are_a_question(few):
    rows = saying("rare common", "rare common", "common")
    assert sorted(holding("rare", [])) == sorted(row.pk for row in rows[:2])
    assert not isinstance(holding("common", []), list)
    assert sorted(found("common")) == sorted(row.pk for row in rows)


def test_the_newest_are_found_whether_few_or_many_hold_the_words(few):
    rows = saying("rare common", "rare common", "common")
    assert newest_holding("rare", [], most=1) == [rows[1].pk]
    assert newest_holding("common", [], most=2) == [rows[2].pk, rows[1].pk]


def test_what_is_typed_is_data(few):
    saying("o", "o", "o")
    for typed in ("'; drop", "o' | 'x", "% _", "\\"):
        assert found(typed, ["0a1b"]) == []


# --- The queue's counts --------------------------------------------------------------------------


def options(response, name):
    (select,) = [s for s in response.context["selects"] if s["name"] == name]
    return [label for _, label in select["options"]]


def test_counts_of_few_are_exact(few, reader):
    saying("rare", "rare")
    page = reader.get("/", {"q": "rare"})
    assert str(page.context["counted"]) == "2"
    assert "High (2)" in options(page, "level")
    assert "counted up to" not in text(page)


def test_counts_of_many_say_that_they_are_the_least(few, reader):
    saying("common", "common", "common")
    page = reader.get("/", {"q": "common"})
    assert "High (2+)" in options(page, "level")
    assert "2+ alerts, 1–2" in text(page)  # noqa: RUF001
    assert "counted up to 2" in text(page)


def test_without_words_every_count_is_exact_however_many(few, reader):
    saying("common", "common", "common")
    page = reader.get("/")
    assert "High (3)" in options(page, "level")
    assert "3 alerts, 1–3" in text(page)  # noqa: RUF001


def test_what_was_not_met_while_counting_can_be_chosen_all_the_same(few, reader, payments_detector):
    rows = saying("common", "common", "common", "common")
    other = AlertFacet.objects.create(detector=payments_detector, level=3, reason="amount")
    Alert.objects.filter(pk=rows[3].pk).update(facet=other, level=3)
    page = reader.get("/", {"q": "common"})
    assert "amount" in options(page, "reason") and "Critical" in options(page, "level")
    narrowed = reader.get("/", {"q": "common", "level": "CRITICAL"})
    assert [row.alert.pk for row in narrowed.context["rows"]] == [rows[3].pk]
    assert str(narrowed.context["counted"]) == "1"


def test_a_saved_view_for_words_is_counted_no_further(few, reader, analyst):
    saying("common", "common", "common rare")
    SavedView.objects.create(owner=analyst, name="Common", query="q=common")
    SavedView.objects.create(owner=analyst, name="Rare", query="q=rare")
    page = reader.get("/")
    counts = {tab["label"]: (tab["count"], tab["floor"]) for tab in page.context["tabs"]}
    assert (counts["Common"], counts["Rare"], counts["All"]) == ((2, True), (1, False), (3, False))
    assert '<span class="count">2+</span>' in text(page)


@pytest.mark.parametrize("words", ["rare", "common", "nothing"])
def test_a_search_costs_the_same_queries_however_many_match(
    few, reader, words, django_assert_max_num_queries
):
    saying(*["common"] * 6, "rare")
    reader.get("/")
    with django_assert_max_num_queries(20):
        reader.get("/", {"q": words})


def test_every_match_can_be_chosen_at_once_where_many_match(few, reader):
    rows = saying("common", "common", "common")
    reader.post(
        reverse("alerts_bulk"),
        {"act": "snooze:1h", "all": "1", "query": "q=common"},
    )
    asleep = Alert.objects.filter(snoozed_until__gt=timezone.now())
    assert asleep.count() == len(rows)


def test_the_palette_finds_what_many_alerts_say(few, reader):
    rows = saying("common", "common", "common")
    answer = reader.get(reverse("palette"), {"q": "common"})
    assert f"Alert {rows[-1].pk}" in text(answer)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the index is PostgreSQL's")
def test_words_are_looked_up_in_the_index(few):
    saying(*["common"] * 3)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = AlertText.objects.filter(HasWords(["rare"], [])).explain()
    assert "alert_words" in plan


def reads(queries):
    """Those that read the words of alert after alert."""
    sign = "strpos" if connection.vendor == "postgresql" else "LIKE"
    return [
        one["sql"]
        for one in queries
        if sign in one["sql"] and '"cases_alert"."status"' in one["sql"]
    ]


def test_words_that_many_hold_are_read_once_and_every_page_keeps_the_order(monkeypatch, reader):
    for module in (searching, queue_counts, queue_page):
        monkeypatch.setattr(module, "FEW", 4)
    monkeypatch.setattr(queue_page, "PAGE_SIZE", 2)
    rows = saying(*["common"] * 6)
    for i, row in enumerate(rows):
        Alert.objects.filter(pk=row.pk).update(loss_per_minute=i)
    wanted = [row.pk for row in reversed(rows)][:4]
    shown = []
    for number in (1, 2):
        with CaptureQueriesContext(connection) as queries:
            page = reader.get("/", {"q": "common", "page": number})
        assert len(reads(queries)) == 1
        shown += [row.alert.pk for row in page.context["rows"]]
    assert shown == wanted
    narrowed = reader.get("/", {"q": "common", "owner": "none"})
    assert [row.alert.pk for row in narrowed.context["rows"]] == wanted[:2]


def test_words_that_many_hold_but_no_open_alert_are_read_once_too(few, reader):
    rows = saying("common", "common", "common", "other")
    Alert.objects.filter(pk__in=[row.pk for row in rows[:3]]).update(status="closed")
    with CaptureQueriesContext(connection) as queries:
        page = reader.get("/", {"q": "common"})
    assert len(reads(queries)) == 1
    assert page.context["rows"] == []
    assert str(page.context["counted"]) == "0"
