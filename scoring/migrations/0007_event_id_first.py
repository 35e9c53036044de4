"""The unique index of events begins with their id, which alone tells nearly all rows apart."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0006_no_index_twice'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='prediction',
            name='one_prediction_per_event',
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.UniqueConstraint(fields=('external_id', 'detector'), name='one_prediction_per_event'),
        ),
    ]
