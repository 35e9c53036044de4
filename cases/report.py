"""The report of a case: sentences from templates, each with the stored fact that it states.

Nothing is told that no row says. Personal data stands masked unless it was revealed with a reason.
It is bounded, so that its PDF is made within a request: long texts are cut, and each section says
how much it leaves out.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.services import record_audit
from cases.case_events import words_of
from cases.case_models import CaseApproval, CaseAttachment, CaseCheck
from cases.case_selectors import case_alerts, checks_of, merges_of, timeline_of
from cases.limits import stake_of
from cases.models import Alert, Case, CaseEvent
from cases.report_sections import LONGEST_SENTENCE, LONGEST_TEXT, Fact, Report, cut
from cases.workflow import LIVE_CASES, REASON_CODES, CaseStatus, Disposition
from scoring import presenting
from scoring.core.spec import truth_words
from scoring.figures import percent
from scoring.models import Label, Prediction

MOST_ALERTS = 100
MOST_EVENTS = 200
MOST_REASONS = 3
MOST_AUDIT = 50


def reveal_audited(case: Case, *, actor: User, reason: str) -> None:
    """Put down that somebody reads the personal data of a case in its report, and why."""
    record_audit(
        actor=actor, action="case.pii_revealed", subject=case, detail={"reason": reason.strip()}
    )


def build_report(case: Case, *, now: datetime, actor: User, reveal: bool = False) -> Report:
    """Everything that is stored about a case, as sentences. A bounded number of queries."""
    report = Report(
        title=case.title,
        subtitle=f"Report on case {case.pk}",
        made_at=now,
        made_by=actor.name,
        revealed=reveal,
    )
    alerts = list(case_alerts(case)[:MOST_ALERTS])
    merges = merges_of(case)
    ids = [case.pk, *(merge.source_id for merge in merges)]
    events, earlier = timeline_of(ids, limit=MOST_EVENTS)
    specs = presenting.SpecCache()
    words = {truth_words(specs.of(alert.detector)).fraud for alert in alerts}
    fraud = words.pop() if len(words) == 1 else "fraud"
    _summary(report, case, events, fraud)
    _approvals(report, case, fraud)
    _alerts(report, case, alerts, specs, reveal=reveal)
    _done(report, case, events, earlier)
    _checklist(report, case, checks_of(case))
    _files(report, case.attachments.select_related("added_by"))
    _audit(report, case)
    report.end(_case_fact(case))
    return report


def stamp(at: datetime | None) -> str:
    """A time as the report writes it."""
    return "at an unknown time" if at is None else f"{at:%d %b %Y, %H:%M} UTC"


def money(amount: Any, currency: str) -> str:
    return f"{amount:,.2f} {currency}".strip()


def found_words(disposition: str, reason_code: str, fraud: str) -> str:
    """`confirmed fraud (account takeover)`."""
    found = Disposition(disposition)
    words = f"confirmed {fraud}" if found is Disposition.FRAUD else found.replace("_", " ")
    reason = dict(REASON_CODES[found]).get(reason_code, reason_code)
    return f"{words} ({reason[:1].lower()}{reason[1:]})" if reason else words


def _name(user: User | None) -> str:
    return user.name if user is not None else "somebody"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _event_fact(event: CaseEvent) -> Fact:
    url = f"{reverse('case_detail', args=[event.case_id])}#event-{event.pk}"
    return Fact("timeline entry", str(event.pk), url)


def _case_fact(case: Case, anchor: str = "") -> Fact:
    return Fact("case", str(case.pk), reverse("case_detail", args=[case.pk]) + anchor)


def _summary(report: Report, case: Case, events: Sequence[CaseEvent], fraud: str) -> None:
    report.section("Summary")
    fact = _case_fact(case)
    report.say(
        f"Case {case.pk} was opened by {_name(case.opened_by)} on {stamp(case.opened_at)}.", fact
    )
    owner = f"its owner is {case.owner.name}" if case.owner else "it has no owner"
    report.say(
        f"It is {case.get_status_display().lower()}; {owner}; its priority is "
        f"{case.get_priority_display().lower()}.",
        fact,
    )
    _belongs(report, case, fact)
    stake = stake_of(case)
    for currency, total in stake.totals.items():
        report.say(f"At risk in its alerts: {money(total, currency)}.", _case_fact(case, "#alerts"))
    if len(stake.totals) > 1 and stake.rates and not stake.lacking:
        currency, together = stake.weighed
        said = f"Together that is {money(together, currency)} by the declared rates."
        report.say(said, _case_fact(case, "#alerts"))
    report.say(f"Its alerts hold {_events(stake.events)}.", _case_fact(case, "#alerts"))
    if case.due_at is not None:
        verb = "is" if case.status in LIVE_CASES and case.due_at > report.made_at else "was"
        report.say(f"It {verb} due on {stamp(case.due_at)}.", fact)
    if case.status == CaseStatus.CLOSED:
        closing = next((e for e in reversed(events) if e.kind == CaseEvent.Kind.CLOSED), None)
        found = found_words(case.disposition, case.reason_code, fraud)
        report.say(
            f"It was closed on {stamp(case.closed_at)} as {found}.",
            _event_fact(closing) if closing is not None else fact,
        )


def _belongs(report: Report, case: Case, fact: Fact) -> None:
    """Its type, its team queue, its tags, and the case that it went into."""
    kind = case.case_type.name if case.case_type else "none"
    queue = case.work_queue.name if case.work_queue else "none"
    report.say(f"Its type: {kind}. Its team queue: {queue}.", fact)
    tags = ", ".join(tag.name for tag in case.tags.all())
    report.say(f"Its tags: {tags or 'none'}.", fact)
    if case.merged_into is not None:
        report.say(
            f"It went into case {case.merged_into.pk}: its alerts are there.",
            _case_fact(case.merged_into),
        )


def _approvals(report: Report, case: Case, fraud: str) -> None:
    report.section("Four eyes")
    for asked in case.approvals.select_related("requested_by", "decided_by").order_by("pk"):
        url = f"{reverse('case_detail', args=[case.pk])}#approval-{asked.pk}"
        fact = Fact("approval", str(asked.pk), url)
        found = found_words(asked.disposition, asked.reason_code, fraud)
        stake = asked.totals_words or money(asked.amount, asked.currency)
        than = "above" if asked.amount > asked.limit else "not to be compared with"
        report.say(
            f"{asked.requested_by.name} asked on {stamp(asked.requested_at)} to close the case as "
            f"{found}: {stake} at risk, {than} the limit of {money(asked.limit, asked.currency)}.",
            fact,
        )
        report.say(_decision(asked), fact, inner=True)


def _decision(asked: CaseApproval) -> str:
    if asked.status == CaseApproval.Status.PENDING:
        return "A second person has not decided yet."
    did = {"approved": "approved it", "returned": "returned it for rework"}
    who = _name(asked.decided_by)
    note = f": “{cut(asked.decision_note)}”" if asked.decision_note else ""
    act = did.get(asked.status, "took the request back")
    return f"{who} {act} on {stamp(asked.decided_at)}{note}."


def _alerts(
    report: Report,
    case: Case,
    alerts: Sequence[Alert],
    specs: presenting.SpecCache,
    *,
    reveal: bool,
) -> None:
    report.section("Alerts", lines=300, letters=25_000)
    tops = [alert.top_prediction_id for alert in alerts]
    labels: dict[Any, list[Label]] = {}
    for label in Label.objects.filter(prediction__in=tops).select_related("author"):
        labels.setdefault(label.prediction_id, []).append(label)
    total = case.alerts.count() if len(alerts) == MOST_ALERTS else len(alerts)
    if total > len(alerts):
        text = f"{total - len(alerts)} more alerts are in the export."
        report.say(text, _case_fact(case, "#alerts"))
    for alert in alerts:
        _alert(report, alert, specs, reveal=reveal)
        top = alert.top_prediction
        for label in reversed(labels.get(top.pk, [])):
            _label(report, top, label, truth_words(specs.of(alert.detector)).fraud)


def _alert(report: Report, alert: Alert, specs: presenting.SpecCache, *, reveal: bool) -> None:
    top, spec = alert.top_prediction, specs.of(alert.detector)
    fact = Fact("alert", str(alert.pk), alert.get_absolute_url())
    entity = specs.entity(top, alert.detector)
    if reveal and spec is not None:
        shown = presenting.event_fields(top, spec, reveal=True)
        entity = next((one.value for one in shown if one.name == spec.entity_field), entity)
    chance = f", probability {percent(alert.risk)}" if alert.risk is not None else ", not scored"
    stake = f", {money(alert.exposure, alert.currency)} at risk" if alert.exposure else ""
    report.say(
        f"Alert {alert.pk} of {alert.detector} concerns {specs.entity_word(alert.detector)} "
        f"{entity}: {alert.level_name}{chance}{stake}, {_events(alert.predictions_count)}, "
        f"opened on {stamp(alert.opened_at)}.",
        fact,
    )
    seen = Fact("prediction", str(top.pk), top.get_absolute_url(), top.bundle_digest[:12])
    by = " + ".join(filter(None, [presenting.decided_by(top), *presenting.deciding_rules(top)]))
    report.say(
        f"Its riskiest event, {top.external_id}, of {stamp(top.event_time)}, was decided "
        f"{top.decision}{f' by {by}' if by else ''}.",
        seen,
        inner=True,
    )
    for text in _because(top):
        report.say(text, seen, inner=True)
    for one in presenting.event_fields(top, spec, reveal=True) if reveal else ():
        report.say(f"{one.name}: {one.value}.", seen, inner=True)


def _because(top: Prediction) -> Iterable[str]:
    for reason in top.reasons[:MOST_REASONS]:
        text = str(reason.get("text", ""))
        if text:
            yield f"Reason: {text}."
    for hit in presenting.rule_hits(top):
        if hit["counts"]:
            yield f"Rule {hit['code']} (version {hit['version']}) matched: {hit['text']}"
    for hit in top.screening_hits:
        yield f"Screening matched {hit.get('matched') or hit.get('text', '')}."


def _label(report: Report, top: Prediction, label: Label, fraud: str) -> None:
    fact = Fact("label", str(label.pk), f"{top.get_absolute_url()}#labels")
    found = fraud if label.is_fraud else f"no {fraud}"
    by = f" by {label.author.name}" if label.author else ""
    report.say(
        f"It was labelled {found}{by} on {stamp(label.label_time)} "
        f"({label.get_source_display().lower()}, confidence {percent(label.confidence)}).",
        fact,
        inner=True,
    )


def _done(report: Report, case: Case, events: Sequence[CaseEvent], earlier: int) -> None:
    report.section("What was done", lines=MOST_EVENTS + 1, letters=25_000)
    told = [(_entry(case, event), _event_fact(event)) for event in events]
    _say_newest(report, told, earlier, "on the page of the case", _case_fact(case))


def _say_newest(
    report: Report, told: Sequence[tuple[str, Fact]], earlier: int, where: str, fact: Fact
) -> None:
    """Say what there is room for, the newest first of all; before it how many came before it.

    `told`: oldest first; `earlier`: how many more there are before these, and `where`.
    """
    fits, room = [], report.sections[-1].letters - LONGEST_TEXT
    for text, source in reversed(told):
        room -= len(cut(text, LONGEST_SENTENCE))
        if room < 0:
            break
        fits.append((text, source))
    earlier += len(told) - len(fits)
    if earlier:
        entries = "1 earlier entry is" if earlier == 1 else f"{earlier} earlier entries are"
        report.say(f"{entries} {where}.", fact)
    for text, source in reversed(fits):
        report.say(text, source)


def _entry(case: Case, event: CaseEvent) -> str:
    who = event.actor.name if event.actor else "The platform"
    said = f": “{cut(' '.join(event.text.split()))}”" if event.text else "."
    where = f" (in case {event.case_id})" if event.case_id != case.pk else ""
    return f"{stamp(event.at)}: {who} {words_of(event)}{where}{said}"


def _checklist(report: Report, case: Case, checks: Sequence[CaseCheck]) -> None:
    report.section("Checklist")
    for check in checks:
        fact = Fact("check", str(check.pk), f"{case.get_absolute_url()}#check-{check.pk}")
        if check.done_at is None:
            report.say(f"Not done: {check.text}.", fact)
        else:
            report.say(
                f"Done by {_name(check.done_by)} on {stamp(check.done_at)}: {check.text}.", fact
            )


def _files(report: Report, files: Iterable[CaseAttachment]) -> None:
    report.section("Files")
    for row in files:
        fact = Fact("file", str(row.pk), row.get_absolute_url(), row.sha256[:12])
        report.say(
            f"{row.name} ({row.size:,} bytes, SHA-256 {row.sha256}) was attached by "
            f"{row.added_by.name} on {stamp(row.added_at)}.",
            fact,
        )


def _audit(report: Report, case: Case) -> None:
    report.section("Audit trail", lines=MOST_AUDIT + 1)
    rows = AuditEntry.objects.filter(object_type="cases.case", object_id=str(case.pk))
    newest = list(rows.select_related("actor").order_by("-number")[:MOST_AUDIT])
    total = rows.count() if len(newest) == MOST_AUDIT else len(newest)
    told = [(_act(entry), _audit_fact(entry)) for entry in reversed(newest)]
    _say_newest(report, told, total - len(newest), "in the audit trail", _case_fact(case))


def _audit_fact(entry: AuditEntry) -> Fact:
    return Fact("audit entry", str(entry.number), "", entry.row_hash[:12])


def _act(entry: AuditEntry) -> str:
    by = f" by {entry.actor.name}" if entry.actor else ""
    return f"{stamp(entry.at)}: {entry.action}{by}."
