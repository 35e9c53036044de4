"""A database as it looks after a long time: many predictions, busy entities. PostgreSQL only."""

import time
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
from django.db import connection

from scoring import deployment
from scoring.calls import parse
from scoring.core.windows import EntityWindow
from scoring.feature_store.database import DatabaseFeatureStore
from scoring.models import Prediction
from scoring.services import score_events

TEMPLATES = 200


def fill(slug: str, predictions: int, history: int, bodies: Path) -> None:
    """Store `predictions` rows, and a window of `history` events for each entity of `bodies`.

    A few hundred events are really scored; the others are copies of them under ids and times of
    their own, made inside the database.
    """
    with bodies.open("rb") as file:
        events = [orjson.loads(line) for line in islice(file, 4000)]
    made = [{**event, "transaction_id": f"old-{i}"} for i, event in enumerate(events[:TEMPLATES])]
    score_events(slug, made)
    copy_predictions(predictions, len(made))
    if history:
        _busy_windows(slug, events, history)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def copy_predictions(predictions: int, templates: int, **columns: str) -> None:
    """Copy each of the `templates` there are; `columns` names what is made otherwise, in SQL."""
    names = [str(field.column) for field in Prediction._meta.concrete_fields]
    changed = {
        "id": "gen_random_uuid()",
        "external_id": "external_id || '-' || copy",
        "event_time": "event_time - copy * interval '7 seconds'",
        "received_at": "received_at - copy * interval '7 seconds'",
    } | columns
    values = ", ".join(changed.get(name, name) for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO scoring_prediction ({', '.join(names)}) SELECT {values}"  # noqa: S608
            " FROM scoring_prediction, generate_series(1, %s) AS copy",
            [max(predictions // templates, 1)],
        )


def _busy_windows(slug: str, events: list[dict[str, object]], history: int) -> None:
    """Every entity's window full of events spread over what it remembers."""
    serving = deployment.serving(slug)
    plan, store = serving.bundle.plan, DatabaseFeatureStore()
    now = time.time()
    read = [parse(serving, event, now).event for event in events]
    keys = sorted({key for event in read for key in plan.keys(event)})
    for first in range(0, len(keys), 500):
        part = keys[first : first + 500]
        windows = store.load(serving.detector_id, plan, part, lock=False)
        widths = {entity.key: (entity.width, entity.reach) for entity in plan.entities}
        for key in part:
            width, reach = widths[key[0]]
            rows = np.random.default_rng(len(key[1])).uniform(1.0, 100.0, (history, width))
            rows[:, 0] = now - np.linspace(reach * 0.98, 0.0, history)
            windows[key] = EntityWindow(rows)
        store.save(serving.detector_id, plan, windows)
