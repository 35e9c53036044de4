"""A version's page: the verdict in words; promote, reject, roll back."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from models_registry.models import PromotionDecision
from models_registry.promotion import promote, roll_back
from models_registry.promotion_models import PromotionRequest
from models_registry.tuning_models import TuningTrial
from scoring.deployment import serving
from tests.models_registry.versions import VersionFactory, comparison

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "decide"}


def text_of(response):
    return response.content.decode()


@pytest.fixture
def versions(payments_detector, payments_digest):
    """v1 serves; v2 and v3 wait. All have a bundle that loads."""
    first = VersionFactory(detector=payments_detector, number=1, digest=payments_digest)
    promote(first, actor=None)
    waiting = [
        VersionFactory(
            detector=payments_detector,
            number=number,
            digest=payments_digest,
            comparison=comparison(payments_digest),
        )
        for number in (2, 3)
    ]
    return [first, *waiting]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "v2 is better than v1, and its decisions cost less."),
        ({"verdict": "undecided", "cheaper": "undecided"}, "not surely better or worse than v1"),
        ({"verdict": "worse", "cheaper": "worse"}, "v2 is worse than v1, and its decisions cost"),
        ({"cost": None, "cheaper": "undecided"}, "v2 is better than v1."),
        ({"positives": 4}, "Only 4 positives were known"),
        ({"champion_saw_test_rows": True}, "v1 learnt from some of these events"),
    ],
)
def test_the_verdict_stands_first_and_in_words(
    client, analyst, versions, payments_digest, changed, said
):
    versions[1].comparison = comparison(payments_digest, **changed)
    versions[1].save(update_fields=["comparison"])
    client.force_login(analyst)
    assert said in text_of(client.get(versions[1].get_absolute_url()))


@pytest.mark.parametrize(
    ("verdict", "cheaper", "said"),
    [
        ("undecided", "better", "Promoting it is well founded by its cost."),
        ("better", "undecided", "Promoting it is well founded by its ranking."),
        ("undecided", "undecided", "The difference may be luck"),
        ("undecided", "worse", "Keep the champion."),
        ("better", "worse", "Better in one way and surely worse in another"),
    ],
)
def test_headline_advice_and_evidence_say_the_same(
    client, owner, versions, payments_digest, verdict, cheaper, said
):
    versions[1].comparison = comparison(payments_digest, verdict=verdict, cheaper=cheaper)
    versions[1].save(update_fields=["comparison"])
    client.force_login(owner)
    page = text_of(client.get(versions[1].get_absolute_url()))
    assert said in page
    backed = "surely costs less" in page or "surely ranks better" in page
    assert backed == ("well founded" in page)
    assert not (backed and "luck" in page)


def test_the_difference_carries_its_interval(client, analyst, versions):
    client.force_login(analyst)
    page = text_of(client.get(versions[1].get_absolute_url()))
    assert "+0.110, 97.5\u202f% interval +0.020 to +0.200" in page
    assert "with the 97.5\u202f% interval of the difference" in page
    assert "€\xa050.00 less" in page


def test_a_comparison_of_before_says_its_own_level_and_least(client, analyst, versions):
    former = versions[1].comparison | {"positives": 12}
    for name in ("level", "least_positives", "blocks", "least_blocks", "unit"):
        del former[name]
    type(versions[1]).objects.filter(pk=versions[1].pk).update(comparison=former)
    client.force_login(analyst)
    page = text_of(client.get(versions[1].get_absolute_url()))
    assert "+0.110, 95\u202f% interval +0.020 to +0.200" in page
    assert "too few to tell" not in page


def test_positives_that_lie_together_are_why_nothing_was_decided(client, analyst, versions):
    versions[1].comparison |= {"blocks": 2.44, "unit": "day of an entity", "verdict": "undecided"}
    versions[1].save(update_fields=["comparison"])
    client.force_login(analyst)
    page = text_of(client.get(versions[1].get_absolute_url()))
    assert "they tell no more than 2.4 days of an entity with as many each" in page
    assert "fewer than 6 cannot tell models apart" in page


def test_curves_show_the_champion_too(client, analyst, versions):
    client.force_login(analyst)
    context = client.get(versions[1].get_absolute_url()).context
    assert [curve["id"] for curve in context["curves"]] == ["curve-pr", "curve-roc"]
    for curve in (*context["curves"], context["calibration"]):
        names = [line["name"] for line in curve["figure"]["data"]]
        assert names[:2] == ["v2 (challenger)", "v1 (champion)"]


def test_a_version_without_metrics_or_comparison_still_has_a_page(client, analyst, versions):
    bare = VersionFactory(detector=versions[0].detector, number=9, metrics={}, curves={})
    client.force_login(analyst)
    assert "had no champion to be compared with" in text_of(client.get(bare.get_absolute_url()))


def test_a_stranger_an_outsider_and_an_analyst_may_not_promote(client, outsider, analyst, versions):
    url = reverse("model_promote", args=[versions[1].pk])
    assert client.post(url).status_code == 302
    for user in (outsider, analyst):
        client.force_login(user)
        assert client.post(url).status_code == 403
    assert "Only a model owner can promote" in text_of(client.get(versions[1].get_absolute_url()))


def test_an_owner_asks_with_a_reason_and_a_second_one_makes_it_serve(
    client, owner, second_owner, versions
):
    client.force_login(owner)
    answer = client.post(reverse("model_promote", args=[versions[1].pk]), {"reason": "Cheaper"})
    assert answer.url == versions[1].get_absolute_url()
    assert serving("payments").version == "v1"
    asked = PromotionRequest.objects.get()
    client.force_login(second_owner)
    client.post(reverse("promotion_approve", args=[asked.pk]))
    decision = PromotionDecision.objects.first()
    assert (decision.reason, decision.actor) == ("Cheaper", second_owner)
    assert serving("payments").version == "v2"


def test_what_a_reason_needs_is_said_before_it_is_written(client, owner, versions):
    client.force_login(owner)
    backed = text_of(client.get(versions[1].get_absolute_url()))
    assert "minlength" not in backed
    versions[1].comparison = {}
    versions[1].save(update_fields=["comparison"])
    page = text_of(client.get(versions[1].get_absolute_url()))
    assert 'minlength="10"' in page
    assert "a reason of 10 letters or more" in page
    assert "formnovalidate" in page


def test_a_version_that_was_rolled_back_says_so_at_its_top(client, owner, analyst, versions):
    promote(versions[1], actor=owner)
    roll_back(versions[0].detector, actor=owner, reason="Too many alerts")
    client.force_login(analyst)
    page = " ".join(text_of(client.get(versions[1].get_absolute_url())).split())
    top, _, rest = page.partition('class="verdict"')
    assert "It was rolled back to" in top
    assert "“Too many alerts”" in top
    assert "A guard compares it" not in rest


def test_a_former_champion_is_brought_back_from_its_own_page(client, owner, analyst, versions):
    promote(versions[1], actor=owner)
    client.force_login(analyst)
    assert 'id="roll-back"' not in text_of(client.get(versions[0].get_absolute_url()))
    client.force_login(owner)
    page = " ".join(text_of(client.get(versions[0].get_absolute_url())).split())
    assert "took its place" in page
    assert "a roll-back needs no second person" in page
    assert f'name="champion" value="{versions[1].pk}"' in page
    client.post(reverse("model_roll_back", args=["payments"]), {"champion": versions[1].pk})
    assert serving("payments").version == "v1"


def test_htmx_is_sent_to_the_page_anew(client, owner, versions):
    client.force_login(owner)
    answer = client.post(reverse("model_promote", args=[versions[1].pk]), headers=HTMX)
    assert answer["HX-Redirect"] == versions[1].get_absolute_url()


def test_one_click_rolls_back(client, owner, versions):
    promote(versions[1], actor=owner)
    client.force_login(owner)
    assert "Roll back to v1" in text_of(client.get(versions[1].get_absolute_url()))
    client.post(reverse("model_roll_back", args=["payments"]), {"champion": versions[1].pk})
    assert serving("payments").version == "v1"


@pytest.mark.parametrize("template", ["model_detail", "model_list"])
def test_a_double_click_rolls_back_once(client, owner, versions, template):
    third = versions[2]
    for version in versions[1:]:
        promote(version, actor=owner)
    client.force_login(owner)
    page = reverse("model_list") if template == "model_list" else third.get_absolute_url()
    shown = f'name="champion" value="{third.pk}"'
    assert shown in text_of(client.get(page))
    url = reverse("model_roll_back", args=["payments"])
    assert client.post(url, {"champion": third.pk}).status_code == 302
    again = client.post(url, {"champion": third.pk})
    assert again.status_code == 422
    assert "changed since you looked: it is v2 now. Nothing was changed." in text_of(again)
    assert serving("payments").version == "v2"


@pytest.mark.parametrize("champion", [None, "", "x", "9" * 30])
def test_a_roll_back_that_names_no_champion_changes_nothing(client, owner, versions, champion):
    promote(versions[1], actor=owner)
    client.force_login(owner)
    body = {} if champion is None else {"champion": champion}
    assert client.post(reverse("model_roll_back", args=["payments"]), body).status_code == 422
    assert serving("payments").version == "v2"


def test_nothing_to_roll_back_to_is_422_in_words(client, owner, versions):
    client.force_login(owner)
    shown = {"champion": versions[0].pk}
    answer = client.post(reverse("model_roll_back", args=["payments"]), shown)
    assert answer.status_code == 422
    assert "no earlier champion" in text_of(answer)


def test_a_rejected_version_cannot_be_promoted(client, owner, versions):
    client.force_login(owner)
    client.post(reverse("model_reject", args=[versions[1].pk]))
    answer = client.post(reverse("model_promote", args=[versions[1].pk]), headers=HTMX)
    assert answer.status_code == 422
    assert "This version was rejected. Nothing was changed." in text_of(answer)
    assert "<title>" not in text_of(answer)


def test_a_bundle_that_does_not_load_is_refused_and_nothing_changes(client, owner, versions):
    broken = VersionFactory(detector=versions[0].detector, number=9, digest="f" * 64)
    client.force_login(owner)
    answer = client.post(reverse("model_promote", args=[broken.pk]))
    assert answer.status_code == 422
    assert "The bundle does not load, so nothing was changed" in text_of(answer)
    broken.refresh_from_db()
    assert broken.stage == "challenger"
    assert serving("payments").version == "v1"


def test_a_version_whose_bundle_is_gone_says_so_at_its_top(client, analyst, versions):
    client.force_login(analyst)
    assert "bundle-fault" not in text_of(client.get(versions[1].get_absolute_url()))
    gone = VersionFactory(detector=versions[0].detector, number=9, digest="f" * 64)
    page = text_of(client.get(gone.get_absolute_url()))
    assert 'id="bundle-fault"' in page
    assert "Bundle ffffffffffff cannot be read: No such file or directory." in page
    assert "Until it is put back v9 can be neither promoted nor judged" in page


def test_the_page_costs_the_same_queries_for_any_history(client, owner, versions):
    client.force_login(owner)
    spent = []
    for _ in range(2):
        for version in versions[1:] * 3:
            version.refresh_from_db()
            promote(version, actor=owner)
        with CaptureQueriesContext(connection) as queries:
            client.get(versions[1].get_absolute_url())
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 16


def test_a_search_for_parameters_is_told_with_its_best_trials(client, analyst, versions):
    version = versions[1]
    for number, value in enumerate((0.6, 0.7, None)):
        TuningTrial.objects.create(
            detector=version.detector, study="s" * 64, number=number, learner="lightgbm",
            parameters={"n_trees": 100 + number}, value=value, seconds=30.0,
        )  # fmt: skip
    version.metrics["tuning"] = {
        "study": "s" * 64, "trials": 3, "given_up": 0, "failed": 1, "folds": 4, "seconds": 90.0,
        "default": 0.6, "best": 0.7, "parameters": {"n_trees": 101},
    }  # fmt: skip
    version.save(update_fields=["metrics"])
    client.force_login(analyst)
    page = text_of(client.get(version.get_absolute_url()))
    assert "Average precision 0.7000, +0.1000 against the defaults." in page
    version.metrics["tuning"] |= {"best": 0.59999, "default": 0.6}
    version.save(update_fields=["metrics"])
    same = text_of(client.get(version.get_absolute_url()))
    assert "Average precision 0.6000, 0.0000 against the defaults." in same
    assert page.index("n_trees 101") < page.index("n_trees 100")
    assert "n_trees 102" not in page
    assert "At 1 of them the learner failed" in page
    assert page.count(">chosen<") == 1


def test_the_page_says_that_a_version_is_the_mean_of_several(client, analyst, versions):
    version = versions[1]
    for number, value in enumerate([0.6, 0.7, 0.695]):
        TuningTrial.objects.create(
            detector=version.detector, study="s" * 64, number=number, learner="lightgbm",
            parameters={"n_trees": 100 + number}, value=value, seconds=30.0,
        )  # fmt: skip
    made = {"n_trees": 101, "mean_with": [{"n_trees": 102}]}
    version.metrics["tuning"] = {
        "study": "s" * 64, "trials": 3, "given_up": 0, "failed": 0, "folds": 4, "seconds": 90.0,
        "default": 0.6, "best": 0.7, "chosen": [1, 2], "parameters": made,
    }  # fmt: skip
    version.parameters = made
    version.save(update_fields=["metrics", "parameters"])
    client.force_login(analyst)
    page = text_of(client.get(version.get_absolute_url()))
    assert "This version is the mean of the 2 best." in page
    assert page.count(">chosen<") == 2
    assert "mean_with=1 more model<" in page


def test_the_page_tells_a_searched_parameter_as_short_as_elsewhere(client, analyst, versions):
    versions[1].parameters = {"learning_rate": 0.03356759154838066, "n_trees": 232}
    versions[1].save(update_fields=["parameters"])
    client.force_login(analyst)
    page = text_of(client.get(versions[1].get_absolute_url()))
    assert "<code>learning_rate=0.0335676</code>" in page
