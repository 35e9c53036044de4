"""What a notification looks like on each channel."""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from notifications.models import Letter, Notification

BRAND = "Risk platform"
MOST_TEXT = 2900
"""Slack refuses a section of more than 3000 characters."""


def absolute(path: str) -> str:
    """The full address of a page; empty for none."""
    return settings.SITE_URL.rstrip("/") + path if path else ""


def webhook_body(news: Notification, delivery_id: UUID) -> bytes:
    """The signed JSON. `id` stays the same through all attempts: what a receiver knows it by."""
    return _json(
        {
            "id": str(delivery_id),
            "type": news.kind,
            "created_at": news.created_at.isoformat(),
            "critical": news.critical,
            "subject": news.subject,
            "text": news.text,
            "detector": news.about or None,
            "url": absolute(news.url) or None,
            "data": news.data,
        }
    )


def slack_body(news: Notification) -> bytes:
    """An incoming webhook's message in Block Kit, with `text` for lists and screen readers."""
    words = f"*{_slack(news.subject)}*"
    if news.text:
        words += f"\n{_slack(news.text)}"
    link = f"\n<{absolute(news.url)}|Open>" if news.url else ""
    words = words[: MOST_TEXT - len(link)] + link
    return _json(
        {
            "text": _slack(news.subject),
            "blocks": [
                # Verbatim: else Slack reads mentions, channels and addresses out of plain words.
                {"type": "section", "text": {"type": "mrkdwn", "text": words, "verbatim": True}},
                {
                    "type": "context",
                    "elements": [{"type": "plain_text", "text": _footer(news), "emoji": False}],
                },
            ],
        }
    )


def teams_body(news: Notification) -> bytes:
    """An Adaptive Card, as incoming webhooks and workflows of Teams take it."""
    lines = [_block(_teams(news.subject), weight="Bolder", size="Medium")]
    if news.text:
        lines.append(_block(_teams(news.text)))
    lines.append(_block(_footer(news), isSubtle=True, size="Small"))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
    if news.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": absolute(news.url)}]
    kind = "application/vnd.microsoft.card.adaptive"
    return _json(
        {
            "type": "message",
            "attachments": [{"contentType": kind, "contentUrl": None, "content": card}],
        }
    )


def email_message(
    news: Notification,
    *,
    to: str,
    delivery_id: UUID,
    personal: bool,
    letter: Letter | None = None,
) -> EmailMultiAlternatives:
    """Plain text, and HTML without anything that has to be loaded; those of the `letter`, if there
    is one, with its files."""
    context = {
        "news": news,
        "url": absolute(news.url),
        "preferences_url": absolute(reverse("notification_preferences")) if personal else "",
    }
    message = EmailMultiAlternatives(
        subject=f"[{BRAND}] {news.subject}",
        body=letter.text if letter else render_to_string("notifications/email.txt", context),
        to=[to],
        # The same through all attempts, so that a mailbox may tell a second copy.
        headers={
            "Message-ID": f"<{delivery_id}@{_domain()}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    html = letter.html if letter else render_to_string("notifications/email.html", context)
    message.attach_alternative(html, "text/html")
    for file in letter.files if letter else ():
        message.attach(file["name"], file["text"], file["type"])
    return message


def _domain() -> str:
    return str(settings.DEFAULT_FROM_EMAIL).rpartition("@")[2].rstrip("> ") or "localhost"


def _footer(news: Notification) -> str:
    parts = [news.label, news.about, f"{news.created_at:%Y-%m-%d %H:%M} UTC"]
    return " · ".join(part for part in parts if part)


def _block(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def _slack(text: str) -> str:
    """Slack's three control characters; so no text can mention a channel or hide a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(text: str) -> str:
    """The signs that would begin Markdown, above all links, are taken literally."""
    return "".join(f"\\{sign}" if sign in "\\[]()*_~`#" else sign for sign in text)


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
