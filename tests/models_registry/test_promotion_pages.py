"""The pages of a promotion and of a challenger in shadow: who sees what, who may do what."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from models_registry.approvals import request_promotion
from models_registry.guarding import watch_promotions
from models_registry.models import ModelVersion
from models_registry.promotion import promote, roll_back
from models_registry.promotion_models import PromotionGuard, PromotionRequest
from models_registry.shadow_models import Shadow
from models_registry.shadow_scoring import shadow_some
from models_registry.verdicts import alike
from scoring.deployment import serving
from scoring.models import Prediction
from tests.models_registry.rivals import other_digest, rivals, shadow_of, traffic
from tests.models_registry.versions import VersionFactory, comparison, moved_from

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "decide"}


@pytest.fixture
def versions(payments_detector, payments_digest):
    found = rivals(payments_detector, payments_digest)
    found[1].comparison = comparison(payments_digest)
    found[1].save(update_fields=["comparison"])
    return found


def page(client, user, version):
    client.force_login(user)
    answer = client.get(version.get_absolute_url())
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_who_asked_sees_it_pending_and_the_second_person_sees_the_decision(
    client, owner, second_owner, analyst, versions
):
    request_promotion(versions[1], actor=owner, reason="It is cheaper.")
    mine = page(client, owner, versions[1])
    assert "Waits for a second person" in mine
    assert "You asked for it, so a second person decides." in mine
    assert ('id="withdraw"' in mine, 'id="approve"' in mine) == (True, False)
    theirs = page(client, second_owner, versions[1])
    assert "It is cheaper." in theirs
    assert "surely ranks better" in theirs
    assert 'id="approve"' in theirs
    outside = page(client, analyst, versions[1])
    assert "Waits for a second person" in outside
    assert 'id="approve"' not in outside


def test_moved_thresholds_are_not_told_as_a_newer_training(client, owner, versions):
    request_promotion(versions[1], actor=owner)
    moved_from(versions[0], VersionFactory(detector=versions[0].detector, number=7))
    assert "was trained since" not in page(client, owner, versions[1])
    VersionFactory(detector=versions[0].detector, number=8)
    assert "v8 was trained since" in page(client, owner, versions[1])


def test_who_trained_it_is_told_why_they_cannot_approve(client, owner, second_owner, versions):
    ModelVersion.objects.filter(pk=versions[1].pk).update(trained_by=second_owner)
    request_promotion(versions[1], actor=owner)
    found = page(client, second_owner, versions[1])
    assert "You trained v2, so a second person decides." in found
    assert 'id="approve"' not in found


def test_what_no_comparison_backs_any_more_has_no_button_that_could_only_fail(
    client, owner, second_owner, versions
):
    asked = request_promotion(versions[1], actor=owner)
    assert 'id="approve"' in page(client, second_owner, versions[1])
    ModelVersion.objects.filter(pk=versions[1].pk).update(comparison={})
    shown = page(client, second_owner, versions[1])
    assert 'id="approve"' not in shown and 'id="refuse"' in shown
    assert "cannot be approved now" in shown
    PromotionRequest.objects.filter(pk=asked.pk).update(override=True)
    assert 'id="approve"' in page(client, second_owner, versions[1])
    owner.groups.clear()
    shown = page(client, second_owner, versions[1])
    assert 'id="approve"' not in shown and "may not promote any more" in shown


def test_approving_ones_own_is_403_in_words_and_changes_nothing(client, owner, versions):
    asked = request_promotion(versions[1], actor=owner)
    client.force_login(owner)
    answer = client.post(reverse("promotion_approve", args=[asked.pk]), headers=HTMX)
    assert answer.status_code == 403
    assert "a second person has to approve it" in answer.content.decode()
    assert serving("payments").version == "v1"


@pytest.mark.parametrize("name", ["approve", "refuse", "withdraw"])
def test_strangers_outsiders_and_analysts_decide_nothing(
    client, outsider, analyst, owner, versions, name
):
    asked = request_promotion(versions[1], actor=owner)
    url = reverse(f"promotion_{name}", args=[asked.pk])
    assert client.post(url).status_code == 302
    for user in (outsider, analyst):
        client.force_login(user)
        assert client.post(url).status_code == 403
    client.force_login(owner)
    assert client.get(url).status_code == 405
    assert PromotionRequest.objects.get().status == "pending"


def test_a_refusal_needs_a_note_and_who_asked_reads_it(client, owner, second_owner, versions):
    asked = request_promotion(versions[1], actor=owner)
    client.force_login(second_owner)
    refuse = reverse("promotion_refuse", args=[asked.pk])
    assert client.post(refuse, headers=HTMX).status_code == 422
    client.post(refuse, {"reason": "Wait for October."})
    assert "“Wait for October.”" in page(client, owner, versions[1])


def test_an_override_is_asked_for_with_a_reason_and_marked(
    client, owner, second_owner, versions, payments_digest
):
    versions[1].comparison = comparison(payments_digest, verdict="worse", cheaper="worse")
    versions[1].save(update_fields=["comparison"])
    assert "No comparison backs a promotion." in page(client, owner, versions[1])
    url = reverse("model_promote", args=[versions[1].pk])
    answer = client.post(url, {"override": "yes"}, headers=HTMX)
    assert answer.status_code == 422
    assert "needs a written reason" in answer.content.decode()
    client.post(url, {"override": "yes", "reason": "The old source ends in May."})
    client.force_login(second_owner)
    client.post(reverse("promotion_approve", args=[PromotionRequest.objects.get().pk]))
    found = page(client, owner, versions[1])
    assert "No passing comparison backed it" in found
    assert "Override" in found


def test_where_one_person_decides_alone_the_page_says_so_loudly(client, owner, versions, settings):
    settings.FOUR_EYES = False
    assert "one person decides alone" in page(client, owner, versions[1])
    url = reverse("model_promote", args=[versions[1].pk])
    client.post(url, {"reason": "I am the only one here."})
    assert serving("payments").version == "v2"
    assert "promoted it alone, without a second person" in page(client, owner, versions[1])


def test_the_models_page_tells_of_a_request_and_of_a_roll_back(client, owner, analyst, versions):
    request_promotion(versions[1], actor=owner)
    client.force_login(analyst)
    assert "owner asks to promote" in client.get(reverse("model_list")).content.decode()
    promote(versions[1], actor=None, reason="test")
    guard = PromotionGuard.objects.get()
    PromotionGuard.objects.filter(pk=guard.pk).update(
        state="broken", ended_at=timezone.now(), breaches=[{"guard": "latency", "text": "Slow."}]
    )
    ModelVersion.objects.filter(pk=versions[1].pk).update(stage="retired")
    ModelVersion.objects.filter(pk=versions[0].pk).update(stage="champion")
    text = client.get(reverse("model_list")).content.decode()
    assert "by its guard" in text
    assert "Slow." in text
    for version in versions:
        assert "by its guard" in page(client, analyst, version)


def test_a_champion_that_is_watched_says_so(client, analyst, versions):
    promote(versions[1], actor=None, reason="test")
    watch_promotions(now=timezone.now())
    versions[1].refresh_from_db()
    assert "A guard compares it with v1" in page(client, analyst, versions[1])


def test_a_champion_that_could_not_be_rolled_back_comes_first_on_the_models_page(
    client, analyst, guard, cards_detector
):
    client.force_login(analyst)
    address = reverse("model_list")
    names = [panel.detector.slug for panel in client.get(address).context["panels"]]
    assert names == ["cards", "payments"]
    PromotionGuard.objects.update(fault="It could not be rolled back: its bundle is gone.")
    shown = client.get(address)
    assert [panel.detector.slug for panel in shown.context["panels"]] == ["payments", "cards"]
    assert "broke its guard and still serves. It could not be rolled back" in " ".join(
        shown.content.decode().split()
    )


def test_a_champion_that_is_not_watched_is_not_said_to_have_broken_its_guard(
    client, analyst, guard, cards_detector
):
    client.force_login(analyst)
    PromotionGuard.objects.update(fault="Its guard could not look (SpecError).")
    shown = client.get(reverse("model_list"))
    assert [panel.detector.slug for panel in shown.context["panels"]] == ["cards", "payments"]
    text = " ".join(shown.content.decode().split())
    assert "</a> serves and is not watched. Its guard could not look (SpecError)." in text
    assert "broke its guard" not in text


# --- Shadow -------------------------------------------------------------------------------------


def run(shadow):
    shadow.refresh_from_db()
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=10_000)


def test_a_shadow_is_shown_on_the_version_and_in_the_list(client, analyst, versions):
    shadow = shadow_of(versions[1])
    rows = traffic(40)
    run(shadow)
    found = page(client, analyst, versions[1])
    assert "In shadow on live traffic" in found
    assert f"{shadow.more} more, {shadow.less} fewer" in found
    assert "Not compared yet" in found
    assert 'id="shadow-scores"' in found
    client.force_login(analyst)
    listed = client.get(reverse("model_list")).content.decode()
    assert f"% of {len(rows)}" in listed
    more, less = (
        f'<span class="nowrap">{n}</span>'
        for n in (f"+{shadow.more}", f"\N{MINUS SIGN}{shadow.less}")
    )
    assert f"{more} {less} alerts" in " ".join(listed.split())


def test_what_serves_is_no_longer_in_shadow(client, owner, versions):
    shadow_of(versions[1])
    traffic(10)
    run(Shadow.objects.get())
    promote(versions[1], actor=None, reason="test")
    assert Shadow.objects.get().state == "ended"
    Shadow.objects.update(state="running")  # A worker that was late.
    versions[1].refresh_from_db()
    found = page(client, owner, versions[1])
    assert '<span class="tag">Over</span>' in found
    assert not any(f'id="shadow-{act}"' in found for act in ("start", "stop", "judge"))
    assert '<span class="more">over</span>' in client.get(reverse("model_list")).content.decode()


def test_what_newer_challengers_displaced_takes_a_word_of_the_list(client, analyst, versions):
    shadow_of(versions[1])
    traffic(10)
    run(Shadow.objects.get())
    Shadow.objects.update(state="displaced")
    client.force_login(analyst)
    listed = client.get(reverse("model_list")).content.decode()
    assert '<span class="more">displaced</span>' in listed
    assert 'title="Displaced by newer challengers: how many of' in listed


def test_a_shadow_that_is_over_promises_no_comparison(client, owner, versions):
    shadow = shadow_of(versions[1])
    traffic(10)
    run(shadow)
    assert "Not compared yet" in page(client, owner, versions[1])
    promote(versions[1], actor=None, reason="test")
    versions[1].refresh_from_db()
    found = page(client, owner, versions[1])
    assert "Not compared yet" not in found
    assert "what it scored is not compared any more" in found


def test_a_roll_back_by_hand_ends_the_guard(versions):
    promote(versions[1], actor=None, reason="test")
    roll_back(versions[0].detector, actor=None, reason="test")
    assert PromotionGuard.objects.get().state == "ended"


def test_a_lone_bar_of_live_scores_is_drawn(client, analyst, versions):
    histogram = {"champion": [0] * 19 + [2], "challenger": [30] + [0] * 19}
    shadow_of(versions[1], rows=32, agreed=30, more=2, histogram=histogram)
    client.force_login(analyst)
    figure = client.get(versions[1].get_absolute_url()).context["shadow"].figure
    assert [trace["type"] for trace in figure["data"]] == ["bar", "bar"]
    assert figure["data"][0]["y"][-1] == 1.0
    assert figure["data"][1]["y"][1:] == [None] * 19
    assert figure["layout"]["yaxis"]["range"][0] < 0


@pytest.mark.parametrize(
    ("agreed", "rows", "said"),
    [
        (4000, 4000, "100.0\u202f% of 4,000"),
        (3997, 4000, "all but 3 of 4,000"),
        (3900, 4000, "97.5\u202f% of 4,000"),
        (0, 0, "\N{EN DASH} of 0"),
    ],
)
def test_full_agreement_is_claimed_only_where_it_is_full(agreed, rows, said):
    assert alike(agreed, rows) == said


def test_a_comparison_is_told_in_words(client, analyst, versions, payments_digest):
    shadow = shadow_of(versions[1])
    traffic(20)
    run(shadow)
    difference = {
        "champion": 0.3, "candidate": 0.25, "difference": -0.05, "low": -0.08, "high": -0.01,
    }  # fmt: skip
    Shadow.objects.update(
        compared_at=timezone.now(),
        comparison={
            "verdict": "better", "reason": "Its decisions cost less.", "rows": 900, "positives": 40,
            "days": 9, "unlabelled": 12, "coverage": "complete", "k": 5, "cost": difference,
            "sequence": {"mean": 0.05, "low": 0.01, "high": 0.09, "units": 30, "alpha": 0.05},
            "cards": difference | {"difference": 0.1, "low": 0.0, "high": 0.2},
            "mcnemar": {"champion_only": 3, "candidate_only": 19, "p": 0.001},
            "champion_digest": payments_digest,
        },
    )  # fmt: skip
    found = page(client, analyst, versions[1])
    assert "Better on live traffic" in found
    assert "it alone was right 19 times and the champion alone 3 times" in found
    assert "12 without one count for nothing" in found
    assert "The same, at any look" in found
    assert "On live traffic: Its decisions cost less." not in found  # for who may promote
    assert "at best" not in found
    judged = Shadow.objects.get().comparison | {"ceiling": 0.4}
    Shadow.objects.update(comparison=judged)
    assert "40.0 % at best" in page(client, analyst, versions[1])


def test_owners_start_stop_and_compare_others_may_not(
    client, owner, analyst, outsider, versions, monkeypatch
):
    monkeypatch.setattr("models_registry.promotion_views.announce_job", lambda job: None)
    start, stop, judge = (
        reverse(name, args=[versions[1].pk])
        for name in ("shadow_start", "shadow_stop", "shadow_judge")
    )
    for user in (analyst, outsider):
        client.force_login(user)
        assert [client.post(url).status_code for url in (start, stop, judge)] == [403] * 3
    client.force_login(owner)
    assert "never in shadow" in client.post(judge).content.decode()
    client.post(start)
    assert Shadow.objects.get().state == "running"
    client.post(judge)
    assert Job.objects.get().kind == "models_registry.shadow"
    client.post(stop)
    assert Shadow.objects.get().state == "stopped"
    answer = client.post(stop)
    assert answer.status_code == 422
    assert "v2 is not in shadow." in answer.content.decode()


def test_the_pages_cost_the_same_queries_for_any_traffic(client, owner, versions):
    client.force_login(owner)
    spent = []
    shadow = shadow_of(versions[1])
    for n in (5, 60):
        traffic(n, seed=n)
        run(shadow)
        with CaptureQueriesContext(connection) as one:
            client.get(versions[1].get_absolute_url())
        with CaptureQueriesContext(connection) as many:
            client.get(reverse("model_list"))
        spent.append((len(one), len(many)))
        third = VersionFactory(
            detector=versions[0].detector, number=n, digest=other_digest(review=n / 1000)
        )
        shadow_of(third)
    assert spent[0] == spent[1]
    assert spent[0][0] <= 16
    assert spent[0][1] <= 12
    assert Prediction.objects.count() == 65
