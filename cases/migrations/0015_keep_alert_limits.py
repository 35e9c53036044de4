"""Live alerts keep the limit of their queue as it is now, a batch at a time: no lock lasts.

May run twice: an alert that has a limit keeps it.
"""

from django.conf import settings
from django.db import migrations

BATCH = 1000


def keep_limits(apps, schema_editor):
    WorkQueue = apps.get_model("cases", "WorkQueue")
    for queue, limit in [(None, None), *WorkQueue.objects.values_list("pk", "approval_limit")]:
        limit = settings.CASE_APPROVAL_LIMIT if limit is None else limit
        if limit is not None:
            keep_in_batches(apps.get_model("cases", "Alert"), queue, limit)


def keep_in_batches(model, queue, limit):
    rows = model.objects.filter(work_queue=queue, status__in=("open", "in_case"))
    last = 0
    while pks := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=pks, approval_limit=None).update(approval_limit=limit)
        last = pks[-1]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("cases", "0014_alert_limits")]
    operations = [migrations.RunPython(keep_limits, migrations.RunPython.noop)]
