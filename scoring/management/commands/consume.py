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

from accounts.own_keys import refuse_other_keys
from scoring.ingestion.stream import Counts, Pulse, StreamProblem, check_detector, source_values

# By name: without their packages (requirements-streaming.lock) the platform runs all the same.
BROKERS = {"kafka": "scoring.ingestion.kafka", "mqtt": "scoring.ingestion.mqtt"}
FLAGS = {
    "detector": "Slug of the detector that scores; it declares an id field.",
    "topic": "Where events come from, one JSON object a message. Of mqtt also a filter with + and "
    "#, or a shared subscription.",
    "alerts_topic": "Where the answers of risky events go; none without it.",
    "dead_topic": "Where messages go that no prediction can be made of, with the reason. Default: "
    "<topic>.dead (kafka), riskplatform/dead/<detector> (mqtt).",
    "threshold": "A risk score above it is an alert, 0 to 1. Default: 0.7.",
    "batch": "Most messages scored and acknowledged together. Default: 200 (kafka), 100 (mqtt).",
}
FLAGS_OF = {
    "kafka": {
        "bootstrap": "Brokers to begin with: host:port,host:port.",
        "group": "Consumer group; its members share the partitions. Default: "
        "riskplatform-<detector>.",
    },
    "mqtt": {
        "broker": "host:port.",
        "client_id": "Name of the session that the broker keeps; each consumer its own. Default: "
        "riskplatform.<source>, else riskplatform-<detector>.",
        "ca_file": "Certificates that the broker's is checked against, with RISK_MQTT_TLS=true.",
    },
}


class Command(BaseCommand):
    help = (
        "Score the events of a Kafka or MQTT topic until SIGTERM, which ends it after the batch in "
        "hand. A message is acknowledged once its prediction is stored; with the database or the "
        "brokers away it waits, and skips nothing. Each flag may come from the environment instead "
        "(--alerts-topic: RISK_KAFKA_ALERTS_TOPIC, RISK_MQTT_ALERTS_TOPIC), and a flag goes before "
        "it. Passwords come from the environment alone. See docs/streaming.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", nargs="?", choices=BROKERS, help="Not needed with --source.")
        parser.add_argument(
            "--source",
            help="Slug of a declared source of type kafka or mqtt, which says what to read and "
            "where; flags go before it.",
        )
        parser.add_argument(
            "--name",
            help="Tells consumers on one machine apart: of the file under consumers/ in "
            "RISK_VAR_DIR that says how far it is. Default: <kind>-<source or detector>.",
        )
        for flag, told in FLAGS.items():
            parser.add_argument(f"--{flag.replace('_', '-')}", help=told)
        for kind, flags in FLAGS_OF.items():
            for flag, told in flags.items():
                parser.add_argument(f"--{flag.replace('_', '-')}", help=f"Of {kind} alone. {told}")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
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
