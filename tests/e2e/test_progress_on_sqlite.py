"""Work that reads for long on SQLite, where a query that is being read bars its connection from
writing once another has written."""

from pathlib import Path

import pytest

from tests.e2e.stack import running_stack

pytestmark = [pytest.mark.worker, pytest.mark.xdist_group("processes")]
READING = """
from threading import Thread

from django.contrib.auth.models import Permission
from django.db import connection

from jobs.models import Job
from jobs.services import enqueue_job, run_job


def beat(pk):
    Job.objects.filter(pk=pk).update(subject="written meanwhile")
    connection.close()


def work(job, progress):
    rows = Permission.objects.order_by("pk").iterator(chunk_size=1)
    read = [next(rows)]
    heart = Thread(target=beat, args=(job.pk,))
    heart.start()
    heart.join()
    progress.report(0.5, "half way")
    return {"read": len([*read, *rows])}


job = run_job(enqueue_job(kind="test").pk, work)
assert job.subject == "written meanwhile"
print(job.status, job.stage, job.result == {"read": Permission.objects.count()}, job.error)
"""


def test_a_report_costs_the_work_nothing_that_it_is_reading(tmp_path: Path) -> None:
    with running_stack(tmp_path, {}) as stack:
        assert stack.run(READING).strip() == "succeeded half way True"
