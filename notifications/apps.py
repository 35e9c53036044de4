"""Telling people and other systems what happened: bell, e-mail, Slack, Teams, signed webhooks."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
