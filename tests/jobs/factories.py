"""Rows of background work."""

import factory

from jobs.models import Job


class JobFactory(factory.django.DjangoModelFactory[Job]):
    class Meta:
        model = Job

    kind = "test.work"
    subject = factory.Sequence(lambda n: f"subject {n}")
