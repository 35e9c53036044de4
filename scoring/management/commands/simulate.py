"""`manage.py simulate`: past events with their truth, or `--live N`: a steady trickle."""

import signal
import threading
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scoring.models import Detector
from scoring.simulating import simulate_history, simulate_live
from scoring.simulation.stream import DETECTORS


class Command(BaseCommand):
    help = "Simulate events: a history with labels, or a live trickle (docs/simulator.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", action="append", choices=DETECTORS,
                            help="May be given several times; default: all.")  # fmt: skip
        parser.add_argument("--events", type=int, default=5000, help="Events a detector.")
        parser.add_argument("--days", type=float, default=40.0, help="Days of history up to now.")
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--live", type=float, metavar="N",
                            help="Send N events a second until stopped.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        slugs = options["detector"] or list(DETECTORS)
        found = {d.slug: d for d in Detector.objects.filter(slug__in=slugs, enabled=True)}
        missing = [slug for slug in slugs if slug not in found]
        if missing:
            raise CommandError(f"No detector {', '.join(missing)}: run load_detectors first.")
        detectors = [found[slug] for slug in slugs]
        if options["live"] is not None:
            if options["live"] <= 0:
                raise CommandError("--live needs a rate above 0.")
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
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        simulate_live(detectors, rate=rate, seed=seed, should_stop=stop.is_set, wait=stop.wait)
