"""Jobs, notifications, users, keys and the audit trail."""

from riskplatform.page_help.entry import PageHelp

ADMINISTRATION: dict[str, PageHelp] = {
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
        ("Somebody with two roles may do what either may.",),
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
        ("Tick as little as will do: whoever has the secret may do all that is ticked.",),
    ),
    "key_detail": PageHelp(
        "One key: what it may do, when it was used, and the way to shut it for good.",
    ),
    "personal_data": PageHelp(
        "Erase what is stored of a person who asks to be forgotten.",
        (
            "Values and names go; scores, decisions, amounts and labels stay.",
            "Refused while an alert or a case about them is open, or they are on a list.",
            "Each detector is erased on its own; what people wrote and backups are not reached.",
        ),
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
