"""The drift page: the answer in words, every statistic, one feature closely, a check followed."""

import csv
from io import StringIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from jobs.services import claim_job, run_job
from models_registry.drift_models import DriftCheck, DriftStatistic
from models_registry.monitoring import check_drift, request_drift_check, run_drift_check
from scoring.models import Deployment
from tests.models_registry.drifting import kept_check, serve, stored_events

pytestmark = pytest.mark.django_db
PAGE = "/models/payments/drift/"
CHECK = "/models/payments/drift/check/"
CSV = "/models/payments/drift.csv"


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    monkeypatch.setattr("models_registry.drift_views.announce_job", lambda job: None)


def text_of(response):
    return " ".join(response.content.decode().split())


def region(name):
    return {"HX-Request": "true", "HX-Target": name}


def test_strangers_log_in_and_outsiders_are_refused(client, outsider, champion):
    for url in (PAGE, CSV):
        assert client.get(url).status_code == 302
    client.force_login(outsider)
    for url in (PAGE, CSV):
        assert client.get(url).status_code == 403
    assert client.post(CHECK).status_code == 403


def test_who_may_view_sees_it_and_may_not_start_a_check(client, analyst, champion):
    client.force_login(analyst)
    page = text_of(client.get(PAGE))
    assert "Not checked yet" in page
    assert "Check now" not in page
    assert client.post(CHECK).status_code == 403
    assert client.get(CHECK).status_code == 403
    assert not Job.objects.exists()


def test_without_a_model_the_page_says_so_and_a_check_is_409(client, owner, payments_detector):
    client.force_login(owner)
    page = text_of(client.get(PAGE))
    assert "No model serves" in page and "Open models" in page
    assert "Check now" not in page
    answer = client.post(CHECK)
    assert answer.status_code == 409
    assert "there is nothing that could drift" in text_of(answer)


def test_an_unknown_detector_is_404(client, owner):
    client.force_login(owner)
    assert client.get("/models/nothing/drift/").status_code == 404
    assert client.post("/models/nothing/drift/check/").status_code == 404


def test_too_few_events_say_how_many_are_needed(client, analyst, payments_detector):
    stored_events(serve(payments_detector), 312)
    check_drift(payments_detector, now=Job._meta.get_field("queued_at").default())
    client.force_login(analyst)
    assert "It needs 1,000 events scored by v1, has 312." in text_of(client.get(PAGE))


def test_an_alarm_by_labels_alone_is_shown_however_few_events_there_are(client, analyst, champion):
    check = kept_check(champion, rows=0, first_at=None, last_at=None)
    check.statistics.filter(role="feature").update(status="unknown", reason="Needs more events.")
    check.statistics.filter(name="fraud rate").update(status="major", change=2.5, reason="")
    client.force_login(analyst)
    page = text_of(client.get(PAGE))
    assert "1 of 1 has moved away from the training window" in page
    assert "the worst is fraud rate (major)" in page
    assert "v1 has scored no event yet; checked" in page
    assert "Too few events" not in page


def test_what_moved_stands_first_with_its_numbers(client, analyst, champion):
    kept_check(champion, hours_ago=1)
    kept_check(champion)
    client.force_login(analyst)
    response = client.get(PAGE)
    page = text_of(response)
    assert "1 of 2 have moved" not in page
    assert "1 of 2 has moved away from the training window; the worst is amount (major)." in page
    names = [row.found.name for row in response.context["panel"].rows]
    assert names == ["amount", "calm", "fraud rate"]
    assert "Needs 1,000 events, has 3." in page
    shown = response.context["panel"].shown
    assert shown.row.found.name == "amount"
    assert [line["y"] for line in shown.overlay["data"]] == [[0.6, 0.4], [0.3, 0.7]]
    assert shown.timeline["data"][0]["y"] == [0.41, 0.41]


def test_a_rate_of_too_few_labels_is_drawn_over_its_checks(client, analyst, champion):
    for hours_ago, rate in ((2, 0.01), (1, 0.02), (0, 0.03)):
        check = kept_check(champion, hours_ago=hours_ago)
        check.statistics.filter(kind="rate").update(rate=rate, reference_rate=0.004)
    client.force_login(analyst)
    answer = client.get(PAGE, {"show": "rate.fraud rate"})
    shown = answer.context["panel"].shown
    assert shown.row.found.psi is None
    assert [line["y"] for line in shown.timeline["data"]] == [[0.01, 0.02, 0.03], [0.004] * 3]
    assert "One check so far" not in text_of(answer)


def test_dotted_lines_are_spoken_of_where_there_are_any(client, analyst, champion):
    kept_check(champion)
    client.force_login(analyst)
    assert "dotted" not in text_of(client.get(PAGE, {"show": "rate.fraud rate"}))
    assert "dotted" in text_of(client.get(PAGE, {"show": "feature.calm"}))


def test_checks_that_could_not_tell_are_not_one_check(client, analyst, champion):
    kept_check(champion, hours_ago=1)
    client.force_login(analyst)
    first = text_of(client.get(PAGE, {"show": "rate.fraud rate"}))
    assert "One check so far" in first
    kept_check(champion)
    second = text_of(client.get(PAGE, {"show": "rate.fraud rate"}))
    assert "One check so far" not in second
    assert "Checked, not measured" in second


def test_a_reason_may_wrap_so_that_every_column_is_seen(client, analyst, champion):
    check = kept_check(champion)
    check.statistics.update(status="unknown", reason="Needs ten of either kind.")
    client.force_login(analyst)
    row = text_of(client.get(PAGE)).rpartition("Needs ten of")[0].rpartition("<td")[2]
    assert "nowrap" not in row


def test_a_check_of_what_served_before_says_so(client, analyst, champion):
    digest = Deployment.objects.get(detector=champion).digest
    check = kept_check(champion)
    client.force_login(analyst)
    assert "and was not checked yet" in text_of(client.get(PAGE))
    DriftCheck.objects.filter(pk=check.pk).update(bundle_digest=digest)
    assert "and was not checked yet" not in text_of(client.get(PAGE))


def test_another_feature_is_looked_at_by_its_address(client, analyst, champion):
    kept_check(champion)
    client.force_login(analyst)
    answer = client.get(PAGE, {"show": "feature.calm"})
    assert answer.context["panel"].shown.row.found.name == "calm"
    for wrong in ("feature.nothing", "nonsense", "\0"):
        assert client.get(PAGE, {"show": wrong}).status_code == 200


def test_a_check_is_queued_once_and_followed_until_it_is_over(client, owner, payments_detector):
    stored_events(serve(payments_detector))
    client.force_login(owner)
    for _ in range(2):
        answer = text_of(client.post(CHECK, headers=region("drift-check")))
        assert 'hx-trigger="every 1s"' in answer and "waiting for a worker" in answer
    job = Job.objects.get()
    run_job(job.pk, run_drift_check)
    assert client.get(PAGE, headers=region("drift-check"))["HX-Refresh"] == "true"
    page = text_of(client.get(PAGE))
    assert "Nothing moved" in page
    assert "every 1s" not in page


def test_without_script_a_check_leads_back_to_the_page(client, owner, champion):
    client.force_login(owner)
    assert client.post(CHECK).url == PAGE
    job = claim_job(request_drift_check(champion, requested_by=None).pk)
    assert f"Job {job.pk}" in text_of(client.get(PAGE))


def test_the_csv_holds_what_the_table_shows(client, analyst, champion):
    kept_check(champion)
    client.force_login(analyst)
    answer = client.get(CSV)
    assert answer["Content-Disposition"] == 'attachment; filename="drift-payments.csv"'
    rows = list(csv.DictReader(StringIO(answer.content.decode())))
    assert [row["name"] for row in rows] == ["amount", "calm", "fraud rate"]
    assert (rows[0]["psi"], rows[0]["status"], rows[2]["psi"]) == ("0.41", "major", "")


def test_no_name_in_the_csv_runs_as_a_formula(client, analyst, champion):
    kept_check(champion)
    DriftStatistic.objects.filter(name="amount").update(name="=HYPERLINK(A1)")
    client.force_login(analyst)
    rows = list(csv.DictReader(StringIO(client.get(CSV).content.decode())))
    assert rows[0]["name"] == "'=HYPERLINK(A1)"


def test_before_the_first_check_the_csv_is_a_head(client, analyst, champion):
    client.force_login(analyst)
    assert len(client.get(CSV).content.decode().splitlines()) == 1


def test_the_page_costs_the_same_queries_for_any_number_of_features(client, analyst, champion):
    client.force_login(analyst)
    client.get(PAGE)
    spent = []
    for more in (0, 40):
        check = kept_check(champion)
        DriftStatistic.objects.bulk_create(
            DriftStatistic(
                drift_check=check, place=9 + i, name=f"f{i}", kind="number", status="stable",
                rows=2000, reference_rows=2000, psi=0.01,
            )
            for i in range(more)
        )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            assert client.get(PAGE).status_code == 200
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 12


def test_the_pages_of_detector_and_versions_lead_there(client, owner, champion):
    client.force_login(owner)
    assert PAGE in text_of(client.get(champion.get_absolute_url()))
    assert PAGE in text_of(client.get("/models/"))
