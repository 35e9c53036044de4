"""Indexes for the audit search: the new ones before the old ones go, and nobody who writes to the
trail waits for them."""

from django.db import migrations, models

from accounts.index_operations import AddIndexAside, RemoveIndexAside


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('accounts', '0004_user_rates'),
    ]

    operations = [
        migrations.AlterField(
            model_name='user',
            name='log_ins_from',
            field=models.DateTimeField(editable=False, help_text='Log-ins of before have ended, by token and by browser.', null=True),
        ),
        AddIndexAside(
            model_name='auditentry',
            index=models.Index(fields=['object_type', 'object_id', '-number'], name='audit_by_subject'),
        ),
        AddIndexAside(
            model_name='auditentry',
            index=models.Index(fields=['action', '-number'], name='audit_by_act', opclasses=['varchar_pattern_ops', 'int8_ops']),
        ),
        AddIndexAside(
            model_name='auditentry',
            index=models.Index(fields=['actor', '-number'], name='audit_by_actor'),
        ),
        AddIndexAside(
            model_name='auditentry',
            index=models.Index(fields=['at'], name='audit_by_time'),
        ),
        RemoveIndexAside(
            model_name='auditentry',
            name='audit_by_object',
        ),
        RemoveIndexAside(
            model_name='auditentry',
            name='audit_by_action',
        ),
    ]
