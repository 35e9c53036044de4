"""A stored decision is decided again, bit for bit; what was changed is found and named."""

import struct
from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from scoring import deployment
from scoring.core.bundle import MODEL, write_bundle
from scoring.deployment import bundle_root, install
from scoring.knowing import replay_line
from scoring.models import Detector, Prediction
from scoring.replaying import (
    CannotReplay,
    chosen,
    event_of,
    snapshot_of,
    verify_one,
    verify_predictions,
)
from tests.factories import (
    card,
    config_of,
    fraud,
    payment,
    payments,
    scored,
    scored_many,
    shipped_detector,
    train_bundle,
    trained_payments,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bundles(settings, tmp_path):
    settings.BUNDLE_DIR = tmp_path
    deployment._loaded.clear()
    yield
    deployment._loaded.clear()


def serve(slug, manifest, files):
    detector = Detector.objects.filter(slug=slug).first() or shipped_detector(slug)
    digest = write_bundle(bundle_root(), manifest, files)
    install(detector, slot="champion", digest=digest, version="v1")
    return detector


@pytest.fixture
def champion():
    return serve("payments", *trained_payments())


def changed(row, **columns):
    Prediction.objects.filter(pk=row.pk).update(**columns)
    return Prediction.objects.get(pk=row.pk)


def hosts(n):
    rng = np.random.default_rng(3)
    return [
        {
            "sample_id": f"s{i}", "host": f"h{i % 5}", "response_time": float(r),
            "error_rate": float(e), "cpu_usage": float(c), "memory_usage": 50.0,
            "timestamp": f"2020-06-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}.25+05:30",
        }
        for i, (r, c, e) in enumerate(
            zip(rng.uniform(10, 60, n), rng.uniform(0, 100, n), rng.uniform(0, 0.3, n), strict=True)
        )
    ]  # fmt: skip


def test_a_prediction_of_5_0_from_before_it_was_read_as_5_still_verifies(monkeypatch):
    config = config_of("cards")
    config["features"]["transformations"].append(
        {"type": "category", "config": {"fields": ["TERMINAL_ID"]}}
    )
    raws = [card(i, TX_AMOUNT=10.0 * i) for i in range(1, 41)]
    serve("cards", *train_bundle(config, raws, np.arange(40) % 2))
    monkeypatch.setattr("scoring.core.schema.as_whole", lambda value: value)
    row = Prediction.objects.get(pk=scored("cards", card(99, TERMINAL_ID=2.0)).pk)
    monkeypatch.undo()
    assert type(row.event["TERMINAL_ID"]) is float
    assert verify_one(row) is None


def test_a_prediction_from_before_sine_and_cosine_were_one_reason_still_verifies():
    config = config_of("payments")
    config["features"]["labels"] = {}
    config["features"]["transformations"] = [
        {"type": "cyclic_time", "config": {"periods": ["day"]}}
    ]
    config["rules"] = []
    hours = [f"2020-06-01T{i % 24:02d}:00:00Z" for i in range(60)]
    raws = [payment(transaction_id=f"h{i}", timestamp=at) for i, at in enumerate(hours)]
    serve("payments", *train_bundle(config, raws, np.array([i % 24 < 6 for i in range(60)]) * 1))
    row = scored("payments", payment(timestamp="2020-06-01T03:20:00Z"))
    [reason] = row.reasons
    both = zip(("hour_sin", "hour_cos"), row.vector_array(), row.contribution_array(), strict=True)
    apart = [reason | {"feature": n, "value": v, "contribution": c} for n, v, c in both]
    assert reason["contribution"] == apart[0]["contribution"] + apart[1]["contribution"]
    apart.sort(key=lambda one: -abs(one["contribution"]))
    assert verify_one(row) is None
    assert verify_one(changed(row, reasons=apart)) is None
    apart[0]["contribution"] += 1e-9
    assert verify_one(changed(row, reasons=apart)).field == "reasons"


@pytest.mark.slow
def test_a_thousand_mixed_predictions_verify(champion):
    raws = payments(520, users=30)
    for i in range(0, 60, 3):
        raws[i]["amount"] = 20_000.0 + i  # rules hit
    scored_many("payments", raws[:300])
    for raw in raws[300:]:
        scored("payments", raw)
    Detector.objects.filter(slug="anomaly").delete()
    samples = hosts(200)
    labels = np.arange(len(samples)) % 10 == 0
    serve(
        "anomaly",
        *train_bundle(config_of("anomaly"), samples, labels, learner="isolation_forest"),
    )
    scored_many("anomaly", [{**raw, "sample_id": f"n{i}"} for i, raw in enumerate(hosts(250))])
    manifest = {"detector": config_of("fraud"), "learner": "", "metrics": {}, "reference": {}}
    serve("fraud", manifest, {})
    for i in range(230):
        raw = fraud(transaction_amount=float(i * 100 + 1))
        scored("fraud", raw if i % 2 else raw | {"timestamp": "2020-06-01T10:00:00"})
    report = verify_predictions(Prediction.objects.all())
    assert (report.same, report.told, dict(report.skipped)) == (1000, [], {})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("score", 0.25),
        ("probability", 0.25),
        ("decision", "BLOCK"),
        ("risk_level", "CRITICAL"),
        ("selection_reason", "screening"),
        ("propensity", 0.5),
        ("additivity_error", 0.125),
        ("rule_score", 0.5),
        ("rule_hits", [{"code": "MADE_UP", "version": 1}]),
        ("screening_hits", [{"kind": "name"}]),
        ("list_hits", [{"kind": "deny"}]),
        ("event_time", timezone.now()),
    ],
)
def test_a_column_that_was_changed_is_named(champion, column, value):
    row = changed(scored("payments", payment(amount=80.0)), **{column: value})
    assert verify_one(row).field == column


def test_a_damaged_bundle_is_said_in_words(champion):
    row = scored("payments", payment())
    model = bundle_root() / row.bundle_digest / MODEL
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    deployment._loaded.clear()
    told = f": bundle: Bundle {row.bundle_digest[:12]}: {MODEL} was changed; it is not loaded"
    assert str(verify_one(row)).endswith(told)
    line = replay_line(row)
    assert (line.same, line.text) == (False, "cannot be trusted: bundle changed since it was made")


def test_one_bit_of_a_contribution_is_found(champion):
    row = scored("payments", payment(amount=80.0))
    parts = bytearray(row.contributions)
    parts[0] ^= 1
    difference = verify_one(changed(row, contributions=bytes(parts)))
    assert difference.field == "contributions"
    assert difference.stored.startswith("amount ")


def test_a_bit_of_a_plain_feature_is_found_even_where_the_model_is_blind_to_it(champion):
    row = scored("payments", payment(amount=80.0))
    vector = bytearray(row.vector)
    vector[0] ^= 1
    assert verify_one(changed(row, vector=bytes(vector))).field == "vector[amount]"


def test_another_history_is_found_by_what_the_model_makes_of_it(champion):
    row = scored("payments", payment(amount=80.0))
    place = deployment.loaded(row.bundle_digest).plan.names.index("user_id_mean_amount_7d")
    vector = bytearray(row.vector)
    vector[8 * place : 8 * place + 8] = struct.pack("<d", 7000.0)
    assert verify_one(changed(row, vector=bytes(vector))).field in ("score", "contributions")


def test_a_vector_of_another_length_is_found(champion):
    row = scored("payments", payment())
    assert verify_one(changed(row, vector=bytes(row.vector)[:-8])).field == "vector"


def test_a_changed_event_is_found(champion):
    row = scored("payments", payment(amount=80.0))
    found = verify_one(changed(row, event={**row.event, "amount": 81.0}))
    assert (found.field, found.stored, found.recomputed) == ("vector[amount]", "80.0", "81.0")


def test_an_event_that_cannot_be_decrypted_is_told(champion):
    row = scored("payments", payment())
    found = verify_one(changed(row, event={**row.event, "user_name": "enc:gone:AAAA"}))
    assert found.field == "event"


def test_a_changed_bundle_is_told_and_a_removed_one_cannot_be_replayed(champion):
    row = scored("payments", payment())
    deployment._loaded.clear()
    model = bundle_root() / row.bundle_digest / MODEL
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    assert verify_one(row).field == "bundle"
    for path in model.parent.iterdir():
        path.unlink()
    with pytest.raises(CannotReplay, match="no longer on disk"):
        verify_one(row)


def test_the_stored_event_gives_the_event_that_was_scored(champion):
    raw = payment(timestamp="2020-06-01T23:30:00.123456+05:30", country="DE", amount=12.5)
    row = Prediction.objects.get(pk=scored("payments", raw).pk)
    bundle = deployment.loaded(row.bundle_digest)
    again, first = event_of(row, bundle.parser), bundle.parser.parse(raw, 1e10)
    assert again.fields == first.fields
    assert (again.time, again.utc_offset, again.amount) == (first.time, 19800.0, 12.5)


def test_what_was_scored_while_the_model_was_out_is_verified_without_it(champion, monkeypatch):
    monkeypatch.setattr("scoring.core.pipeline.judge", lambda predictor, vectors: None)
    row = scored("payments", payment())
    monkeypatch.undo()
    assert row.degraded
    assert verify_one(row) is None
    assert verify_predictions(chosen(pks=[row.pk])).degraded == 1


def test_a_snapshot_holds_personal_data_in_clear_and_keys_as_tokens(champion):
    shot = snapshot_of(scored("payments", payment()))
    assert shot.event.fields["user_name"] == "Ada Lovelace"
    assert shot.event.keys["user_id"] != "user-1"


def told(*arguments):
    out = StringIO()
    try:
        call_command("verify_decisions", *arguments, stdout=out)
    except SystemExit as error:
        return out.getvalue(), error.code
    return out.getvalue(), 0


def test_the_command_counts_what_it_verified_and_ends_with_1_on_a_difference(champion):
    rows = [scored("payments", payment()) for _ in range(3)]
    assert told() == ("3 verified, 0 differ, 0 could not be replayed.\n", 0)
    changed(rows[1], score=0.5)
    text, code = told("--detector", "payments")
    assert code == 1
    assert f"DIFFERS {rows[1].pk} ({rows[1].external_id}): score stored 0.5" in text
    assert "2 verified, 1 differ" in text


def test_the_command_ends_with_1_where_not_one_could_be_replayed(champion):
    scored("payments", payment())
    Prediction.objects.update(bundle_digest="f" * 64)
    text, code = told()
    assert (code, "0 verified, 0 differ, 1 could not be replayed." in text) == (1, True)


def test_the_command_ends_with_2_where_some_could_not_be_replayed(champion):
    rows = [scored("payments", payment()) for _ in range(3)]
    Prediction.objects.filter(pk=rows[0].pk).update(bundle_digest="f" * 64)
    text, code = told()
    assert (code, "2 verified, 0 differ, 1 could not be replayed." in text) == (2, True)
    assert told("--may-skip", "1")[1] == 0
    changed(rows[1], score=0.5)
    assert told("--may-skip", "1")[1] == 1


def test_the_command_takes_a_limit_a_moment_and_ids(champion):
    rows = [scored("payments", payment()) for _ in range(3)]
    tomorrow = (timezone.now() + timedelta(days=1)).date().isoformat()
    assert told("--limit", "2")[0].startswith("2 verified")
    assert told("--since", tomorrow)[0].startswith("0 verified")
    assert told("--id", str(rows[0].pk))[0].startswith("1 verified")


@pytest.mark.parametrize(
    "arguments",
    [("--detector", "none"), ("--since", "soon"), ("--id", "7"), ("--limit", "0")],
)
def test_the_command_refuses_what_it_cannot_read(arguments):
    with pytest.raises(CommandError):
        call_command("verify_decisions", *arguments)
