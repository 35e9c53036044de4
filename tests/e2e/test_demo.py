"""`manage.py demo`, the command behind `make demo`: what it prints, shows, and leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest

from tests.e2e.stack import PASSWORD, ROOT, Browserless, Stack

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.xdist_group("processes")]
ROLES = ("analyst", "lead", "engineer", "owner", "admin")
SHOWN = """
import json
from cases.models import Alert, Case
from models_registry.models import ModelVersion
from scoring.models import Prediction
print(json.dumps({
    "predictions": Prediction.objects.count(),
    "alerts": Alert.objects.count(),
    "levels": list(Alert.objects.order_by("level").values_list("level", flat=True).distinct()),
    "detectors": list(
        Alert.objects.order_by("detector__slug").values_list("detector__slug", flat=True).distinct()
    ),
    "cases": Case.objects.exclude(status="closed").count(),
    "champions": {
        v.detector.slug: v.metrics for v in ModelVersion.objects.filter(stage="champion")
    },
}))
"""


class Demo:
    """A running `manage.py demo` and what it has printed so far."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.log = stack.var / "demo.log"
        self.address = ""
        own = {"PORT": str(stack.port), "DEMO_PASSWORD": PASSWORD}
        env = {**stack.environ(), "DJANGO_SETTINGS_MODULE": "riskplatform.settings", **own}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo"], cwd=ROOT, env=env, stdout=log, stderr=log
            )

    def wait_until_running(self) -> str:
        """The address that it printed."""
        pattern = re.compile(r"is running at (\S+)")
        found = self.stack.wait_for(
            lambda: pattern.search(self.log.read_text()), "the demo", seconds=900
        )
        return str(found[1])

    def descendants(self) -> list[int]:
        """Ids of the processes that were started with this installation's folder."""
        mark = f"RISK_VAR_DIR={self.stack.var}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _environ(folder).count(mark):
                found.append(int(folder.name))
        return found

    def stop(self) -> None:
        """SIGTERM to the supervisor alone."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def _environ(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    found = Demo(Stack(tmp_path_factory.mktemp("demo"), {}))
    found.address = found.wait_until_running()
    yield found
    if found.process.poll() is None:
        found.process.kill()
    for pid in found.descendants():
        os.kill(pid, signal.SIGKILL)


def test_it_prints_the_address_and_a_login_for_every_role_that_works(demo: Demo) -> None:
    assert demo.address == demo.stack.address
    printed = demo.log.read_text()
    for role in ROLES:
        assert re.search(rf"^  {role} ", printed, re.M)
        assert Browserless(demo.stack, role).get("/detectors/").status == 200


def test_it_shows_predictions_alerts_of_many_kinds_a_case_and_champions(demo: Demo) -> None:
    shown: dict[str, Any] = json.loads(demo.stack.run(SHOWN))
    demo.stack.shell.stop()  # It is no process of the demo's.
    assert shown["predictions"] > 10_000
    assert shown["alerts"] >= 36
    assert len(shown["levels"]) >= 3
    assert len(shown["detectors"]) >= 3
    assert shown["cases"] >= 1
    names = {"anomaly", "cards", "credit_card_fraud", "creditcard", "fraud", "payments"}
    assert set(shown["champions"]) == names
    lifts = []
    for slug, metrics in shown["champions"].items():
        # A dozen positives leave any one figure noisy, and the history moves with the clock: each
        # beats guessing, and all together do so by far.
        lift = metrics["average_precision"] * metrics["rows"] / metrics["positives"]
        assert lift > 1.0 and metrics["roc_auc"] > 0.5, slug
        lifts.append(lift)
    assert median(lifts) > 10.0
    assert fmean(metrics["roc_auc"] for metrics in shown["champions"].values()) > 0.85


def test_a_process_that_dies_is_started_again(demo: Demo) -> None:
    before = set(demo.descendants())
    web = next(
        pid for pid in before if b"riskplatform.web" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(web, signal.SIGKILL)
    demo.stack.wait_for(lambda: set(demo.descendants()) - before, "a new web process")
    demo.stack.wait_for(lambda: _ready(demo.stack), "the web process to answer")


def _ready(stack: Stack) -> bool:
    try:
        return stack.call("GET", "/readyz", key="").status == 200
    except OSError:
        return False


def test_sigterm_to_the_supervisor_stops_every_process(demo: Demo) -> None:
    assert len(demo.descendants()) >= 4
    demo.stop()
    deadline = time.monotonic() + 10
    while demo.descendants() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert demo.descendants() == []
