"""Everything that needs a database, for the one that the environment names.

Run by `python -m benchmarks` as a process of its own, because settings are read once a process.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402 - models need Django set up

from benchmarks import importing, serving  # noqa: E402
from benchmarks.durability import durability  # noqa: E402
from riskplatform.preparing import prepare  # noqa: E402
from scoring import deployment  # noqa: E402
from scoring.models import Deployment, Detector  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--champions", type=json.loads, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped before it was done."))
    prepare(static=False)
    Path(settings.STATIC_ROOT).mkdir(exist_ok=True)  # No page is asked for; WhiteNoise wants it.
    detector = Detector.objects.get(slug=serving.DETECTOR)
    deployment.install(
        detector,
        slot=Deployment.Slot.CHAMPION,
        digest=options.champions[serving.DETECTOR],
        version="bench",
    )
    endpoint, process = serving.run()
    imports = importing.run(options.folder, options.champions[importing.DETECTOR], options.data)
    options.out.write_text(
        json.dumps(
            {
                "database": connection.vendor,
                "durability": durability(),
                "endpoint": endpoint,
                "process": process,
                "import": imports,
            }
        )
    )


if __name__ == "__main__":
    main()
