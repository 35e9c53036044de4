"""Reads of predictions, labels and detectors."""

from datetime import datetime
from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery

from accounts import vault
from scoring.core.bundle import BundleError
from scoring.core.schema import key_text
from scoring.core.types import Decision, Stage
from scoring.deployment import RULES_ONLY, loaded
from scoring.import_models import QuietImport
from scoring.models import Deployment, Detector, Label, Prediction
from scoring.policy_models import RuleVersion


def find_prediction(pk: UUID) -> Prediction | None:
    """The prediction of that id, with its detector."""
    return Prediction.objects.select_related("detector").filter(pk=pk).first()


def find_prediction_of(slug: str, external_id: str) -> Prediction | None:
    """The prediction of the event that its client called `external_id`, with its detector."""
    rows = Prediction.objects.select_related("detector")
    return rows.filter(detector__slug=slug, external_id=external_id).first()


def find_prediction_by(text: str, slug: str) -> Prediction | None:
    """What a client calls a prediction: its id, or the id that it gave an event of the detector.
    Ids of events are often UUIDs too."""
    if "\0" in slug + text:  # PostgreSQL has no text with a NUL.
        return None
    try:
        found = find_prediction(UUID(text))
    except ValueError:
        found = None
    return found or find_prediction_of(slug, text)


def detector_id_of(slug: str) -> int | None:
    """The detector of that slug; None when there is none."""
    if "\0" in slug:
        return None
    return Detector.objects.filter(slug=slug).values_list("pk", flat=True).first()


def predictions_page(
    *,
    detector_id: int | None,
    flagged_only: bool,
    since: datetime | None = None,
    until: datetime | None = None,
    skip: int,
    limit: int,
) -> QuerySet[Prediction]:
    """Predictions, newest event first; of one detector unless None, of events in [since, until).

    By its id, which the index of a detector's events begins with: by its slug the database would
    walk through everybody's events to find those of a detector that has few.
    """
    rows = Prediction.objects.select_related("detector").order_by("-event_time", "-id")
    if detector_id is not None:
        rows = rows.filter(detector=detector_id)
    if flagged_only:
        rows = rows.exclude(decision=Decision.APPROVE)
    if since is not None:
        rows = rows.filter(event_time__gte=since)
    if until is not None:
        rows = rows.filter(event_time__lt=until)
    return rows[skip : skip + limit]


def with_newest_label(rows: QuerySet[Prediction]) -> QuerySet[Prediction]:
    """Adds `newest_label`: True for fraud, False for legitimate, None for unknown."""
    newest = Label.objects.filter(prediction=OuterRef("pk")).order_by("-label_time", "-id")
    return rows.annotate(newest_label=Subquery(newest.values("is_fraud")[:1]))


def detector_names() -> dict[str, str]:
    """Slug -> name of every detector, switched off or not. One query."""
    return dict(Detector.objects.order_by("name").values_list("slug", "name"))


def detector_list() -> QuerySet[Detector]:
    """Detectors with what serves them, by name."""
    champions = Deployment.objects.filter(slot=Deployment.Slot.CHAMPION)
    return Detector.objects.prefetch_related(
        Prefetch("deployments", champions, to_attr="champions")
    ).order_by("name")


def versions_in_force() -> QuerySet[RuleVersion]:
    """Versions of all detectors that are evaluated, live before shadow, with their rules."""
    rows = RuleVersion.objects.filter(stage__in=(Stage.LIVE, Stage.SHADOW))
    return rows.select_related("rule").order_by("stage", "rule__code")


def rules_in_force(detector: Detector) -> QuerySet[RuleVersion]:
    """Those of one detector."""
    return versions_in_force().filter(rule__detector=detector)


def detector_made_from(source: str) -> Detector | None:
    """The detector that a feature pipeline made of the events of the source of that slug."""
    return Detector.objects.filter(config__event__source=source).first()


def detectors_of_pipeline(name: str) -> QuerySet[Detector]:
    """Those that the feature pipeline of that name made, each of one source."""
    return Detector.objects.filter(config__features__name=name, config__event__source__isnull=False)


def detectors_without_model() -> list[str]:
    """Names of enabled detectors that the rules alone decide."""
    rows = Deployment.objects.filter(
        slot=Deployment.Slot.CHAMPION, version=RULES_ONLY, detector__enabled=True
    )
    return list(rows.order_by("detector__name").values_list("detector__name", flat=True))


def entity_name(prediction: Prediction, entity_field: str) -> str:
    """Who the event was about, as the payload says it; decrypted where it is personal data.

    Callers that show it to people mask personal data (`accounts.vault.mask`).
    """
    value = prediction.event.get(entity_field)
    if value is None:
        return prediction.external_id
    text = key_text(value)
    return vault.decrypt(text) if vault.is_encrypted(text) else text


def earlier_of_entity(row: Prediction, *, limit: int) -> list[Prediction]:
    """The newest events of the entity before this one, newest first, with what a history needs.

    Of events of one time those are before it that were scored before it.
    """
    rows = Prediction.objects.filter(
        entity=row.entity, detector_id=row.detector_id, event_time__lte=row.event_time
    ).exclude(event_time=row.event_time, pk__gte=row.pk)
    needed = ("event_time", "external_id", "event", "vector", "bundle_digest", "detector_id")
    return list(rows.order_by("-event_time", "-id").only(*needed)[:limit])


IMPORTANCE_SAMPLE = 300


def feature_importance(detector: Detector, digest: str) -> tuple[dict[str, float], int]:
    """(mean absolute contribution by feature name, events counted) of a version's newest events.

    Nothing is told while the version has scored no event, or cannot be loaded here.
    """
    rows = Prediction.objects.filter(detector=detector).order_by("-event_time", "-id")
    newest = rows.values_list("bundle_digest", "contributions")[:IMPORTANCE_SAMPLE]
    found = [np.frombuffer(parts, "<f8") for own, parts in newest if own == digest and parts]
    if not found:
        return {}, 0
    try:
        names = loaded(digest).plan.names
    except BundleError:
        return {}, 0
    mean = np.abs(np.stack(found)).mean(axis=0)
    return dict(zip(names, mean.tolist(), strict=True)), len(found)


def opens_alerts() -> Q:
    """Predictions that were not imported as history that opens no alert."""
    quiet = QuietImport.objects.filter(
        detector=OuterRef("detector"),
        began_at__lte=OuterRef("received_at"),
        ends_at__gte=OuterRef("received_at"),
        events_before__gt=OuterRef("event_time"),
    )
    return ~Q(Exists(quiet.order_by()))
