"""Measuring never takes down the process that it measures, however full its disk is."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector

from scoring import measuring
from tests.deploy.processes import machine_environment, run

BEGIN = """
import os, resource
import django
django.setup()
from scoring.measuring import note_announced, note_scored
most = int(os.environ["MOST"])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
"""
ANNOUNCE = "note_announced(1, told=True)\n"
SCORE = "note_scored('fraud', 0.001)\n"
# Names as long as a detector's can be.
IN_A_FORK = """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=lambda: {what})
child.start()
child.join(30)
assert child.exitcode == 0, child.exitcode
"""
SCORE_MANY = "for i in range(100): note_scored(f'{i:_>40}', 0.001)\n"


def measured_in(folder: Path, what: str, *, most: int = 1 << 24, room: bool = True) -> list[Path]:
    """The files of a process that may write files of so many bytes, after it did `what`."""
    given = {
        "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
        "RISK_VAR_DIR": str(folder / "var"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "measured"),
        "MOST": str(most),
    }
    done = run(["python", "-c", BEGIN + what], machine_environment(given))
    assert done.returncode == 0, done.stderr
    assert ("is not measured" not in done.stderr) == room, done.stderr
    return sorted((folder / "measured").iterdir())


def kinds(files: list[Path]) -> list[str]:
    return [path.name.partition("_")[0] for path in files]


@pytest.mark.parametrize("what", [SCORE, SCORE_MANY])
def test_what_is_mapped_has_its_place_on_the_disk(tmp_path, what):
    # In a hole of a file, a write that finds the disk full ends the process (SIGBUS).
    files = measured_in(tmp_path, what + ANNOUNCE)
    assert set(kinds(files)) == {"counter", "histogram"}
    for path in files:
        assert path.stat().st_blocks * 512 >= path.stat().st_size >= measuring.ROOM


@pytest.mark.parametrize("what", ["note_scored('other', 0.001)", "note_announced(1, told=True)"])
def test_a_fork_of_a_process_that_measured_much_measures_on_its_own(tmp_path, what):
    files = measured_in(tmp_path, SCORE_MANY + IN_A_FORK.format(what=what))
    assert len({path.stem.partition("_")[2] for path in files}) == 2
    merged = MultiProcessCollector.merge([str(path) for path in files])
    counts = [one.value for found in merged for one in found.samples if one.name.endswith("_count")]
    assert sum(counts) == 100 + ("other" in what)


def test_who_only_announces_takes_no_room_for_latencies(tmp_path):
    assert kinds(measured_in(tmp_path, ANNOUNCE)) == ["counter"]


def test_where_there_is_no_room_nothing_is_measured_and_nothing_left(tmp_path):
    assert measured_in(tmp_path, SCORE + ANNOUNCE, most=4096, room=False) == []


def test_a_detector_that_finds_no_room_is_not_measured_and_those_before_are(tmp_path):
    most = 2 * measuring.ROOM
    files = measured_in(tmp_path, SCORE_MANY + SCORE_MANY, most=most, room=False)
    (histogram,) = [path for path in files if path.name.startswith("histogram")]
    (found,) = MultiProcessCollector.merge([str(histogram)])
    counts = [sample.value for sample in found.samples if sample.name.endswith("_count")]
    assert 10 < len(counts) < 100
    assert set(counts) == {2}


@pytest.fixture
def full(monkeypatch):
    """A disk that is full until something is taken from the list."""
    found = [OSError(28, "No space left on device")]

    def take(path, *, sets):
        if found:
            raise found[0]

    monkeypatch.setattr(measuring, "_take_room", take)
    monkeypatch.setattr(measuring, "_look_again", {"at": 0.0})
    return found


def test_when_there_is_room_again_it_measures_again(full, monkeypatch):
    def count():
        labels = {"detector": "of-a-full-disk"}
        return REGISTRY.get_sample_value("riskplatform_score_seconds_count", labels)

    measuring.note_scored("of-a-full-disk", 0.001)
    full.clear()
    measuring.note_scored("of-a-full-disk", 0.001)
    assert count() is None
    monkeypatch.setitem(measuring._look_again, "at", 0.0)
    measuring.note_scored("of-a-full-disk", 0.001)
    assert count() == 1
