from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0016_source_text'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='prediction',
            options={'ordering': ('-event_time', '-id'), 'permissions': (('reveal_pii', 'Can reveal masked personal data'), ('erase_pii', 'Can erase personal data'))},
        ),
        migrations.AddField(
            model_name='prediction',
            name='erased_at',
            field=models.DateTimeField(null=True),
        ),
    ]
