"""What the queue says where nothing waits in it: why, and what to do first."""

from django.urls import reverse

from accounts.models import User
from cases.filters import SNOOZED, QueueFilters
from cases.models import Alert
from scoring.models import Detector, Prediction


def nothing_waits(user: User, snoozed: int) -> dict[str, str]:
    """Why the whole queue is empty, and what to do first where nothing was ever in it: title, text,
    icon, action_url and action_label. `snoozed`: how many alerts are.
    Three queries at most."""
    if snoozed:
        return {
            "title": "Nothing waits",
            "text": "What is open is snoozed, until its time or until new evidence comes.",
            "icon": "alarm-snooze",
            "action_url": f"{reverse('queue')}?{QueueFilters(view=SNOOZED).query()}",
            "action_label": "See what is snoozed",
        }
    if Alert.objects.exists():
        text = "Every alert is decided. New ones appear here by themselves."
        return {"title": "Nothing waits", "text": text, "icon": "circle-check"}
    if Prediction.objects.exists():
        text = "No event needed a human so far. What does appears here by itself."
        return {"title": "No alert yet", "text": text, "icon": "circle-check"}
    if Detector.objects.exists():
        text = (
            "Alerts come of events that are scored. Send some over the API (/api/docs/), or declare"
            " a source that brings them."
        )
        way = ("scoring.add_source", "source_list", "Go to the sources")
        return {"title": "No event yet", **_for(user, text, *way)}
    text = (
        "Alerts come of events that a detector judges. Declare one, or load the shipped ones with:"
        " manage.py load_detectors."
    )
    way = ("scoring.add_detector", "detector_new", "Declare a detector")
    return {"title": "No detector yet", "icon": "radar", **_for(user, text, *way)}


def _for(user: User, text: str, permission: str, url: str, label: str) -> dict[str, str]:
    """The way for who may go it; the others are told whose it is."""
    if not user.has_perm(permission):
        return {"text": f"{text} That is up to an engineer."}
    return {"text": text, "action_url": reverse(url), "action_label": label}
