"""Another process that scores: `python -m tests.scoring.another_process ORDER` (see `start`).

It ends by SIGKILL inside its transaction, after the last write, where the order says `dies`.
"""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import django
from django.conf import settings

SAME = ("SECRET_KEY", "PII_KEYS", "BUNDLE_DIR", "FEATURE_STORE", "REDIS_URL")


def start(
    folder: Path,
    slug: str,
    batches: list[list[dict[str, Any]]],
    *,
    truths: list[dict[str, tuple[bool, str]]] | None = None,
    dies: bool = False,
) -> "subprocess.Popen[bytes]":
    """A process with this one's database, keys and stores, scoring the batches in turn.

    `truths` of each batch are recorded after it: {external id: (is fraud, when it is known)}.
    """
    order = {
        "settings": {name: str(getattr(settings, name)) for name in SAME},
        "database": str(settings.DATABASES["default"]["NAME"]),
        "slug": slug,
        "batches": batches,
        "truths": truths or [{}] * len(batches),
        "dies": dies,
    }
    path = folder / f"order-{len(list(folder.glob('order-*')))}.json"
    path.write_text(json.dumps(order))
    command = [sys.executable, "-m", "tests.scoring.another_process", str(path)]
    return subprocess.Popen(command, env=os.environ)


def score_and_label(
    slug: str, batch: list[dict[str, Any]], truths: dict[str, tuple[bool, str]]
) -> None:
    from scoring.labelling import record_truths
    from scoring.models import Detector
    from scoring.services import score_events

    score_events(slug, batch, announce=False)
    known = {name: (fraud, datetime.fromisoformat(at)) for name, (fraud, at) in truths.items()}
    if known:
        record_truths(Detector.objects.get(slug=slug).pk, known, source="import")


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text())
    settings.DATABASES["default"]["NAME"] = order["database"]
    for name, value in order["settings"].items():
        setattr(settings, name, value)
    django.setup()
    from scoring import writer

    if order["dies"]:
        writer.add_tallies = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    for batch, truths in zip(order["batches"], order["truths"], strict=True):
        score_and_label(order["slug"], batch, truths)
    from tests.settings import remove_folder

    remove_folder()


if __name__ == "__main__":
    main()
