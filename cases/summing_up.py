"""What the queue needs to know of an alert, kept beside it whenever the alert changes."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import vault
from cases.handling_time import Cell, loss_per_minute, predict
from cases.models import Alert
from cases.queue_models import AlertFacet, AlertText, HandlingTime
from cases.words import whole_word, words_of
from cases.workflow import AlertStatus
from scoring import deployment
from scoring.core.bundle import BundleError
from scoring.core.decision import RULES_ALONE
from scoring.core.spec import DetectorSpec
from scoring.core.types import SelectionReason
from scoring.models import Prediction
from scoring.presenting import SpecCache

logger = logging.getLogger(__name__)
SUMMED = 200
AT_ONCE = 100
QUEUE_ORDER = ("-loss_per_minute", "-pk")
MOST_RULES = 400
"""Characters of rule codes that a facet holds."""
SUMS = ("handling_minutes", "loss_per_minute", "threshold_gap", "audit", "facet")


def minutes_known() -> dict[Cell, float]:
    """The handling times in force, by cell."""
    rows = HandlingTime.objects.values_list("detector_id", "level", "size", "minutes")
    return {(detector, level, size): minutes for detector, level, size, minutes in rows}


Facet = tuple[int, int, str, str]
"""What a facet is found by: detector, level, leading reason, rules."""


@dataclass(slots=True)
class Known:
    """What summing up reads besides the alert, looked up once for many alerts of one run."""

    minutes: Mapping[Cell, float] = field(default_factory=minutes_known)
    specs: SpecCache = field(default_factory=SpecCache)
    _facets: dict[Facet, AlertFacet] = field(default_factory=dict)

    def facet(self, key: Facet) -> AlertFacet:
        """The facet, made if there is none. One made just now may still be rolled back, so only
        what was found is remembered."""
        if key in self._facets:
            return self._facets[key]
        detector_id, level, reason, rules = key
        facet, made = AlertFacet.objects.get_or_create(
            detector_id=detector_id, level=level, reason=reason, rules=rules
        )
        if not made:
            self._facets[key] = facet
        return facet


def sum_up(alert: Alert, new: Sequence[Prediction], known: Known, *, is_new: bool = False) -> None:
    """Set on `alert` what its order and its filters read (not saved); keep its words (saved).

    `new` are predictions that it has just taken in; `alert.expected_loss` is up to date. `is_new`:
    it was opened for them, so it has no words yet.
    """
    top, spec = alert.top_prediction, known.specs.of(alert.detector)
    alert.handling_minutes = predict(
        known.minutes, alert.detector_id, alert.level, alert.predictions_count
    )
    alert.loss_per_minute = loss_per_minute(
        alert.expected_loss, 1.0 if spec is None else spec.costs.recoverability,
        alert.handling_minutes,
    )  # fmt: skip
    alert.threshold_gap = _gap(top)
    alert.audit = all(one.selection_reason == SelectionReason.RANDOM_AUDIT for one in new) and (
        alert.audit or alert.predictions_count == len(new)
    )
    alert.facet = known.facet(facet_of(alert.detector_id, alert.level, top))
    _keep_words(alert, new, spec, has_none=is_new)


def facet_of(detector_id: int, level: int, top: Prediction) -> Facet:
    """What the facet of an alert with this top prediction is found by; its rules are those that
    decided."""
    reasons = [str(reason.get("feature", "")) for reason in top.reasons]
    codes = sorted({str(hit.get("code", "")) for hit in top.counted_hits()} - {""})
    rules = ""
    for code in codes:
        if len(rules) + len(code) + 2 > MOST_RULES:
            break
        rules += f" {code}"
    return detector_id, level, (reasons[0] if reasons else "")[:64], f"{rules} " if rules else ""


def _gap(top: Prediction) -> float | None:
    """How far its probability lies from the review threshold of the bundle that gave it."""
    if top.risk is None:
        return None
    try:
        predictor = deployment.loaded(top.bundle_digest).predictor
    except BundleError:
        predictor = None
    thresholds = RULES_ALONE if predictor is None else predictor.thresholds
    return abs(top.risk - thresholds.review)


def tell_words_again(alert: Alert) -> None:
    """Keep the words of what the alert holds as it stands now, and forget all others."""
    AlertText.objects.filter(alert=alert).delete()
    held = Prediction.objects.filter(alert_link__alert=alert).order_by("pk").only(*SAID)
    _keep_words(alert, held.iterator(chunk_size=500), SpecCache().of(alert.detector))


def _keep_words(
    alert: Alert,
    new: Iterable[Prediction],
    spec: DetectorSpec | None,
    *,
    has_none: bool = False,
) -> None:
    kept = None if has_none else AlertText.objects.filter(alert=alert).first()
    before = f" {whole_word(alert.entity)} " if kept is None else kept.words
    words = words_of((text for one in new for text in _said(one, spec)), before)
    if kept is None:
        AlertText.objects.create(alert=alert, words=words)
    elif words != before:
        kept.words = words
        kept.save(update_fields=["words"])


SAID = ("external_id", "event", "rule_hits", "screening_hits", "reasons")
"""What `_said` reads."""


def _said(prediction: Prediction, spec: DetectorSpec | None) -> Iterable[str]:
    """Everything of a prediction that people may search for; personal data is left out."""
    yield prediction.external_id
    for hit in prediction.rule_hits:
        yield f"{hit.get('code', '')} {hit.get('text', '')}"
    for hit in prediction.screening_hits:
        yield f"{hit.get('list_name', '')} {hit.get('text', '')} {hit.get('matched', '')}"
    for reason in prediction.reasons:
        yield f"{reason.get('feature', '')} {reason.get('text', '')}"
    hidden = frozenset(prediction.event) if spec is None else spec.pii_fields
    for name, value in prediction.event.items():
        plain = isinstance(value, str | int | float | Decimal) and name not in hidden
        if plain and not vault.is_encrypted(str(value)):
            yield str(value)


def sum_up_missing(most: int = 500) -> int:
    """Sum up open alerts that nobody has, the most pressing first: those of before there were
    facets. Returns how many; one that cannot be summed up keeps none of the others waiting."""
    return _sum_up_some(_missing(), most)[0]


def sum_up_all(seconds: float) -> int:
    """Sum up what nobody has until each was tried, or so many seconds have passed."""
    end, done, rest = monotonic() + seconds, 0, _missing()
    while monotonic() < end:
        now, last = _sum_up_some(rest, AT_ONCE)
        done += now
        if last is None:
            break
        loss, pk = last
        # Past those that were tried: as many that fail must not keep back what comes after them.
        rest = _missing().filter(Q(loss_per_minute__lt=loss) | Q(loss_per_minute=loss, pk__lt=pk))
    return done


def _missing() -> QuerySet[Alert]:
    return Alert.objects.filter(status=AlertStatus.OPEN, facet=None).order_by(*QUEUE_ORDER)


def _sum_up_some(rows: QuerySet[Alert], most: int) -> tuple[int, tuple[float, int] | None]:
    """(how many of the first `most` were summed up, the place of the last one; None: no more)."""
    known = Known()
    tried = list(rows.values_list("loss_per_minute", "pk")[:most])
    done = sum(_sum_up_one(pk, known) for _, pk in tried)
    return done, tried[-1] if tried else None


def _sum_up_one(pk: int, known: Known) -> int:
    try:
        with transaction.atomic():
            alert = Alert.objects.select_for_update().filter(pk=pk, facet=None).first()
            if alert is None:
                return 0  # Somebody was faster.
            held = list(Prediction.objects.filter(alert_link__alert=alert)[:SUMMED])
            sum_up(alert, held, known)
            alert.save(update_fields=SUMS)
    except Exception:
        # Whatever an old row holds: one alert must not keep the installation from starting.
        logger.exception("Alert %s cannot be summed up.", pk)
        return 0
    return 1
