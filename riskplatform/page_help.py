"""What each page is for, as its help drawer says it. By the name of the route."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageHelp:
    """`purpose` in one or two sentences; `points`: what can be done there, and how to read it."""

    purpose: str
    points: tuple[str, ...] = ()


PAGES: dict[str, PageHelp] = {
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
    "detector_new": PageHelp(
        "Declare what an event is, what is computed from it and how it is judged.",
        (
            "Mistakes are told with their line while you write; nothing counts before you save.",
            "It scores with its rules alone until a model is trained and promoted.",
        ),
    ),
    "detector_declaration": PageHelp(
        "All that one detector is, as YAML: event, features, rules, costs, training.",
        (
            "The preview says which lines change, which windows are learnt anew and whether the"
            " champion still fits.",
            "Where changes take two people, rules, screening and audit rate have pages of their"
            " own.",
        ),
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
    "rule_overlap": PageHelp(
        "Which rules match the same events, so that one of them could go.",
        ("A cell says what share of the row's matches the column's rule matches too.",),
    ),
    "backtest_list": PageHelp(
        "What was tried on the history of this detector without being published.",
    ),
    "backtest_thresholds": PageHelp(
        "Try other thresholds of the champion on past events, before anybody is affected.",
    ),
    "backtest_detail": PageHelp(
        "What a rule or other thresholds would have done to past events, and at what cost.",
        (
            "Every event is judged with what was known when it came; nothing is changed.",
            "Only matured labels count. Events without one are told apart, not taken for good.",
            "Each cell of the table opens examples with the values that were read.",
        ),
    ),
    "lists": PageHelp(
        "Values that are always let through or always stopped, with their reason and their end.",
        (
            "Put many on at once, one a line: one wrong value, and none is put on.",
            "The API does the same for other systems; each act is in the audit trail.",
        ),
    ),
    "policy": PageHelp(
        "How this detector combines model, rules and lists, and which share is drawn for audit.",
        (
            "The lines stand in the order in which they decide; the first that applies does.",
            "Everybody who reads rules reads it; who may change rules asks for other settings.",
        ),
    ),
    "source_list": PageHelp(
        "Where events come from, whose they are, and what brings each source's events here.",
    ),
    "source_new": PageHelp(
        "Declare what a source sends, and which detector's events they are.",
        (
            "Mistakes are told with their line while you write; nothing counts before you save.",
            "Passwords and keys never stand in it: they come from the environment.",
        ),
    ),
    "source_detail": PageHelp(
        "One source, as YAML: its kind, the fields of its events, and how they are mapped.",
        ("A change counts from the next event on; a consumer that runs has to be started again.",),
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
    "notification_list": PageHelp(
        "What happened that concerns you, newest first.",
        (
            "Opening one marks it as read and leads to its page.",
            "Under Preferences you choose what you are told, by bell or e-mail, and when not.",
        ),
    ),
    "notification_preferences": PageHelp(
        "Choose what you are told, by which channel, and when you want to be left alone.",
        (
            "E-mail that falls into your quiet hours comes when they end.",
            "What is critical may come at once, if you allow it.",
        ),
    ),
    "notification_route_list": PageHelp(
        "Where teams and other systems are told: mailing lists, Slack, Teams, signed webhooks.",
        ("A route takes news of the kinds that you tick, of one detector or of all.",),
    ),
    "notification_route_new": PageHelp(
        "Send news of some kinds to a channel of a team or to another system.",
        (
            "The address is kept encrypted and never shown again.",
            "Addresses inside your own network are refused unless the installation allows them.",
        ),
    ),
    "notification_route_detail": PageHelp(
        "One route: what goes there, how its latest deliveries went, its secret.",
        ("Send a test after every change.",),
    ),
    "notification_delivery_list": PageHelp(
        "Everything that was sent, waits or failed, to people and routes.",
        ("What fails is tried again with growing pauses, eight times at most.",),
    ),
    "notification_delivery_detail": PageHelp(
        "One delivery with each attempt and what came of it.",
        ("Send it again when the cause is gone; receivers know a second copy by its id.",),
    ),
    "user_list": PageHelp(
        "Everybody who has an account, what they may do, and whether they can sign in.",
        (
            "Search by name, user name or e-mail; filters are in the address.",
            "Invited means that they never signed in.",
        ),
    ),
    "user_new": PageHelp(
        "Add somebody. They choose their password themselves, by a link that you get once.",
        ("Somebody with two roles may what either may.",),
    ),
    "user_detail": PageHelp(
        "One person: their roles, how they get in, their keys, and what they did.",
        (
            "Nobody changes their own roles or shuts themselves out; the last Admin stays one.",
            "Deactivated is not deleted: what somebody did stays on record in their name.",
        ),
    ),
    "role_list": PageHelp(
        "What each role may do. Roles are fixed; people are given one or several.",
        ("The number below a role leads to those who have it.",),
    ),
    "membership_list": PageHelp(
        "Who works on which team queue, how much fits, and who is away.",
        ("The name of a queue leads to its page, where leads change who is in it.",),
    ),
    "key_list": PageHelp(
        "The secrets by which programs use the API, whose they are, and what they may do.",
        ("A key that nobody has used for long is one to ask about, then to revoke.",),
    ),
    "key_new": PageHelp(
        "Give a program a secret. It is shown once.",
        ("Tick as little as will do: whoever has the secret may all of it.",),
    ),
    "key_detail": PageHelp(
        "One key: what it may do, when it was used, and the way to shut it for good.",
    ),
    "audit_list": PageHelp(
        "Who did what to what, newest first.",
        (
            "An action begins with its subject: user. finds all that was done to users.",
            "Each entry carries the hash of the one before it; a mark shows where that breaks.",
            "The download is written to the trail too.",
        ),
    ),
    "audit_entry": PageHelp("One thing that was done, and its place in the chain."),
    "password_change": PageHelp("Choose a new password."),
    "password_change_done": PageHelp("Your password is changed."),
}
