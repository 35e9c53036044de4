"""What a job is about, in words: pages show no column names, ids or codes."""

from collections.abc import Mapping
from typing import Any

TOLD_ALREADY = ("detector", "version", "by")
"""The job's subject says these, and who asked for it is told apart."""
NEVER_TOLD = ("token", "fresh")
"""By what an erasure finds a person, and what it puts there."""
NAMES = {
    "learner": "Algorithm",
    "imbalance": "Rare class",
    "kind": "How",
    "reason": "Because",
    "tune_for": "Search for parameters",
    "who": "Whose, as a digest",
}
VALUES = {
    "as_of": "as of today",
    "folds": "over time",
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "ecod": "ECOD",
    "none": "nothing is done",
    "smote": "SMOTE",
}
PLAIN = ("learner", "imbalance")
"""Names whose values are codes of words."""


WORKER_DIED = "Its worker died"
WHOLE_OR_NOT = ("train", "check_drift", "evaluate", "explain_version", "backtest")
"""Last words of the kinds that write down all they found at once, at their end."""


def changed_nothing(kind: str, params: Mapping[str, Any], error: str) -> bool:
    """Whether a job that began, and failed or was cancelled, has left all as it was.

    Work whose worker died may have written down what it found; a search for parameters keeps what
    it tried, and other kinds keep what they had done.
    """
    whole = kind.rpartition(".")[2] in WHOLE_OR_NOT and not params.get("tune_for")
    return whole and not error.startswith(WORKER_DIED)


def params_in_words(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what a job was asked to do, beside its kind and subject."""
    return [
        (NAMES.get(name, _plain(name)), _value(name, value))
        for name, value in params.items()
        if name not in (*TOLD_ALREADY, *NEVER_TOLD)
    ]


def _value(name: str, value: Any) -> str:
    if name == "tune_for":
        seconds = float(value)
        return f"up to {seconds:.0f} s" if seconds < 120 else f"up to {seconds / 60:.0f} min"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_plain(key)} {part}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return VALUES.get(str(value)) or (_plain(value) if name in PLAIN else str(value))


def _plain(text: object) -> str:
    return str(text).replace("_", " ").capitalize()
