"""What a start does before it serves."""

import os
import subprocess
import sys

from celery.signals import worker_init

from riskplatform.preparing import forget_gone_measurements


def test_measurements_of_processes_that_are_gone_are_removed(settings, tmp_path):
    settings.PROMETHEUS_DIR = tmp_path
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, os.getpid()):
        (tmp_path / f"counter_{process}.db").touch()
    (tmp_path / "of_somebody.db").touch()
    forget_gone_measurements()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"counter_{os.getpid()}.db", "of_somebody.db"}


def test_the_worker_removes_them_when_it_starts(settings, tmp_path):
    settings.PROMETHEUS_DIR = tmp_path
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f"counter_{gone.pid}.db").touch()
    worker_init.send(sender=None)
    assert not list(tmp_path.iterdir())
