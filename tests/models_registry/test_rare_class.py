"""What is done about a rare class: chosen for one training, kept for what is judged later."""

from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import AuditEntry
from jobs.models import Job
from jobs.services import claim_job
from models_registry.core.imbalance import told_in
from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import LEARNERS
from models_registry.evaluating import evaluate_folds
from models_registry.fitting import QuietProgress
from models_registry.forms import IMBALANCES
from models_registry.models import ModelVersion
from models_registry.rare_class import TITLES, WITHOUT_LABELS, left_alone, rare_class_words
from models_registry.retraining import ImbalanceRefused, TrainingUnderWay, request_training
from models_registry.tasks import retrain_due, retrain_on_time
from models_registry.training import run_training, train_version
from models_registry.tuning import _study_key
from scoring.core.imbalance import METHODS, ImbalanceSpec, chosen
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
JSON = "application/json"
TRAIN = "/api/v1/detectors/payments/train"
DECLARED = {"method": "smote", "ratio": 0.3, "neighbours": 2}
BAGS = {"method": "balanced_bagging", "ratio": 0.1, "neighbours": 5, "bags": 5}


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    """Jobs are queued and announced to nobody."""
    for place in ("api", "views", "tasks"):
        monkeypatch.setattr(f"models_registry.{place}.announce_job", lambda job: None)


@pytest.fixture
def balanced(db):
    """A detector that declares SMOTE, with a history to learn from."""
    detector = detector_of(learning_config(imbalance=DECLARED))
    history(detector, events=400)
    return detector


@pytest.fixture
def fitted_with(monkeypatch):
    """What every fit from here on is told to do about the rare class."""
    from models_registry import fitting

    told, fit = [], fitting.fit_balanced

    def seen(learner, how, *given, **more):
        told.append(how)
        return fit(learner, how, *given, **more)

    monkeypatch.setattr(fitting, "fit_balanced", seen)
    return told


def train(detector, **changed):
    given = {"trained_by": None, "job": None, "progress": QuietProgress(), "now": KNOWN_AT}
    return train_version(detector, learner="logistic_regression", **(given | changed))


def test_a_training_is_fitted_and_recorded_with_what_was_chosen(balanced, fitted_with):
    bagged = train(balanced, imbalance="balanced_bagging")
    assert bagged.parameters["imbalance"] == BAGS
    assert "imbalance" not in train(balanced, imbalance="none").parameters
    assert [how.method for how in fitted_with] == ["balanced_bagging", "none"]


@pytest.mark.parametrize("method", ["", "smote"])
def test_the_declared_method_keeps_its_declared_options(balanced, method):
    assert train(balanced, imbalance=method).parameters["imbalance"] == {**DECLARED, "bags": 5}


def test_other_methods_take_their_defaults():
    declared = ImbalanceSpec("smote", ratio=0.3, neighbours=2)
    assert chosen(declared, "under_sampling") == ImbalanceSpec("under_sampling")
    assert chosen(declared, "none") == ImbalanceSpec()


def test_a_search_with_another_method_is_another_study(balanced):
    spec = balanced.spec()
    other = replace(spec, training=replace(spec.training, imbalance=ImbalanceSpec("smote")))
    keys = {_study_key(balanced, "lightgbm", one, "a" * 64, []) for one in (spec, other)}
    assert len(keys) == 2


def test_folds_do_what_the_version_did_not_what_is_declared_today(balanced, fitted_with):
    version = train(balanced, imbalance="under_sampling")
    plain = train(balanced, imbalance="none")
    fitted_with.clear()
    for one in (version, plain):
        evaluate_folds(one, requested_by=None, job=None, progress=QuietProgress(), now=KNOWN_AT)
    assert fitted_with == [ImbalanceSpec("under_sampling")] * 4 + [ImbalanceSpec()] * 4


@pytest.mark.parametrize("told", ["smote", {"method": "magic"}, {"method": "smote", "ratio": 9}])
def test_a_record_from_elsewhere_that_cannot_be_followed_says_so(told):
    for parameters in ({"imbalance": told}, [told]):
        with pytest.raises(LearnerError, match="rare class"):
            told_in(parameters)


def test_a_record_is_read_as_it_was_written():
    assert told_in({"imbalance": BAGS}) == ImbalanceSpec("balanced_bagging")
    assert told_in({"seed": 0}) == ImbalanceSpec()


def test_learners_without_labels_and_all_methods_are_known_by_name():
    assert {name for name, one in LEARNERS.items() if not one.supervised} == WITHOUT_LABELS
    assert tuple(TITLES) == METHODS
    assert [value for value, _ in IMBALANCES] == ["", *METHODS]


def test_a_job_says_what_it_does_and_does_it(balanced, owner):
    job = request_training(balanced, requested_by=owner, imbalance="class_weights")
    assert job.params["imbalance"] == "class_weights"
    assert AuditEntry.objects.latest("number").detail["imbalance"] == "class_weights"
    run_training(claim_job(job.pk), QuietProgress())
    assert ModelVersion.objects.get().parameters["imbalance"]["method"] == "class_weights"


def test_what_nobody_chose_is_as_declared(balanced):
    assert request_training(balanced, requested_by=None).params["imbalance"] == "smote"
    Job.objects.update(status="succeeded")
    without = request_training(balanced, requested_by=None, learner="ecod")
    assert without.params["imbalance"] == "none"


def test_a_learner_without_parameters_to_search_searches_none(balanced):
    job = request_training(balanced, requested_by=None, learner="ecod", tune_for=600.0)
    assert "tune_for" not in job.params


def test_a_learner_without_labels_refuses_a_method(balanced):
    with pytest.raises(ImbalanceRefused, match="needs no labels"):
        request_training(balanced, requested_by=None, learner="ecod", imbalance="smote")
    assert not Job.objects.exists()
    request_training(balanced, requested_by=None, learner="ecod", imbalance="none")


@pytest.mark.parametrize(
    "other", [{"learner": "lightgbm"}, {"imbalance": "none"}, {"tune_for": 300.0}]
)
def test_another_training_than_the_one_under_way_is_refused(balanced, owner, other):
    job = request_training(balanced, requested_by=owner)
    with pytest.raises(TrainingUnderWay, match=rf"Job {job.pk} is training .*Rare class: SMOTE"):
        request_training(balanced, requested_by=owner, **other)
    assert request_training(balanced, requested_by=None, reason="it is old").pk == job.pk
    assert request_training(balanced, requested_by=owner, imbalance="smote").pk == job.pk
    assert Job.objects.count() == 1


def test_a_job_from_before_the_choice_is_one_as_declared(balanced):
    job = request_training(balanced, requested_by=None)
    del job.params["imbalance"]
    job.save(update_fields=["params"])
    assert request_training(balanced, requested_by=None).pk == job.pk
    run_training(claim_job(job.pk), QuietProgress())
    assert ModelVersion.objects.get().parameters["imbalance"]["ratio"] == 0.3


def test_a_trigger_leaves_a_training_alone_that_came_between(balanced, monkeypatch):
    job = request_training(balanced, requested_by=None, learner="lightgbm")
    monkeypatch.setattr("models_registry.tasks.is_due", lambda *given, **more: "it is old")
    monkeypatch.setattr("models_registry.tasks.scheduled", lambda *given, **more: "it is Monday")
    retrain_due()
    retrain_on_time("cards")
    assert Job.objects.get().pk == job.pk


def test_the_api_takes_a_method(api, payments_detector):
    body = {"learner": "lightgbm", "imbalance": "smote"}
    answer = api("models:write").post(TRAIN, body, content_type=JSON)
    assert answer.status_code == 202
    assert Job.objects.get().params["imbalance"] == "smote"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"imbalance": "magic"}, "not a valid choice"),
        ({"imbalance": {"method": "smote"}}, "not a valid choice"),
        ({"learner": "ecod", "imbalance": "smote"}, "needs no labels"),
    ],
)
def test_the_api_says_why_a_method_is_refused(api, payments_detector, body, said):
    answer = api("models:write").post(TRAIN, body, content_type=JSON)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "imbalance"
    assert said in error["message"]
    assert not Job.objects.exists()


def test_the_api_tells_of_another_training_under_way(api, payments_detector):
    writer = api("models:write")
    first = writer.post(TRAIN, {"imbalance": "smote"}, content_type=JSON).json()["job_id"]
    same = writer.post(TRAIN, {"imbalance": "smote"}, content_type=JSON)
    assert (same.status_code, same.json()["job_id"]) == (202, first)
    other = writer.post(TRAIN, {"imbalance": "none"}, content_type=JSON)
    assert other.status_code == 409
    assert f"Job {first} is training" in other.json()["detail"]
    assert "Rare class: SMOTE" in other.json()["detail"]


def test_the_page_offers_every_method_and_takes_one(client, owner, payments_detector):
    client.force_login(owner)
    page = client.get("/models/").content.decode()
    for value, title in IMBALANCES:
        assert f'<option value="{value}"' in page
        assert title in page
    given = {"learner": "lightgbm", "imbalance": "under_sampling"}
    client.post(reverse("model_train", args=["payments"]), given)
    assert Job.objects.get().params["imbalance"] == "under_sampling"
    assert "Random under-sampling" in client.get("/models/").content.decode()


def test_the_form_says_why_a_method_is_refused(client, owner, payments_detector):
    client.force_login(owner)
    given = {"learner": "ecod", "imbalance": "smote"}
    for headers in ({}, {"HX-Request": "true", "HX-Target": "training-payments"}):
        answer = client.post(reverse("model_train", args=["payments"]), given, headers=headers)
        assert answer.status_code == 422
        assert "needs no labels" in answer.content.decode()
    assert not Job.objects.exists()


def test_the_page_tells_of_another_training_under_way(client, owner, payments_detector):
    job = request_training(payments_detector, requested_by=owner, imbalance="smote")
    client.force_login(owner)
    url, given = reverse("model_train", args=["payments"]), {"learner": "random_forest"}
    plain = client.post(url, given)
    assert plain.status_code == 422
    assert f"Job {job.pk} is training" in plain.content.decode()
    fragment = {"HX-Request": "true", "HX-Target": "training-payments"}
    htmx = client.post(url, given, headers=fragment)
    assert htmx.status_code == 422
    assert f"Job {job.pk} is training" in htmx.headers["HX-Trigger"]
    assert 'hx-trigger="every 1s"' in htmx.content.decode()


def test_the_command_takes_a_method(balanced, capsys):
    given = {"detector": "cards", "learner": "logistic_regression"}
    call_command("train", imbalance="balanced_bagging", **given)
    version = ModelVersion.objects.get()
    assert version.parameters["imbalance"] == BAGS
    counted = version.dataset.counts["training"]["events"]
    assert f"({counted:,} counted in the training part)" in capsys.readouterr().out
    with pytest.raises(CommandError, match="needs no labels"):
        call_command("train", detector="cards", learner="ecod", imbalance="smote")
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("train", "--detector", "cards", "--imbalance", "magic")


@pytest.mark.parametrize("learner", ["lightgbm", "logistic_regression"])
def test_the_command_trains_nothing_beside_a_training_under_way(balanced, learner):
    job = request_training(balanced, requested_by=None, learner="lightgbm")
    with pytest.raises(CommandError, match=f"Job {job.pk} is training .*Algorithm: LightGBM"):
        call_command("train", detector="cards", learner=learner)
    assert not ModelVersion.objects.exists()


def test_a_method_that_had_nothing_to_do_says_so(client, owner, balanced):
    """More are positive already than it asks for: the rows are left alone."""
    log = []
    balanced.config["training"]["imbalance"] = {"method": "smote", "ratio": 0.01}
    balanced.save(update_fields=["config"])
    version = train(balanced, progress=QuietProgress(lambda fraction, text: log.append(text)))
    found = version.dataset.counts["training"]
    said = (
        "nothing was done: SMOTE asks for 0.01 positives for each negative, and "
        f"{found['positives']} of the {found['events']} training events are positive already"
    )
    assert f"Rare class: {said}" in log
    client.force_login(owner)
    assert said in client.get(version.get_absolute_url()).content.decode()
    plain = train(balanced, imbalance="none")
    url = reverse("model_compare") + f"?v={version.pk}&v={plain.pk}"
    assert said in client.get(url).content.decode()
    assert "up to 0.3 positives" in rare_class_words("lightgbm", {"imbalance": DECLARED}, found)


def test_what_lacks_less_than_one_positive_is_left_alone_by_smote_alone():
    """Of 495 negatives a tenth is 49.5."""
    training = {"events": 544, "positives": 49}
    smote = {"imbalance": {"method": "smote", "ratio": 0.1}}
    assert "49 of the 544 training events are positive already: not a whole one is missing" in (
        rare_class_words("lightgbm", smote, training)
    )
    assert rare_class_words("lightgbm", {"imbalance": BAGS}, training).startswith("Balanced")


def test_nothing_is_said_of_a_rare_class_that_has_no_event():
    assert left_alone("smote", 0.1, events=500, positives=0) == ""


@pytest.mark.parametrize(
    ("learner", "parameters", "said"),
    [
        ("lightgbm", {"imbalance": BAGS}, "Balanced bagging up to 0.1 positives for each negative"),
        ("lightgbm", {"imbalance": DECLARED}, "SMOTE up to 0.3 positives for each negative"),
        ("lightgbm", {"seed": 0}, "nothing was done"),
        ("ecod", {}, "needs no labels"),
        ("lightgbm", {}, "not recorded"),
        ("lightgbm", ["kept by an earlier release"], "not recorded"),
    ],
)
def test_a_versions_page_says_what_was_done(
    client, owner, payments_detector, learner, parameters, said
):
    version = VersionFactory(detector=payments_detector, learner=learner, parameters=parameters)
    assert said in rare_class_words(learner, parameters)
    client.force_login(owner)
    page = client.get(version.get_absolute_url()).content.decode()
    assert said in page.partition("<dt>Rare class</dt>")[2].partition("<dt>")[0]
    assert "imbalance=" not in page
