"""`/metrics`: Prometheus text, the same from every process.

Counts come from the running totals in the database, which all processes share, so a scrape is exact
whichever process answers it, and restarts lose nothing. What only processes know (the latency
histogram, cache hits) goes through prometheus-client's multiprocess files, one per process in
PROMETHEUS_DIR; the answer adds them up, those of processes that are gone included,
until the web server or the worker starts anew.
Who may read: everybody when RISK_METRICS_OPEN, else addresses in RISK_METRICS_NETWORKS and whoever
sends `Authorization: Bearer <RISK_METRICS_TOKEN>`.
"""

import hmac
import logging
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import product
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from accounts.lockout import client_address
from models_registry.core.drift import FEATURE, RANKS
from models_registry.drift_selectors import newest_statistics
from riskplatform.health import KINDS, RETRY_AFTER, serving_versions
from scoring import breakers
from scoring.core.types import RISK_LEVELS
from scoring.shortfalls import all_shortfalls
from scoring.tallies import Slice, slices
from scoring.watchlist_store import synchronised_at

logger = logging.getLogger(__name__)
STATES = ("CLOSED", "OPEN", "HALF_OPEN")


@csrf_exempt
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics; 403 for who may not read them, 503 while the database is gone."""
    if not _may_read(request):
        return HttpResponse("Not for this address.\n", status=403, content_type="text/plain")
    registry = CollectorRegistry()
    registry.register(StoredMetrics())
    ProcessMetrics(registry, path=str(settings.PROMETHEUS_DIR))
    try:
        body = generate_latest(registry)
    except DatabaseError:
        return HttpResponse(
            "The database is gone.\n",
            status=503,
            content_type="text/plain",
            headers={"Retry-After": RETRY_AFTER},
        )
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    if settings.METRICS_OPEN:
        return True
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    if wanted and scheme.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), wanted.encode())
    try:
        address = ip_address(client_address(request))
    except ValueError:
        return False
    return any(address in network for network in settings.METRICS_NETWORKS)


class ProcessMetrics(MultiProcessCollector):
    """What the files of all processes say together. One that cannot be read is left out: a process
    begins it this moment, or a full disk or a crash tore it."""

    told: set[str] = set()

    def collect(self) -> list[Metric]:
        """Of the files as they are now."""
        files = sorted(str(path) for path in Path(self._path).glob("*.db"))
        return list(self.merge([path for path in files if self._can_be_read(path)]))

    def _can_be_read(self, path: str) -> bool:
        try:
            self.merge([path])
        except Exception as problem:  # Whatever damaged bytes do to its parser.
            if path not in self.told:  # Once: scrapes come every few seconds.
                self.told.add(path)
                logger.warning("%s is left out of /metrics: %r", path, problem)
            return False
        return True


class StoredMetrics:
    """What the database knows: a collector as prometheus-client asks for."""

    def describe(self) -> list[Metric]:
        """Nothing: names are told by collecting, not when the collector is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Raises DatabaseError."""
        found = slices()
        versions = serving_versions()
        yield from _counts(found)
        yield from _by_level(found)
        yield from _drift(versions)
        yield _info(versions)
        yield _shortfalls(versions)
        yield _watchlists()
        yield _breakers()


def _counts(found: list[Slice]) -> Iterator[Metric]:
    total = CounterMetricFamily(
        "riskplatform_predictions", "Stored predictions.", labels=["detector", "decision"]
    )
    degraded = CounterMetricFamily(
        "riskplatform_predictions_degraded",
        "Stored predictions that no model scored.",
        labels=["detector"],
    )
    seconds = CounterMetricFamily(
        "riskplatform_scoring_seconds", "Time spent on scoring itself.", labels=["detector"]
    )
    for detector in sorted({part.detector for part in found}):
        parts = [part for part in found if part.detector == detector]
        for decision in sorted({part.decision for part in parts}):
            count = sum(part.count for part in parts if part.decision == decision)
            total.add_metric([detector, decision], count)
        degraded.add_metric([detector], sum(part.degraded for part in parts))
        seconds.add_metric([detector], sum(part.latency_us for part in parts) / 1e6)
    yield from (total, degraded, seconds)


def _by_level(found: list[Slice]) -> Iterator[Metric]:
    levels = CounterMetricFamily(
        "riskplatform_transactions_processed",
        "Transactions processed by risk level.",
        labels=["detector", "risk_level"],
    )
    for detector in sorted({part.detector for part in found}):
        for level in RISK_LEVELS:
            count = sum(
                part.count
                for part in found
                if part.detector == detector and part.risk_level == level
            )
            levels.add_metric([detector, str(level)], count)
    yield levels


def _drift(versions: dict[str, str]) -> Iterator[Metric]:
    """Of the newest check of each detector, from the database: right whichever process checked."""
    psi = GaugeMetricFamily(
        "riskplatform_drift_psi",
        "PSI of a feature at the newest drift check.",
        labels=["detector", "feature"],
    )
    status = GaugeMetricFamily(
        "riskplatform_drift_status",
        "Drift of a feature: -1 unknown, 0 stable, 1 moderate, 2 major.",
        labels=["detector", "feature"],
    )
    checks = {}
    for row in newest_statistics(versions):
        slug = row.drift_check.detector.slug
        checks[slug] = row.drift_check
        # In parentheses what is no feature: a feature may be called score.
        labels = [slug, row.name if row.role == FEATURE else f"({row.name})"]
        status.add_metric(labels, RANKS[row.status] - 1)
        if row.psi is not None:
            psi.add_metric(labels, row.psi)
    worst = GaugeMetricFamily(
        "riskplatform_drift_psi_max", "Largest PSI of any feature.", labels=["detector"]
    )
    whole = GaugeMetricFamily(
        "riskplatform_drift_worst_status",
        "Status of the whole check: -1 unknown, 0 stable, 1 moderate, 2 major.",
        labels=["detector"],
    )
    at = GaugeMetricFamily(
        "riskplatform_drift_checked_timestamp_seconds", "The newest check.", labels=["detector"]
    )
    for slug, check in checks.items():
        whole.add_metric([slug], RANKS[check.status] - 1)
        at.add_metric([slug], check.checked_at.timestamp())
        if check.max_psi is not None:
            worst.add_metric([slug], check.max_psi)
    yield from (psi, status, worst, whole, at)


def _info(versions: dict[str, str]) -> Metric:
    info = GaugeMetricFamily(
        "riskplatform_model_info",
        "Which version is to serve; riskplatform_shortfalls says where it cannot.",
        labels=["detector", "model_version"],
    )
    for slug, version in sorted(versions.items()):
        info.add_metric([slug, version], 1)
    return info


def _shortfalls(versions: dict[str, str]) -> Metric:
    """A series stays at 0 when nothing is wrong: one that is gone alerts nobody."""
    family = GaugeMetricFamily(
        "riskplatform_shortfalls",
        "What is in force and does not do what it says; degrades: it worked before.",
        labels=["detector", "kind", "degrades"],
    )
    found = Counter((one.detector, one.kind, one.degrades) for one in all_shortfalls())
    slugs = {*versions, *(detector for detector, _, _ in found)}
    for slug, kind, degrades in product(sorted(slugs), KINDS, (True, False)):
        labels = [slug, kind, str(degrades).lower()]
        family.add_metric(labels, found[slug, kind, degrades])
    return family


def _watchlists() -> Metric:
    at = GaugeMetricFamily(
        "riskplatform_watchlist_synced_timestamp_seconds",
        "When a sanctions list was synchronised last.",
        labels=["list"],
    )
    for name, moment in sorted(synchronised_at().items()):
        at.add_metric([name], moment.timestamp())
    return at


def _breakers() -> Metric:
    circuits = GaugeMetricFamily(
        "riskplatform_circuit_breaker",
        "1 for the state that a breaker of the answering process is in.",
        labels=["name", "state"],
    )
    for name, state in breakers.states().items():
        for known in STATES:
            circuits.add_metric([name, known], float(state == known))
    return circuits
