"""A version's model card: what it is for, what it learnt from, how well it judges, what it cannot.

After Mitchell et al., "Model cards for model reporting" (2019). Everything in it is read from what
was recorded; what was not recorded is None and named under `unknown`.
"""

from typing import Any

from django.db.models import Q
from django.utils import timezone

from models_registry.core.kept_metrics import as_told
from models_registry.drift_selectors import newest_check
from models_registry.models import Dataset, ModelVersion, PromotionDecision
from models_registry.rare_class import WITHOUT_LABELS
from models_registry.registry_models import Artefact, Lineage
from models_registry.selectors import lineage_of, move_of
from scoring.core.bundle import BundleError, declared_by, fault_at, read_manifest
from scoring.core.spec import DetectorSpec
from scoring.deployment import bundle_root
from scoring.models import Deployment

FORMAT = 1
FEW_POSITIVES = 100
KEYS_OF_COUNTS = ("rows", "positives", "known_at")
TREES = (
    "Exact Shapley contributions of each feature along the trees' paths (path-dependent TreeSHAP), "
    "checked against the model's margin for every event."
)
METHODS = {
    "lightgbm": TREES,
    "xgboost": TREES,
    "random_forest": TREES,
    "voting_ensemble": TREES,
    "isolation_forest": TREES,
    "logistic_regression": "Exact contributions of each feature: coefficient times distance from "
    "the mean, checked against the model's margin for every event.",
    "one_class_svm": "Exact Shapley contributions of each feature to the kernel's sum, features "
    "taken as independent.",
    "autoencoder": "Each feature's own part of the reconstruction error, less its mean: it says "
    "where the error shows, which is not always the feature that is wrong.",
    "ecod": "Each feature's own term of the outlier score: how far out in the tails it lies.",
}
"""By learner; see the modules under scoring/core that compute them."""
NEGATIVES = {
    True: "An event counts as legitimate once the label delay has passed without a report; younger "
    "unlabelled events are left out.",
    False: "An event counts as legitimate only once somebody labelled it so. What nobody labelled "
    "stays unknown, however old it is, and is never a negative.",
}
"""What counts as a negative, by whether the detector takes unlabelled events for legitimate."""


def model_card(version: ModelVersion) -> dict[str, Any]:
    """The card as plain JSON values; times are datetimes.

    `version` from `selectors.documented_versions`: five more queries, and the bundle's manifest.
    """
    manifest = _manifest(version)
    spec = _declared(version, manifest)
    lineage = lineage_of(version)
    explained = Artefact.objects.filter(version=version, kind=Artefact.Kind.EXPLANATION).first()
    card: dict[str, Any] = {
        "format": FORMAT,
        "made_at": timezone.now(),
        "version": version.label,
        "stage": version.stage,
        "bundle_digest": version.digest,
        "bundle_fault": fault_at(bundle_root() / version.digest, version.digest),
        "detector": _detector(version, spec),
        "learner": version.learner,
        "parameters": version.parameters,
        "data": _data(version.dataset),
        "label_policy": _label_policy(spec),
        "evaluation": _evaluation(version),
        "subgroups": lineage.subgroups if lineage else [],
        "thresholds": manifest.get("thresholds"),
        "thresholds_moved": _move(version),
        "calibration": manifest.get("calibration", {}).get("kind"),
        "costs": _costs(spec),
        "explanation": {
            "method": METHODS.get(version.learner),
            "global": explained.detail if explained else None,
        },
        "monitoring": _monitoring(version),
        "people": _people(version, lineage),
        "code": lineage.code if lineage and lineage.code else None,
        "origin": lineage.origin if lineage else None,
        "parent": lineage.parent.label if lineage and lineage.parent else None,
    }
    card["limitations"] = limitations(version, card)
    card["unknown"] = _unknown(card)
    return card


def _manifest(version: ModelVersion) -> dict[str, Any]:
    """Empty where it cannot be read, which `bundle_fault` tells."""
    try:
        return read_manifest(bundle_root() / version.digest, version.digest)
    except BundleError:
        return {}


def _declared(version: ModelVersion, manifest: dict[str, Any]) -> DetectorSpec | None:
    """The declaration that the version was trained with; None where its bundle is gone, or it
    cannot be read any more, which `bundle_fault` tells."""
    try:
        return declared_by(manifest, version.digest) if manifest else None
    except BundleError:
        return None


def _detector(version: ModelVersion, spec: DetectorSpec | None) -> dict[str, Any]:
    return {
        "slug": version.detector.slug,
        "name": version.detector.name,
        "purpose": (spec.description if spec else version.detector.description) or None,
        "entity": spec.entity_field or None if spec else None,
        "currency": spec.currency or None if spec else None,
    }


def _data(dataset: Dataset) -> dict[str, Any]:
    return {
        "digest": dataset.digest,
        "events": dataset.rows,
        "labelled": dataset.detail.get("labelled"),
        "positives": dataset.positives,
        "first_event_at": dataset.first_event_at,
        "last_event_at": dataset.last_event_at,
        "labels_known_at": dataset.known_at,
        "parts": dataset.divided,
        "features": dataset.feature_names,
    }


def _label_policy(spec: DetectorSpec | None) -> dict[str, Any] | None:
    if spec is None:
        return None
    return {
        "label_delay_seconds": spec.training.label_delay,
        "minimum_positives": spec.training.minimum_positives,
        "unlabelled_is_legitimate": spec.training.unlabelled_is_legitimate,
        "negatives": NEGATIVES[spec.training.unlabelled_is_legitimate],
    }


def _evaluation(version: ModelVersion) -> dict[str, Any]:
    found = as_told(version.metrics)
    return {
        "events": found.get("rows"),
        "positives": found.get("positives"),
        "known_at": found.get("known_at"),
        "metrics": {name: value for name, value in found.items() if name not in KEYS_OF_COUNTS},
        "comparison": version.comparison or None,
    }


def _costs(spec: DetectorSpec | None) -> dict[str, Any] | None:
    if spec is None:
        return None
    costs = spec.costs
    return {
        "review_cost": costs.review_cost,
        "false_block_cost": costs.false_block_cost,
        "loss_share": costs.loss_share,
        "capacity": costs.capacity,
        "currency": spec.currency or None,
    }


def _monitoring(version: ModelVersion) -> dict[str, Any]:
    slots = list(Deployment.objects.filter(detector=version.detector_id, digest=version.digest))
    check = newest_check(version.detector)
    own = check if check and check.bundle_digest == version.digest else None
    return {
        "serves": version.stage == ModelVersion.Stage.CHAMPION,
        "deployed": [{"slot": row.slot, "since": row.installed_at} for row in slots],
        "drift": None
        if own is None
        else {name: getattr(own, name) for name in ("status", "checked_at", "rows", "max_psi")},
    }


def _people(version: ModelVersion, lineage: Lineage | None) -> dict[str, Any]:
    out = Q(previous=version, action=PromotionDecision.Action.ROLL_BACK)
    decisions = PromotionDecision.objects.filter(Q(version=version) | out).select_related(
        "actor", "version", "request__requested_by"
    )
    imported = lineage is not None and lineage.origin == Lineage.Origin.IMPORTED
    return {
        "trained_by": None if imported else version.trainer,
        "imported_by": _name(version.trained_by) if imported else None,
        "trained_at": version.trained_at,
        "decisions": [_decision(act) for act in decisions],
    }


def _decision(act: PromotionDecision) -> dict[str, Any]:
    """`serves`: what it put into service, which for a roll-back may be another version."""
    asked = getattr(act, "request", None)
    return {
        "action": act.action,
        "serves": act.version.label,
        "by": _name(act.actor) or "the platform",
        "asked_by": None if asked is None else _name(asked.requested_by),
        "at": act.at,
        "reason": act.reason or None,
        "override": act.is_override,
    }


def _move(version: ModelVersion) -> dict[str, Any] | None:
    """Who gave it other thresholds than the version whose model it has; None for any other."""
    move = move_of(version)
    if move is None:
        return None
    return {
        "from": move.base.label,
        "by": _name(move.actor) or "the platform",
        "at": move.at,
        "reason": move.reason,
        "review": [move.review_before, move.review],
        "block": [move.block_before, move.block],
    }


def _name(user: Any) -> str | None:
    return None if user is None else user.name or user.username


def limitations(version: ModelVersion, card: dict[str, Any]) -> list[str]:
    """What the recorded facts say against relying on it."""
    found = []
    positives = card["evaluation"]["positives"]
    if positives is not None and positives < FEW_POSITIVES:
        found.append(
            f"Only {positives} positives were among the events it was judged on: its numbers are "
            "uncertain."
        )
    if positives and positives == card["evaluation"]["events"]:
        found.append("No legitimate event is known among those: nothing tells of false alarms.")
    if card["origin"] == Lineage.Origin.IMPORTED:
        found.append("It was imported: metrics and curves are those that its file states.")
        found += [*_undigested(version), *_moved_before(version)]
    if card["calibration"] == "none":
        found.append("Its scores are not calibrated: they order events and are no probabilities.")
    if version.comparison.get("champion_saw_test_rows"):
        found.append("The champion it was compared with had learnt from some of the same events.")
    drift = card["monitoring"]["drift"]
    if drift and drift["status"] in ("moderate", "major"):
        found.append(f"The newest drift check calls the drift of its inputs {drift['status']}.")
    if card["label_policy"]:
        found.append(_limits_of_labels(card["label_policy"], version.learner))
    found.append(_newest_known(card["data"]))
    return found


def _newest_known(data: dict[str, Any]) -> str:
    """Until when it can know a pattern: it learns none from what it is calibrated or judged on."""
    fitted = next((part["end"] for part in data["parts"] if part["name"] == "training"), None)
    last = data["last_event_at"] if fitted is None else fitted
    why = "" if fitted is None else ", when its training part ends"
    return f"It knows nothing of patterns that first appeared after {last:%Y-%m-%d}{why}."


def _undigested(version: ModelVersion) -> list[str]:
    """That nothing tells whether the file said what was exported; empty where its digest did."""
    lineage = lineage_of(version)
    if lineage is not None and lineage.origin_detail.get("digested"):
        return []
    return ["Its statements are not digested: data, curves and dates may have been changed."]


def _moved_before(version: ModelVersion) -> list[str]:
    """That somebody set its thresholds where it was exported; empty where nobody did."""
    lineage = lineage_of(version)
    moved = lineage.origin_detail.get("moved_from") if lineage else None
    if not moved:
        return []
    return [f"Its thresholds were moved by hand, from those of {moved.get('version')} there."]


def _limits_of_labels(policy: dict[str, Any], learner: str) -> str:
    days = policy["label_delay_seconds"] / 86400
    if policy["unlabelled_is_legitimate"]:
        return (
            f"Bad events that are reported later than {days:g} days count as legitimate in its "
            "training and in these numbers."
        )
    judged = (
        "is judged on labelled events alone"
        if learner in WITHOUT_LABELS
        else "learnt from labelled events alone, and is judged on such"
    )
    return f"It {judged}: of events like those that nobody labels, these numbers say nothing."


UNKNOWN = {
    "purpose": lambda card: card["detector"]["purpose"],
    "labelled events": lambda card: card["data"]["labelled"],
    "when labels were known for its metrics": lambda card: card["evaluation"]["known_at"],
    "performance by subgroup": lambda card: card["subgroups"] or None,
    "thresholds": lambda card: card["thresholds"],
    "label policy": lambda card: card["label_policy"],
    "costs": lambda card: card["costs"],
    "global explanation": lambda card: card["explanation"]["global"],
    "drift of its inputs": lambda card: card["monitoring"]["drift"],
    "code version": lambda card: card["code"],
    "origin": lambda card: card["origin"],
}


def _unknown(card: dict[str, Any]) -> list[str]:
    return [name for name, read in UNKNOWN.items() if read(card) is None]
