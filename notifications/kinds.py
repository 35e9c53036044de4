"""What people and systems are told of, as data. A kind's name is also its webhook event type."""

from dataclasses import dataclass
from enum import StrEnum

from accounts.roles import ADMIN, ANALYST, LEAD, MODEL_OWNER


class Channel(StrEnum):
    BELL = "bell"
    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"
    WEBHOOK = "webhook"


CHANNEL_NAMES = {
    Channel.BELL: "Bell",
    Channel.EMAIL: "E-mail",
    Channel.SLACK: "Slack",
    Channel.TEAMS: "Teams",
    Channel.WEBHOOK: "Signed webhook",
}
PERSONAL = (Channel.BELL, Channel.EMAIL)
"""What a person chooses for themselves; the others are shared, and belong to routes."""
SHARED = (Channel.EMAIL, Channel.SLACK, Channel.TEAMS, Channel.WEBHOOK)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of news.

    `permission` is needed to be told at all. `roles` are told where the caller names nobody;
    empty: routes alone. `channels` are the personal ones that are on until somebody chooses.
    Above `most_an_hour` per detector (and group, where the caller names one) people get one
    summary instead (0: no limit). What is `asked_for` goes to people who want it; no route takes
    it. What is not `of_detector` is news of the platform: no route of one detector takes it.
    """

    name: str
    label: str
    permission: str
    roles: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = (Channel.BELL,)
    critical: bool = False
    most_an_hour: int = 0
    asked_for: bool = False
    of_detector: bool = True

    @property
    def topic(self) -> str:
        """What part of the platform it is news of, for pages that list kinds."""
        return _TOPICS.get(self.name.partition(".")[0], "Platform")


_TOPICS = {
    "alert": "Alerts and cases",
    "case": "Alerts and cases",
    "sla": "Alerts and cases",
    "rule": "Rules",
    "model": "Models",
    "drift": "Models",
}
TEST = "test"
_BOTH = (Channel.BELL, Channel.EMAIL)
_MODELS = "models_registry.view_modelversion"
_RULES = "scoring.view_rule"
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "alert.opened",
            "A critical alert opened",
            "cases.view_alert",
            roles=(ANALYST, LEAD),
            critical=True,
            most_an_hour=30,
        ),
        Kind("alert.assigned", "Alerts were given to you", "cases.view_alert"),
        Kind("alert.closed", "An alert was closed", "cases.view_alert", channels=()),
        Kind("alert.reopened", "A closing was undone", "cases.view_alert", channels=()),
        Kind("case.opened", "A case was opened", "cases.view_case", roles=(LEAD,)),
        Kind("case.moved", "A case moved on", "cases.view_case"),
        Kind("case.closed", "A case was closed", "cases.view_case"),
        Kind("case.handed_over", "A case was given or handed over to you", "cases.view_case"),
        Kind("case.asked", "A closing waits for a second person", "cases.approve_case"),
        Kind("case.mention", "Somebody was mentioned", "cases.view_case", channels=_BOTH),
        Kind(
            "sla.due",
            "A deadline is near or missed",
            "cases.view_case",
            roles=(LEAD,),
            channels=_BOTH,
            critical=True,
            most_an_hour=30,
        ),
        Kind("rule.asked", "A change of rules waits for a second person", "scoring.change_rule"),
        Kind("rule.decided", "A change of rules that you asked for was decided", _RULES),
        Kind("model.trained", "A training made a challenger", _MODELS, roles=(MODEL_OWNER,)),
        Kind(
            "model.live_verdict",
            "Live traffic says whether a challenger is better",
            _MODELS,
            roles=(MODEL_OWNER,),
        ),
        Kind(
            "model.promotion_asked",
            "A promotion waits for a second person",
            "models_registry.promote_model",
        ),
        Kind("model.promotion_decided", "A promotion that you asked for was not approved", _MODELS),
        Kind("model.promoted", "A model was promoted", _MODELS, roles=(MODEL_OWNER, LEAD)),
        Kind(
            "model.rolled_back",
            "A model was rolled back",
            _MODELS,
            roles=(MODEL_OWNER, LEAD),
            channels=_BOTH,
            critical=True,
        ),
        Kind(
            "model.not_rolled_back",
            "A model broke its guard and could not be rolled back",
            _MODELS,
            roles=(MODEL_OWNER, LEAD),
            channels=_BOTH,
            critical=True,
        ),
        Kind(
            "model.not_watched",
            "The guard of a new model could not look",
            _MODELS,
            roles=(MODEL_OWNER, LEAD),
            channels=_BOTH,
            critical=True,
        ),
        Kind(
            "model.review_due",
            "A model's review date is near",
            _MODELS,
            roles=(MODEL_OWNER,),
            channels=_BOTH,
        ),
        Kind(
            "model.review_over",
            "A model is past its review date and not asked any more",
            _MODELS,
            roles=(MODEL_OWNER, LEAD),
            channels=_BOTH,
            critical=True,
        ),
        Kind(
            "drift.alarm",
            "A model's data drifts",
            _MODELS,
            roles=(MODEL_OWNER,),
            channels=_BOTH,
        ),
        Kind(
            "report.scheduled",
            "A dashboard report that comes by e-mail",
            "cases.view_alert",
            channels=(Channel.EMAIL,),
            asked_for=True,
        ),
        Kind(
            "job.failed",
            "A background job failed",
            "jobs.view_job",
            roles=(MODEL_OWNER,),
            of_detector=False,
        ),
        Kind(
            "platform.fault",
            "A bundle, declaration, rule or list is at fault",
            _MODELS,
            roles=(ADMIN, MODEL_OWNER),
            channels=_BOTH,
            critical=True,
        ),
        Kind(
            "api_key.expires",
            "An API key expires soon",
            "accounts.view_apikey",
            roles=(ADMIN,),
            channels=_BOTH,
            of_detector=False,
        ),
        Kind(
            "api_key.expired",
            "An API key expired while it was in use",
            "accounts.view_apikey",
            roles=(ADMIN,),
            channels=_BOTH,
            critical=True,
            of_detector=False,
        ),
    )
}


def topic_of(name: str) -> str:
    """The topic of a kind; of a test, the platform."""
    return KINDS[name].topic if name in KINDS else "Platform"


def kind_label(name: str) -> str:
    """The words for a kind; for a test, that it is one."""
    return KINDS[name].label if name in KINDS else "A test"
