"""Roles and what they may do. This table is the truth: `sync_roles` makes the groups equal to it.

Permissions are named `app.codename`. One that no installed app defines is skipped.
"""

ANALYST = "Analyst"
LEAD = "Lead"
DATA_ENGINEER = "Data Engineer"
MODEL_OWNER = "Model Owner"
ADMIN = "Admin"

_READ = frozenset(
    {
        "scoring.view_detector",
        "scoring.view_prediction",
        "scoring.view_source",
        "scoring.view_rule",
        "scoring.view_listentry",
        "cases.view_alert",
        "cases.view_case",
        "models_registry.view_modelversion",
        "jobs.view_job",
    }
)
_ANALYST = _READ | {
    "scoring.label_prediction",
    "scoring.reveal_pii",
    "scoring.add_rule",
    "scoring.add_snooze",
    "cases.triage_alert",
    "cases.work_case",
}
_LEAD = _ANALYST | {
    "scoring.change_detector",
    "scoring.change_rule",
    "scoring.change_snooze",
    "scoring.add_listentry",
    "scoring.change_listentry",
    "cases.assign_alert",
    "cases.approve_case",
    "cases.share_view",
    "cases.share_report",
    "cases.change_workqueue",
    "cases.change_casetype",
    "cases.view_analysts",
    "cases.settle_second_look",
}
_DATA_ENGINEER = _READ | {
    "scoring.add_detector",
    "scoring.change_detector",
    "scoring.score_event",
    "scoring.import_events",
    "scoring.add_rule",
    "scoring.change_rule",
    "scoring.add_source",
    "scoring.change_source",
    "scoring.label_prediction",
    "jobs.cancel_job",
}
_MODEL_OWNER = _READ | {
    "scoring.change_detector",
    "scoring.add_rule",
    "scoring.change_rule",
    "models_registry.train_model",
    "models_registry.promote_model",
    "models_registry.exchange_bundle",
    "scoring.flush_cache",
    "jobs.cancel_job",
}
_ADMIN = (
    _LEAD
    | _DATA_ENGINEER
    | _MODEL_OWNER
    | {
        "accounts.view_user",
        "accounts.add_user",
        "accounts.change_user",
        "accounts.view_apikey",
        "accounts.add_apikey",
        "accounts.change_apikey",
        "accounts.view_auditentry",
        "accounts.view_failedlogin",
        "accounts.delete_failedlogin",
        "auth.view_group",
        "scoring.erase_pii",
        "scoring.view_detectoralias",
        "scoring.add_detectoralias",
        "scoring.change_detectoralias",
        "scoring.delete_detectoralias",
        "notifications.change_route",
        "notifications.view_notification",
        "notifications.view_delivery",
        "notifications.view_route",
        "cases.view_exchangerate",
        "cases.add_exchangerate",
        "django_celery_beat.view_periodictask",
        "django_celery_beat.change_periodictask",
        "django_celery_beat.view_intervalschedule",
        "django_celery_beat.add_intervalschedule",
        "django_celery_beat.view_crontabschedule",
        "django_celery_beat.add_crontabschedule",
    }
)

PERMISSIONS_BY_ROLE: dict[str, frozenset[str]] = {
    ANALYST: _ANALYST,
    LEAD: _LEAD,
    DATA_ENGINEER: _DATA_ENGINEER,
    MODEL_OWNER: _MODEL_OWNER,
    ADMIN: _ADMIN,
}
ABOUT_ROLE: dict[str, str] = {
    ANALYST: "Works on alerts and cases, labels them, proposes rules.",
    LEAD: "Also assigns, approves closings, sets up team queues, publishes rules, keeps lists.",
    DATA_ENGINEER: "Declares detectors and sources, imports and scores events, writes rules.",
    MODEL_OWNER: "Trains, compares and promotes models, moves thresholds.",
    ADMIN: "Everything that the others may, and users, API keys, routes and the audit trail.",
}
"""Each role in a sentence."""
APPS_WITH_PERMISSIONS = frozenset(
    name.partition(".")[0] for names in PERMISSIONS_BY_ROLE.values() for name in names
)
