"""What judging a challenger takes of a worker: `python -m benchmarks.shadow_judging`.

A new PostgreSQL database (RISK_TEST_POSTGRES_URL names the server) with as many shadow scores as
are compared at most, every event labelled and a million entities; then the judging alone, in a
process of its own. Peak memory is what the system says of that process (ru_maxrss).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from benchmarks.databases import new_database

DETECTOR = "payments"
TEMPLATES = 200
ENTITIES = 1_000_000
DAYS = 50
CHAMPION, CHALLENGER = "a" * 64, "b" * 64


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow_judging")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--step", choices=("fill", "judge"))
    options = parser.parse_args()
    if options.step:
        import django

        django.setup()
        print(json.dumps(_fill(options.rows) if options.step == "fill" else _judge()))
        return 0
    with new_database(os.environ["RISK_TEST_POSTGRES_URL"]) as url:
        for step in ("fill", "judge"):
            print(step, json.dumps(in_process(url, options.rows, step)))
    return 0


def in_process(url: str, rows: int, step: str) -> dict[str, object]:
    """One step in a process of its own, because settings are read once a process."""
    named = {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
        "SECRET_KEY": "x" * 50,
        "ALLOWED_HOSTS": "localhost",
        "RISK_PII_KEYS": "one:" + "A" * 43 + "=",
        "LOG_LEVEL": "ERROR",
    }
    command = [
        *(sys.executable, "-m", "benchmarks.shadow_judging"),
        *("--rows", str(rows), "--step", step),
    ]
    done = subprocess.run(command, env=os.environ | named, stdout=subprocess.PIPE, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _fill(rows: int) -> dict[str, object]:
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.filling import copy_predictions
    from models_registry.models import Dataset, ModelVersion
    from models_registry.shadow_models import Shadow
    from scoring.declarations import SHIPPED, load_detector
    from scoring.models import Prediction
    from scoring.services import score_events

    begun, now = time.monotonic(), datetime.now(UTC)
    call_command("migrate", verbosity=0)
    detector = load_detector(SHIPPED / f"{DETECTOR}.yaml")[0]
    score_events(DETECTOR, [_payment(i, now) for i in range(TEMPLATES)], announce=False)
    copies = rows // TEMPLATES
    # Each template's copies are spread over the days; a hundredth is flagged.
    copy_predictions(
        rows,
        TEMPLATES,
        entity="md5((random() * %s)::int::text)" % ENTITIES,  # noqa: UP031
        event_time=f"event_time - copy * interval '{DAYS * 86400 / copies:.6f} seconds'",
        bundle_digest=f"'{CHAMPION}'",
        score="random()",
        probability="random()",
        decision="CASE WHEN random() < 0.01 THEN 'REVIEW' ELSE 'APPROVE' END",
        selection_reason="''",
        exposure="round((random() * 300)::numeric, 2)",
        degraded="false",
    )
    Prediction.objects.exclude(bundle_digest=CHAMPION).delete()
    dataset = Dataset.objects.create(
        detector=detector, digest="d" * 64, known_at=now, first_event_at=now, last_event_at=now,
        rows=1, positives=1, feature_names=[],
    )  # fmt: skip
    versions = [
        ModelVersion.objects.create(
            detector=detector, number=number, stage=stage, learner="logistic_regression",
            digest=digest, dataset=dataset, trained_at=now, training_seconds=1.0,
        )
        for number, stage, digest in ((1, "champion", CHAMPION), (2, "challenger", CHALLENGER))
    ]  # fmt: skip
    Shadow.objects.create(
        version=versions[1], detector=detector, watermark=now, started_at=now, scored_at=now
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO models_registry_shadowscore"
            " (version_id, prediction_id, event_time, score, probability, decision)"
            " SELECT %s, id, event_time, random(), random(),"
            "  CASE WHEN random() < 0.01 THEN 'REVIEW' ELSE 'APPROVE' END FROM scoring_prediction",
            [versions[1].pk],
        )
        cursor.execute(
            "INSERT INTO scoring_label (prediction_id, detector_id, is_fraud, event_time,"
            " label_time, recorded_at, source, reason_code, confidence, notes)"
            " SELECT id, detector_id, random() < 0.01, event_time, event_time, now(), 'import',"
            " '', 1.0, '' FROM scoring_prediction"
        )
        cursor.execute("VACUUM ANALYZE")
    return {"rows": Prediction.objects.count(), "s": round(time.monotonic() - begun)}


def _payment(i: int, now: datetime) -> dict[str, object]:
    at = now - timedelta(days=10, minutes=i)
    return {
        "transaction_id": f"judged-{i}", "user_id": f"user-{i}", "user_name": "Ada Lovelace",
        "amount": 25.0 + i, "location": "Berlin", "timestamp": at.isoformat(),
        "merchant_type": "grocery",
    }  # fmt: skip


def _judge() -> dict[str, object]:
    from models_registry.shadow_judging import judge_shadow
    from models_registry.shadow_models import Shadow

    shadow = Shadow.objects.select_related("version", "detector").get()
    before, begun = _peak(), time.monotonic()
    found = judge_shadow(shadow, now=datetime.now(UTC))
    return {
        "rows compared": found["rows"],
        "verdict": found["verdict"],
        "s": round(time.monotonic() - begun),
        "MB before": before,
        "MB at most": _peak(),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
