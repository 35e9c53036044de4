"""Where rows that the audit trail names have their page: by model, the name of a route."""

from typing import Final

from accounts.facts import SubjectPage

_SLUG = (("slug", "slug"),)
_JOB = (("job_id", "pk"),)
_RULE = (("slug", "detector__slug"), ("code", "code"))
PAGES: Final[dict[str, SubjectPage]] = {
    "accounts.user": SubjectPage("user_detail"),
    "accounts.apikey": SubjectPage("key_detail"),
    "cases.alert": SubjectPage("alert_detail"),
    "cases.case": SubjectPage("case_detail"),
    "cases.workqueue": SubjectPage("work_queue_detail"),
    "cases.casetype": SubjectPage("case_type_detail"),
    "cases.exchangerate": SubjectPage("exchange_rates", ()),
    "cases.secondlook": SubjectPage("second_look_dispute"),
    "scoring.prediction": SubjectPage("prediction_detail"),
    "scoring.detector": SubjectPage("detector_detail", _SLUG),
    "scoring.source": SubjectPage("source_detail", _SLUG),
    "scoring.rule": SubjectPage("rule_detail", _RULE),
    "models_registry.modelversion": SubjectPage("model_detail"),
    "models_registry.dataset": SubjectPage("dataset_detail"),
    "jobs.job": SubjectPage("job_detail", _JOB),
    "notifications.route": SubjectPage("notification_route_detail"),
    "notifications.delivery": SubjectPage("notification_delivery_detail"),
}
