"""What beat asks for, and every how many seconds, in a new installation.

Each is a row of the database (riskplatform/scheduling.py), made where it is missing. Its times and
its switch are edited in the admin and stay as they were set there.
"""

BEAT_SCHEDULE: dict[str, dict[str, str | float]] = {
    "Open alerts that a lost message left unopened": {
        "task": "cases.open_missed_alerts",
        "schedule": 30.0,
    },
    "Count what rules found": {"task": "scoring.tally_rules", "schedule": 60.0},
    "Link entities by what their events share": {"task": "cases.index_links", "schedule": 60.0},
    "Remember what closed alerts looked like": {
        "task": "cases.sign_closed_alerts",
        "schedule": 60.0,
    },
    "Learn how long alerts take": {
        "task": "cases.refresh_handling_times",
        "schedule": 3600.0,
    },
    "Order alerts by the rates in force": {"task": "cases.reorder_alerts", "schedule": 300.0},
    "Escalate what is overdue": {"task": "cases.escalate_overdue", "schedule": 60.0},
    "Assign what waits in team queues": {"task": "cases.assign_waiting", "schedule": 30.0},
    "Count the days that changed, for dashboards": {
        "task": "cases.tally_changed",
        "schedule": 300.0,
    },
    "Count again the days whose labels mature": {
        "task": "cases.tally_maturing",
        "schedule": 86400.0,
    },
    "Erase personal data that is kept no longer": {
        "task": "cases.retention_due",
        "schedule": 86400.0,
    },
    "Make reports that are due by e-mail": {"task": "cases.make_reports", "schedule": 60.0},
    "Requeue jobs whose worker died": {"task": "jobs.requeue_lost", "schedule": 30.0},
    "Start queued jobs that no message announced": {"task": "jobs.start_queued", "schedule": 60.0},
    "Log versions that the tracking server did not take": {
        "task": "models_registry.track_overdue",
        "schedule": 600.0,
    },
    "Retrain detectors that are due": {"task": "models_registry.retrain_due", "schedule": 3600.0},
    "Check models for drift": {
        "task": "models_registry.check_drift_everywhere",
        "schedule": 3600.0,
    },
    "Score live traffic in shadow": {"task": "models_registry.shadow_traffic", "schedule": 30.0},
    "Watch new champions": {"task": "models_registry.watch_promotions", "schedule": 60.0},
    "Tell of models whose review date is near or past": {
        "task": "models_registry.tell_reviews",
        "schedule": 300.0,
    },
    "Tell of faults that the integrity page finds": {
        "task": "models_registry.tell_faults",
        "schedule": 600.0,
    },
    "Send what waits to be told": {"task": "notifications.send_due", "schedule": 15.0},
    "Tell of jobs that failed": {"task": "notifications.tell_failed_jobs", "schedule": 30.0},
    "Tell of API keys that expire": {
        "task": "notifications.tell_expiring_keys",
        "schedule": 600.0,
    },
    "Forget old notifications": {"task": "notifications.forget_old", "schedule": 86400.0},
    "Forget ended sessions and old failed log-ins": {
        "task": "accounts.forget_old",
        "schedule": 86400.0,
    },
    "Forget old shadow scores": {"task": "models_registry.forget_shadows", "schedule": 86400.0},
}

RETIRED = frozenset({"celery.backend_cleanup"})
"""Names that earlier versions shipped: their rows are removed. Add a name that goes or changes."""
