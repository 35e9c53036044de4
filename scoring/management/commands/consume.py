"""`manage.py consume kafka|mqtt --detector payments --topic ...`: score a stream until stopped.

`manage.py consume --source card-transactions` takes what a declared source says.
"""

import importlib
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scoring.ingestion.stream import Counts, Pulse, StreamProblem, check_detector, source_values

# By name: without their packages (requirements-streaming.lock) the platform runs all the same.
BROKERS = {"kafka": "scoring.ingestion.kafka", "mqtt": "scoring.ingestion.mqtt"}
FLAGS = ("detector", "topic", "alerts_topic", "dead_topic", "threshold", "batch")
FLAGS_OF = {"kafka": ("bootstrap", "group"), "mqtt": ("broker", "client_id", "ca_file")}


class Command(BaseCommand):
    help = "Score the events of a Kafka or MQTT topic until SIGTERM (docs/streaming.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", nargs="?", choices=BROKERS)
        parser.add_argument("--source", help="Slug of a declared source of type kafka or mqtt.")
        parser.add_argument("--name", help="Of the file that says how far it is.")
        for flag in FLAGS:
            parser.add_argument(f"--{flag.replace('_', '-')}")
        for kind, flags in FLAGS_OF.items():
            for flag in flags:
                parser.add_argument(f"--{flag.replace('_', '-')}", help=f"Of {kind} only.")

    def handle(self, *args: Any, **options: Any) -> None:
        stop, counts = threading.Event(), Counts()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        try:
            kind, values = self._values(options)
            environ = {"kafka": settings.KAFKA, "mqtt": settings.MQTT}[kind]
            module = importlib.import_module(BROKERS[kind])
            detector = values.get("detector") or environ.get("detector", "")
            what = values.get("source") or detector
            name = options["name"] or environ.get("name") or f"{kind}-{what}"
            check_detector(detector)
            pulse = Pulse(Path(settings.VAR_DIR) / "consumers", name, counts)
            stream = module.make_stream(values, environ, stop=stop, counts=counts, pulse=pulse)
            try:
                stream.run()
            finally:
                self.stdout.write(f"{name}: {counts}.")
        except ImportError as error:
            message = f"{error.name} is not installed: pip install -r requirements-streaming.lock"
            raise CommandError(message) from error
        except StreamProblem as error:
            raise CommandError(str(error)) from error

    def _values(self, options: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """The broker's kind and the options from flags, and under them from the source."""
        kind: str | None = options["kind"]
        values: dict[str, str] = {}
        if options["source"]:
            declared, values = source_values(options["source"])
            if kind not in (None, declared):
                raise StreamProblem(f"Source '{options['source']}' is of type {declared}.")
            kind = declared
        if kind is None:
            raise StreamProblem("Say kafka or mqtt, or name a --source.")
        every = [*FLAGS, *(flag for flags in FLAGS_OF.values() for flag in flags)]
        given = {name: options[name] for name in every if options[name]}
        alien = sorted(given.keys() - {*FLAGS, *FLAGS_OF[kind]})
        if alien:
            raise StreamProblem(f"--{alien[0].replace('_', '-')} is no option of {kind}.")
        if values and given.get("detector", values["detector"]) != values["detector"]:
            raise StreamProblem(f"The source's events are {values['detector']}'s.")
        return kind, values | given
