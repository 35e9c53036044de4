"""The sections of the API's own page: each operation under the heading of what it is for."""

import re
from typing import Any, Final

SECTIONS: Final[tuple[tuple[str, str, str], ...]] = (
    ("Scoring", "Send events, get decisions.", r"/api/v1/detectors/{slug}/score"),
    (
        "Scoring, for clients of earlier services",
        "The same scoring behind the routes and fields that they know.",
        r"/api/v1/scoring/|/api/v1/predict(/batch)?$|/(batch-)?detect$|/v1/",
    ),
    (
        "Predictions and feedback",
        "Read what was decided and why; say what turned out to be true.",
        r"/api/v1/(predictions|feedback)",
    ),
    (
        "Alerts and cases",
        "Read what needs a human, and what became of it.",
        r"/api/v1/(alerts|cases)",
    ),
    ("Lists", "Allow and deny lists of a detector.", r"/api/v1/detectors/{slug}/list-entries"),
    ("Sources", "Where events come from.", r"/api/v1/sources"),
    (
        "Models",
        "Train, compare, promote, roll back, export and import versions.",
        r"/api/v1/(models?/|models$|promotions|detectors/{slug}/(import|train|roll_back)$)",
    ),
    ("Drift", "Whether events still look as in training.", r"/api/v1/drift/"),
    ("Operation", "Health, jobs, cache.", r"/api/v1/(health|jobs|cache)"),
    ("Log-in", "Tokens for people; integrations send an API key.", r"/api/v1/auth/"),
)
SENTENCE: Final = re.compile(r"(?<=[.!?])\s")


def section_of(path: str) -> str:
    """The heading of an address of the API. Raises LookupError for one without."""
    for name, _, pattern in SECTIONS:
        if re.match(pattern, path):
            return name
    raise LookupError(f"{path} belongs to no section of the API's page (riskplatform.api_sections)")


def sort_into_sections(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Give each operation its heading, and its first sentence as summary.

    A hook of drf-spectacular.
    """
    for path, operations in result["paths"].items():
        for operation in operations.values():
            operation["tags"] = [section_of(path)]
            told = " ".join(operation.get("description", "").split())
            operation.setdefault("summary", SENTENCE.split(told, maxsplit=1)[0].rstrip("."))
    result["tags"] = [{"name": name, "description": text} for name, text, _ in SECTIONS]
    return result
