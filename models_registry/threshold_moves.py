"""A person moves the champion's thresholds: what would it mean, then a version of its own.

The new version has the same model, byte for byte, in a bundle of its own; it goes into service on
the same path as any other, and can be rolled back like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from accounts.quantities import threshold
from accounts.services import record_audit
from models_registry.core.reference import share_from
from models_registry.core.threshold_curve import AtThresholds, Curve
from models_registry.core.thresholds import NEVER, moved
from models_registry.evaluation_jobs import newest_as_of
from models_registry.evaluation_models import Evaluation, ThresholdMove
from models_registry.inheriting import inherit_documents
from models_registry.models import ModelVersion
from models_registry.tracked import note_tracking
from scoring.core.bundle import read_files, write_bundle
from scoring.core.decision import Thresholds
from scoring.deployment import bundle_root
from scoring.models import Detector

Stage = ModelVersion.Stage


class MoveRefused(ValueError):
    """The thresholds stay where they are; `field` names the input that is to blame, if one is."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Known:
    """What a version's thresholds are judged by: its curve, and as known at which time."""

    curve: Curve
    thresholds: Thresholds
    known_at: str


def known_of(version: ModelVersion, evaluations: Sequence[Evaluation] = ()) -> Known | None:
    """The newest curve of a version; None for one that was judged before curves were kept,
    or whose costs cannot be read any more."""
    newest = newest_as_of(evaluations)
    curves = newest.curves if newest else version.curves
    metrics = newest.metrics if newest else version.metrics
    if not curves.get("thresholds") or not metrics.get("thresholds"):
        return None
    if version.detector.unreadable():
        return None
    return Known(
        Curve(curves["thresholds"], version.detector.spec().costs),
        Thresholds.from_dict(metrics["thresholds"]),
        metrics.get("known_at", ""),
    )


def check_thresholds(current: Thresholds, *, review: float, block: float | None) -> Thresholds:
    """The new thresholds with their bands; `block` None: never. Raises MoveRefused."""
    if block is not None and min(block, current.block) > 1.0:
        block = None  # Nothing reaches it, as now.
    if not 0.0 < review <= 1.0:
        raise MoveRefused("The review threshold lies above 0 and not above 1.", "review")
    if block is not None and not review <= block <= 1.0:
        raise MoveRefused(
            "The block threshold lies between the review threshold and 1; leave it empty to "
            "block nothing.",
            "block",
        )
    return moved(current, review=review, block=NEVER if block is None else block)


@transaction.atomic
def publish_thresholds(
    version: ModelVersion,
    *,
    review: float,
    block: float | None,
    actor: User | None,
    reason: str,
    known: Known | None = None,
) -> ModelVersion:
    """A new challenger with the champion's model and these thresholds; audited.

    Raises MoveRefused when the version is not the champion, nothing changes or no reason is given;
    BundleError when its bundle cannot be read. Nothing is left behind then.
    """
    # One act at a time for a detector: numbers are not given twice.
    Detector.objects.select_for_update(no_key=True).get(pk=version.detector_id)
    version.refresh_from_db(fields=["stage"])
    if version.stage != Stage.CHAMPION:
        raise MoveRefused("Only the champion's thresholds can be moved.")
    if not reason.strip():
        raise MoveRefused("Say why: the reason is kept with the version.", "reason")
    manifest, files = read_files(bundle_root() / version.digest, version.digest)
    current = Thresholds.from_dict(manifest["thresholds"])
    wanted = _moved(current, review=review, block=block)
    metrics = _metrics_at(version, current, wanted, known)
    changed = _changed(version, wanted, metrics, manifest)
    digest = write_bundle(bundle_root(), manifest | changed, files)
    made = _register(version, digest, metrics, actor=actor)
    inherit_documents(made, version)
    note_tracking(made)
    _note(made, version, current, wanted, actor=actor, reason=reason.strip())
    return made


def _changed(
    version: ModelVersion,
    wanted: Thresholds,
    metrics: dict[str, Any],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """What the manifest of the moved version says otherwise than that of its base."""
    return {
        "thresholds": wanted.to_dict(),
        "outcome_reference": _outcomes_at(version, wanted, manifest),
        "metrics": metrics,
        "moved_from": {"digest": version.digest, "version": version.label},
        "created_at": datetime.now(UTC).isoformat(),
    }


def _note(
    made: ModelVersion,
    base: ModelVersion,
    current: Thresholds,
    wanted: Thresholds,
    *,
    actor: User | None,
    reason: str,
) -> None:
    """Keep who moved what from where to where, and why; with an entry in the audit trail."""
    ThresholdMove.objects.create(
        version=made,
        base=base,
        review_before=current.review,
        block_before=current.block,
        review=wanted.review,
        block=wanted.block,
        actor=actor,
        reason=reason,
    )
    record_audit(
        actor=actor,
        action="model.move_thresholds",
        subject=made,
        detail={
            "from": base.label,
            "review": {"before": _told(current.review), "after": _told(wanted.review)},
            "block": {"before": _told(current.block), "after": _told(wanted.block)},
            "reason": reason,
        },
    )


def _told(risk: float) -> float | str:
    return threshold(risk) if risk > 1.0 else risk


def _moved(current: Thresholds, *, review: float, block: float | None) -> Thresholds:
    """The thresholds asked for. Raises MoveRefused for those that it has already."""
    wanted = check_thresholds(current, review=review, block=block)
    if (wanted.review, wanted.block) == (current.review, current.block):
        raise MoveRefused("These are the thresholds that it has already.", "review")
    return wanted


def _metrics_at(
    version: ModelVersion, current: Thresholds, wanted: Thresholds, known: Known | None
) -> dict[str, Any]:
    """The version's metrics; those that depend on thresholds read off its curve, with what the
    `current` thresholds gave on the same events under `before_move`.

    Their intervals come with the next evaluation.
    """
    known = known or known_of(version)
    found: dict[str, Any] = {
        **version.metrics,
        "thresholds": wanted.to_dict(),
        "moved_from": version.label,
    }
    dependent = ("precision", "recall", "f1", "alert_rate", "false_alerts_per_true_alert")
    for name in (*dependent, "cost_per_event", "savings"):
        found.pop(name, None)
        found["intervals"] = {k: v for k, v in found.get("intervals", {}).items() if k != name}
    for name in ("audited", "before_move"):
        found.pop(name, None)
    if known is not None:
        point, without = known.curve.at(wanted.review, wanted.block), known.curve.cost_without_model
        found |= _at(point)
        found["before_move"] = _at(known.curve.at(current.review, current.block))
        if point.cost is not None and without:
            found["savings"] = 1.0 - point.cost / without
    return found


def _outcomes_at(
    version: ModelVersion, wanted: Thresholds, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """What drift is measured against, its alerts as these thresholds would have raised them: read
    off the curve of the training, if that is of the same events, else off the scores. Where neither
    can tell there are none, and the drift of the alert rate is unknown."""
    found = dict(manifest.get("outcome_reference", {}))
    alerts, scores, own = found.pop("alerts", None), found.get("score"), known_of(version)
    if alerts is None:
        return found
    if own is not None and own.curve.events == alerts["rows"]:
        share: float | None = own.curve.at(wanted.review, wanted.block).alert_rate
    else:
        share = share_from(scores, wanted.review) if scores else None
    if share is not None:
        found["alerts"] = {"rows": alerts["rows"], "share": share, "review": wanted.review}
    return found


def _at(point: AtThresholds) -> dict[str, Any]:
    precision, recall = point.precision, point.recall
    found = {
        "precision": precision,
        "recall": recall,
        "f1": _f1(precision, recall),
        "alert_rate": point.alert_rate,
        "false_alerts_per_true_alert": 1.0 / precision - 1.0 if precision else None,
    }
    if point.cost is not None:
        found["cost_per_event"] = point.cost
    return found


def _f1(precision: float | None, recall: float | None) -> float | None:
    """None where one of the two is; 0 where nothing of what is flagged is bad."""
    if precision is None or recall is None:
        return None
    return 2.0 * precision * recall / (precision + recall) if precision and recall else 0.0


def _register(
    base: ModelVersion, digest: str, metrics: dict[str, Any], *, actor: User | None
) -> ModelVersion:
    """A version of the same model. Who moved it made it: somebody else has to approve it, and it
    is judged by what comes from now on."""
    newest = ModelVersion.objects.filter(detector=base.detector_id).aggregate(n=Max("number"))["n"]
    return ModelVersion.objects.create(
        detector=base.detector,
        number=newest + 1,
        learner=base.learner,
        digest=digest,
        dataset=base.dataset,
        parameters=base.parameters,
        metrics=metrics,
        comparison={},
        # Calibration by risk band is told anew by the next evaluation: the bands have moved.
        curves={k: curve for k, curve in base.curves.items() if k != "calibration_bands"},
        job=base.job,
        trained_by=actor,
        trained_at=timezone.now(),
        training_seconds=base.training_seconds,
    )
