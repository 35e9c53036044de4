"""A team queue and a case type to begin with; leads change both."""

from django.db import migrations
from django.db.models import Max, OuterRef, Subquery

DAY = 24 * 60
QUEUE = "General"
TYPE = "General investigation"
ITEMS = (
    "Compare what happened with what is usual for this entity",
    "Look at linked entities and earlier cases",
    "Ask whoever it concerns, or say why not",
    "Write down what was found, and why",
)


def fill(apps, schema_editor):
    Case = apps.get_model("cases", "Case")
    WorkQueue = apps.get_model("cases", "WorkQueue")
    CaseType = apps.get_model("cases", "CaseType")
    ChecklistItem = apps.get_model("cases", "ChecklistItem")
    Alert = apps.get_model("cases", "Alert")
    WorkQueue.objects.get_or_create(
        name=QUEUE,
        defaults={
            "position": 1000,
            "due_after": 8 * 60,
            "escalate_after": DAY,
            "week": [[[0, DAY]] for _ in range(7)],
        },
    )
    kind, made = CaseType.objects.get_or_create(name=TYPE)
    if made:
        ChecklistItem.objects.bulk_create(
            ChecklistItem(case_type=kind, text=text, position=i) for i, text in enumerate(ITEMS)
        )
    level = Alert.objects.filter(case=OuterRef("pk")).order_by().values("case")
    highest = level.annotate(level=Max("level")).values("level")
    Case.objects.filter(alerts__isnull=False).update(priority=Subquery(highest))


class Migration(migrations.Migration):
    dependencies = [("cases", "0004_case_work")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
