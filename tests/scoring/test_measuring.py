"""Measuring never takes down the process that it measures, however full its disk is."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from scoring import measuring
from tests.deploy.processes import machine_environment, run

MEASURE = """
import os, resource
import django
django.setup()
from scoring import measuring
most = int(os.environ["MOST"])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
measuring.note_scored("fraud", 0.001)
measuring.note_announced(1, told=True)
"""


def measured_in(folder: Path, *, most: int) -> list[Path]:
    """The files of a process that may write files of so many bytes."""
    given = {
        "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
        "RISK_VAR_DIR": str(folder / "var"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "measured"),
        "MOST": str(most),
    }
    done = run(["python", "-c", MEASURE], machine_environment(given))
    assert done.returncode == 0, done.stderr
    assert ("Nothing is measured" in done.stderr) == (most < measuring.ROOM)
    return sorted((folder / "measured").iterdir())


def test_what_is_mapped_has_its_place_on_the_disk(tmp_path):
    # In a hole of a file, a write that finds the disk full ends the process (SIGBUS).
    files = measured_in(tmp_path, most=1 << 24)
    assert [path.name.partition("_")[0] for path in files] == ["counter", "histogram"]
    assert all(path.stat().st_blocks * 512 >= measuring.ROOM for path in files)


def test_where_there_is_no_room_nothing_is_measured_and_nothing_left(tmp_path):
    assert measured_in(tmp_path, most=4096) == []


@pytest.fixture
def full(monkeypatch):
    """A disk that is full until something is taken from the list."""
    found = [OSError(28, "No space left on device")]

    def take(path):
        if found:
            raise found[0]

    monkeypatch.setattr(measuring, "_take_room", take)
    monkeypatch.setattr(measuring, "_look_again", {})
    return found


def test_when_there_is_room_again_it_measures_again(full, monkeypatch):
    def count():
        labels = {"detector": "of-a-full-disk"}
        return REGISTRY.get_sample_value("riskplatform_score_seconds_count", labels)

    measuring.note_scored("of-a-full-disk", 0.001)
    full.clear()
    measuring.note_scored("of-a-full-disk", 0.001)
    assert count() is None
    monkeypatch.setattr(measuring, "AGAIN_AFTER", 0.0)
    monkeypatch.setattr(measuring, "_look_again", {})
    measuring.note_scored("of-a-full-disk", 0.001)
    assert count() == 1
