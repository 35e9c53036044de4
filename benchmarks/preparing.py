"""Prepare the database that the environment names, for a server to be measured on it.

    python -m benchmarks.preparing --champions '{"fraud": "<digest>"}' --out key.json

A process of its own, because settings are read once a process. Writes {"key": an API key without a
limit, "durability": what the database promises, "names screened against": how many}.
"""

import argparse
import json
import os
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")
django.setup()

from django.conf import settings  # noqa: E402 - models need Django set up

from accounts.api_keys import create_api_key  # noqa: E402
from accounts.models import User  # noqa: E402
from benchmarks.durability import durability  # noqa: E402
from benchmarks.filling import fill  # noqa: E402
from riskplatform.preparing import prepare  # noqa: E402
from scoring import deployment  # noqa: E402
from scoring.models import Deployment, Detector  # noqa: E402
from scoring.policy_models import Watchlist  # noqa: E402
from scoring.watchlists import sync_watchlist  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--champions", type=json.loads, required=True)
    parser.add_argument("--predictions", type=int, default=0, help="Stored before the start.")
    parser.add_argument("--history", type=int, default=0, help="Events of each entity in store.")
    parser.add_argument("--bodies", type=Path, help="Whose entities get that history.")
    parser.add_argument("--watchlists", type=Path, help="A folder with OFAC's files and the UN's.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    prepare(static=False)
    Path(settings.STATIC_ROOT).mkdir(exist_ok=True)  # No page is asked for; WhiteNoise wants it.
    for slug, digest in options.champions.items():
        deployment.install(
            Detector.objects.get(slug=slug),
            slot=Deployment.Slot.CHAMPION,
            digest=digest,
            version="bench",
        )
    if options.watchlists:
        for source in (options.watchlists, options.watchlists / "un_consolidated.xml"):
            sync_watchlist(str(source))
    if options.predictions:
        fill("payments", options.predictions, options.history, options.bodies)
    _, key = create_api_key(
        user=User.objects.create_user("bench"),
        label="bench",
        scopes=["score"],
        rate="none",
        expires_at=None,
        actor=None,
    )
    found = {"key": key, "durability": durability(), "names screened against": _names()}
    options.out.write_text(json.dumps(found))


def _names() -> int:
    return sum(Watchlist.objects.filter(active=True).values_list("names", flat=True))


if __name__ == "__main__":
    main()
