"""Which labels were told since a training is read by an index, not by counting all of them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0007_event_id_first'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='label',
            index=models.Index(fields=['detector', 'recorded_at'], name='label_by_record'),
        ),
    ]
