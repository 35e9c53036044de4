"""No index on a foreign key whose column another index begins with.

It cost each insert a write, and on a table without statistics the planner preferred it: it read all
rows of a detector to find one.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0005_entity_tail'),
    ]

    operations = [
        migrations.AlterField(
            model_name='entityevent',
            name='detector',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='scoring.detector'),
        ),
        migrations.AlterField(
            model_name='entitystate',
            name='detector',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='scoring.detector'),
        ),
        migrations.AlterField(
            model_name='label',
            name='detector',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='scoring.detector'),
        ),
        migrations.AlterField(
            model_name='label',
            name='prediction',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='labels', to='scoring.prediction'),
        ),
        migrations.AlterField(
            model_name='prediction',
            name='detector',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='scoring.detector'),
        ),
        migrations.AlterField(
            model_name='scoretally',
            name='detector',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='scoring.detector'),
        ),
    ]
