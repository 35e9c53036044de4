"""Alerts, entities, cases, queues, dashboards and second looks."""

from riskplatform.page_help.entry import PageHelp

TRIAGE: dict[str, PageHelp] = {
    "queue": PageHelp(
        "What waits for a human, ordered by what a minute of work saves.",
        (
            "n takes the best alert that nobody works on and locks it; j and k move, Enter opens.",
            "1 to 4, a, s and c act on the row in focus, or on all that x has selected; u undoes.",
            "The split (b) gives a share of your work to uncertain and to randomly drawn alerts.",
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
    "alert_similar": PageHelp(
        "Closed alerts flagged for much the same reasons, and what they turned out to be.",
        ("Near means that the same features moved the score by like amounts.",),
    ),
    "entity_timeline": PageHelp(
        "What an entity did over time: amounts, places, labels, alerts. A point opens its event.",
    ),
    "entity_links": PageHelp(
        "Who shares a device, a merchant or the like with this entity, two steps far.",
        ("A box with a plus has more behind it; very common values open only when asked.",),
    ),
    "prediction_checks": PageHelp(
        "Which facts to check next: those that would change the decision most stand first.",
    ),
    "prediction_replay": PageHelp(
        "Whether the stored record gives the same decision again, bit for bit.",
    ),
    "entity_detail": PageHelp(
        "Everything known about one entity of one detector: its events, alerts and cases.",
        ("Labels stand beside the events that they judge.",),
    ),
    "case_list": PageHelp(
        "The investigations that are not closed, the most urgent first.",
        (
            "Narrow by status, owner, priority, team queue and tag; the address holds it all.",
            "The clock says how much of the time until a case is due has passed.",
            "CSV and XLSX hold what is shown, all pages of it.",
        ),
    ),
    "case_detail": PageHelp(
        "One investigation: its alerts, its money at risk, and all that was said and done.",
        (
            "The buttons are the moves that you may make from where the case stands.",
            "Closing it closes its alerts and labels their predictions; above the loss limit a "
            "second person approves that first.",
            "The timeline is only ever added to. Write @name to tell somebody; names are offered.",
        ),
    ),
    "case_report": PageHelp(
        "Everything stored about a case, to read, print or keep as PDF.",
        (
            "The number behind each sentence leads to the row that it states.",
            "Personal data is masked. Showing it asks for a reason, which is audited.",
        ),
    ),
    "work_queue_list": PageHelp(
        "Which team gets which alerts, how fast they are due, and what is late.",
        ("Say under You whether you take new work.",),
    ),
    "work_queue_detail": PageHelp(
        "How one team works: what it takes, when it works, what is late, and who is in it.",
        ("Due times are counted in working hours. What is due already keeps its time.",),
    ),
    "work_queue_new": PageHelp(
        "Set up a team: what it takes, when it works, and when something is late.",
        ("An alert goes to the first queue, by their order, that takes it.",),
    ),
    "exchange_rates": PageHelp(
        "What other currencies are worth in the common one, to order and compare amounts.",
        (
            "Amounts are shown in their own currency everywhere.",
            "What has no rate is ordered as it stands, and takes two people to close.",
            "Each rate stays on record with who set it and when.",
        ),
    ),
    "case_type_list": PageHelp("The kinds of cases, each with the checklist that it begins with."),
    "case_type_detail": PageHelp(
        "One kind of case and its checklist.",
        ("Cases that are open keep the checklist that they began with.",),
    ),
    "case_type_new": PageHelp("Write a kind of case and what has to be done in each of them."),
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
    "dashboard_report_list": PageHelp(
        "The numbers of the dashboards by e-mail: what comes to you, when, and whether it arrived.",
        (
            "Each report is about the days until the one before it is sent, beside as many before.",
            "What was due while a report was paused is not made up for; after a standstill of the "
            "workers only the newest one comes.",
            "Your quiet hours hold e-mail back; it comes when they end.",
        ),
    ),
    "dashboard_report_new": PageHelp(
        "Have the numbers of the dashboards sent to you, every day, week or month.",
        ("Leads may have them sent to others too, but to nobody without an account here.",),
    ),
    "dashboard_report_detail": PageHelp(
        "What a report is about, when it comes and to whom; and its end.",
        ("Whoever may not see dashboards any more gets nothing, even if they still stand here.",),
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
}
