"""What a stored prediction says in the words of the earlier services' clients (docs/api.md).

Pure builders: everything is read from the prediction, and from the bundle that it names.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from scoring.core.bundle import BundleError
from scoring.core.decision import RULES_ALONE, Thresholds, together
from scoring.core.reasons import shown_values
from scoring.core.spec import DetectorSpec
from scoring.core.types import Decision, RiskLevel
from scoring.deployment import RULES_ONLY, loaded
from scoring.models import Prediction
from scoring.screened import screening_answer

FORCED = {Decision.REVIEW: 0.75, Decision.BLOCK: 0.95}
"""How much a forced outcome adds to a risk score, as independent evidence: what a rule sends to a
human crosses the mark of an alert, 0.7."""
BLOCKED = 0.9
"""Least risk score of what is blocked, by whatever."""
SANCTIONS, COUNTRY, UNSCREENED, LISTED, MODEL_RISK = (
    "SANCTIONS_MATCH",
    "HIGH_RISK_COUNTRY",
    "NOT_SCREENED",
    "DENY_LIST",
    "MODEL_RISK",
)
SCREENED = {"name": SANCTIONS, "country": COUNTRY}
"""Reason codes of screening hits by kind; any other says that the lists could not be asked."""
LEVELS = {RiskLevel.CRITICAL: RiskLevel.HIGH}
"""Contract D knows three levels; the fourth is its highest."""


def thresholds_of(prediction: Prediction) -> Thresholds | None:
    """The bounds that the prediction's bundle decides by; None when the bundle is gone."""
    if prediction.bundle_digest == RULES_ONLY:
        return RULES_ALONE
    try:
        predictor = loaded(prediction.bundle_digest).predictor
    except BundleError:
        return None
    return RULES_ALONE if predictor is None else predictor.thresholds


def contributions_of(prediction: Prediction) -> list[dict[str, Any]]:
    """Every feature's share of the score, largest first.

    `value` as people read it (`shown_values`). Empty when no model scored, or when the bundle that
    knows the names is gone.
    """
    parts = prediction.contribution_array()
    if parts is None:
        return []
    try:
        spec = loaded(prediction.bundle_digest).spec
    except BundleError:
        return []
    values = shown_values(spec, prediction.vector_array(), prediction.event)
    shares = zip(spec.feature_names, values, parts.tolist(), strict=True)
    return [
        {"feature": name, "value": value, "contribution": part}
        for name, value, part in sorted(shares, key=lambda share: -abs(share[2]))
    ]


def risk_score(prediction: Prediction) -> float:
    """Model, rules, screening and deny list as one number in [0, 1].

    1 - (1 - model)(1 - rule weights)(1 - evidence)..., where a forced REVIEW counts 0.75 and a
    forced BLOCK 0.95; what is blocked has at least 0.9. Without a model the others speak alone
    (the answer says so: `degraded`).
    """
    allowed = any(hit["kind"] == "allow" for hit in prediction.list_hits)
    found = together(prediction.risk, prediction.rule_score) or 0.0
    if not allowed or prediction.decision != Decision.APPROVE:
        for outcome in _forced(prediction):
            found = 1.0 - (1.0 - found) * (1.0 - FORCED[outcome])
    if prediction.decision == Decision.BLOCK:
        found = max(found, BLOCKED)
    return min(max(found, 0.0), 1.0)


def _forced(prediction: Prediction) -> Iterable[Decision]:
    """What rules, screening and lists ask for, hit by hit."""
    outcomes = [hit["outcome"] for hit in prediction.counted_hits() if hit["outcome"]]
    outcomes += [hit["outcome"] for hit in prediction.screening_hits if hit.get("outcome")]
    outcomes += ["BLOCK" for hit in prediction.list_hits if hit["kind"] == "deny"]
    return [Decision(outcome) for outcome in outcomes if outcome in FORCED]


def reasons_by_code(prediction: Prediction) -> dict[str, str]:
    """Why the event stands out, in words by code: rules, sanctions, lists, and the model.

    The model is named when it asked for the review or the block by itself.
    """
    found = {hit["code"]: hit["text"] for hit in prediction.counted_hits()}
    for hit in prediction.screening_hits:
        found.setdefault(SCREENED.get(hit["kind"], UNSCREENED), hit["text"])
    for hit in prediction.list_hits:
        if hit["kind"] == "deny":
            found.setdefault(LISTED, f"{hit['field']} is on the deny list: {hit['reason']}")
    if prediction.selection_reason == "model" and prediction.risk is not None:
        found[MODEL_RISK] = f"The model finds a risk of {prediction.risk:.1%}."
    return found


def sanctions_alerts(prediction: Prediction) -> list[dict[str, Any]]:
    """Hits of the screening: names on sanctions lists, embargoed and high-risk countries."""
    return [
        {
            "type": hit["kind"],
            "severity": str(hit["severity"]),
            "list_name": hit["list_name"],
            "matched_entry": hit["matched"],
            "description": hit["text"],
            "risk_score": hit["score"],
        }
        for hit in prediction.screening_hits
    ]


def summary(prediction: Prediction) -> str:
    """One sentence on what was decided and why."""
    said = [*_allowed_by(prediction), *reasons_by_code(prediction).values()]
    said += [reason["text"] for reason in prediction.reasons[:2]]
    opening = {
        Decision.APPROVE: "Nothing asks for a human",
        Decision.REVIEW: "A human should look at it",
        Decision.BLOCK: "It should be stopped",
    }[Decision(prediction.decision)]
    if prediction.degraded:
        opening += " (no model scored it: rules, lists and screening decided)"
    texts = [text.strip().rstrip(".") for text in said if text.strip()]
    return f"{opening}: {'; '.join(texts)}." if texts else f"{opening}."


def _allowed_by(prediction: Prediction) -> list[str]:
    """Why an event is approved whatever was found: what stands on the allow list."""
    if prediction.decision != Decision.APPROVE:
        return []
    hits = [hit for hit in prediction.list_hits if hit["kind"] == "allow"]
    return [f"{hit['field']} is on the allow list: {hit['reason']}" for hit in hits]


def detect_answer(prediction: Prediction) -> dict[str, Any]:
    """Contract D: the answer of `/detect`, and the message of the topic `alerts`. JSON-able."""
    details = reasons_by_code(prediction)
    level = RiskLevel(prediction.risk_level)
    return {
        "transaction_id": prediction.external_id,
        "prediction_id": str(prediction.pk),
        "risk_score": risk_score(prediction),
        "risk_level": str(LEVELS.get(level, level)),
        "reason_codes": list(details),
        "reason_details": details,
        "sanctions_alerts": sanctions_alerts(prediction),
        "screening": screening_answer(prediction),
        "explainability": {
            "summary": summary(prediction),
            "contributions": [
                {key: reason[key] for key in ("feature", "value", "contribution")}
                for reason in prediction.reasons
            ],
        },
        "recommendation": str(prediction.decision),
        "model_version": prediction.model_version,
        "degraded": prediction.degraded,
        "latency_ms": prediction.latency_us / 1000.0,
    }


def predict_answer(prediction: Prediction) -> dict[str, Any]:
    """Contract C: the answer of `/api/v1/predict`. JSON-able.

    `prediction` is 1 exactly when the event was not approved, for whatever reason: model, rule,
    screening or list. `threshold` is the probability from which the model asks for a review;
    `anomaly_score` is the model's score before calibration.
    """
    bounds = thresholds_of(prediction)
    return {
        "transaction_id": prediction.external_id,
        "prediction_id": str(prediction.pk),
        "prediction": int(prediction.decision != Decision.APPROVE),
        "fraud_probability": prediction.risk,
        "risk_level": str(prediction.risk_level),
        "anomaly_score": prediction.score,
        "threshold": None if bounds is None else bounds.review,
        "timestamp": prediction.received_at,
        "model_version": prediction.model_version,
        "decision": str(prediction.decision),
        "degraded": prediction.degraded,
        "latency_ms": prediction.latency_us / 1000.0,
    }


def imputed_fields(spec: DetectorSpec, given: Mapping[str, Any]) -> list[str]:
    """Fields that the model reads and the event lacks, in the order in which it reads them; among
    them the entity whose history it reads."""
    known = spec.schema["properties"]
    read = dict.fromkeys(name for one in spec.features for name in (one.field, one.entity))
    return [name for name in read if name in known and given.get(name) is None]
