"""What a look at everything that the registry stands on tells (models_registry.integrity)."""

from dataclasses import dataclass
from datetime import datetime

FAULT, WARNING = "fault", "warning"
KINDS = {
    "bundle": "Bundles",
    "declaration": "Declarations",
    "feature": "Features",
    "stale": "Review and age",
    "shadow": "Time in shadow",
    "data": "Data behind versions",
    "artefact": "Explanations",
    "worker": "Workers",
    "beat": "Timetable",
    "job": "Jobs",
    "rule": "Rules in force",
    "list": "Watchlists",
    "rate": "Exchange rates",
    "tracking": "Tracking server",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is `fault` (something does not work) or `warning`; `remedy` says what to do."""

    kind: str
    level: str
    subject: str
    text: str
    remedy: str
    detector: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, faults first, and what was looked at."""

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    at: datetime

    @property
    def faults(self) -> int:
        """How many findings are faults."""
        return sum(found.level == FAULT for found in self.findings)

    @property
    def groups(self) -> list[tuple[str, list[Finding]]]:
        """(title, findings) of every kind, those without a finding too."""
        return [
            (title, [found for found in self.findings if found.kind == kind])
            for kind, title in KINDS.items()
        ]
