"""What is made once a run, whichever of its processes needs it first."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("RISK_TEST_RUN", str(os.getpid()))
RUN = os.environ["RISK_TEST_RUN"]
"""The number of the process that began the run; those that it starts inherit it."""
FOLDER = Path(tempfile.gettempdir()) / f"risk-shared.{RUN}"


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` has filled. Others wait meanwhile; one half made is made anew."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    place, made = FOLDER / name, FOLDER / f"{name}.made"
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            make(place)
            made.touch()
    return place
