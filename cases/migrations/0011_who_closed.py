"""Who closed an alert, of those that were closed before that was kept beside it."""

from django.db import migrations

BATCH = 500


def fill(apps, schema_editor):
    Alert = apps.get_model("cases", "Alert")
    last = 0
    while True:
        rows = Alert.objects.filter(pk__gt=last, status="closed", closed_by=None).order_by("pk")
        batch = list(rows.only("pk", "closed_at", "case_id")[:BATCH])
        if not batch:
            return
        last = batch[-1].pk
        labelled, of_old = _authors(apps, batch)
        audited = _audited(apps, "cases.alert", "alert.closed", [row.pk for row in batch])
        by_case = _of_cases(apps, {row.case_id for row in batch if row.case_id})
        found = []
        for row in batch:
            row.closed_by_id = (
                labelled.get(row.pk)
                or (by_case.get(row.case_id) if row.case_id else None)
                or audited.get(row.pk)
                or of_old.get(row.pk)
            )
            if row.closed_by_id is not None:
                found.append(row)
        Alert.objects.bulk_update(found, ["closed_by"])


def _authors(apps, batch):
    """By alert, the author of the labels of its closing, and the author of its newest label."""
    Label = apps.get_model("scoring", "Label")
    times = {row.pk: row.closed_at for row in batch}
    rows = Label.objects.filter(
        prediction__alert_link__alert__in=list(times), source="analyst", author__isnull=False
    ).order_by("label_time", "pk")
    exact, newest = {}, {}
    for alert, time, author in rows.values_list(
        "prediction__alert_link__alert", "label_time", "author"
    ):
        newest[alert] = author
        if time == times[alert]:
            exact[alert] = author
    return exact, newest


def _audited(apps, of, action, ids):
    """By id, who did that last."""
    AuditEntry = apps.get_model("accounts", "AuditEntry")
    rows = AuditEntry.objects.filter(
        object_type=of, object_id__in=[str(one) for one in ids], action=action, actor__isnull=False
    ).order_by("number")
    return {int(pk): actor for pk, actor in rows.values_list("object_id", "actor")}


def _of_cases(apps, ids):
    """By case, whose finding it was closed with: theirs who asked for it, else theirs who did."""
    CaseApproval = apps.get_model("cases", "CaseApproval")
    found = _audited(apps, "cases.case", "case.close", ids)
    asked = CaseApproval.objects.filter(case__in=ids, status="approved").order_by("decided_at")
    return found | dict(asked.values_list("case", "requested_by"))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_user_rates"),
        ("cases", "0010_merge_times"),
        ("scoring", "0011_label_retraction"),
    ]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
