"""What each page is for, as its help drawer says it. By the name of the route."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageHelp:
    """`purpose` in one or two sentences; `points`: what can be done there, and how to read it."""

    purpose: str
    points: tuple[str, ...] = ()


PAGES: dict[str, PageHelp] = {
    "queue": PageHelp(
        "What waits for a human, the most worthwhile first.",
        (
            "Move with j and k, open with Enter; n takes the next alert.",
            "Filters, order and view are in the address: send the link, and others see the same.",
            "New alerts wait behind a button, so that nothing moves under your cursor.",
        ),
    ),
    "alert_detail": PageHelp(
        "One entity that needs a decision: what happened, why it was flagged, what is normal here.",
        (
            "The bars say how much each fact raised or lowered the score; they add up to it.",
            "Label it, open a case, or put it off. What you find teaches the detector.",
            "Personal data is masked. Revealing it is written to the audit trail.",
        ),
    ),
    "entity_detail": PageHelp(
        "Everything known about one entity of one detector: its events, alerts and cases.",
        ("Labels stand beside the events that they judge.",),
    ),
    "case_list": PageHelp(
        "The investigations, open ones first.",
        ("Narrow by status and owner; the address holds what you asked for.",),
    ),
    "case_detail": PageHelp(
        "One investigation: its alerts, its money at risk, and all that was said and done.",
        (
            "The buttons are the moves that you may make from where the case stands.",
            "Closing it closes its alerts and labels their predictions.",
            "The timeline is only ever added to.",
        ),
    ),
    "dashboards": PageHelp(
        "How the platform does: what came in, what was flagged, how right that was, what it saved.",
        (
            "Choose days and detector above; the address holds them. Weeks from 93 days on.",
            "Click a point, or open the table below a chart, to see the very rows behind it.",
            "Hollow marks are not final: alerts of that day are still open.",
            "Saved: the loss share of fraud flagged, less reviews and false blocks at the costs"
            " that the detector declares; without a platform every event would be approved.",
            "Amounts in another currency than the detector's own are left out of sums of money.",
        ),
    ),
    "dashboard_analysts": PageHelp(
        "What each analyst closed, how long it took, and how far a second analyst agreed.",
        ("Mind the intervals: a few alerts say little about anybody.",),
    ),
    "dashboard_alerts": PageHelp(
        "The alerts behind a point of a dashboard.",
        ("They are read now: what was counted minutes ago may have moved on.",),
    ),
    "dashboard_events": PageHelp(
        "The scored events behind a point of a dashboard.",
        ("The label is the newest one of each event.",),
    ),
    "second_looks": PageHelp(
        "Judge an alert that another analyst has labelled, without seeing what they found.",
        (
            "A share of the labelled alerts is drawn at random; n takes the next.",
            "Labels are shown as they were known when the alert was opened.",
            "Where you find something else than the first analyst, a lead settles it.",
        ),
    ),
    "second_look_agreement": PageHelp(
        "How far two analysts agree, on what they do not, and what is left to settle.",
        (
            "Kappa is agreement beyond chance: 1 is perfect, 0 is what chance gives.",
            "A label counts in training for the share of its looks that say so.",
            "The share drawn is set for each detector; empty means that of the platform.",
        ),
    ),
    "second_look_dispute": PageHelp(
        "Two judgements of one alert side by side; a lead settles which one stands.",
        ("Alert and labels follow what is settled; all judgements stay on record.",),
    ),
    "prediction_detail": PageHelp(
        "One scored event, as it was decided and why.",
        (
            "Contributions add up to the score; the error of that sum is shown.",
            "Lineage names the bundle, the rules and the lists that decided.",
        ),
    ),
    "prediction_approve": PageHelp(
        "What would have to be different for this event to be approved.",
        ("Only facts that can change are varied; the smallest change comes first.",),
    ),
    "prediction_surrogate": PageHelp(
        "A small decision tree that imitates the model near this event.",
        ("How often it agrees with the model nearby is printed; below 90 % do not rely on it.",),
    ),
    "snooze": PageHelp(
        "Keep a rule from flagging one entity for some time.",
        ("The rule still matches and is recorded; it has no consequence until the snooze ends.",),
    ),
    "list_event_value": PageHelp(
        "Put a value of this event on the allow or the deny list of its detector.",
        ("Say why and until when; the next event is decided by it.",),
    ),
    "detector_list": PageHelp(
        "The detection problems that this platform watches, and how busy each is.",
    ),
    "detector_detail": PageHelp(
        "What one detector reads, how it decides, and what serves it.",
        ("The drawing shows from which fields of an event each feature comes.",),
    ),
    "rules_overview": PageHelp("The rules of every detector, and where each stands."),
    "rule_list": PageHelp(
        "The rules of one detector: live ones decide, shadow ones only count, drafts do nothing.",
    ),
    "rule_new": PageHelp(
        "Write a rule and try it on past events before anybody is affected.",
        ("It is checked while you write; mistakes are told with their place.",),
    ),
    "rule_detail": PageHelp(
        "One rule: its versions, where each stands, and what it did.",
        ("A change makes a new version; the old one stays until the new one is live.",),
    ),
    "lists": PageHelp(
        "Values that are always let through or always stopped, with their reason and their end.",
    ),
    "policy": PageHelp(
        "How this detector combines model, rules and lists, and which share is drawn for audit.",
    ),
    "watchlists": PageHelp(
        "The sanctions lists that names are screened against, and how old each copy is.",
    ),
    "model_list": PageHelp(
        "For each detector: what serves, what is being tried, and whether anything is wrong.",
    ),
    "model_detail": PageHelp(
        "One trained version: is it better than what serves, by how much, and how sure is that?",
        (
            "Compared on the same events, newest last; intervals say what chance could do.",
            "Promotion takes a comparison and a second person. Rolling back takes one click.",
        ),
    ),
    "model_thresholds": PageHelp(
        "Move the points from which events are reviewed or blocked, and see the cost before.",
        ("Publishing makes a new version of the same model; it is promoted like any other.",),
    ),
    "model_explanation": PageHelp(
        "What the model goes by over many events, not one.",
        ("The longer a bar, the more that feature moved scores, up or down.",),
    ),
    "model_card": PageHelp(
        "What a reader outside should know of a version: data, measures, limits, who approved it.",
    ),
    "model_compare": PageHelp("Two versions side by side: numbers, parameters, curves, features."),
    "model_integrity": PageHelp(
        "Whether everything that serving and training rely on is there and unchanged.",
    ),
    "model_import": PageHelp(
        "Bring in a bundle that another installation exported.",
        ("It is checked byte by byte and never promoted by itself.",),
    ),
    "dataset_detail": PageHelp(
        "The rows that a version was trained and judged on, and what was known when.",
    ),
    "drift": PageHelp(
        "Whether what arrives still looks like what the champion was trained on.",
        ("A feature counts as moved when both the size and the certainty of the change say so.",),
    ),
    "retraining": PageHelp(
        "When this detector trains again by itself, and what has to be so before.",
    ),
    "job_list": PageHelp("What runs, waits or ended in the background."),
    "job_detail": PageHelp(
        "One background job: how far it is, what it said, what came of it.",
        ("A job whose worker died is taken up again by itself.",),
    ),
    "password_change": PageHelp("Choose a new password."),
    "password_change_done": PageHelp("Your password is changed."),
}
