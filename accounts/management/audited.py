"""Django's own commands that write users, with their lines in the audit trail."""

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save, pre_save

from accounts.models import User
from accounts.services import record_audit


@contextmanager
def audited_saves(command: str, *, actions: Sequence[str]) -> Iterator[None]:
    """Inside, each user that is saved gets one line per action; both are committed at the end.

    The transaction begins with the save: nothing is locked while a command asks for a password.
    """
    detail = {"command": f"manage.py {command}", "system_user": system_user()}
    with ExitStack() as stack:

        def begin(using: str, **kwargs: Any) -> None:
            stack.enter_context(transaction.atomic(using=using))

        def record(instance: User, **kwargs: Any) -> None:
            for action in actions:
                record_audit(actor=None, action=action, subject=instance, detail=detail)

        for signal, receiver in ((pre_save, begin), (post_save, record)):
            signal.connect(receiver, sender=User, weak=False)
            stack.callback(signal.disconnect, receiver, sender=User)
        yield


def system_user() -> str:
    """Who runs this process, as the operating system names them; `uid 1000` where it does not."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
