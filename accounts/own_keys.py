"""Are RISK_PII_KEYS those that this database was written with?

With others entities are not known again, deny lists match nobody, and the next entry of the audit
trail is signed so that the right keys are refused from then on. So no process begins with them.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection

from accounts.audit_chain import is_ours
from accounts.models import AuditHead

OTHER_KEYS = (
    "RISK_PII_KEYS are not those of this database: its audit trail was signed with another key "
    "than their last one (or its end was changed: manage.py verify_audit). With these keys "
    "entities would not be known again, allow and deny lists would match nobody, and personal data "
    "could not be read. Put the keys back, the oldest one last; or, where they are lost, go on "
    "without what they kept: manage.py prepare --other-keys."
)


_found = Event()
"""Set once this process has seen that its keys are the database's: whatever differs later is the
database's doing."""


def are_others() -> bool:
    """Whether the database was written with other keys; not where it was never prepared."""
    end = _signed_end()
    return end is not None and not is_ours(end)


def _signed_end() -> AuditHead | None:
    """The audit trail's, where it has begun."""
    there = AuditHead._meta.db_table in connection.introspection.table_names()
    return AuditHead.objects.first() if there else None


def refuse_other_keys() -> None:
    """Raises ImproperlyConfigured where the database was written with other keys. One that is away
    is waited for by whoever needs it, and says nothing here."""
    try:
        end = _signed_end()
    except (DatabaseError, InterfaceError):
        return
    if end is None:
        return
    if not is_ours(end):
        raise ImproperlyConfigured(OTHER_KEYS)
    _found.set()


def were_found_ours() -> bool:
    """Whether this process began with the keys of its database."""
    return _found.is_set()


def forget() -> None:
    """Ask the database anew: tests have several."""
    _found.clear()


def end_with_other_keys() -> None:
    """For the beginning of a server, which has no connection yet: as `refuse_other_keys`, but it
    ends the process with that sentence."""
    # A server's event loop may run by now, and Django asks no database from its thread.
    with ThreadPoolExecutor(1) as apart:
        said = apart.submit(_said).result()
    if said:
        sys.exit(f"A setting is refused. {said}")


def _said() -> str:
    try:
        refuse_other_keys()
    except ImproperlyConfigured as problem:
        return str(problem)
    finally:
        connection.close()
    return ""
