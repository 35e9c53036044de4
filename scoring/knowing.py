"""How far to believe a prediction, in words: the band of its probability, and what is new to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.quantities import half_up
from scoring import figures
from scoring.core.band import band_of
from scoring.core.bundle import Bundle
from scoring.core.novelty import Novelty, find_novelty
from scoring.models import Prediction
from scoring.prediction_reasons import event_shown
from scoring.replaying import CannotReplay, verify_one

MOST_TOLD = 3
HALF = 0.5


@dataclass(frozen=True, slots=True)
class BandLine:
    """`text` is the band as two numbers (empty without one), `detail` where it comes from or why
    there is none. `x` and `width` draw it on a line from 0 to 100, `at` the probability."""

    text: str
    detail: str
    x: float = 0.0
    width: float = 0.0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class NoveltyLine:
    """What of an event the model never saw; `facts` the most telling, `more` how many others."""

    facts: Sequence[str]
    more: int
    share: str
    mostly: bool


def band_line(row: Prediction, bundle: Bundle | None) -> BandLine | None:
    """The band of a prediction's probability; None when no model scored it."""
    if row.score is None:
        return None
    if row.probability is None:
        return BandLine("", "No band: this score is not calibrated to a probability.")
    if bundle is None:
        return BandLine("", "No band: its bundle is no longer on disk.")
    band = band_of(bundle.manifest, row.probability)
    if band is None:
        return BandLine("", "No band: this version carries none. A newly trained one does.")
    low, high = 100 * band.low, 100 * band.high
    ends = (figures.percent(band.begin), figures.percent(band.end))
    span = f"{ends[0]} or more" if band.end >= 1.0 else f"{ends[0]} to {ends[1]}"
    return BandLine(
        text=_span(low, high),
        detail=(
            f"95 % band: of {band.rows:,} unseen test events given {span}, {band.hits:,} were bad, "
            f"{half_up(band.expected):,.1f} expected."
        ),
        x=round(low, 1),
        width=round(max(high - low, 1.0), 1),
        at=round(100 * row.probability, 1),
    )


def _span(low: float, high: float) -> str:
    """`84-97 %`; one decimal where both ends lie below 10."""
    digits = 0 if high >= 10 else 1
    first, last = f"{half_up(low):.{digits}f}", f"{half_up(high):.{digits}f}"
    return f"{first} %" if first == last else f"{first}\N{EN DASH}{last} %"


def novelty_line(row: Prediction, bundle: Bundle | None) -> NoveltyLine | None:
    """What training never saw of this event; None when all is known, or nothing can be told."""
    vector = row.vector_array()
    if bundle is None or row.score is None or len(vector) != len(bundle.spec.features):
        return None
    try:
        found: Novelty = find_novelty(
            bundle, event_shown(row, bundle.spec), vector, row.contribution_array()
        )
    except (KeyError, TypeError, ValueError):
        return None  # A reference that was imported may be malformed in any way.
    if not found.strange:
        return None
    facts = [one.text[:1].upper() + one.text[1:] for one in found.strange[:MOST_TOLD]]
    return NoveltyLine(
        facts=facts,
        more=len(found.strange) - len(facts),
        share=figures.percent(found.share),
        mostly=found.share >= HALF,
    )


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """`same`: the record gives the decision again, bit for bit; None: it cannot be replayed."""

    same: bool | None
    text: str


def replay_line(row: Prediction) -> ReplayLine:
    """Decide a stored prediction again."""
    try:
        found = verify_one(row)
    except CannotReplay as error:
        text = str(error)
        return ReplayLine(None, f"cannot be replayed: {text[:1].lower()}{text[1:]}".rstrip("."))
    if found is None:
        return ReplayLine(True, "replays to the same decision")
    if not found.recomputed:
        return ReplayLine(False, f"cannot be trusted: {found.field} changed since it was made")
    return ReplayLine(False, f"replays to something else: {found.field} differs")
