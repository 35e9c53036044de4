"""What a version's search for parameters did, for its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from accounts.quantities import half_up, signed
from models_registry.figures import layout
from models_registry.models import ModelVersion
from models_registry.tuning_models import TuningTrial

MOST_TRIALS = 500
BEST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial; `value` is empty where it was given up."""

    number: int
    value: str
    parameters: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class TuningPanel:
    """`summary` in words; the best trials, best first; a figure of all of them."""

    summary: str
    rows: list[TrialRow]
    figure: dict[str, Any]


def tuning_panel(version: ModelVersion) -> TuningPanel | None:
    """None for a version whose parameters were not searched. One query; of an imported one the
    trials stayed where it was trained."""
    found: Mapping[str, Any] = version.metrics.get("tuning") or {}
    if not found:
        return None
    trials = list(TuningTrial.objects.filter(study=found.get("study"))[:MOST_TRIALS])
    finished = [trial for trial in trials if trial.value is not None]
    best = sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))[:BEST_SHOWN]
    rows = [
        TrialRow(
            trial.number + 1,
            f"{half_up(trial.value or 0.0):.4f}",
            ", ".join(f"{name} {_shown(value)}" for name, value in trial.parameters.items()),
            _is_chosen(trial, found),
        )
        for trial in best
    ]
    return TuningPanel(_summary(found), rows, _figure(finished))


def _summary(found: Mapping[str, Any]) -> str:
    minutes = found["seconds"] / 60.0
    most = ", the most that are tried," if found["trials"] >= MOST_TRIALS else ""
    text = (
        f"{found['trials']} sets of parameters{most} in {half_up(minutes):.1f} minutes, "
        f"{found['given_up']} given up early; judged on "
        f"{found['folds']} earlier spans of time, never on the test part."
    )
    if failed := found.get("failed"):
        text += f" At {failed} of them the learner failed; the training's log says why."
    if found["best"] is None or found["default"] is None:
        return text
    gain = found["best"] - found["default"]
    text += (
        f" Average precision {half_up(found['best']):.4f}, {signed(gain, 4)} against the defaults."
    )
    if (averaged := len(found.get("chosen", ()))) > 1:
        text += f" This version is the mean of the {averaged} best."
    return text


def _is_chosen(trial: TuningTrial, found: Mapping[str, Any]) -> bool:
    """Searches of before models were averaged kept the parameters alone."""
    if "chosen" in found:
        return trial.number in found["chosen"]
    return bool(trial.parameters == found["parameters"])


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figure(trials: list[TuningTrial]) -> dict[str, Any]:
    """Average precision by trial, and the best so far."""
    x = [trial.number + 1 for trial in trials]
    y = [trial.value or 0.0 for trial in trials]
    return {
        "data": [
            {"type": "scatter", "mode": "markers", "name": "trial", "x": x, "y": y},
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far",
                "line": {"shape": "hv"},
                "x": x,
                "y": list(accumulate(y, max)),
            },
        ],
        "layout": layout("Trial", "Average precision", percent=False),
    }
