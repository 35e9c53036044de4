"""Two or three versions of one detector side by side: what the page and the API show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.quantities import threshold
from accounts.typed import is_whole
from models_registry.core.kept_metrics import as_told
from models_registry.forms import LEARNER_TITLES
from models_registry.metric_rows import Cell, Show, cell_of, told_metrics
from models_registry.models import ModelVersion
from models_registry.overlay_figures import overlaid
from models_registry.rare_class import own_parameters, rare_class_words
from models_registry.selectors import with_guards
from models_registry.verdicts import (
    CALIBRATIONS,
    EVENTS,
    UNKNOWN,
    per_thousand,
    setting,
    verdict_of,
)
from scoring.core.bundle import BundleError, declared_by, read_manifest
from scoring.core.transformations import FeatureSpec
from scoring.deployment import bundle_root

LEAST, MOST = 2, 3


class CompareError(ValueError):
    """A choice of versions that cannot stand side by side; the message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: a cell per version, in the order of the columns."""

    name: str
    cells: tuple[Cell, ...]
    meaning: str = ""


@dataclass(slots=True)
class SideBySide:
    """The comparison. `verdicts`: where two of the columns judged the same events."""

    versions: Sequence[ModelVersion]
    currency: str
    metrics: list[Line] = field(default_factory=list)
    thresholds: list[Line] = field(default_factory=list)
    parameters: list[Line] = field(default_factory=list)
    features: list[Line] = field(default_factory=list)
    data: list[Line] = field(default_factory=list)
    alike: int = 0
    verdicts: list[str] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def chosen_ids(texts: Sequence[str]) -> list[int]:
    """The ids of the versions in a query, each once. Raises CompareError on anything else."""
    found: list[int] = []
    for text in texts:
        if not text:
            continue
        if not is_whole(text, digits=9):
            raise CompareError("A version is chosen by its number in the address.")
        if int(text) not in found:
            found.append(int(text))
    if len(found) > MOST:
        raise CompareError(f"At most {MOST} versions stand side by side.")
    return found


def versions_to_compare(ids: Sequence[int]) -> list[ModelVersion]:
    """The versions in the order asked for. Raises CompareError."""
    rows = ModelVersion.objects.filter(pk__in=ids).select_related("detector", "dataset")
    rows = with_guards(rows)
    by_id = {version.pk: version for version in rows}
    if len(by_id) < len(ids):
        raise CompareError("One of these versions does not exist.")
    if len({version.detector_id for version in by_id.values()}) > 1:
        raise CompareError("Only versions of one detector can be compared.")
    return [by_id[pk] for pk in ids]


def compare_versions(versions: Sequence[ModelVersion]) -> SideBySide:
    """Everything that tells the versions apart; no query of its own.

    `versions` with detector and dataset.
    """
    currency = versions[0].detector.currency()
    found = SideBySide(versions, currency)
    manifests = [_manifest(version, found.faults) for version in versions]
    found.metrics = _metric_lines(versions, currency)
    found.thresholds = _threshold_lines(manifests)
    found.parameters, found.alike = _parameter_lines(versions)
    found.features = _feature_lines(manifests)
    found.data = _data_lines(versions)
    found.verdicts = _verdicts(versions, currency)
    found.curves = overlaid(versions, currency)
    return found


def _manifest(version: ModelVersion, faults: list[str]) -> dict[str, Any]:
    try:
        manifest = read_manifest(bundle_root() / version.digest, version.digest)
        declared_by(manifest, version.digest)
        return manifest
    except BundleError as error:
        faults.append(f"{version.label}: {error}")
        return {}


def _metric_lines(versions: Sequence[ModelVersion], currency: str) -> list[Line]:
    shown = told_metrics(*(version.metrics for version in versions))
    cost = f"Cost per {EVENTS:,} events"
    meaning = "losses, reviews and wrong blocks, lower is better"
    shown.append(("cost_per_event", cost, meaning, lambda value: per_thousand(value, currency)))
    return [
        Line(name, tuple(_metric(version, key, show) for version in versions), meaning)
        for key, name, meaning, show in shown
        if any(key in version.metrics for version in versions)
    ]


def _metric(version: ModelVersion, key: str, show: Show) -> Cell:
    return cell_of(as_told(version.metrics), key, show)


def _threshold_lines(manifests: Sequence[dict[str, Any]]) -> list[Line]:
    found = [manifest.get("thresholds") or {} for manifest in manifests]
    names = dict.fromkeys(name for one in found for name in one)
    lines = [
        Line(name.capitalize(), tuple(Cell(_risk(one.get(name))) for one in found))
        for name in names
    ]
    kinds = [manifest.get("calibration", {}).get("kind") for manifest in manifests]
    if any(kinds):
        said = [CALIBRATIONS.get(kind, kind or UNKNOWN) for kind in kinds]
        lines.append(Line("Calibration", tuple(Cell(str(words)) for words in said)))
    return lines


def _risk(value: float | None) -> str:
    return UNKNOWN if value is None else threshold(value)


def _parameter_lines(versions: Sequence[ModelVersion]) -> tuple[list[Line], int]:
    """Lines of what differs, and how many parameters do not."""
    titles = [LEARNER_TITLES.get(version.learner, version.learner) for version in versions]
    lines = [Line("Algorithm", tuple(Cell(title) for title in titles))] * (len(set(titles)) > 1)
    rare = [
        rare_class_words(v.learner, v.parameters, v.dataset.counts.get("training"))
        for v in versions
    ]
    lines += [Line("Rare class", tuple(Cell(said) for said in rare))] * (len(set(rare)) > 1)
    own = [own_parameters(version.parameters) for version in versions]
    names = sorted({name for one in own for name in one})
    differ = [name for name in names if len({repr(one.get(name)) for one in own}) > 1]
    lines += [Line(name, tuple(Cell(_value(one.get(name))) for one in own)) for name in differ]
    return lines, len(names) - len(differ)


def _value(value: Any) -> str:
    return UNKNOWN if value is None else setting(value)


def _feature_lines(manifests: Sequence[dict[str, Any]]) -> list[Line]:
    """Features that not all of the bundles read, or not in the same way."""
    read = [_features(manifest) for manifest in manifests]
    names = dict.fromkeys(name for one in read for name in one)
    lines = []
    for name in names:
        ways = [one.get(name) for one in read]
        if len({None if way is None else way.raw for way in ways}) > 1:
            texts = [UNKNOWN if way is None else way_of(way) for way in ways]
            lines.append(Line(name, tuple(Cell(text) for text in texts)))
    return lines


def _features(manifest: dict[str, Any]) -> dict[str, FeatureSpec]:
    if not manifest:
        return {}
    spec = declared_by(manifest, "")  # It was read before, with what is wrong with it.
    return {feature.name: feature for feature in spec.features}


def way_of(feature: FeatureSpec) -> str:
    """All that `FeatureSpec.raw` tells apart, in words; nothing is cut."""
    said = f"{feature.kind} of {feature.field}" if feature.field else feature.kind
    if feature.entity:
        said += f" by {feature.entity}"
    if feature.window:
        said += f", {feature.window / 3600:g} h"
    if feature.offset:
        said += f", {feature.offset / 3600:g} h before"
    if feature.recent:
        said += f", against the last {feature.recent / 3600:g} h"
    if feature.entity and not feature.include_current:
        said += ", without the event itself"
    return said


def _data_lines(versions: Sequence[ModelVersion]) -> list[Line]:
    reads: tuple[tuple[str, Callable[[ModelVersion], str]], ...] = (
        ("First event", lambda v: f"{v.dataset.first_event_at:%Y-%m-%d %H:%M}"),
        ("Last event", lambda v: f"{v.dataset.last_event_at:%Y-%m-%d %H:%M}"),
        ("Labels known at", lambda v: f"{v.dataset.known_at:%Y-%m-%d %H:%M}"),
        ("Events", lambda v: f"{v.dataset.rows:,}"),
        ("Positives", lambda v: f"{v.dataset.positives:,}"),
        ("Judged on, events", lambda v: _count(v.metrics.get("rows"))),
        ("Judged on, positives", lambda v: _count(v.metrics.get("positives"))),
        ("Trained", lambda v: f"{v.trained_at:%Y-%m-%d %H:%M}"),
        ("Data digest", lambda v: v.dataset.digest[:16]),
        ("Bundle digest", lambda v: v.digest[:16]),
    )
    return [Line(name, tuple(Cell(read(v)) for v in versions)) for name, read in reads]


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _verdicts(versions: Sequence[ModelVersion], currency: str) -> list[str]:
    """The verdict of each version that was compared with another column on the same events, with
    why it can decide nothing, where it cannot."""
    labels = {version.digest: version.label for version in versions}
    found = []
    for version in versions:
        rival = labels.get(version.comparison.get("champion_digest", ""))
        if rival and rival != version.label:
            verdict = verdict_of(version, rival=rival, currency=currency)
            found.append(" ".join((verdict.headline, *verdict.evidence[:1], *verdict.warnings)))
    return found
