"""Events, detectors, rules, lists, policies, sources and watchlists."""

from riskplatform.page_help.entry import PageHelp

DETECTORS: dict[str, PageHelp] = {
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
        "A straight line that imitates the model near this event, for what moves a little.",
        (
            "R² says how well the line fits. Below 0.9 take directions from it, not sizes; below"
            " 0.6 do not believe it.",
        ),
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
}
