"""Files of cases: kept by their hash outside everything that is served, checked when handed out."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.case_models import CaseAttachment
from cases.models import Case
from cases.sniffing import FileRefused, check_name, kind_of
from cases.workflow import CaseStatus, MoveRefused

MOST = 100
"""Files of one case."""


class FileLost(Exception):
    """The bytes of an attachment are gone or are not what was attached."""


def attach(case: Case, *, file: "UploadedFile[Any]", actor: User, text: str = "") -> CaseAttachment:
    """Keep a file with a case. Raises FileRefused for its kind, name or size, and MoveRefused."""
    if (file.size or 0) > settings.ATTACHMENT_MAX_BYTES:
        most = settings.ATTACHMENT_MAX_BYTES // (1024 * 1024)
        raise FileRefused(f"This file is too large: at most {most} MB.")
    content = file.read()
    kind = kind_of(content)
    name = check_name(file.name or "", kind)
    digest = hashlib.sha256(content).hexdigest()
    # Before the row: a file without a row is harmless, a row without its file is not.
    _keep(digest, content)
    with transaction.atomic():
        row = Case.objects.select_for_update().get(pk=case.pk)
        if not actor.has_perm("cases.work_case"):
            raise MoveRefused("You may not work on cases.")
        if row.status == CaseStatus.MERGED:
            raise MoveRefused("This case went into another one: attach the file there.")
        if row.attachments.count() >= MOST:
            raise MoveRefused(f"A case holds {MOST} files at most.")
        event = add_event(
            row, Kind.ATTACHED, actor=actor, text=text.strip(), name=name, sha256=digest
        )
        attachment = CaseAttachment.objects.create(
            case=row,
            event=event,
            name=name,
            content_type=kind.content_type,
            size=len(content),
            sha256=digest,
            added_by=actor,
            added_at=timezone.now(),
        )
        record_audit(
            actor=actor,
            action="case.file_attached",
            subject=row,
            detail={"file": attachment.pk, "sha256": digest, "size": len(content)},
        )
    return attachment


def hand_out(attachment: CaseAttachment, *, actor: User) -> bytes:
    """The bytes of a file, if they are those that were attached; audited. Raises FileLost."""
    try:
        content = place_of(attachment.sha256).read_bytes()
    except OSError as error:
        raise FileLost("This file is not in the store any more. Tell an admin.") from error
    if not secrets.compare_digest(hashlib.sha256(content).hexdigest(), attachment.sha256):
        raise FileLost("This file was changed in the store: it is not handed out. Tell an admin.")
    record_audit(
        actor=actor,
        action="case.file_read",
        subject=attachment.case,
        detail={"file": attachment.pk, "sha256": attachment.sha256},
    )
    return content


def place_of(digest: str) -> Path:
    """Where the bytes with this hash are kept."""
    return Path(settings.ATTACHMENT_DIR) / digest[:2] / digest


def _keep(digest: str, content: bytes) -> None:
    """Written beside and renamed into place, readable by the platform alone. What lies there
    damaged is written anew."""
    path = place_of(digest)
    if _holds(path, digest):
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{digest}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)


def _holds(path: Path, digest: str) -> bool:
    """Whether the file can be read and has this hash."""
    try:
        with path.open("rb") as stored:
            return hashlib.file_digest(stored, "sha256").hexdigest() == digest
    except OSError:
        return False
