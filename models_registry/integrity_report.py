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
        """(title, findings) of every kind that has some; the kind of the worst finding first."""
        found: dict[str, list[Finding]] = {}
        for one in self.findings:
            found.setdefault(KINDS[one.kind], []).append(one)
        return list(found.items())

    @property
    def kinds(self) -> int:
        """How many kinds were looked at."""
        return len(KINDS)

    @property
    def sound(self) -> list[str]:
        """Titles of the kinds without a finding."""
        wrong = {found.kind for found in self.findings}
        return [title for kind, title in KINDS.items() if kind not in wrong]
