"""The index of links: complete, counted once, made of tokens, kept up behind scoring."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts import vault
from cases import linking
from cases.linking import index_links, links_known_until, rebuild_links
from cases.links_models import EntityLink, KnownEntity, LinkProgress, SharedValue
from scoring.labelling import record_label
from scoring.models import Detector, Label, Prediction
from tests.factories import card, config_of, fraud, payment, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))


def sent(*who, **changed):
    """One payment of each (user, device)."""
    raws = [payment(user_id=user, device_id=device, **changed) for user, device in who]
    return scored_many("payments", raws)


def label(row, is_fraud):
    record_label(row, is_fraud=is_fraud, source=Label.Source.ANALYST, label_time=timezone.now())


def counts():
    return (
        sorted(EntityLink.objects.values_list("field", "events")),
        sorted(SharedValue.objects.values_list("shown", "entities")),
        sorted(KnownEntity.objects.values_list("events", "frauds", "legitimate")),
    )


def test_who_shares_a_device_is_in_the_index():
    sent(("ada", "phone"), ("ben", "phone"), ("ben", "phone"), ("cleo", "tablet"))
    index_links()
    assert sorted(SharedValue.objects.values_list("field", "shown", "entities")) == [
        ("device_id", "phone", 2), ("device_id", "tablet", 1),
    ]  # fmt: skip
    phone = EntityLink.objects.filter(token=vault.token("device_id", "phone"))
    assert sorted(phone.values_list("events", flat=True)) == [1, 2]


def test_a_second_sweep_and_a_later_one_count_nothing_twice():
    sent(("ada", "phone"))
    assert index_links() == 1
    before = counts()
    assert index_links() == 0
    assert counts() == before
    sent(("ada", "phone"), ("ben", "phone"))
    index_links()
    assert SharedValue.objects.get().entities == 2
    assert sorted(EntityLink.objects.values_list("events", flat=True)) == [1, 2]


def test_small_chunks_and_a_rebuild_give_the_same_index(monkeypatch):
    rows = sent(("ada", "phone"), ("ben", "phone"), ("ben", "tablet"), ("cleo", "phone"))
    label(rows[0], True)
    index_links()
    whole = counts()
    rebuild_links()
    assert counts() == ([], [], [])
    monkeypatch.setattr(linking, "_chunk", lambda: 1)
    index_links()
    assert counts() == whole


def test_a_sweep_takes_about_so_many_and_the_next_goes_on(monkeypatch):
    sent(("ada", "phone"), ("ben", "phone"), ("ben", "tablet"))
    monkeypatch.setattr(linking, "_chunk", lambda: 1)
    assert index_links(most=2) == 2
    assert sum(EntityLink.objects.values_list("events", flat=True)) == 2
    assert index_links() == 1


def test_on_sqlite_a_sweep_lets_others_write_between_short_chunks(monkeypatch):
    """As long as it works; on PostgreSQL nobody waits for it."""
    rests = []
    monkeypatch.setattr(linking.time, "sleep", rests.append)
    monkeypatch.setattr(linking, "SHORT_CHUNK", 1)
    sent(("ada", "phone"), ("ben", "phone"))
    index_links()
    assert (len(rests) >= 2) is (connection.vendor == "sqlite")
    assert all(0 < rest < 5 for rest in rests)


def test_two_sweeps_at_once_count_once(monkeypatch):
    sent(("ada", "phone"))
    stale = linking.hold_mark()
    index_links()
    monkeypatch.setattr(linking, "hold_mark", lambda: stale)
    assert index_links() == 0
    assert EntityLink.objects.get().events == 1


def test_what_only_just_arrived_waits(monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=60))
    sent(("ada", "phone"))
    assert index_links() == 0
    assert not EntityLink.objects.exists()
    assert links_known_until() < timezone.now()


def test_the_mark_does_not_pass_over_one_that_is_too_young():
    first, _ = sent(("ada", "phone"), ("ben", "phone"))
    rows = Prediction.objects.order_by("pk")
    young, arrived = rows[0], first.received_at
    Prediction.objects.filter(pk=young.pk).update(received_at=arrived + timedelta(days=1))
    assert index_links() == 0
    Prediction.objects.filter(pk=young.pk).update(received_at=arrived)
    assert index_links() == 2


def test_the_mark_does_not_pass_over_what_is_scored_beside_one_that_had_waited(monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=60))
    long_ago = timezone.now() - timedelta(hours=1)
    [row] = sent(("ada", "phone"))
    Prediction.objects.filter(pk=row.pk).update(received_at=long_ago)
    assert index_links() == 0


def test_times_and_numbers_come_from_the_events():
    sent(("ada", "phone"), timestamp="2020-06-02T10:00:00+00:00")
    sent(("ada", "phone"), timestamp="2020-06-01T10:00:00+00:00")
    index_links()
    link = EntityLink.objects.get()
    assert (link.first_seen.day, link.last_seen.day, link.events) == (1, 2, 2)


def test_personal_data_is_kept_as_a_token_and_shown_masked():
    config = config_of("payments")
    config["event"]["links"] = ["user_name"]
    Detector.objects.filter(slug="payments").update(config=config)
    sent(("ada", None), user_name="Ada Lovelace")
    index_links()
    assert EntityLink.objects.get().token == vault.token("user_name", "Ada Lovelace")
    assert SharedValue.objects.get().shown == "••••lace"
    assert KnownEntity.objects.get().shown.startswith("••••")


def test_labels_are_counted_by_the_newest_and_a_correction_moves_one():
    first, second = sent(("ada", "phone"), ("ada", "phone"))
    label(first, True)
    label(second, True)
    index_links()
    assert (KnownEntity.objects.get().frauds, KnownEntity.objects.get().legitimate) == (2, 0)
    label(first, False)
    index_links()
    index_links()
    assert (KnownEntity.objects.get().frauds, KnownEntity.objects.get().legitimate) == (1, 1)


def test_a_detector_that_links_by_nothing_is_passed_over(fraud_detector):
    scored_many("fraud", [fraud()])
    assert index_links() == 1
    assert not KnownEntity.objects.exists()


def test_the_command_takes_in_everything(capsys):
    sent(("ada", "phone"), ("ben", "phone"))
    call_command("index_links")
    call_command("index_links", "--rebuild")
    assert SharedValue.objects.get().entities == 2
    assert LinkProgress.objects.count() == 1


def test_a_sweep_costs_the_same_queries_for_any_number_of_rows(django_assert_max_num_queries):
    for rows in (1, 150):
        sent(*[(f"user-{i}", f"device-{i % 7}") for i in range(rows)])
        # In a transaction: progress, held (and its making), rows, detectors, mark, three inserts;
        # the same for labels, of which there are none, and for those taken back.
        with django_assert_max_num_queries(17):
            index_links()


def test_labels_cost_the_same_queries_for_any_number_of_entities(django_assert_max_num_queries):
    rows = sent(*((f"user-{i}", f"device-{i}") for i in range(60)))
    index_links()
    for row in rows:
        label(row, is_fraud=False)
    with django_assert_max_num_queries(15):
        assert index_links() == 60
    assert set(KnownEntity.objects.values_list("frauds", "legitimate")) == {(0, 1)}


def test_an_entity_of_two_detectors_is_counted_by_each_for_itself(cards_detector, monkeypatch):
    monkeypatch.setattr(linking, "BATCH", 1)  # both are found by one name, in batches of their own
    [payment_row] = sent(("ada", "phone"))
    [card_row] = scored_many("cards", [card(1)])
    index_links()
    token = KnownEntity.objects.get(detector=payment_row.detector).entity
    KnownEntity.objects.filter(detector=card_row.detector).update(entity=token)
    Prediction.objects.filter(pk=card_row.pk).update(entity=token)
    label(payment_row, is_fraud=True)
    label(card_row, is_fraud=False)
    index_links()
    held = KnownEntity.objects.values_list("detector__slug", "frauds", "legitimate")
    assert sorted(held) == [("cards", 0, 1), ("payments", 1, 0)]
