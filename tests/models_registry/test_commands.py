"""The registry by hand: `manage.py models ...`, `train`, `export_bundle`, `import_bundle`."""

import json
import os
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from models_registry.card import model_card
from models_registry.exporting import file_name
from models_registry.management.commands.train import ProgressLines
from models_registry.management.printing import judged_on
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import promote
from models_registry.verdicts import UNKNOWN
from scoring.models import Detector
from tests.factories import payments, scored_many
from tests.jobs.factories import JobFactory
from tests.models_registry.drifting import serve, stored_events
from tests.models_registry.learning import detector_of, history, learning_config
from tests.models_registry.versions import VersionFactory, comparison

pytestmark = pytest.mark.django_db


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def versions(champion, payments_digest):
    first = VersionFactory(detector=champion, number=1, digest=payments_digest)
    promote(first, actor=None)
    second = VersionFactory(
        detector=champion, number=2, digest=payments_digest, comparison=comparison(payments_digest)
    )
    return [first, second]


def test_versions_are_listed(versions):
    lines = run("models", "list", "--detector", "payments").splitlines()
    assert lines[0].split()[:3] == ["DETECTOR", "VERSION", "STAGE"]
    assert [line.split()[1:3] for line in lines[1:]] == [["v2", "challenger"], ["v1", "champion"]]
    found = json.loads(run("models", "list", "--stage", "champion", "--json"))
    assert [row["version"] for row in found] == ["v1"]


def test_what_serves_is_described(versions, payments_digest):
    lines = run("models", "info", "--detector", "payments").splitlines()
    assert f"Bundle    {payments_digest}" in lines
    assert "  Span             2026-06-01 00:00 to 2026-06-01 00:00 UTC" in lines
    assert f"Judged on 900 unseen events, 40 positive, labels as known at {UNKNOWN}:" in lines
    body = json.loads(run("models", "info", "--detector", "payments", "--json"))
    assert (body["model_version"], body["degraded"], body["data"]["events"]) == ("v1", False, 5000)


def test_the_time_of_the_labels_is_told_to_the_minute():
    found = {"rows": 900, "positives": 40, "known_at": "2026-11-28T01:24:10.923661+01:00"}
    assert judged_on(found).endswith("labels as known at 2026-11-28 00:24 UTC:")


def test_what_serves_without_a_model_is_described(payments_detector):
    text = run("models", "info", "--detector", "payments")
    assert "Degraded  yes: rules decide alone" in text
    assert "Judged on" not in text


def test_a_version_is_described_by_its_card(versions):
    lines = run("models", "info", "v2", "--detector", "payments").splitlines()
    assert lines[0] == "v2, challenger"
    assert any(line.startswith("  It knows nothing of patterns") for line in lines)
    assert json.loads(run("models", "info", "v2", "--detector", "payments", "--json"))["unknown"]


@pytest.mark.parametrize("which", [("v2",), ("v1",), ()])
def test_a_declaration_that_no_longer_reads_hides_no_version(versions, which):
    Detector.objects.filter(slug="payments").update(config={"slug": "payments"})
    text = run("models", "info", *which, "--detector", "payments")
    assert "Judged on 900 unseen events" in text


@pytest.mark.parametrize("which", [("v1",), ()])
def test_what_was_done_about_a_rare_class_is_told_without_options_of_other_methods(versions, which):
    weights = {"method": "class_weights", "ratio": 0.2, "neighbours": 5, "bags": 5}
    ModelVersion.objects.update(parameters={"n_trees": 250, "imbalance": weights})
    text = run("models", "info", *which, "--detector", "payments")
    assert "Class weights up to 0.2 positives for each negative" in text
    assert "neighbours" not in text


@pytest.mark.parametrize("which", [("v1",), ()])
def test_parameters_and_metrics_are_lines_for_people(versions, which):
    version = versions[0]
    version.parameters = {"n_trees": 250, "mean_with": [{"n_trees": 300, "column_share": 0.35}]}
    version.metrics |= {"intervals": {"roc_auc": [0.88, 0.94]}, "calibration": {"none": {"n": 1}}}
    version.save()
    text = run("models", "info", *which, "--detector", "payments")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "mean_with n_trees 300, column_share 0.35" in lines
    assert "ROC AUC 0.910 0.880 to 0.940" in lines
    assert not set("{}[]") & set(text)


def test_who_reads_only_the_head_sees_no_traceback(versions, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as ended:
            call_command("models", "info", "v2", "--detector", "payments", stdout=closed)
        assert ended.value.code == 141
        closed.write("what is left")  # And is written when the interpreter ends.


def test_versions_are_compared(versions):
    versions[0].metrics["intervals"] = {"roc_auc": [0.88, 0.94]}
    versions[0].save()
    text = run("models", "compare", "v2", "v1", "--detector", "payments")
    assert "v2" in text
    assert "ROC AUC" in text
    assert "0.910 (0.880 to 0.940)" in text
    body = json.loads(run("models", "compare", "v2", "v1", "--detector", "payments", "--json"))
    assert body["versions"] == ["v2", "v1"]
    intervals = [line["intervals"] for line in body["metrics"] if line["name"] == "ROC AUC"]
    assert intervals == [["", "0.880 to 0.940"]]


def test_nested_parameters_are_compared_in_words(versions):
    versions[0].parameters = {"xgboost": {"max_depth": 6, "learning_rate": 0.1}}
    versions[0].save()
    text = run("models", "compare", "v2", "v1", "--detector", "payments")
    assert "max_depth 6, learning_rate 0.1" in text


def test_what_does_not_differ_is_said_to_be_the_same(versions):
    lines = run("models", "compare", "v2", "v1", "--detector", "payments").splitlines()
    assert "FEATURES  the same" in lines


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("compare", "v1", "--detector", "payments"), "Two or three"),
        (("compare", "v1", "v1", "--detector", "payments"), "Two or three"),
        (("info", "v9", "--detector", "payments"), "no version 'v9'"),
        (("info", "vx", "--detector", "payments"), "no version 'vx'"),
        (("list", "--detector", "none"), "no detector 'none'"),
        (("promote", "v2", "--detector", "payments", "--user", "nobody"), "no active user"),
        (("promote", "v2", "--detector", "payments", "--user", "analyst"), "may not promote"),
        (("rollback", "--detector", "payments", "--user", "analyst"), "may not promote"),
        (("promote", "v2", "--detector", "payments", "--reason", "x"), "10 letters or more"),
        (("promote", "v1", "--detector", "payments"), "champion already"),
        (("rollback", "--detector", "payments"), "no earlier champion"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(versions, analyst, args, said):
    with pytest.raises(CommandError, match=said):
        run("models", *args)
    assert PromotionDecision.objects.count() == 1


def test_a_version_is_promoted_and_rolled_back_on_somebodys_behalf(versions, owner):
    given = ("--detector", "payments", "--user", "owner", "--reason", "better on June")
    assert "serves from the next event on, in place of v1" in run("models", "promote", "v2", *given)
    decision = PromotionDecision.objects.first()
    assert decision.actor == owner
    assert decision.reason == "manage.py models promote: better on June"
    with pytest.raises(CommandError, match="it is v2 now"):
        run("models", "rollback", *given, "--from", "v1")
    assert "v1 serves again" in run("models", "rollback", *given, "--from", "v2")
    reason = PromotionDecision.objects.first().reason
    assert reason == "manage.py models rollback: better on June"


def test_a_command_past_the_second_person_shows_for_good(versions, owner, client):
    run("models", "promote", "v2", "--detector", "payments", "--reason", "better on June")
    client.force_login(owner)
    page = client.get(versions[1].get_absolute_url()).content.decode()
    assert page.count(">Override<") == 1
    assert "manage.py models promote: better on June" in page
    assert [act["override"] for act in model_card(versions[1])["people"]["decisions"]] == [True]
    told = AuditEntry.objects.filter(action="model.promote").latest("number").detail
    assert (told["override"], told["four_eyes"]) == (True, False)
    assert told["command"] == "manage.py models promote"


def test_drift_is_checked_now(versions):
    scored_many("payments", payments(30))
    text = run("models", "drift", "--detector", "payments")
    assert "unknown over 30 events of v1" in text
    for outcome in ("score", "alert rate", "fraud rate"):
        assert f"\n{outcome} " in text
    assert json.loads(run("models", "drift", "--detector", "payments", "--json"))["rows"] == 30


def test_drift_of_score_and_rates_stands_before_that_of_features(payments_detector):
    watched = serve(payments_detector)
    stored_events(watched, times_amount=5.0)
    lines = run("models", "drift", "--detector", "payments").splitlines()
    assert lines[1].split() == [
        *("OUTCOME", "PSI", "KS", "W/STD", "RATE", "OR", "MISSING", "P", "STATUS")
    ]
    told = {line.split("  ")[0]: line.split()[-1] for line in lines[2:4]}
    assert told == {"score": "major", "alert rate": "major"}
    assert " → " in next(line for line in lines if line.startswith("alert rate"))
    assert lines[5].startswith("FEATURE")


def test_integrity_ends_with_status_1_on_a_fault(versions, monkeypatch):
    monkeypatch.setattr("models_registry.integrity.workers_answering", lambda: 0)
    out = StringIO()
    with pytest.raises(CommandError, match=r"^\d+ faults?\.$") as ended:
        call_command("models", "integrity", stdout=out)
    assert ended.value.returncode == 1
    assert "It has never run" in out.getvalue()


def test_training_prints_what_an_owner_asks(db):
    history(detector_of(learning_config()), events=400)
    text = run("train", detector="cards", learner="logistic_regression")
    version = ModelVersion.objects.get()
    low, high = version.metrics["intervals"]["average_precision"]
    for said in ("Judged on", "ROC AUC", f"{low:.3f} to {high:.3f}", "Thresholds (",
                 version.digest, version.dataset.digest, "v1 had no champion to be compared with.",
                 "challenger"):  # fmt: skip
        assert said in text, said


def test_a_training_on_the_command_line_is_not_told_as_the_schedules(versions, client, owner):
    client.force_login(owner)
    for job, trainer in ((None, "the command line"), (JobFactory(), "the schedule")):
        ModelVersion.objects.filter(pk=versions[1].pk).update(trained_by=None, job=job)
        version = ModelVersion.objects.get(pk=versions[1].pk)
        assert model_card(version)["people"]["trained_by"] == trainer
        assert f"by {trainer}" in client.get(version.get_absolute_url()).content.decode()


class Terminal(StringIO):
    """What is written to a terminal."""

    def isatty(self):
        return True


def told_of_a_search(out):
    """A search of 100 s after 10 s of reading, and what comes after it."""
    now = [0.0]
    progress = ProgressLines(out, tune_for=100.0, clock=lambda: now[0])
    for at, fraction, stage in (
        (0.0, 0.0, "Reading"),
        (9.0, 0.2, "Reading"),
        (10.0, 0.3, "Searching: trial 1"),
        (60.0, 0.35, "Searching: trial 2"),
    ):
        now[0] = at
        progress.report(fraction, stage)
    progress.log("Searched", searched=100.0)
    now[0] = 110.0
    progress.report(0.4, "Training")
    progress.end()
    return out.getvalue()


def test_each_stage_of_a_training_is_a_line_that_tells_about_how_long_it_takes():
    assert told_of_a_search(StringIO()).splitlines() == [
        "  0%  at least 1 min left   Reading",
        " 30%  at least 1 min left   Searching: trial 1",
        "      Searched",
        " 40%  about 20 s left       Training",
    ]


def test_on_a_terminal_a_stage_is_written_over_as_it_goes_on():
    lines = told_of_a_search(Terminal()).split("\n")
    assert [line.split("\r\x1b[K")[1:] for line in lines] == [
        ["  0%  at least 1 min left   Reading", " 20%  at least 1 min left   Reading"],
        [
            " 30%  at least 1 min left   Searching: trial 1",
            " 35%  at least 50 s left    Searching: trial 2",
        ],
        [],
        [" 40%  about 20 s left       Training"],
        [],
    ]


def test_a_training_on_the_command_line_tells_its_stages(db, capsys):
    history(detector_of(learning_config()), events=400)
    run("train", detector="cards", learner="logistic_regression")
    told = capsys.readouterr().err.splitlines()
    for stage in ("Reading logged events", "Training Logistic regression", "Registering"):
        assert sum(line.endswith(stage) for line in told) == 1, told
    assert not any("\r" in line for line in told)


def test_training_tells_the_champion_and_puts_into_service_on_request(db):
    history(detector_of(learning_config()), events=400)
    run("train", detector="cards", learner="logistic_regression", promote=True)
    text = run("train", detector="cards", learner="logistic_regression")
    assert "Both judged the same" in text
    assert ModelVersion.objects.get(stage="champion").label == "v1"


def test_what_a_training_puts_into_service_is_on_somebodys_behalf(db, owner, analyst):
    history(detector_of(learning_config()), events=400)
    asked = {"detector": "cards", "learner": "logistic_regression", "promote": True}
    with pytest.raises(CommandError, match="may not promote"):
        run("train", **asked, user="analyst")
    assert not ModelVersion.objects.exists()
    run("train", **asked, user="owner")
    assert PromotionDecision.objects.get().actor == owner


def test_a_bundle_goes_out_and_comes_in(versions, tmp_path):
    place = str(tmp_path / "bundle.zip")
    assert "SHA-256" in run("export_bundle", "v2", "--output", place, detector="payments")
    PromotionDecision.objects.all().delete()
    ModelVersion.objects.all().delete()
    assert "waits as a challenger" in run("import_bundle", place, detector="payments")
    for args, said in (
        ((place,), "here already"),
        ((str(tmp_path / "none"),), "/none: No such file or directory. Nothing was changed."),
        ((str(tmp_path),), f"^{tmp_path}: Is a directory. Nothing was changed."),
    ):
        with pytest.raises(CommandError, match=said):
            run("import_bundle", *args, detector="payments")


def test_an_export_is_named_by_its_version_unless_told_otherwise(versions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = file_name(versions[1])
    run("export_bundle", "v2", detector="payments")
    (tmp_path / "out").mkdir()
    run("export_bundle", "v2", "--output", "out", detector="payments")
    assert (tmp_path / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_an_export_writes_over_a_file_only_when_told(versions, tmp_path):
    place = tmp_path / "bundle.zip"
    place.write_bytes(b"other")
    with pytest.raises(CommandError, match="--force writes over it"):
        run("export_bundle", "v2", output=str(place), detector="payments")
    assert (place.read_bytes(), AuditEntry.objects.filter(action="model.export").count()) == (
        b"other", 0,
    )  # fmt: skip
    run("export_bundle", "v2", "--force", output=str(place), detector="payments")
    assert place.read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(
    ("version", "output", "said"),
    [
        ("v99", "b.zip", "no version 'v99'"),
        ("v2", "none/b.zip", "There is no folder .*/none$"),
        ("v2", "none/", "There is no folder"),
    ],
)
def test_an_export_that_fails_leaves_no_file(versions, tmp_path, version, output, said):
    with pytest.raises(CommandError, match=said):
        run("export_bundle", version, output=f"{tmp_path}/{output}", detector="payments")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_a_training_with_a_plain_line(db, request):
    history(detector_of(learning_config()), events=400)
    request.getfixturevalue("full_disk")
    with pytest.raises(CommandError, match=r"cannot be written: No space left on device\.$"):
        run("train", detector="cards", learner="logistic_regression")
    assert not ModelVersion.objects.exists()
