"""The champion on the very events by which another version is judged, at its training or since."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.core.comparison import Contender, compare, could_decide
from models_registry.datasets import DatasetError, Rows, read_vectors
from models_registry.fitting import Progress, told_while_reading
from models_registry.judging import blocks_at, finite, risk_of
from models_registry.models import ModelVersion
from models_registry.selectors import champion_of
from scoring.core.bundle import Bundle, BundleError
from scoring.core.inference import ModelError
from scoring.core.spec import DetectorSpec
from scoring.deployment import loaded
from scoring.models import Detector

READING = "Reading the champion's features of these events"
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Labels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """Events `at` [n] of `rows`, whose vectors are those that `spec` declares, with their labels
    [n] and how a version judged them."""

    detector: Detector
    rows: Rows
    spec: DetectorSpec
    at: IntArray
    labels: Labels
    ours: Contender

    def since(self, moment: float) -> "Judged":
        """Those of them from a moment (seconds, UTC) on."""
        kept = self.rows.event_time[self.at] >= moment
        ours = Contender(self.ours.risk[kept], self.ours.review, self.ours.block)
        return Judged(self.detector, self.rows, self.spec, self.at[kept], self.labels[kept], ours)


def compare_with(
    champion: Bundle, judged: Judged, declared: DetectorSpec, *, report: Callable[[float], None]
) -> dict[str, Any]:
    """A champion that has a model and the version on the same events, each with the features that
    it learnt from; costs are the `declared` ones. Raises DatasetError or ModelError where the
    champion cannot be asked."""
    if champion.predictor is None:
        raise DatasetError("the champion has no model.")
    theirs = risk_of(champion.predictor, _vectors(champion, judged, report))
    bounds = champion.predictor.thresholds
    found = compare(
        judged.labels,
        Contender(theirs, bounds.review, bounds.block),
        judged.ours,
        amounts=judged.rows.amounts[judged.at],
        costs=declared.costs,
        least_positives=declared.training.minimum_positives,
        blocks=blocks_at(judged.rows, judged.at),
    )
    return found.to_dict() | {"champion_digest": champion.digest}


def _vectors(champion: Bundle, judged: Judged, report: Callable[[float], None]) -> FloatArray:
    """The events as the champion reads them: a feature may have kept its name and be another number
    since. Raises DatasetError."""
    rows, at = judged.rows, judged.at
    if [f.raw for f in champion.spec.features] == [f.raw for f in judged.spec.features]:
        return rows.vectors[at]
    return read_vectors(
        judged.detector, champion.spec, rows.ids[at], known_at=rows.known_at, report=report
    )


def compare_with_present(
    version: ModelVersion, bundle: Bundle, judged: Judged, progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(comparison, what the evaluation says of it) with the champion that serves now, on those of
    the judged events that are new to both.

    Each pair is looked at once: where a comparison with this champion could decide, it stands, and
    none is made; looking until it says yes would wear out its certainty. One on events that the
    champion had learnt from does not stand. Nor is one made where too little is known to decide
    by; what is missing is said. Both are empty without a rival.
    """
    champion = champion_of(version.detector)
    if champion is None or champion.digest == version.digest:
        return {}, {}
    if stands := _that_stands(version, champion):
        told = f"Compared with {champion.label} before; that comparison stands."
        return _in_force(version, stands), {"not_compared": told}
    try:
        found = _on_events_new_to_both(version, bundle, champion, judged, progress)
    except (BundleError, DatasetError, ModelError) as problem:
        return {}, {"not_compared": f"Not compared with {champion.label}: {problem}"}
    return _in_force(version, found), {"compared_with": champion.label, "comparison": found}


def _that_stands(version: ModelVersion, champion: ModelVersion) -> dict[str, Any]:
    """The comparison with this champion that could decide; empty without one. A champion may have
    come back since: those with others in between are kept."""
    for found in (version.comparison, *version.comparison.get("earlier", [])):
        is_fair = not found.get("champion_saw_test_rows")
        if found.get("champion_digest") == champion.digest and is_fair and could_decide(found):
            return {name: value for name, value in found.items() if name != "earlier"}
    return {}


def _in_force(version: ModelVersion, found: dict[str, Any]) -> dict[str, Any]:
    """A comparison as the version's own, with those that it had before as `earlier`."""
    last = dict(version.comparison)
    before = [one for one in (last, *last.pop("earlier", [])) if one]
    earlier = [one for one in before if one["champion_digest"] != found["champion_digest"]]
    return found | {"earlier": earlier} if earlier else found


def _on_events_new_to_both(
    version: ModelVersion,
    bundle: Bundle,
    champion: ModelVersion,
    judged: Judged,
    progress: Progress,
) -> dict[str, Any]:
    """Raises DatasetError where too little is known of such events."""
    theirs = loaded(champion.digest)
    start = max(chosen_before(version, bundle), chosen_before(champion, theirs))
    shared = judged.since(start)
    moment = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} UTC"
    if not shared.at.size:
        raise DatasetError(f"events are new to both from {moment} on, and none has matured yet.")
    report = told_while_reading(progress, READING, low=0.7, high=0.95)
    found = compare_with(theirs, shared, version.detector.spec(), report=report)
    if not could_decide(found):
        raise DatasetError(
            f"the {found['rows']:,} events from {moment} on that are new to both hold too few "
            f"{_lacking(found)}"
        )
    known_at = judged.rows.known_at.isoformat()
    return dict(finite(found | {"champion_saw_test_rows": False, "known_at": known_at}))


def _lacking(found: dict[str, Any]) -> str:
    """Of what a comparison that could decide nothing had too few."""
    legitimate, least = found["rows"] - found["positives"], found["least_positives"]
    if legitimate < least <= found["positives"]:
        return f"legitimate ones to tell models apart: {legitimate:,}. It takes {least:,}."
    return (
        f"positives to tell models apart: {found['positives']:,}, which tell no more than "
        f"{found['blocks']:.1f} independent ones. It takes {least:,}, and "
        f"{found['least_blocks']} independent ones."
    )


def unseen_from(version: ModelVersion, bundle: Bundle) -> float:
    """The first moment (seconds, UTC) whose events the version had not learnt from."""
    split = version.dataset.detail.get("split")
    if split:
        return float(split["validation_end"]) + float(split["delay"])
    fitted = float(bundle.manifest.get("training", {}).get("last_fitted_at", 0.0))
    return fitted + bundle.spec.training.label_delay


def chosen_before(version: ModelVersion, bundle: Bundle) -> float:
    """The first moment (seconds, UTC) whose events had no say in the version: `unseen_from`, or
    when its thresholds were moved, which was done with a look at later ones."""
    start, manifest = unseen_from(version, bundle), bundle.manifest
    if not manifest.get("moved_from"):
        return start
    return max(start, datetime.fromisoformat(str(manifest["created_at"])).timestamp())
