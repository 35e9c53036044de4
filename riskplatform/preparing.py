"""Bring an installation up to date: schema, roles, detectors, what alerts of before lack, static
files."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.core.management import CommandError, call_command

from accounts.own_keys import OTHER_KEYS, are_others
from accounts.services import record_audit

SUM_UP_SECONDS = 60.0
"""After an upgrade, so long the start waits for alerts of before to be counted and found; the sweep
does what is left."""


def prepare(*, static: bool = True, other_keys: bool = False) -> None:
    """Safe to run at every start; does only what is needed. Raises CommandError, before anything
    is done, where the database was written with other keys, unless `other_keys` are meant."""
    others = are_others()
    if others and not other_keys:
        raise CommandError(OTHER_KEYS)
    call_command("migrate", interactive=False, verbosity=0)
    if others:  # The entry signs the trail's end with the keys of now.
        record_audit(actor=None, action="personal_data.keys_replaced", other_keys=True)
    call_command("sync_roles", verbosity=0, stdout=_Silence())
    call_command("load_detectors", verbosity=0, stdout=_Silence())
    call_command("sum_up_alerts", seconds=SUM_UP_SECONDS, verbosity=0, stdout=_Silence())
    if static:
        collect_static()


def collect_static() -> None:
    """`collectstatic`, when the files or the version changed since the last time."""
    root = Path(settings.STATIC_ROOT)
    stamp = root / ".collected"
    state = _state_of_static()
    if stamp.exists() and stamp.read_text() == state:
        return
    call_command("collectstatic", interactive=False, verbosity=0, clear=False)
    stamp.write_text(state)


def _state_of_static() -> str:
    found = hashlib.sha256(settings.VERSION.encode())
    for folder in settings.STATICFILES_DIRS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                found.update(f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}".encode())
    return found.hexdigest()


class _Silence:
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing to flush."""
