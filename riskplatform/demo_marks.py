"""What the demo keeps on disk about its installation: that it is the demo's, and how far it is."""

import hashlib
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from cases.dashboard_models import DailyTally
from cases.models import Alert, Case
from riskplatform.var_dir import keep_secret
from scoring.models import Prediction

REFUSED = (
    "This installation has users or predictions that are not the demo's, and the demo would add"
    " people whose password it prints. `manage.py runplatform` starts what is there; for a demo"
    " give it an empty folder by RISK_VAR_DIR, without DATABASE_URL."
)


class NotTheDemos(Exception):
    """The installation is used for something else; the message says what to do."""


def claim() -> None:
    """Make an empty installation the demo's, before anything is put into it; does nothing to one
    that is the demo's. Raises `NotTheDemos` for every other."""
    _adopt()
    if _path("started_at").exists():
        return
    if User.objects.exists() or Prediction.objects.exists():
        raise NotTheDemos(REFUSED)
    started_at()


def started_at() -> datetime:
    """When the fill began: one that was interrupted sends the same events again."""
    path = _path("started_at")
    path.parent.mkdir(parents=True, exist_ok=True)
    return datetime.fromisoformat(keep_secret(path, lambda: timezone.now().isoformat()))


def is_filled() -> bool:
    """Whether a fill has come to its end, and its database is still there."""
    return _path("filled_at").exists() and User.objects.exists()


def mark_filled() -> None:
    """Called at the end of a fill."""
    keep_secret(_path("filled_at"), lambda: timezone.now().isoformat())


def _path(name: str) -> Path:
    """A file for the database in use: the folder may have seen the demo of another one."""
    database = settings.DATABASES["default"]
    where = "|".join(str(database.get(key, "")) for key in ("HOST", "PORT", "NAME"))
    known = "embedded" if settings.EMBEDDED else hashlib.sha256(where.encode()).hexdigest()[:12]
    return Path(settings.VAR_DIR) / "demo" / known / name


def _adopt() -> None:
    """The demo of an earlier version, which kept one file and asked the database the rest.

    It was always on its own SQLite, or nobody can tell; its password lies there in any case.
    """
    folder = Path(settings.VAR_DIR)
    earlier = folder / "demo_started_at"
    if not settings.EMBEDDED or not (earlier.exists() or (folder / "demo_password").exists()):
        return
    if _path("started_at").exists():
        return
    _path("started_at").parent.mkdir(parents=True, exist_ok=True)
    if earlier.exists():
        earlier.rename(_path("started_at"))
    started_at()
    if Alert.objects.exists() and Case.objects.exists() and DailyTally.objects.exists():
        mark_filled()
