"""The metrics files of processes, which outlive them."""

import os
from pathlib import Path

from django.conf import settings


def forget_old_measurements() -> None:
    """Remove the metrics files of processes that are gone; call it before any process starts."""
    for path in Path(settings.PROMETHEUS_DIR).glob("*.db"):
        path.unlink()


def forget_gone_measurements() -> None:
    """Remove the metrics files of processes that are gone, while others may be running."""
    for path in Path(settings.PROMETHEUS_DIR).glob("*_*.db"):
        process = path.stem.rpartition("_")[2]
        if process.isdigit() and not _runs(int(process)):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
