"""A worker that works until it is killed: `python -m tests.jobs.dying_worker DATABASE JOB_ID`."""

import sys
import time

import django
from django.conf import settings


def main() -> None:
    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    django.setup()
    from jobs.services import run_job

    def work_for_ever(job, progress):
        progress.report(0.25, "halfway to half")
        while True:
            time.sleep(0.05)

    run_job(int(sys.argv[2]), work_for_ever)


if __name__ == "__main__":
    main()
