from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cases", "0013_words_looked_up")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="approval_limit",
            field=models.DecimalField(
                blank=True, decimal_places=2, editable=False, max_digits=18, null=True
            ),
        ),
    ]
