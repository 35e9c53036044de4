"""`manage.py simulate`: past events with their truth, or `--live N`: a steady trickle."""

import signal
import threading
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.argument_types import number, whole
from accounts.own_keys import refuse_other_keys
from scoring.models import Detector
from scoring.simulating import simulate_history, simulate_live
from scoring.simulation.stream import DETECTORS

MOST_DAYS, MOST_SEED, MOST_RATE = 10_000, 2**32 - 1, 100_000


class Command(BaseCommand):
    help = "Simulate events: a history with labels, or a live trickle (docs/simulator.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", action="append", choices=DETECTORS,
                            help="May be given several times; default: all.")  # fmt: skip
        parser.add_argument("--events", type=whole(1), default=5000, help="Events a detector.")
        parser.add_argument("--days", type=number(0, MOST_DAYS, above=True), default=40.0,
                            help="Days of history up to now.")  # fmt: skip
        parser.add_argument("--seed", type=whole(0, MOST_SEED), default=7)
        parser.add_argument("--live", type=number(0, MOST_RATE, above=True), metavar="N",
                            help="Send N events a second until stopped.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        slugs = options["detector"] or list(DETECTORS)
        found = {d.slug: d for d in Detector.objects.filter(slug__in=slugs, enabled=True)}
        missing = [slug for slug in slugs if slug not in found]
        if missing:
            raise CommandError(f"No detector {', '.join(missing)}: run load_detectors first.")
        detectors = [found[slug] for slug in slugs]
        if options["live"] is not None:
            self._live(detectors, rate=options["live"], seed=options["seed"])
            return
        end = timezone.now()
        for detector in detectors:
            count = simulate_history(
                detector,
                start=end - timedelta(days=options["days"]),
                end=end,
                events=options["events"],
                seed=options["seed"],
            )
            self.stdout.write(f"{detector.slug}: {count:,} events scored")

    def _live(self, detectors: list[Detector], *, rate: float, seed: int) -> None:
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        simulate_live(detectors, rate=rate, seed=seed, should_stop=stop.is_set, wait=stop.wait)
