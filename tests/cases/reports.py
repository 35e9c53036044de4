"""Reports by e-mail, and days of a dashboard to report on."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

from cases.dashboard_models import DailyTally
from cases.report_models import ReportSubscription
from cases.report_subscribing import save_subscription
from scoring.models import Detector

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
LAST = date(2026, 3, 19)
"""The last day of a report that is due at NOW."""


def mailed(user):
    user.email = f"{user.username}@bank.example"
    user.save()
    return user


def subscribed(owner, *others, since=NOW - timedelta(days=1), **given):
    """A report every day at 12:00 UTC that was subscribed to at `since`."""
    given = {"often": "daily", "hour": 12, "days": 7} | given
    report = ReportSubscription(owner=mailed(owner), **given)
    save_subscription(report, recipients=[mailed(one) for one in others], actor=owner)
    ReportSubscription.objects.filter(pk=report.pk).update(handled_until=since)
    report.refresh_from_db()
    return report


def tally(kind, day, count, **more):
    detector = more.pop("detector", None) or Detector.objects.get(slug="payments")
    return DailyTally.objects.create(kind=kind, day=day, detector=detector, count=count, **more)


def lived():
    """A week that ends at LAST, and one before it; old enough that some labels have matured."""
    currency = Detector.objects.get(slug="payments").spec().currency
    money = {"currency": currency}
    for day, times in ((LAST, 1), (LAST - timedelta(days=7), 2)):
        tally("event", day, 1000 * times, level=0, decision="APPROVE", outcome="legitimate")
        tally("event", day, 8, level=2, decision="REVIEW", outcome="fraud",
              amount=Decimal("4321.5") * times, **money)  # fmt: skip
        tally("event", day, 4, level=2, decision="BLOCK", outcome="legitimate")
        tally("event", day, 4, level=3, decision="BLOCK")
        tally("event", day, 2, level=0, decision="APPROVE", outcome="fraud", amount=77, **money)
        tally("opened", day, 6, level=3, outcome="fraud")
        tally("opened", day, 2 * times, level=2, outcome="false_positive")
        tally("closed", day, 5, bucket=40)
        tally("backlog", day, 9 * times, level=2)


def bodies(message):
    return tuple(message.get_body((kind,)).get_content() for kind in ("plain", "html"))


def attached(message):
    """By file name, the rows of each CSV."""
    return {
        part.get_filename(): list(csv.reader(StringIO(part.get_content())))
        for part in message.iter_attachments()
    }
