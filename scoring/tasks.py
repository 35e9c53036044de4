"""Celery doors of scoring. Each may run twice."""

from celery import shared_task
from django.utils import timezone

from scoring.rule_tallying import tally_rules

SECONDS = 45.0
"""For which one run counts; the next goes on where it stopped."""


@shared_task(name="scoring.tally_rules")
def tally_rules_task() -> int:
    """Count what rules found on the days of which something came."""
    return tally_rules(timezone.now(), seconds=SECONDS)
